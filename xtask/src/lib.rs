//! The publisher as a library: one file a verb, shared with its tests.

pub mod apt;
pub mod arch;
pub mod archive;
pub mod bench;
pub mod build;
pub mod cache;
pub mod ci;
pub mod cli;
pub mod collection;
pub mod docs;
pub mod exit;
pub mod feature;
pub mod kernels;
pub mod login;
pub mod oci;
pub mod output_folder;
pub mod package;
pub mod project;
pub mod publish;
pub mod registry;
pub mod scenarios;
pub mod sh;
pub mod terminal;
