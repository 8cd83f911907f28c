//! A Feature archive: the same entries give the same bytes, on any machine and in any year.
//!
//! The archive is a plain POSIX `ustar` tar, not compressed, because that is what its media type
//! says. It holds only folders and regular files, since envbuilder refuses anything else. What a
//! build machine would leak is fixed: uid and gid 0, no user or group name (so that nothing is
//! looked up by name on unpacking), folders 0755, files 0644 or 0755, 1970 for all.
//!
//! Entries are sorted by the bytes of their paths. A folder's path is the beginning of its
//! children's, so it always comes before them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::payload::{Payload, Source};

const BLOCK: usize = 512;
const NAME_LENGTH: usize = 100;
const PREFIX_LENGTH: usize = 155;
/// Eleven octal digits.
const MAX_NUMBER: u64 = (1 << 33) - 1;

/// A file or folder; folders that files lie in need not be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path below the archive's root, with `/` between its parts and nothing before it.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Mode 0755 instead of 0644.
        executable: bool,
        /// Its content.
        data: Source,
    },
}

/// Why an archive cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The path does not fit the format.
    #[error(
        "the path \"{0}\" is too long for a portable archive; shorten it to 100 bytes, or to 250 with folders"
    )]
    TooLong(String),
    /// The path leaves the archive, or is not in its plain form.
    #[error("the path \"{0}\" cannot be in an archive")]
    BadPath(String),
    /// Two entries of one path.
    #[error("the path \"{0}\" would be in the archive twice")]
    Twice(String),
    /// The file is too large for the format.
    #[error("the file \"{0}\" is larger than the 8 GiB that a portable archive can hold")]
    TooLarge(String),
    /// A file cannot be read, or changed while it was.
    #[error("{0}")]
    Read(String),
}

/// Packs entries, in whatever order they come. What lies on disk is read, and stays there.
pub fn pack(entries: &[Entry]) -> Result<Payload, ArchiveError> {
    let mut out = Pieces::default();
    for (path, kind) in sorted(entries)? {
        match kind {
            Kind::Folder if path.is_empty() => out.bytes.extend(header("./", 0o755, 0, b'5')?),
            Kind::Folder => out.bytes.extend(header(&format!("./{path}/"), 0o755, 0, b'5')?),
            Kind::File { executable, data } => {
                if data.len() > MAX_NUMBER {
                    return Err(ArchiveError::TooLarge(path.to_owned()));
                }
                let mode = if *executable { 0o755 } else { 0o644 };
                out.bytes.extend(header(&format!("./{path}"), mode, data.len(), b'0')?);
                out.data(data);
            }
        }
    }
    out.bytes.resize(out.bytes.len() + 2 * BLOCK, 0);
    out.end_bytes();
    Payload::join(out.sources).map_err(|error| ArchiveError::Read(error.to_string()))
}

/// An archive in the making: headers and padding between what lies elsewhere.
#[derive(Default)]
struct Pieces {
    sources: Vec<Source>,
    bytes: Vec<u8>,
}

impl Pieces {
    fn data(&mut self, data: &Source) {
        self.end_bytes();
        self.sources.push(data.clone());
        let beyond = usize::try_from(data.len() % BLOCK as u64).unwrap_or(0);
        self.bytes.resize(beyond.next_multiple_of(BLOCK) - beyond, 0);
    }

    fn end_bytes(&mut self) {
        self.sources.push(Bytes::from(std::mem::take(&mut self.bytes)).into());
    }
}

/// The entries by path, with the root and every folder that a file lies in.
fn sorted(entries: &[Entry]) -> Result<BTreeMap<&str, &Kind>, ArchiveError> {
    let mut sorted: BTreeMap<&str, &Kind> = BTreeMap::new();
    sorted.insert("", &Kind::Folder);
    for entry in entries {
        let path = entry.path.as_str();
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if !path.split('/').all(plain) {
            return Err(ArchiveError::BadPath(path.to_owned()));
        }
        for (slash, _) in path.match_indices('/') {
            if let Some(Kind::File { .. }) = sorted.insert(&path[..slash], &Kind::Folder) {
                return Err(ArchiveError::Twice(path[..slash].to_owned()));
            }
        }
        match (sorted.insert(path, &entry.kind), &entry.kind) {
            (None, _) | (Some(Kind::Folder), Kind::Folder) => {}
            _ => return Err(ArchiveError::Twice(path.to_owned())),
        }
    }
    Ok(sorted)
}

