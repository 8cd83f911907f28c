//! The lines of configuration files that several clients share. Pure.

/// A line `key = value`, with the section that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
}

/// The lines of `[section]`, `key = value` and, indented below it, more of the value; `#` and `;` begin a comment.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut section = String::new();
    let mut found: Vec<Line> = Vec::new();
    let mut open = false;
    for raw in text.lines() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            name.0.trim().clone_into(&mut section);
            open = false;
        } else if let (true, true, Some(last)) = (open, raw.starts_with([' ', '\t']), found.last_mut()) {
            last.value.push(' ');
            last.value.push_str(line);
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            found.push(Line { section: section.clone(), key, value });
            open = true;
        }
    }
    found
}

/// A value without the quotes around it, and what stands behind them.
pub(super) fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((text, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return text;
        }
    }
    value.split(" #").next().unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_and_what_goes_on_below() {
        let text = "a=1\n# x=y\n[one]\nb = 2\n   3\n\n  # no\n  4\n; c\n[ two ] # end\n  d =\n  5\nno line\n";
        let line = |section: &str, key: &str, value: &str| Line {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!(lines(text), [line("", "a", "1"), line("one", "b", "2 3 4"), line("two", "d", " 5")]);
        for (value, text) in
            [("\"a\" # x", "a"), ("'a b'", "a b"), ("a # b", "a"), ("a", "a"), ("\"a", "\"a")]
        {
            assert_eq!(unquoted(value), text);
        }
    }
}
