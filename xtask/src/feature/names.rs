//! Which names can be unpacked everywhere: the official CLI unpacks on the user's own machine.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::problem::Problems;
use crate::archive;

/// What Windows takes for devices, with any ending.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Checks a path whose last part is `name`.
pub fn check(path: &str, name: &str, is_folder: bool, problems: &mut Problems<'_>) {
    if let Some(c) = name.chars().find(|&c| is_invisible(c)) {
        problems.add(format!("the name holds {}, which nobody sees; rename it", c.escape_unicode()));
    }
    if let Some(c) = name.chars().find(|&c| matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')) {
        problems.add(format!("the name holds a {c}, which no name on Windows can; rename it"));
    }
    if name.ends_with(['.', ' ']) {
        problems.add("the name ends in a dot or a space, which Windows drops; rename it");
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|digit| matches!(digit, b'1'..=b'9')))
    };
    if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        problems.add("the name is a device's on Windows; rename it");
    }
    if !archive::fits(path, is_folder) {
        problems.add(
            "the path is too long for a portable archive; shorten it to 100 bytes, or to 250 with folders",
        );
    }
}

/// A path as file systems compare it that know no case, and no two ways to write one letter.
pub fn folded(path: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc();
    // Lower case may come apart again, as that of a capital I with a dot.
    composed.normalize(&composed.normalize(path).to_lowercase()).into_owned()
}

/// Control characters, and those that turn or hide what stands around them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn found(name: &str) -> Vec<String> {
        let mut problems = Problems::of(Path::new("f"));
        check(name, name, false, &mut problems);
        problems.into_vec().into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn names() {
        for good in [
            "install.sh",
            ".bashrc",
            "ünï",
            "日本語",
            "a b",
            "a+b=c,d;e'f&g%h!",
            "con-fig",
            "console",
            "com10",
            "com",
            "lpt0",
            "aux2",
            "...a",
            "a\u{301}",
            "~x",
        ] {
            assert_eq!(found(good), Vec::<String>::new(), "{good}");
        }
        for (bad, fragment) in [
            ("a\nb", "\\u{a}"),
            ("a\u{7f}", "\\u{7f}"),
            ("a\u{202e}b", "\\u{202e}"),
            ("a\u{200b}", "\\u{200b}"),
            ("a\\b", "holds a \\"),
            ("a:b", "holds a :"),
            ("what?", "holds a ?"),
            ("a.", "ends in a dot"),
            ("a ", "ends in a dot or a space"),
            ("NUL", "a device's"),
            ("con.txt", "a device's"),
            ("Com1.tar.gz", "a device's"),
            ("lpt9", "a device's"),
        ] {
            let found = found(bad);
            assert_eq!(found.len(), 1, "{bad:?}: {found:?}");
            assert!(found[0].contains(fragment), "{bad:?}: {found:?}");
        }
        assert!(found(&"x".repeat(101))[0].contains("too long"));
        assert!(found(&"x".repeat(100)).is_empty());
    }

    #[test]
    fn one_name_to_some_file_systems() {
        for (one, other, same) in [
            ("README", "readme", true),
            ("lib/É", "LIB/e\u{301}", true),
            ("Å", "\u{212b}", true),
            ("a", "b", false),
            ("ss", "ß", false),
            ("a/b", "ab", false),
        ] {
            assert_eq!(folded(one) == folded(other), same, "{one} {other}");
        }
    }
}
