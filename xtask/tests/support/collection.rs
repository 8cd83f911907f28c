//! A collection of Features or Templates for one test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xtask::feature::binaries::Binaries;
use xtask::feature::kind::Kind;
use xtask::package::{self, Packed};

/// A collection folder that is gone with the value.
pub struct Collection {
    temp: TempDir,
}

impl Collection {
    pub fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Writes a minimal Feature; `more` are further properties, each with a comma before it.
    pub fn feature(&self, id: &str, version: &str, more: &str) -> PathBuf {
        self.json(id, &format!(r#"{{"id":"{id}","version":"{version}","name":"The {id}"{more}}}"#));
        self.file(&format!("{id}/install.sh"), "#!/bin/sh\n", 0o755);
        self.path().join(id)
    }

    /// Writes a minimal Template; `more` are further properties, each with a comma before it.
    pub fn template(&self, id: &str, version: &str, more: &str) -> PathBuf {
        let json = format!(r#"{{"id":"{id}","version":"{version}","name":"The {id}"{more}}}"#);
        self.file(&format!("{id}/devcontainer-template.json"), &json, 0o644);
        self.file(&format!("{id}/.devcontainer/devcontainer.json"), r#"{"image":"x"}"#, 0o644);
        self.path().join(id)
    }

    pub fn json(&self, id: &str, text: &str) {
        self.file(&format!("{id}/devcontainer-feature.json"), text, 0o644);
    }

    pub fn file(&self, path: &str, text: &str, mode: u32) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn pack(&self) -> Packed {
        pack(self.path()).unwrap()
    }

    pub fn pack_templates(&self) -> Packed {
        package::of_kind(Kind::Template, Some(self.path())).unwrap()
    }
}

pub fn pack(target: &Path) -> anyhow::Result<Packed> {
    package::with_binaries(target, &Binaries::new())
}
