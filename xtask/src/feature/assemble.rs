//! From what was loaded and its binaries to the entries of its archive. Does no I/O.

use bytes::Bytes;

use super::binaries::Binary;
use super::kind::Kind;
use super::load::{Content, Feature};
use crate::archive::{self, Entry};
use crate::payload::Source;

/// The entries of an archive.
pub fn entries(feature: &Feature, binaries: &[Binary]) -> Vec<Entry> {
    let kind = feature.metadata.kind;
    let metadata = file(kind.metadata_file(), false, Bytes::from(feature.metadata.file.clone()).into());
    let content = feature.content.iter().map(|item| match item {
        Content::Folder(path) => Entry { path: path.clone(), kind: archive::Kind::Folder },
        Content::File { path, executable, data } => {
            file(path, *executable || is_always_executable(kind, path), data.clone())
        }
    });
    let binaries = binaries.iter().map(|binary| {
        let path = format!("bin/{}/{}", binary.arch.docker(), binary.name);
        file(&path, true, binary.data.clone().into())
    });
    std::iter::once(metadata).chain(content).chain(binaries).collect()
}

/// Checkouts lose the executable bit; what must run does not depend on it.
pub fn is_always_executable(kind: Kind, path: &str) -> bool {
    kind == Kind::Feature && (path == "install.sh" || path.starts_with("bin/"))
}

fn file(path: &str, executable: bool, data: Source) -> Entry {
    Entry { path: path.to_owned(), kind: archive::Kind::File { executable, data } }
}
