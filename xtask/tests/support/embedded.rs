//! The embedded registry, for one test.

use xtask::registry::server::{Options, Serving, serve};

/// A registry that is gone with the value, content and all.
pub struct Embedded {
    pub serving: Serving,
    pub root: tempfile::TempDir,
}

pub fn embedded() -> Embedded {
    embedded_with(&Options::default())
}

pub fn embedded_with(options: &Options) -> Embedded {
    let root = tempfile::tempdir().unwrap();
    Embedded { serving: serve(root.path(), options).unwrap(), root }
}

impl Embedded {
    pub fn port(&self) -> u16 {
        self.serving.port()
    }
}
