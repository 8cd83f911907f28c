//! `${templateOption:name}`, which consumers replace in every file of a Template. Does no I/O.

const OPEN: &str = "${templateOption:";

/// A placeholder in a text.
struct Placeholder<'a> {
    start: usize,
    end: usize,
    name: &'a str,
}

/// The names in the placeholders of a text, in their order.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let found = next(text, from)?;
        from = found.end;
        Some(found.name)
    })
}

/// A text with a value for each placeholder.
pub fn substitute(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = next(text, from) {
        out.push_str(&text[from..found.start]);
        out.push_str(&value(found.name));
        from = found.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Whether a name can be in a placeholder.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word)
}

fn next(text: &str, mut from: usize) -> Option<Placeholder<'_>> {
    loop {
        let start = from + text[from..].find(OPEN)?;
        from = start + OPEN.len();
        let inner = text[from..].trim_start_matches(is_space);
        let (name, rest) = inner.split_at(inner.find(|c| !is_word(c)).unwrap_or(inner.len()));
        let rest = rest.trim_start_matches(is_space);
        if !name.is_empty() && rest.starts_with('}') {
            return Some(Placeholder { start, end: text.len() - rest.len() + 1, name });
        }
    }
}

/// JavaScript's `\w`.
const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// JavaScript's `\s`.
fn is_space(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_what_the_official_cli_takes_for_them() {
        for (text, expected) in [
            ("", ""),
            ("${templateOption:a}", "<a>"),
            ("x${templateOption: a_1 }y${templateOption:\n\tB}", "x<a_1>y<B>"),
            ("é${templateOption:a}é", "é<a>é"),
            ("${templateOption:}${templateOption: }", "${templateOption:}${templateOption: }"),
            ("${templateOption:a b}${templateOption:a-b}", "${templateOption:a b}${templateOption:a-b}"),
            ("${templateoption:a}$templateOption:a", "${templateoption:a}$templateOption:a"),
            ("${templateOption:${templateOption:a}", "${templateOption:<a>"),
            ("${templateOption:a", "${templateOption:a"),
            ("$${templateOption:a}}", "$<a>}"),
        ] {
            assert_eq!(substitute(text, |name| format!("<{name}>")), expected);
        }
        let found: Vec<&str> =
            names("${templateOption:a}${templateOption:b c}${templateOption: d}").collect();
        assert_eq!(found, ["a", "d"]);
    }
}
