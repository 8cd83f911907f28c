//! What the gate knows about the bytes that it passes on. Pure: readers of what a client sends first, and
//! writers of what a refused one is told.
//!
//! Each reader is given all bytes since the beginning of what it reads, as often as there are more, and says
//! "more", what it read, or why not. Whatever the splits, the outcome is the same; what is not understood is
//! refused, as a server might understand it in another way.

pub mod alert;
pub mod client_hello;
pub mod http;
