//! `WWW-Authenticate`: no header harms the reader, and what is quoted properly is read as it was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xtask::oci::challenge::{self, Challenge};

fuzz_target!(|text: &str| {
    for challenge in challenge::parse([text]) {
        if let Challenge::Bearer { realm, .. } = challenge {
            assert!(realm.len() <= text.len());
        }
    }
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    let header = format!("Basic realm=\"r\", Bearer service=\"s\",realm=\"{quoted}\"");
    let found = challenge::parse([header.as_str()]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(matches!(&found[1], Challenge::Bearer { realm, .. } if realm == text), "{found:?}");
});
