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

/// One that sets each tag by itself, as most registries do.
pub fn one_by_one() -> Embedded {
    embedded_with(&Options { faults: vec!["no-tag-parameter".parse().unwrap()], ..Options::default() })
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
