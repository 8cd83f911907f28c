//! The publisher as a library: one file a verb, shared with its tests.

pub mod arch;
pub mod cli;
