//! The client's side of the OCI distribution specification: one protocol noun or verb a file.

pub mod auth;
mod auth_file;
pub mod blob;
pub mod certificates;
pub mod challenge;
pub mod credentials;
pub mod digest;
pub mod error;
mod grants;
mod helper;
pub mod keyring;
pub mod known;
pub mod manifest;
pub mod manifests;
pub mod permission;
pub mod proxy;
pub mod push;
pub mod realm;
pub mod reference;
mod said;
pub mod secret;
pub mod sources;
pub mod tag_list;
pub mod tags;
pub mod token;
pub mod transport;
