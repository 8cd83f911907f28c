//! What an archive holds, whoever packed it. Does no I/O but read.
//!
//! The archive may be somebody else's: it is read to its end and no further than it may weigh, nothing of it is
//! unpacked, and what could mean one thing to one program and another to the next is not compared at all.

pub mod difference;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use sha2::{Digest as _, Sha256};
use tar::EntryType;

use crate::oci::digest::Digest;
use difference::shown;

/// So many files and folders are compared.
const MAX_ENTRIES: usize = 100_000;
/// All their paths together.
const MAX_PATHS: usize = 16 << 20;
/// What comes before a file and tells its long name.
const MAX_EXTENSION: u64 = 64 << 10;
/// The file that is kept.
const MAX_KEPT: u64 = 4 << 20;

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// The digest of its content.
        digest: Digest,
        /// Whether anybody may execute it.
        executable: bool,
    },
}

/// The files and folders of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// By path, with no `./` before it.
    pub items: BTreeMap<String, Item>,
    /// The bytes of the one file that was to be kept; nothing where there is none.
    pub kept: Vec<u8>,
    paths: usize,
}

/// How much of an archive is read, and what of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The most bytes, as they are when nothing is compressed.
    pub limit: u64,
    /// The file whose bytes are kept.
    pub keep: &'static str,
}

/// Why an archive's content cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// It is no archive, or not all of one.
    #[error("it cannot be read ({0})")]
    Read(#[from] io::Error),
    /// It is one, but holds what is not compared.
    #[error("it holds {0}")]
    Holds(String),
    /// It is too large.
    #[error("it is too large")]
    TooLarge,
}

/// Reads a whole archive, which may be compressed.
pub fn read(archive: impl Read, wanted: &Wanted) -> Result<Contents, ContentsError> {
    let mut archive = BufReader::new(archive);
    let is_compressed = archive.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read + '_> = if is_compressed {
        Box::new(flate2::bufread::MultiGzDecoder::new(archive))
    } else {
        Box::new(archive)
    };
    // One byte more shows that there is more.
    let mut plain = plain.take(wanted.limit.saturating_add(1));
    let contents = entries(&mut plain, wanted);
    let end = contents.and_then(|contents| rest(&mut plain).map(|()| contents));
    // Whatever else it looks like, it was cut.
    if plain.limit() == 0 { Err(ContentsError::TooLarge) } else { end }
}

/// What comes after the last entry is for nobody.
fn rest(plain: &mut impl Read) -> Result<(), ContentsError> {
    let mut buffer = [0; 4096];
    loop {
        match plain.read(&mut buffer)? {
            0 => return Ok(()),
            count if buffer[..count].iter().all(|&byte| byte == 0) => {}
            _ => return Err(ContentsError::Holds("something behind its end".to_owned())),
        }
    }
}

fn entries(plain: impl Read, wanted: &Wanted) -> Result<Contents, ContentsError> {
    let mut contents = Contents::default();
    let mut archive = tar::Archive::new(plain);
    let mut told = None;
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let header = entry.header();
        let kind = header.entry_type();
        let (mode, size) = (header.mode(), header.entry_size()?);
        let before: Option<Told> = told.take();
        match kind {
            // What git and others say of the whole archive; a name among it would be that of each file.
            EntryType::XGlobalHeader => {
                if extended(&mut entry)? != Told::default() || before.is_some() {
                    return Err(ContentsError::Holds("names that are all the same".to_owned()));
                }
                continue;
            }
            EntryType::XHeader | EntryType::GNULongName if before.is_some() => {
                return Err(ContentsError::Holds("two names of one file".to_owned()));
            }
            EntryType::XHeader => {
                told = Some(extended(&mut entry)?);
                continue;
            }
            EntryType::GNULongName => {
                let mut name = extension(&mut entry)?;
                name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
                told = Some(Told { path: Some(name), size: None });
                continue;
            }
            _ => {}
        }
        let before = before.unwrap_or_default();
        if before.size.is_some_and(|told| told != size) || (kind == EntryType::Directory && size > 0) {
            return Err(ContentsError::Holds("a file whose end is told of in two ways".to_owned()));
        }
        let path = before.path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = plain_path(&path).ok_or_else(|| {
            ContentsError::Holds(format!("the path \"{}\"", shown(&String::from_utf8_lossy(&path))))
        })?;
        match kind {
            EntryType::Directory => contents.folder(&name)?,
            // To some programs that is a folder.
            EntryType::Regular if path.ends_with(b"/") => {
                return Err(ContentsError::Holds(format!("the file \"{}/\"", shown(&name))));
            }
            EntryType::Regular => {
                let executable = mode? & 0o111 != 0;
                let digest = if name == wanted.keep {
                    contents.kept = at_most(&mut entry, MAX_KEPT)?;
                    Digest::of(&contents.kept)
                } else {
                    digest_of(&mut entry)?
                };
                contents.file(name, Item::File { digest, executable })?;
            }
            _ => {
                return Err(ContentsError::Holds(format!(
                    "\"{}\", which is neither file nor folder",
                    shown(&name)
                )));
            }
        }
    }
    if contents.items.is_empty() || told.is_some() {
        return Err(io::Error::other("it ends too early").into());
    }
    Ok(contents)
}

