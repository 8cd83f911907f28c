//! Finding addresses for the allowed names: an own DNS question, through whatever resolver the container has.
//!
//! Nobody else in the container can ask a resolver, so the answers are handed out through `/etc/hosts`, and
//! DNS is no tunnel.

pub mod addresses;
pub mod hosts;
pub mod query;
pub mod resolv_conf;
