//! Paths of the API. Does no I/O.

use super::name::{Name, Reference};
use crate::oci::digest::Digest;

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`
    Base,
    /// `/v2/NAME/blobs/DIGEST`
    Blob(Name, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(Name),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(Name, String),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(Name, Reference),
    /// `/v2/NAME/tags/list`
    Tags(Name),
}

/// Reads a path, which must be in its plain form: nothing is decoded, because nothing legal needs it.
pub fn parse(path: &str) -> Option<Route> {
    let rest = path.strip_prefix("/v2")?;
    if rest.is_empty() || rest == "/" {
        return Some(Route::Base);
    }
    let rest = rest.strip_prefix('/')?;
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Name::parse(name).map(Route::Tags);
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
        return Name::parse(name).map(Route::Uploads);
    }
    let (head, last) = rest.rsplit_once('/')?;
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return is_upload_id(last)
            .then(|| Name::parse(name).map(|name| Route::Upload(name, last.to_owned())))?;
    }
    if let Some(name) = head.strip_suffix("/blobs") {
        return Some(Route::Blob(Name::parse(name)?, last.parse().ok()?));
    }
    let name = head.strip_suffix("/manifests")?;
    Some(Route::Manifest(Name::parse(name)?, Reference::parse(last)?))
}

fn is_upload_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The value of a parameter of a query, decoded.
pub fn query(query: Option<&str>, name: &str) -> Option<String> {
    queries(query, name).into_iter().next()
}

/// All values of a parameter of a query, decoded.
pub fn queries(query: Option<&str>, name: &str) -> Vec<String> {
    let Ok(url) = reqwest::Url::parse(&format!("http://localhost/?{}", query.unwrap_or_default())) else {
        return Vec::new();
    };
    let pairs = url.query_pairs().filter(|(key, _)| key == name);
    pairs.map(|(_, value)| value.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let name = |text: &str| Name::parse(text).unwrap();
        let digest: Digest = Digest::of(b"");
        for (path, expected) in [
            ("/v2/".to_owned(), Some(Route::Base)),
            ("/v2".to_owned(), Some(Route::Base)),
            ("/v2/a/b/tags/list".to_owned(), Some(Route::Tags(name("a/b")))),
            ("/v2/a/blobs/uploads/".to_owned(), Some(Route::Uploads(name("a")))),
            ("/v2/a/blobs/uploads/x1".to_owned(), Some(Route::Upload(name("a"), "x1".to_owned()))),
            (format!("/v2/a/blobs/{digest}"), Some(Route::Blob(name("a"), digest.clone()))),
            (
                "/v2/blobs/manifests/1".to_owned(),
                Some(Route::Manifest(name("blobs"), Reference::Tag("1".to_owned()))),
            ),
            ("/v3/".to_owned(), None),
            ("/v2/a/../b/tags/list".to_owned(), None),
            ("/v2/a%2f..%2fb/tags/list".to_owned(), None),
            ("/v2/a/blobs/uploads/../x".to_owned(), None),
            ("/v2/a/blobs/sha256:zz".to_owned(), None),
            ("/v2/a/manifests/..".to_owned(), None),
            ("/v2//tags/list".to_owned(), None),
            ("/".to_owned(), None),
        ] {
            assert_eq!(parse(&path), expected, "{path}");
        }
        assert_eq!(query(Some("a=1&digest=sha256%3Aab"), "digest").as_deref(), Some("sha256:ab"));
        assert_eq!(query(None, "digest"), None);
    }
}
