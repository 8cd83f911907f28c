//! What the tests share: Feature folders, peers to publish to, and a proxy that sees every request.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses its own part of this")]

mod client;
mod collection;
pub mod connect;
pub mod docker_registry;
mod embedded;
pub mod guarded;
mod memory;
pub mod official;
mod program;
pub mod proxy;
mod push;
pub mod reader;
mod skip;
pub mod tls;

pub use client::{Answer, client, collection_of, digest_of, http, http_in_thread};
pub use collection::{Collection, pack};
pub use embedded::{Embedded, embedded, embedded_with, one_by_one};
pub use memory::{copy, fast_folder};
pub use program::{run, xtask};
pub use proxy::manifests_written;
pub use push::{NAMESPACE, destination, push, push_to};
pub use skip::skip;
