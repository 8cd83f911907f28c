//! The cell's Landlock rules and closed system calls on the real kernel: each attack succeeds without them and fails
//! with them, and a day's work goes on.

mod calls;
mod other;
mod processes;
mod reads;
mod skip;
mod work;
mod world;
mod writes;
