//! Names in the letters of any script, as DNS has them (UTS 46). What stays in the container knows ASCII alone.

use std::borrow::Cow;

use icu_properties::CodePointMapData;
use icu_properties::props::Script;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::policy::NameError;

/// The name with an xn-- label for each label that has other letters than those of ASCII; a plain one as it is.
pub fn to_ascii(name: &str) -> Result<String, NameError> {
    let encoded = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    if name.is_ascii() && !name.split('.').any(encoded) {
        return Ok(name.to_owned());
    }
    let uts46 = Uts46::new();
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    if !name.is_ascii() {
        // In the letters that count: width, case and composition are only ways to write them.
        let (unicode, valid) = uts46.to_unicode(name.as_bytes(), deny, hyphens);
        valid.map_err(|_| NameError::Unicode)?;
        if !unicode.split('.').all(is_of_one_script) {
            return Err(NameError::MixedScripts);
        }
    }
    let ascii = uts46.to_ascii(name.as_bytes(), deny, hyphens, DnsLength::Ignore);
    ascii.map(Cow::into_owned).map_err(|_| NameError::Unicode)
}

/// Whether its letters are of one script, or of those that are written together ("highly restrictive" in UTS 39).
fn is_of_one_script(label: &str) -> bool {
    let scripts = CodePointMapData::<Script>::new();
    let of_none = [Script::Common, Script::Inherited];
    let mut used: Vec<Script> = label.chars().map(|c| scripts.get(c)).collect();
    used.retain(|script| !of_none.contains(script));
    let together: [&[Script]; 3] = [
        &[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana],
        &[Script::Latin, Script::Han, Script::Bopomofo],
        &[Script::Latin, Script::Han, Script::Hangul],
    ];
    used.windows(2).all(|pair| pair[0] == pair[1])
        || together.iter().any(|set| used.iter().all(|script| set.contains(script)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{HostName, Pattern, entry};

    /// Letters that become others, and parts of names that are never open.
    fn near() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "ｌｏｃａｌｈｏｓｔ",
            "localhost",
            "LOCALHOST",
            "。",
            "．",
            ".",
            "*.",
            "*",
            "１２７",
            "⑩",
            "①",
            "0x7f",
            "com",
            "ｃｏｍ",
            "metadata",
            "goog",
            "ɢoog",
            "google",
            "internal",
            "xn--",
            "xn--bcher-kva",
            "\u{ad}",
            "\u{200b}",
            "bücher",
            "ü",
            "ß",
            "：",
            ":",
            "／",
            "℀",
            "١٢٧",
            "-",
            "例え",
        ]);
        prop_oneof![prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat()), any::<String>()]
    }

    proptest! {
        #[test]
        fn no_spelling_opens_what_is_never_open(text in near()) {
            let Ok((pattern, port)) = entry::parse(&text, to_ascii) else { return Ok(()) };
            let printed = pattern.to_string();
            prop_assert!(printed.is_ascii() && port != 53);
            // What the policy holds is read in the container, where nobody knows other letters.
            prop_assert_eq!(Pattern::parse(&printed), Ok(pattern.clone()));
            prop_assert_eq!(entry::parse(&printed, to_ascii).map(|(pattern, _)| pattern), Ok(pattern.clone()));
            let (Pattern::Host(name) | Pattern::Below(name)) = &pattern;
            prop_assert!(name.as_str() != "localhost" && name.as_str() != "metadata.goog");
            prop_assert!(!name.as_str().rsplit('.').next().unwrap().bytes().all(|b| b.is_ascii_digit()));
            prop_assert!(pattern.host().is_some() || name.as_str().contains('.'));
            prop_assert!(!pattern.covers(&HostName::parse("metadata.google.internal").unwrap()));
        }
    }

    #[test]
    fn names_of_any_script() {
        for (text, expected) in [
            ("API.example", Ok("API.example")),
            ("r3---sn.example", Ok("r3---sn.example")),
            ("bücher.example", Ok("xn--bcher-kva.example")),
            ("BÜCHER.Example", Ok("xn--bcher-kva.example")),
            ("bu\u{308}cher.example", Ok("xn--bcher-kva.example")),
            ("bücher。example", Ok("xn--bcher-kva.example")),
            ("XN--bcher-KVA.example", Ok("xn--bcher-kva.example")),
            ("ｅｘａｍｐｌｅ.com", Ok("example.com")),
            ("例え.テスト", Ok("xn--r8jz45g.xn--zckzah")),
            ("пример.example", Ok("xn--e1afmkfd.example")),
            ("straße.example", Ok("xn--strae-oqa.example")),
            // The first letter is Cyrillic.
            ("аpi.example", Err(NameError::MixedScripts)),
            // What is meant like that is written like that.
            ("xn--pi-7kc.example", Ok("xn--pi-7kc.example")),
            ("xn--a.example", Err(NameError::Unicode)),
            ("xn--.example", Err(NameError::Unicode)),
            ("xn--example-.com", Err(NameError::Unicode)),
            ("a\u{202e}b.example", Err(NameError::Unicode)),
            ("ü_b.example", Err(NameError::Unicode)),
            ("-ü.example", Err(NameError::Unicode)),
            ("ü：8443", Err(NameError::Unicode)),
            ("℀ü.example", Err(NameError::Unicode)),
            ("*。example", Err(NameError::Unicode)),
        ] {
            assert_eq!(to_ascii(text).as_deref(), expected.as_ref().copied(), "{text}");
        }
    }
}