fn header(name: &str, mode: u64, size: u64, type_flag: u8) -> Result<[u8; BLOCK], ArchiveError> {
    let (prefix, rest) = split_name(name).ok_or_else(|| ArchiveError::TooLong(name.to_owned()))?;
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest.as_bytes());
    octal(&mut block[100..108], mode);
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size);
    // 1970. A time that could be chosen would give a published version another digest.
    octal(&mut block[136..148], 0);
    block[148..156].fill(b' ');
    block[156] = type_flag;
    block[257..263].copy_from_slice(b"ustar\0");
    block[263..265].copy_from_slice(b"00");
    octal(&mut block[329..337], 0);
    octal(&mut block[337..345], 0);
    block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    // Six digits, NUL, space: the one field that does not end in its NUL.
    octal(&mut block[148..155], sum);
    block[155] = b' ';
    Ok(block)
}

/// Fills a field with zero-padded octal digits and a NUL.
fn octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    let digits = format!("{number:0width$o}");
    field[..width].copy_from_slice(digits.as_bytes());
    field[width] = 0;
}

/// Whether a path is short enough.
pub fn fits(path: &str, is_folder: bool) -> bool {
    let end = if is_folder { "/" } else { "" };
    split_name(&format!("./{path}{end}")).is_some()
}

/// A name as `ustar` stores it: whole, or cut at a slash that itself is not stored.
fn split_name(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME_LENGTH {
        return Some(("", name));
    }
    name.match_indices('/')
        .map(|(slash, _)| (&name[..slash], &name[slash + 1..]))
        .find(|(prefix, rest)| prefix.len() <= PREFIX_LENGTH && rest.len() <= NAME_LENGTH && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, executable: bool, data: &'static str) -> Entry {
        Entry {
            path: path.to_owned(),
            kind: Kind::File { executable, data: Bytes::from_static(data.as_bytes()).into() },
        }
    }

    fn bytes(entries: &[Entry]) -> Bytes {
        pack(entries).unwrap().bytes().unwrap()
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let mut offset = 0;
        while archive[offset] != 0 {
            let block = &archive[offset..offset + BLOCK];
            let end = block.iter().position(|&b| b == 0).unwrap();
            names.push(String::from_utf8(block[..end].to_vec()).unwrap());
            let size = std::str::from_utf8(&block[124..135]).unwrap();
            offset += BLOCK + usize::from_str_radix(size, 8).unwrap().next_multiple_of(BLOCK);
        }
        names
    }

    #[test]
    fn two_small_files_are_seven_blocks() {
        let archive = bytes(&[file("install.sh", true, "x"), file("devcontainer-feature.json", false, "{}")]);
        assert_eq!(archive.len(), 3584);
        assert_eq!(names(&archive), ["./", "./devcontainer-feature.json", "./install.sh"]);
        assert_eq!(&archive[archive.len() - 1024..], [0; 1024]);
    }

    #[test]
    fn the_bytes_are_golden() {
        let archive = pack(&[file("bin/amd64/x", true, "elf"), file("a", false, "")]).unwrap();
        assert_eq!(
            archive.digest().to_string(),
            "sha256:ba3438f19657d1ff693a1ccecdabf4acd0ebf6f5cd162a57180a457ea97f6061",
            "the layout changed, so every published digest would change with it"
        );
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let mut entries = vec![
            file("b/c", false, "1"),
            file("a.txt", false, "2"),
            file("a/z", false, "3"),
            Entry { path: "empty".to_owned(), kind: Kind::Folder },
            Entry { path: "b".to_owned(), kind: Kind::Folder },
        ];
        let forward = bytes(&entries);
        entries.reverse();
        assert_eq!(bytes(&entries), forward);
        assert_eq!(names(&forward), ["./", "./a/", "./a.txt", "./a/z", "./b/", "./b/c", "./empty/"]);
    }

    #[test]
    fn refuses_what_cannot_be_packed() {
        let long = "x".repeat(101);
        for (entries, expected) in [
            (vec![file("../x", false, "")], ArchiveError::BadPath("../x".to_owned())),
            (vec![file("/x", false, "")], ArchiveError::BadPath("/x".to_owned())),
            (vec![file("a//x", false, "")], ArchiveError::BadPath("a//x".to_owned())),
            (vec![file("a", false, ""), file("a", false, "")], ArchiveError::Twice("a".to_owned())),
            (vec![file("a", false, ""), file("a/b", false, "")], ArchiveError::Twice("a".to_owned())),
            (vec![file("a/b", false, ""), file("a", false, "")], ArchiveError::Twice("a".to_owned())),
            (vec![file(&long, false, "")], ArchiveError::TooLong(format!("./{long}"))),
        ] {
            assert_eq!(pack(&entries), Err(expected));
        }
    }

    #[test]
    fn long_paths_use_the_prefix() {
        let path = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        let archive = bytes(&[file(&path, false, "x")]);
        let block = &archive[1024..1536];
        assert_eq!(&block[..90], "f".repeat(90).as_bytes());
        assert_eq!(&block[345..437], format!("./{}", "d".repeat(90)).as_bytes());
    }
}
