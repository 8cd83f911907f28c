//! `Link` and `Location`: where a registry sends us next. Does no I/O.

use reqwest::Url;

use super::reference::is_local_host;

/// The address in `Link: <…>; rel="next"`, which is the registry's own or an error.
pub fn next<'a>(base: &Url, headers: impl IntoIterator<Item = &'a str>) -> Result<Option<Url>, &'static str> {
    let Some(target) = headers.into_iter().flat_map(|value| value.split(", <")).find_map(next_target) else {
        return Ok(None);
    };
    let url = base.join(target).map_err(|_| "its Link is no address")?;
    if url.origin() == base.origin() { Ok(Some(url)) } else { Err("its Link leads to another host") }
}

fn next_target(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().trim_start_matches('<').split_once('>')?;
    let is_next = parameters.split(';').any(|parameter| {
        let parameter = parameter.trim();
        parameter.eq_ignore_ascii_case("rel=next") || parameter.eq_ignore_ascii_case("rel=\"next\"")
    });
    is_next.then_some(target)
}

/// The address in a `Location`, which may be relative, keeps its query, and does not lead away from TLS.
pub fn location(base: &Url, location: &str) -> Result<Url, &'static str> {
    let url = base.join(location).map_err(|_| "its Location is no address")?;
    let downgrade = base.scheme() == "https" && url.scheme() != "https";
    let local = url.scheme() == "http" && url.host_str().is_some_and(is_local_host);
    if downgrade || !(local || url.scheme() == "https") {
        return Err("its Location leads away from HTTPS");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let base = Url::parse("https://r.example.com/v2/a/tags/list?n=2").unwrap();
        for (link, expected) in [
            ("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Ok(Some("/v2/a/tags/list?n=2&last=b"))),
            ("</x>; rel=next", Ok(Some("/x"))),
            ("<https://r.example.com:443/x>; rel=next", Ok(Some("/x"))),
            ("</x>; title=\"t\"; rel=\"next\"", Ok(Some("/x"))),
            ("</p>; rel=\"prev\", </x>; rel=\"next\"", Ok(Some("/x"))),
            ("</x>; rel=\"prev\"", Ok(None)),
            ("/x; rel=next", Ok(None)),
            ("", Ok(None)),
            ("<https://other.example.com/x>; rel=next", Err("its Link leads to another host")),
            ("<//other.example.com/x>; rel=next", Err("its Link leads to another host")),
            ("<http://r.example.com/x>; rel=next", Err("its Link leads to another host")),
            ("<https://[>; rel=next", Err("its Link is no address")),
        ] {
            let expected = expected.map(|path| path.map(|path| base.join(path).unwrap()));
            assert_eq!(next(&base, [link]), expected, "{link}");
        }
    }

    #[test]
    fn locations() {
        let base = Url::parse("https://r.example.com/v2/a/blobs/uploads/").unwrap();
        for (text, expected) in [
            ("/v2/u?state=1", Ok("https://r.example.com/v2/u?state=1")),
            ("u?state=a%2Fb", Ok("https://r.example.com/v2/a/blobs/uploads/u?state=a%2Fb")),
            ("?x", Ok("https://r.example.com/v2/a/blobs/uploads/?x")),
            ("https://storage.example.com/u", Ok("https://storage.example.com/u")),
            ("http://r.example.com/u", Err("its Location leads away from HTTPS")),
            ("http://localhost/u", Err("its Location leads away from HTTPS")),
            ("file:///etc/passwd", Err("its Location leads away from HTTPS")),
            ("https://", Err("its Location is no address")),
        ] {
            let found = location(&base, text);
            assert_eq!(found.as_ref().map(Url::as_str).map_err(|what| *what), expected, "{text}");
        }
        let local = Url::parse("http://localhost:5000/v2/").unwrap();
        assert!(location(&local, "http://127.0.0.1:5001/u").is_ok());
        assert!(location(&local, "http://other.example.com/u").is_err());
    }
}
