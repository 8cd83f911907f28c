//! Publishing, against the embedded registry and Debian's, as seen from outside.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod conflict;
mod cut;
mod faults;
mod healing;
mod hostile;
mod life;
mod merge;
mod random;
mod repacked;
mod stages;
#[path = "../support/mod.rs"]
mod support;
mod tags;
mod trouble;
