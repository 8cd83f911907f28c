//! Where package managers fetch from, out of their configuration: addresses that hold no login. Pure.
//!
//! Each reader knows as much of its format as these lines need, and passes over what it does not understand.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::confine::environment::value::without_secret;

const HEAD: &str =
    "Made by agent-sandbox from the user's own. What is changed here stays, and is not followed up.\n";
/// No address is longer.
const MAX: usize = 512;

/// `registry` and `@scope:registry` of an `.npmrc`.
pub(super) fn npm(text: &str) -> Option<String> {
    let mut carried = String::new();
    for line in text.lines().map(str::trim).take_while(|line| !line.starts_with('[')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), unquoted(value.trim()));
        let scope = key.strip_prefix('@').and_then(|key| key.strip_suffix(":registry"));
        if (key == "registry" || scope.is_some_and(is_word)) && is_address(value) {
            let _ = writeln!(carried, "{key}={value}");
        }
    }
    with_head("; ", &carried)
}

/// `index-url` and `extra-index-url` of a `pip.conf`, in `[global]`. Without the first, which is not carried if it holds
/// a login, others mean something else.
pub(super) fn pip(text: &str) -> Option<String> {
    let mut section = "";
    let mut key = String::new();
    let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with(['#', ';'])) {
        let trimmed = line.trim();
        if line.starts_with([' ', '\t']) {
            values.entry(key.clone()).or_default().extend(trimmed.split_whitespace());
        } else if let Some(name) = trimmed.strip_prefix('[') {
            (section, key) = (name.strip_suffix(']')?, String::new());
        } else {
            let (name, value) = trimmed.split_once(['=', ':'])?;
            key = format!("{section}.{}", name.trim().to_ascii_lowercase().replace('_', "-"));
            values.insert(key.clone(), value.split_whitespace().collect());
        }
    }
    let mut carried = String::new();
    match values.get("global.index-url").map(Vec::as_slice) {
        None => {}
        Some([index]) if is_address(index) => {
            let _ = writeln!(carried, "index-url = {index}");
        }
        Some(_) => return None,
    }
    let extra = values.get("global.extra-index-url").into_iter().flatten();
    let extra: Vec<_> = extra.copied().filter(|address| is_address(address)).collect();
    if !extra.is_empty() {
        let _ = writeln!(carried, "extra-index-url =\n\t{}", extra.join("\n\t"));
    }
    if !carried.is_empty() {
        carried.insert_str(0, "[global]\n");
    }
    with_head("# ", &carried)
}

/// Sources and registries of a cargo `config.toml`, where each is a table with lines of its own.
pub(super) fn cargo(text: &str) -> Option<String> {
    // What looks like a line may be in the middle of a string.
    if text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    let mut found: BTreeMap<(String, String), BTreeMap<&str, &str>> = BTreeMap::new();
    let mut table = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            table = header(line);
            continue;
        }
        let Some(((kind, name), (key, value))) = table.clone().zip(line.split_once('=')) else { continue };
        let (key, Some(value)) = (key.trim(), toml_string(value.trim())) else { continue };
        let fits = match (kind.as_str(), key) {
            ("source", "registry") | ("registries", "index") => {
                is_address(value.strip_prefix("sparse+").unwrap_or(value))
            }
            ("source", "replace-with") | ("registry", "default") => is_word(value),
            _ => false,
        };
        if fits {
            found.entry((kind, name)).or_default().insert(key, value);
        }
    }
    let has = |kind: &str, name: &str, key: &str| {
        found.get(&(kind.to_owned(), name.to_owned())).is_some_and(|table| table.contains_key(key))
    };
    let is_known = |name: &str| has("source", name, "registry") || has("registries", name, "index");
    let mut carried = String::new();
    for ((kind, name), table) in &found {
        let lines = table.iter().filter(|(key, value)| match **key {
            // A name that leads nowhere stops cargo.
            "replace-with" | "default" => is_known(value),
            _ => true,
        });
        let lines: Vec<_> = lines.map(|(key, value)| format!("{key} = \"{value}\"")).collect();
        if !lines.is_empty() {
            let name = if name.is_empty() { String::new() } else { format!(".{name}") };
            let _ = writeln!(carried, "[{kind}{name}]\n{}", lines.join("\n"));
        }
    }
    with_head("# ", &carried)
}

/// What `go env -w` has written of modules' addresses.
pub(super) fn go(text: &str) -> Option<String> {
    const KEYS: [&str; 6] = ["GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOTOOLCHAIN"];
    let mut carried = String::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if KEYS.contains(&key) && is_plain(value) && without_secret(value) {
            let _ = writeln!(carried, "{key}={value}");
        }
    }
    with_head("# ", &carried)
}

fn with_head(comment: &str, carried: &str) -> Option<String> {
    (!carried.is_empty()).then(|| format!("{comment}{HEAD}{carried}"))
}

fn header(line: &str) -> Option<(String, String)> {
    let line = line.split('#').next().unwrap_or_default().trim_end();
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    let (kind, name) = inner.split_once('.').unwrap_or((inner, ""));
    let (kind, name) = (kind.trim(), unquoted(name.trim()));
    let known = match kind {
        "source" | "registries" => is_word(name),
        "registry" => name.is_empty(),
        _ => false,
    };
    known.then(|| (kind.to_owned(), name.to_owned()))
}

