//! The client's side of the OCI distribution specification: one protocol noun or verb a file.

pub mod auth;
pub mod blob;
pub mod challenge;
pub mod content;
pub mod credentials;
pub mod digest;
pub mod docker_config;
pub mod download;
pub mod error;
pub mod link;
pub mod manifest;
pub mod manifests;
pub mod push;
pub mod realm;
pub mod reference;
pub mod retry;
mod said;
pub mod secret;
pub mod tag_list;
pub mod tags;
pub mod token;
pub mod transport;
pub mod upload;
