//! `Location`: an upload goes on over TLS or on this machine, and nowhere else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reqwest::Url;
use xtask::oci::link;

fuzz_target!(|text: &str| {
    for base in
        ["https://registry.example.com/v2/a/blobs/uploads/", "http://localhost:5000/v2/a/blobs/uploads/"]
    {
        let base = Url::parse(base).expect("an address");
        if let Ok(url) = link::location(&base, text) {
            let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            assert!(
                url.scheme() == "https" || (base.scheme() == "http" && url.scheme() == "http" && local),
                "{url}"
            );
            assert!(url.host_str().is_some_and(|host| !host.is_empty()), "{url}");
        }
    }
});
