//! `Link`: the next page is the registry's own, whatever the header says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reqwest::Url;
use xtask::oci::link;

fuzz_target!(|text: &str| {
    let base = Url::parse("https://registry.example.com/v2/a/tags/list?n=100").expect("an address");
    if let Ok(Some(url)) = link::next(&base, text.split('\n')) {
        assert_eq!(url.origin(), base.origin());
        assert_eq!(url.scheme(), "https");
        assert_eq!(url.host_str(), Some("registry.example.com"));
    }
});
