//! The embedded OCI registry: content on disk, served on this machine's loopback only.
//!
//! | path below the root | what |
//! |---|---|
//! | `blobs/sha256/HEX` | every blob and manifest, once |
//! | `repositories/NAME/_blobs/HEX` | the repository has this blob |
//! | `repositories/NAME/_manifests/HEX` | the repository has this manifest; holds its media type |
//! | `repositories/NAME/_tags/TAG` | holds the digest that the tag means |
//! | `repositories/NAME/_uploads/ID` | an upload that goes on |
//! | `serve.json` | the process that serves the folder now |
//!
//! No part of a repository's name begins with `_`, so names and these folders never meet.

pub mod blobs;
pub mod body;
pub mod error;
pub mod fault;
pub mod instance;
mod listen;
pub mod manifests;
pub mod name;
pub mod route;
pub mod serve;
pub mod server;
pub mod store;
pub mod tags;
pub mod uploads;
pub mod watch;
