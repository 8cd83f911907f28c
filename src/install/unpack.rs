//! The one file that is wanted out of the verified archive.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

/// Where the program is in the npm package.
const PROGRAM: &[u8] = b"package/claude";

/// The program may not be larger; today's is a fifth of that.
const MAX_PROGRAM: u64 = 2 << 30;

/// Neither may everything together: gzip packs a thousand times that into a small download.
const MAX_ARCHIVE: u64 = 4 << 30;

/// Why an archive holds no program that can be installed.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Not gzip, not tar, or cut.
    #[error("does not unpack: {0}")]
    Broken(#[from] io::Error),
    /// No such entry.
    #[error("holds no file `package/claude`")]
    Missing,
    /// A link, a device or a folder in its place.
    #[error("holds `package/claude` as something other than a regular file")]
    NotAFile,
    /// Two of them, of which any could be meant.
    #[error("holds `package/claude` twice")]
    Twice,
    /// Nothing in it, or too much.
    #[error("holds a `package/claude` of {0} bytes, which is no plausible size")]
    Size(u64),
}

/// Hands the program in the gzipped tar `archive` to `each` piece by piece, and returns its length.
pub fn program<E: From<UnpackError>>(
    archive: impl Read,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let mut archive = Archive::new(GzDecoder::new(archive).take(MAX_ARCHIVE));
    let mut found = None;
    for entry in archive.entries().map_err(UnpackError::from)? {
        let mut entry = entry.map_err(UnpackError::from)?;
        if !names_program(&entry.path_bytes()) {
            continue;
        }
        if found.is_some() {
            return Err(UnpackError::Twice.into());
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(UnpackError::NotAFile.into());
        }
        let size = entry.size();
        if size == 0 || size > MAX_PROGRAM {
            return Err(UnpackError::Size(size).into());
        }
        copy(&mut entry, size, &mut each)?;
        found = Some(size);
    }
    Ok(found.ok_or(UnpackError::Missing)?)
}

fn copy<E: From<UnpackError>>(
    entry: &mut impl Read,
    size: u64,
    each: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = size;
    while left > 0 {
        let length = entry.read(&mut buffer).map_err(UnpackError::from)?;
        if length == 0 {
            return Err(UnpackError::Broken(io::ErrorKind::UnexpectedEof.into()).into());
        }
        each(&buffer[..length])?;
        left = left.saturating_sub(length as u64);
    }
    Ok(())
}

/// Whether an entry would land on the program's place, however its path is written.
fn names_program(path: &[u8]) -> bool {
    let normal = |path: &[u8]| -> Vec<Vec<u8>> {
        let parts = path.split(|byte| *byte == b'/');
        parts.filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect()
    };
    normal(path) == normal(PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;
    use tar::{Builder, Header};

    fn tgz(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, data) in entries {
            let mut header = Header::new_ustar();
            header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(data.len() as u64);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            tar.append(&header, *data).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn unpacked(archive: &[u8]) -> Result<Vec<u8>, UnpackError> {
        let mut out = Vec::new();
        program(archive, |bytes| {
            out.extend_from_slice(bytes);
            Ok::<_, UnpackError>(())
        })?;
        Ok(out)
    }

    #[test]
    fn takes_the_program_and_nothing_else() {
        let file = EntryType::Regular;
        for path in ["package/claude", "./package/claude", "package//claude"] {
            let archive = tgz(&[
                ("package/package.json", file, b"{}"),
                (path, file, b"ELF"),
                ("package/x", file, b"x"),
            ]);
            assert_eq!(unpacked(&archive).unwrap(), b"ELF", "{path}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let (file, link) = (EntryType::Regular, EntryType::Symlink);
        let whole = tgz(&[("package/claude", file, &[7; 5000])]);
        let mut bare = GzEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&[b'x'; 2048]).unwrap();
        let cases = [
            (b"plain text".to_vec(), "does not unpack"),
            (bare.finish().unwrap(), "does not unpack"),
            (whole[..whole.len() / 2].to_vec(), "does not unpack"),
            (Vec::new(), "does not unpack"),
            (tgz(&[]), "no file"),
            (tgz(&[("claude", file, b"x"), ("package/claude2", file, b"x")]), "no file"),
            (tgz(&[("../package/claude", file, b"x")]), "no file"),
            (tgz(&[("package/claude", link, b"")]), "other than a regular file"),
            (tgz(&[("package/claude", EntryType::Link, b"")]), "other than a regular file"),
            (tgz(&[("package/claude", EntryType::Directory, b"")]), "other than a regular file"),
            (tgz(&[("package/claude", EntryType::Char, b"")]), "other than a regular file"),
            (tgz(&[("package/claude", file, b"")]), "no plausible size"),
            (tgz(&[("package/claude", file, b"x"), ("package/./claude", file, b"y")]), "twice"),
            (tgz(&[("package/claude", file, b"x"), ("package/claude", link, b"")]), "twice"),
        ];
        for (archive, part) in cases {
            let error = unpacked(&archive).unwrap_err().to_string();
            assert!(error.contains(part), "{error}, not {part}");
        }
    }
}
