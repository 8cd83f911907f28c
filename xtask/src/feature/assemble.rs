//! From a loaded Feature and its binaries to the entries of its archive. Does no I/O.

use bytes::Bytes;

use super::binaries::Binary;
use super::load::{Content, Feature};
use super::metadata::FILE_NAME;
use crate::archive::{Entry, Kind};
use crate::payload::Source;

/// The entries of a Feature's archive.
pub fn entries(feature: &Feature, binaries: &[Binary]) -> Vec<Entry> {
    let metadata = file(FILE_NAME, false, Bytes::from(feature.metadata.file.clone()).into());
    let content = feature.content.iter().map(|item| match item {
        Content::Folder(path) => Entry { path: path.clone(), kind: Kind::Folder },
        Content::File { path, executable, data } => {
            file(path, *executable || always_executable(path), data.clone())
        }
    });
    let binaries = binaries.iter().map(|binary| {
        let path = format!("bin/{}/{}", binary.arch.docker(), binary.name);
        file(&path, true, binary.data.clone().into())
    });
    std::iter::once(metadata).chain(content).chain(binaries).collect()
}

/// Checkouts lose the executable bit; what must run does not depend on it.
fn always_executable(path: &str) -> bool {
    path == "install.sh" || path.starts_with("bin/")
}

fn file(path: &str, executable: bool, data: Source) -> Entry {
    Entry { path: path.to_owned(), kind: Kind::File { executable, data } }
}