/// What is told of a file before it comes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

/// What an extended header tells of what comes next.
fn extended(entry: &mut impl Read) -> Result<Told, ContentsError> {
    let bytes = extension(entry)?;
    let mut told = Told::default();
    for extension in tar::PaxExtensions::new(&bytes) {
        let extension = extension?;
        match extension.key_bytes() {
            b"path" => told.path = Some(extension.value_bytes().to_owned()),
            b"size" => {
                let size = extension.value().ok().and_then(|size| size.parse().ok());
                told.size = Some(size.unwrap_or(u64::MAX));
            }
            // It would change what the next entry is.
            b"linkpath" | b"charset" | b"hdrcharset" => {
                return Err(ContentsError::Holds("a file that is told of in another way".to_owned()));
            }
            key if key.starts_with(b"GNU.sparse") => {
                return Err(ContentsError::Holds("a file with holes".to_owned()));
            }
            _ => {}
        }
    }
    Ok(told)
}

fn extension(entry: &mut impl Read) -> Result<Vec<u8>, ContentsError> {
    at_most(entry, MAX_EXTENSION)
}

fn at_most(entry: &mut impl Read, limit: u64) -> Result<Vec<u8>, ContentsError> {
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(ContentsError::TooLarge) } else { Ok(bytes) }
}

