//! The content on disk. Every write is whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::name::{Name, Reference};
use crate::oci::digest::Digest;

/// A folder with the content of a registry.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A manifest as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What lies in the folder of a registry.
const OURS: [&str; 5] = ["blobs", "repositories", "tmp", "serve.json", GIT_IGNORE];
/// How the names of files begin that are being written.
const BEING_WRITTEN: &str = ".tmp";
/// The file by which git leaves the folder out of the checkout that it lies in.
const GIT_IGNORE: &str = ".gitignore";

/// The first thing in a folder, by name, that belongs to no registry; nothing where there is no folder yet.
pub fn foreign(root: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !OURS.contains(&name.as_str()) && !name.starts_with(BEING_WRITTEN) {
            names.push(name);
        }
    }
    Ok(names.into_iter().min())
}

impl Store {
    /// Opens a folder, and makes it if need be.
    pub fn open(root: &Path) -> io::Result<Self> {
        let store = Self { root: std::path::absolute(root)? };
        for folder in ["blobs/sha256", "repositories", "tmp"] {
            fs::create_dir_all(store.root.join(folder))?;
        }
        let ignore = store.root.join(GIT_IGNORE);
        if !exists(&ignore)? {
            store.write(&ignore, b"*\n")?;
        }
        Ok(store)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a blob.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The folder of uploads that go on in a repository.
    pub fn uploads(&self, name: &Name) -> io::Result<PathBuf> {
        let folder = self.repository(name).join("_uploads");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The size of a blob of a repository.
    pub fn blob_size(&self, name: &Name, digest: &Digest) -> io::Result<Option<u64>> {
        if !exists(&self.repository(name).join("_blobs").join(digest.hex()))? {
            return Ok(None);
        }
        match fs::metadata(self.blob_path(digest)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an uploaded file a blob of a repository, if it has the digest; says whether it has.
    pub fn adopt_blob(&self, name: &Name, file: &Path, digest: &Digest) -> io::Result<bool> {
        if hash(file)? != *digest {
            return Ok(false);
        }
        File::open(file)?.sync_all()?;
        fs::rename(file, self.blob_path(digest))?;
        self.link_blob(name, digest)?;
        Ok(true)
    }

    /// Gives a repository a blob that is in the store.
    pub fn link_blob(&self, name: &Name, digest: &Digest) -> io::Result<()> {
        self.write(&self.repository(name).join("_blobs").join(digest.hex()), b"")
    }

    /// Puts a manifest, under some tags too, in their order.
    pub fn put_manifest(
        &self,
        name: &Name,
        media_type: &str,
        bytes: &[u8],
        tags: &[String],
    ) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        let repository = self.repository(name);
        self.write(&self.blob_path(&digest), bytes)?;
        self.write(&repository.join("_manifests").join(digest.hex()), media_type.as_bytes())?;
        for tag in tags {
            self.write(&repository.join("_tags").join(tag), digest.as_str().as_bytes())?;
        }
        Ok(digest)
    }

    /// Reads a manifest.
    pub fn manifest(&self, name: &Name, reference: &Reference) -> io::Result<Option<StoredManifest>> {
        let repository = self.repository(name);
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match read(&repository.join("_tags").join(tag))? {
                Some(text) => String::from_utf8_lossy(&text)
                    .parse()
                    .map_err(|_| io::Error::other(format!("the tag {tag} of {name} holds no digest")))?,
                None => return Ok(None),
            },
        };
        let media_type = read(&repository.join("_manifests").join(digest.hex()))?;
        match (media_type, read(&self.blob_path(&digest))?) {
            (Some(media_type), Some(bytes)) => Ok(Some(StoredManifest {
                digest,
                media_type: String::from_utf8_lossy(&media_type).into_owned(),
                bytes,
            })),
            _ => Ok(None),
        }
    }

    /// The tags of a repository in their order, or nothing if there is no such repository.
    pub fn tags(&self, name: &Name) -> io::Result<Option<Vec<String>>> {
        let repository = self.repository(name);
        if !exists(&repository.join("_manifests"))? {
            return Ok(None);
        }
        let mut tags = Vec::new();
        match fs::read_dir(repository.join("_tags")) {
            Ok(entries) => {
                for entry in entries {
                    tags.extend(entry?.file_name().into_string().ok());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        tags.sort();
        Ok(Some(tags))
    }

    fn repository(&self, name: &Name) -> PathBuf {
        self.root.join("repositories").join(name.as_str())
    }

    /// Writes beside, flushes, and moves into place.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = tempfile::NamedTempFile::new_in(self.root.join("tmp"))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(Digest::finish(hasher)),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn exists(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
