//! Collections to pack and publish.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use tempfile::TempDir;

/// Large files of a Feature: a program for each architecture, say.
const LARGE_FILES: [&str; 2] = ["amd64", "arm64"];

/// A collection of small Features, each with options, notes and a script as Features have them.
pub(super) fn small(features: usize) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for number in 0..features {
        feature(folder.path(), &format!("tool-{number:02}"))?;
    }
    Ok(folder)
}

/// A collection of one Feature with two files of so many random bytes.
pub(super) fn large(bytes: u64) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    feature(folder.path(), "large")?;
    for name in LARGE_FILES {
        let mut random = fs::File::open("/dev/urandom")?.take(bytes);
        std::io::copy(&mut random, &mut fs::File::create(folder.path().join("large").join(name))?)?;
    }
    Ok(folder)
}

fn feature(collection: &Path, id: &str) -> anyhow::Result<()> {
    let folder = collection.join(id);
    fs::create_dir(&folder)?;
    let options = serde_json::json!({
        "version": { "type": "string", "proposals": ["latest", "1.2"], "default": "latest", "description": "Which one." },
        "extras": { "type": "boolean", "default": false, "description": "Whether to install more." },
    });
    let metadata = serde_json::json!({
        "id": id,
        "version": "1.0.0",
        "name": format!("The tool {id}"),
        "description": "Installs a tool and what it needs.",
        "options": options,
        "installsAfter": ["ghcr.io/devcontainers/features/common-utils"],
    });
    fs::write(folder.join("devcontainer-feature.json"), serde_json::to_string_pretty(&metadata)?)?;
    let steps = "echo \"one of the steps that this script would have\"\n".repeat(40);
    fs::write(folder.join("install.sh"), format!("#!/bin/sh\nset -e\n{steps}"))?;
    fs::write(folder.join("NOTES.md"), format!("## {id}\n\nWhat to know about it.\n"))?;
    Ok(())
}
