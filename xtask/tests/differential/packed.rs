//! What `package` wrote, as GNU tar reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::difference::{Difference, Differences};

/// A packed folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    /// The collection file.
    pub collection: String,
    /// The archives by file name.
    pub archives: BTreeMap<String, Archive>,
}

/// An archive.
#[derive(Debug, PartialEq, Eq)]
pub struct Archive {
    pub bytes: Vec<u8>,
    /// The names of its entries in their order.
    pub names: Vec<String>,
    /// What is there after unpacking, by path.
    pub tree: BTreeMap<String, Item>,
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Folder,
    File(Vec<u8>),
    Link(String),
}

impl Packed {
    /// Reads an output folder; anything else in it is an error.
    pub fn read(folder: &Path) -> Self {
        let mut collection = None;
        let mut archives = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (name, bytes) =
                (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
            if name == "devcontainer-collection.json" {
                collection = Some(String::from_utf8(bytes).unwrap());
            } else {
                archives.insert(name, Archive::read(bytes));
            }
        }
        Self { collection: collection.expect("no collection file"), archives }
    }
}

impl Archive {
    pub fn read(bytes: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("archive.tar");
        std::fs::write(&file, &bytes).unwrap();
        let tar = |args: &[&str]| {
            let output = Command::new("tar").args(args).arg("-f").arg(&file).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let names = tar(&["--quoting-style=literal", "-t"]).lines().map(str::to_owned).collect();
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        tar(&["-x", "--no-same-owner", "-C", out.to_str().unwrap()]);
        Self { bytes, names, tree: tree(&out) }
    }
}

fn tree(root: &Path) -> BTreeMap<String, Item> {
    let mut tree = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let item = if entry.file_type().is_dir() {
            Item::Folder
        } else if entry.file_type().is_symlink() {
            Item::Link(std::fs::read_link(entry.path()).unwrap().display().to_string())
        } else {
            Item::File(std::fs::read(entry.path()).unwrap())
        };
        tree.insert(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned(), item);
    }
    tree
}

/// In what two packed folders differ; that they differ in anything that is not meant is a failure.
/// `left_out` are the paths that ours leaves out, by archive.
pub fn compare(official: &Packed, ours: &Packed, left_out: &[(&str, &[&str])]) -> Differences {
    assert_eq!(official.collection, ours.collection);
    assert!(
        official.archives.keys().eq(ours.archives.keys()),
        "{:?} {:?}",
        official.archives.keys(),
        ours.archives.keys()
    );
    let mut differences = Differences::new();
    for ((name, official), ours) in official.archives.iter().zip(ours.archives.values()) {
        let left_out =
            left_out.iter().find(|(archive, _)| archive == name).map_or(&[][..], |(_, paths)| paths);
        differences.extend(compare_archives(official, ours, left_out));
    }
    differences
}

/// The same of two archives.
pub fn compare_archives(official: &Archive, ours: &Archive, left_out: &[&str]) -> Differences {
    let mut differences = Differences::new();
    let mut expected = official.tree.clone();
    for path in left_out {
        assert!(expected.remove(*path).is_some(), "the official CLI leaves out {path}, too");
        differences.insert(Difference::LeftOut);
    }
    assert_eq!(ours.tree, expected);
    let stays = |name: &&String| !left_out.contains(&name.trim_start_matches("./").trim_end_matches('/'));
    let mut names: Vec<&String> = official.names.iter().filter(stays).collect();
    names.sort();
    let mut sorted: Vec<&String> = ours.names.iter().collect();
    sorted.sort();
    assert_eq!(sorted, names);
    if official.bytes != ours.bytes {
        differences.insert(Difference::Archive);
    }
    differences
}
