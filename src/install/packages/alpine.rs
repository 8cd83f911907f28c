//! Alpine's package manager: `apk-repositories(5)`.

use super::{Found, Image};

const APK: &str = "apk";

pub(super) fn look(image: &Image, found: &mut Found) {
    let text = image.text(APK, "/etc/apk/repositories", found).unwrap_or_default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // A repository may have a tag before it, and a folder is none of a host's.
        let url = line.split_whitespace().find(|word| !word.starts_with('@')).unwrap_or_default();
        if !url.starts_with('/') {
            found.url(APK, url);
        }
    }
}
