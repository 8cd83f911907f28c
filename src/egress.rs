//! Finding addresses for the allowed names: an own DNS question, through whatever resolver the container has.
//!
//! Nobody else in the container can ask a resolver: the answers are handed out through `/etc/hosts`, other
//! questions are answered from what is known, and so DNS is no tunnel.

pub mod addresses;
pub mod answer;
pub mod gate;
pub mod hosts;
pub mod message;
pub mod query;
pub mod refusals;
pub mod resolv_conf;
pub mod sockets;
pub mod words;