/// A string on one line without escapes, with nothing behind it but a comment.
fn toml_string(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
    let (inner, rest) = value[1..].split_once(quote)?;
    let rest = rest.trim_start();
    (!inner.contains('\\') && (rest.is_empty() || rest.starts_with('#'))).then_some(inner)
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.filter(|inner| !inner.contains(['"', '\\'])).unwrap_or(value)
}

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MAX && text.bytes().all(plain)
}

/// Nothing that a format, a shell or a substitution of variables would take for something else.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\`$%{}<>;".contains(&byte);
    !value.is_empty() && value.len() <= MAX && value.bytes().all(plain)
}

fn is_address(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && is_plain(value)
        && without_secret(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(carried: Option<String>) -> Vec<String> {
        carried.unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn npm_registries_without_tokens() {
        let text = "registry = https://npm.example/a/\n; x\n@own:registry=\"https://own.example\"\n\
                    //npm.example/a/:_authToken=secret\n_auth=secret\nemail=a@b\n@x:registry=https://me:secret@h/\n\
                    @y:registry=${SECRET}\n@z:registry=https://h/?t=secret\nscript-shell=/x\nnode-options=--require /x\n\
                    registry=https://${USER}.example\n[x]\nregistry=https://section.example\n";
        assert_eq!(
            lines(npm(text)),
            ["registry=https://npm.example/a/", "@own:registry=https://own.example"]
        );
        assert_eq!(npm("_authToken=secret\n"), None);
    }

    #[test]
    fn pip_indexes_without_logins() {
        let text = "[install]\nindex-url = https://other.example\n[global]\nindex_url: https://a.example/simple\n\
                    extra-index-url = https://b.example/simple\n\thttps://me:secret@c.example/simple\n\
                    \thttps://d.example/simple\n# x\ntrusted-host = evil.example\nproxy = http://me:secret@p\n";
        assert_eq!(
            lines(pip(text)),
            [
                "[global]",
                "index-url = https://a.example/simple",
                "extra-index-url =",
                "\thttps://b.example/simple",
                "\thttps://d.example/simple",
            ]
        );
        for nothing in [
            "[global]\nindex-url = https://me:secret@a.example/simple\nextra-index-url = https://b.example\n",
            "[global]\ntimeout = 60\n",
            "[global\nindex-url = https://a.example\n",
            "broken\n",
            "",
        ] {
            assert_eq!(pip(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn cargo_sources_and_registries() {
        let text = "[source.crates-io]\nreplace-with = 'mirror' # x\n[source.\"mirror\"]\n\
                    registry = \"sparse+https://m.example/index/\"\n[registries.own]\nindex = \"https://own.example\"\n\
                    token = \"secret\"\n[registries.private]\nindex = \"https://me:secret@h/\"\n[registry]\n\
                    default = \"own\"\nglobal-credential-providers = [\"cargo:token\"]\n[alias]\nb = \"build\"\n\
                    [build]\nrustc-wrapper = \"/x\"\n[source.vendored]\ndirectory = \"/x\"\n[net]\nindex = \"https://x\"\n";
        assert_eq!(
            lines(cargo(text)),
            [
                "[registries.own]",
                "index = \"https://own.example\"",
                "[registry]",
                "default = \"own\"",
                "[source.crates-io]",
                "replace-with = \"mirror\"",
                "[source.mirror]",
                "registry = \"sparse+https://m.example/index/\"",
            ]
        );
        for nothing in [
            "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"/x\"\n",
            "[registries.a]\nindex = \"https://h/\\u0041\"\n",
            "[a]\nb = \"\"\"\n[registries.a]\nindex = \"https://h\"\n\"\"\"\n",
            "[[source.a]]\nregistry = \"https://h\"\n",
            "[registries.a.b]\nindex = \"https://h\"\n",
            "[registries.a]\nindex = \"https://h\" junk\n",
            "[registries]\na = { index = \"https://h\" }\n",
        ] {
            assert_eq!(cargo(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn go_module_addresses() {
        let text = "GOPROXY=https://p.example,direct\nGOPRIVATE=own.example/*\nGOFLAGS=-toolexec=/x\nCC=/x\n\
                    GONOPROXY=https://me:secret@h\nGOSUMDB=off\n";
        assert_eq!(
            lines(go(text)),
            ["GOPROXY=https://p.example,direct", "GOPRIVATE=own.example/*", "GOSUMDB=off"]
        );
        assert_eq!(go("GOAUTH=netrc\n"), None);
    }

    proptest! {
        #[test]
        fn no_login_in_an_address_is_carried(user in "[a-z]{0,4}", secret in "SECRET[a-z]{0,4}", host in "[a-z]{1,4}") {
            let address = format!("https://{user}:{secret}@{host}/x");
            for carried in [
                npm(&format!("registry={address}\n@a:registry = {address}\n")),
                pip(&format!("[global]\nindex-url = {address}\nextra-index-url = {address}\n")),
                pip(&format!("[global]\nextra-index-url = https://h {address}\n")),
                cargo(&format!("[registries.a]\nindex = \"{address}\"\n[source.a]\nregistry = '{address}'\n")),
                go(&format!("GOPROXY={address},direct\nGOPROXY=https://h,{address}\n")),
            ] {
                prop_assert!(carried.is_none_or(|carried| !carried.contains("SECRET")));
            }
        }

        #[test]
        fn readers_take_anything(text in "(?s)[\\[\\]a-z=\"' .:/@#\n\t-]{0,200}") {
            for carried in [npm(&text), pip(&text), cargo(&text), go(&text)].into_iter().flatten() {
                prop_assert!(!carried.lines().skip(1).any(|line| line.contains('@') && !line.starts_with('@')));
            }
        }
    }
}
