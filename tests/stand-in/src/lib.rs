//! What tests use of the stand-in internet within their own process.

#[cfg(feature = "world")]
pub mod world;
