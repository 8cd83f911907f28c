//! A Feature or Template folder: found, read, validated and assembled, before anything is written or sent.

pub mod assemble;
pub mod binaries;
pub mod clashes;
pub mod content;
pub mod discover;
pub mod exclude;
pub mod grammar;
pub mod ignore_file;
pub mod js_json;
pub mod json;
pub mod kind;
pub(crate) mod known;
pub mod load;
pub mod metadata;
pub mod names;
pub mod options;
pub mod problem;
pub mod properties;
pub mod secret_files;
