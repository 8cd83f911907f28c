//! `WWW-Authenticate`: what a registry asks for.

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from somewhere.
    Bearer {
        /// Where to get it.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what, as the registry has it.
        scope: Option<String>,
        /// What is wrong with the token that was shown, as in `insufficient_scope`.
        error: Option<String>,
    },
}

/// Reads every challenge of the headers' values that we can answer.
pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    headers.into_iter().flat_map(parse_header).collect()
}

fn parse_header(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (scheme, after) = split_word(rest);
        let (parameters, after) = parse_parameters(after);
        let find = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = find("realm")
        {
            challenges.push(Challenge::Bearer {
                realm,
                service: find("service"),
                scope: find("scope"),
                error: find("error"),
            });
        }
        if after.len() == rest.len() {
            break;
        }
        rest = after;
    }
    challenges
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || c == ',' || c == '=').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

type Parameters = Vec<(String, String)>;

/// Reads `key=value` pairs up to the next scheme, which is a word without `=`.
fn parse_parameters(text: &str) -> (Parameters, &str) {
    let mut parameters = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (key, after) = split_word(rest);
        let Some(value) = after.strip_prefix('=') else {
            return (parameters, rest);
        };
        let (value, after) = parse_value(value.trim_start());
        parameters.push((key.to_owned(), value));
        rest = after;
    }
}

fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        let service = service.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service, scope: None, error: None }
    }

    #[test]
    fn reads_what_registries_send() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull",error="insufficient_scope""#,
                vec![Challenge::Bearer {
                    realm: "https://ghcr.io/token".to_owned(),
                    service: Some("ghcr.io".to_owned()),
                    scope: Some("repository:a/b:pull".to_owned()),
                    error: Some("insufficient_scope".to_owned()),
                }],
            ),
            (r#"bearer service=x, realm="https://a/t""#, vec![bearer("https://a/t", Some("x"))]),
            (r#"Bearer realm="https://a/t?x=1,2""#, vec![bearer("https://a/t?x=1,2", None)]),
            (r#"Basic realm="Registry \"x\"""#, vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            (
                r#"Basic realm="r", Bearer realm="https://a/t",service="s""#,
                vec![Challenge::Basic, bearer("https://a/t", Some("s"))],
            ),
            ("Negotiate", vec![]),
            (
                r#"Negotiate YWJj==, Basic, Bearer realm = "https://a/t" , service=s"#,
                vec![Challenge::Basic, bearer("https://a/t", Some("s"))],
            ),
            (
                r#"Bearer realm="https://a/1", Bearer realm="https://a/2""#,
                vec![bearer("https://a/1", None), bearer("https://a/2", None)],
            ),
            (r#"Bearer service="s""#, vec![]),
            (r#"Bearer realm="unterminated"#, vec![bearer("unterminated", None)]),
            ("", vec![]),
            (",,=", vec![]),
        ] {
            assert_eq!(parse([header]), expected, "{header}");
        }
        assert_eq!(
            parse(["Basic realm=\"r\"", "Bearer realm=\"https://a/t\""]),
            [Challenge::Basic, bearer("https://a/t", None)]
        );
    }
}