fn digest_of(entry: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match entry.read(&mut buffer)? {
            0 => return Ok(Digest::finish(hasher)),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// A path without `./` and the slash of a folder; nothing where it leads elsewhere or could be read in two ways.
fn plain_path(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() || path == "." {
        return Some(String::new());
    }
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\0', '\\']);
    path.split('/').all(plain).then(|| path.to_owned())
}

impl Contents {
    fn folder(&mut self, path: &str) -> Result<(), ContentsError> {
        // The archive's own folder is always there.
        if path.is_empty() {
            return Ok(());
        }
        // Each folder that it lies in, and itself.
        let ends = path.match_indices('/').map(|(slash, _)| slash).chain([path.len()]);
        for end in ends {
            let folder = &path[..end];
            match self.items.get(folder) {
                Some(Item::Folder) => {}
                Some(Item::File { .. }) => return Err(twice(folder)),
                None => self.add(folder.to_owned(), Item::Folder)?,
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, item: Item) -> Result<(), ContentsError> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        if path.is_empty() || self.items.contains_key(&path) {
            return Err(twice(&path));
        }
        self.add(path, item)
    }

    fn add(&mut self, path: String, item: Item) -> Result<(), ContentsError> {
        self.paths += path.len();
        self.items.insert(path, item);
        let fits = self.paths <= MAX_PATHS && self.items.len() <= MAX_ENTRIES;
        if fits { Ok(()) } else { Err(ContentsError::TooLarge) }
    }
}

fn twice(path: &str) -> ContentsError {
    ContentsError::Holds(format!("the path \"{}\" twice", shown(path)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tar::{Builder, Header};

    use super::difference::{How, list};
    use super::*;

    const WANTED: Wanted = Wanted { limit: 1 << 20, keep: "m.json" };

    fn header(kind: EntryType, mode: u32, size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_700_000_000);
        header.set_uid(1000);
        header.set_size(size as u64);
        header
    }

    /// An archive of entries: path, type, mode, content. Paths are written as they are.
    fn archive(entries: &[(&str, EntryType, u32, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, kind, mode, data) in entries {
            let mut header = header(*kind, *mode, data.len());
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, data.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn file(path: &'static str, data: &'static str) -> (&'static str, EntryType, u32, &'static str) {
        (path, EntryType::Regular, 0o644, data)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn why(archive: &[u8]) -> String {
        read(archive, &WANTED).unwrap_err().to_string()
    }

    #[test]
    fn how_it_is_packed_makes_no_difference() {
        let folder = |path| (path, EntryType::Directory, 0o775, "");
        let script = ("./bin/x.sh", EntryType::Regular, 0o755, "#!/bin/sh\n");
        let ours = archive(&[folder("./"), folder("./bin/"), script, file("./m.json", "{}")]);
        let theirs = archive(&[file("m.json", "{}"), ("bin/x.sh", EntryType::Regular, 0o700, "#!/bin/sh\n")]);
        let expected = read(&ours[..], &WANTED).unwrap();
        assert_eq!(
            expected.items.keys().map(String::as_str).collect::<Vec<_>>(),
            ["bin", "bin/x.sh", "m.json"]
        );
        assert_eq!(expected.kept, b"{}");
        let parts = theirs.split_at(700);
        for packed in [&theirs, &gzip(&theirs), &[gzip(parts.0), gzip(parts.1)].concat()] {
            assert_eq!(read(&packed[..], &WANTED).unwrap(), expected);
        }
    }

    #[test]
    fn long_names_of_both_kinds_are_read() {
        let long = format!("{}/{}", "ü".repeat(120), "x".repeat(300));
        let mut gnu = Builder::new(Vec::new());
        gnu.append_data(&mut header(EntryType::Regular, 0o644, 1), &long, &b"y"[..]).unwrap();
        let mut pax = Builder::new(Vec::new());
        pax.append_pax_extensions([("mtime", &b"1.5"[..]), ("path", long.as_bytes())]).unwrap();
        let mut short = header(EntryType::Regular, 0o644, 1);
        short.set_path("short").unwrap();
        short.set_cksum();
        pax.append(&short, &b"y"[..]).unwrap();
        for archive in [gnu, pax] {
            let contents = read(&archive.into_inner().unwrap()[..], &WANTED).unwrap();
            assert_eq!(contents.items.keys().next_back(), Some(&long));
            assert_eq!(contents.items.len(), 2);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_compared() {
        let link = ("l", EntryType::Symlink, 0o777, "");
        let global = |text| ("g", EntryType::XGlobalHeader, 0o644, text);
        let extended = |text| ("x", EntryType::XHeader, 0o644, text);
        for (entries, expected) in [
            (vec![file("a", ""), link], "it holds \"l\", which is neither file nor folder"),
            (vec![("h", EntryType::Link, 0o644, "")], "it holds \"h\", which is neither file nor folder"),
            (vec![file("../a", "")], "it holds the path \"../a\""),
            (vec![file("/a", "")], "it holds the path \"/a\""),
            (vec![file("a//b", "")], "it holds the path \"a//b\""),
            (vec![file("a\\b", "")], "it holds the path \"a\\b\""),
            (vec![file("a", "1"), file("./a", "2")], "it holds the path \"a\" twice"),
            (vec![file("a", ""), file("a/b", "")], "it holds the path \"a\" twice"),
            (vec![file("a/b", ""), file("a", "")], "it holds the path \"a\" twice"),
            (vec![file("a/", "x")], "it holds the file \"a/\""),
            (vec![global("13 path=all\n\n"), file("a", "")], "it cannot be read (malformed pax extension)"),
            (vec![global("12 path=all\n"), file("a", "")], "it holds names that are all the same"),
            (
                vec![extended("10 size=9\n"), file("a", "")],
                "it holds a file whose end is told of in two ways",
            ),
            (
                vec![("f", EntryType::Directory, 0o755, "x")],
                "it holds a file whose end is told of in two ways",
            ),
            (
                vec![extended("14 linkpath=b\n"), file("a", "")],
                "it holds a file that is told of in another way",
            ),
            (vec![extended("22 GNU.sparse.major=1\n"), file("a", "")], "it holds a file with holes"),
            (vec![extended("10 path=a\n"), extended("10 path=b\n")], "it holds two names of one file"),
            (vec![file("a", ""), extended("10 path=b\n")], "it cannot be read (it ends too early)"),
            (vec![], "it cannot be read (it ends too early)"),
        ] {
            assert_eq!(why(&archive(&entries)), expected);
        }
        let harmless = archive(&[global("14 comment=ab\n"), file("a", "")]);
        assert!(read(&harmless[..], &WANTED).is_ok());
    }

    #[test]
    fn broken_and_endless_archives_end() {
        let good = archive(&[file("a", "content")]);
        assert_eq!(why(&[&good[..], b"more"].concat()), "it holds something behind its end");
        assert!(why(&good[..700]).starts_with("it cannot be read"), "cut");
        assert!(why(b"no archive at all").starts_with("it cannot be read"));
        assert!(why(&gzip(&good)[..50]).starts_with("it cannot be read"), "cut");
        // Small when packed, and endless when not.
        assert_eq!(why(&gzip(&[good.clone(), vec![0; 2 << 20]].concat())), "it is too large");
        assert_eq!(
            why(&gzip(&archive(&[file("a", &*Box::leak("x".repeat(2 << 20).into_boxed_str()))]))),
            "it is too large"
        );
        let name = "n".repeat(100 << 10);
        let mut long = Builder::new(Vec::new());
        long.append_data(&mut header(EntryType::Regular, 0o644, 0), &name, &b""[..]).unwrap();
        assert_eq!(why(&long.into_inner().unwrap()), "it is too large");
    }

    #[test]
    fn differences_have_names() {
        let read = |entries: &[_]| super::read(&archive(entries)[..], &WANTED).unwrap();
        let script = |path, mode| (path, EntryType::Regular, mode, "#!/bin/sh\n");
        let published = read(&[
            file("a", "1"),
            file("old/x", ""),
            script("install.sh", 0o644),
            script("s", 0o644),
            script("t", 0o755),
        ]);
        let here = read(&[
            file("a", "2"),
            file("new", ""),
            script("install.sh", 0o755),
            script("s", 0o755),
            script("t", 0o644),
        ]);
        let differences = here.differences(&published, |path| path == "install.sh");
        let found: Vec<(&str, How)> =
            differences.iter().map(|found| (found.path.as_str(), found.how)).collect();
        assert_eq!(
            found,
            [
                ("a", How::Changed),
                ("new", How::Added),
                ("old/", How::Removed),
                ("old/x", How::Removed),
                ("s", How::MadeExecutable),
                ("t", How::MadePlain)
            ]
        );
        assert_eq!(list(&differences), "a was changed, new was added, old/x was removed and 2 more");
        assert_eq!(list(&differences[4..]), "s was made executable, t was made not executable");
        assert_eq!(here.differences(&here, |_| false), []);
        let folder = read(&[file("a", "2"), ("f/", EntryType::Directory, 0o755, "")]);
        assert_eq!(list(&folder.differences(&read(&[file("a", "2")]), |_| false)), "f/ was added");
        let odd = read(&[(&"\u{1b}[2J".repeat(20), EntryType::Regular, 0o644, "")]);
        let named = list(&odd.differences(&Contents::default(), |_| false));
        assert!(
            named.ends_with("… was added") && !named.contains('\u{1b}') && named.chars().count() < 140,
            "{named}"
        );
    }
}
