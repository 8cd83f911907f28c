//! A Feature folder: found, read, validated and assembled, before anything is written or sent.

pub mod assemble;
pub mod binaries;
pub mod discover;
pub mod exclude;
pub mod grammar;
pub mod js_json;
pub mod json;
pub mod load;
pub mod metadata;
pub mod options;
pub mod problem;
pub mod properties;
