//! Whatever names go into an archive come out of it, in a reader that is not ours.
#![no_main]

use std::collections::BTreeMap;
use std::io::Read as _;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use xtask::archive::{self, Entry, Kind};

// Names with a byte between them that says what they are.
fuzz_target!(|text: &str| {
    let mut entries = Vec::new();
    for (index, name) in text.split('\n').enumerate() {
        let (flag, path) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
        let data = Bytes::from(format!("{index}"));
        let kind = match flag {
            "d" => Kind::Folder,
            "x" => Kind::File { executable: true, data: data.into() },
            _ => Kind::File { executable: false, data: data.into() },
        };
        entries.push(Entry { path: path.to_owned(), kind });
    }
    let Ok(packed) = archive::pack(&entries) else { return };
    let bytes = packed.bytes().expect("it is in memory");
    assert_eq!(bytes.len() as u64, packed.len());
    assert_eq!(bytes.len() % 512, 0);
    let mut expected = BTreeMap::from([(b"./".to_vec(), (0o755, String::new()))]);
    for entry in &entries {
        for (slash, _) in entry.path.match_indices('/') {
            expected.insert(format!("./{}/", &entry.path[..slash]).into_bytes(), (0o755, String::new()));
        }
        let (end, value) = match &entry.kind {
            Kind::Folder => ("/", (0o755, String::new())),
            Kind::File { executable, data } => {
                let xtask::payload::Source::Memory(data) = data else { unreachable!("all is in memory") };
                let mode = if *executable { 0o755 } else { 0o644 };
                ("", (mode, String::from_utf8(data.to_vec()).expect("digits")))
            }
        };
        expected.insert(format!("./{}{end}", entry.path).into_bytes(), value);
    }
    let mut found = BTreeMap::new();
    let mut reader = tar::Archive::new(&bytes[..]);
    for entry in reader.entries().expect("it begins well") {
        let mut entry = entry.expect("a header that others read");
        let kind = entry.header().entry_type();
        assert!(kind.is_dir() || kind.is_file(), "{kind:?}");
        let name = entry.path_bytes().into_owned();
        let mut data = String::new();
        entry.read_to_string(&mut data).expect("its data");
        let mode = entry.header().mode().expect("a mode");
        assert!(!name.starts_with(b"/") && !name.split(|&b| b == b'/').any(|part| part == b".."));
        assert!(found.insert(name, (mode, data)).is_none(), "twice");
    }
    assert_eq!(found, expected);
});
