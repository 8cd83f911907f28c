//! The order of texts in JavaScript's `localeCompare`, by which the official CLI sorts. Does no I/O.
//!
//! That is the root collation of CLDR: first the characters' places as if case did not exist, and
//! only where all of them are equal, lower case before upper case. What is not ASCII has no table
//! here and comes after the letters, by its code point; ids and tags hold none of it.

use std::cmp::Ordering;

/// ASCII in its order; characters before the tabulator do not count at all.
const ORDER: &str = "\t\n\u{b}\u{c}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz";

/// `a.localeCompare(b)`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let places = |text: &str| text.chars().filter_map(place).collect::<Vec<u32>>();
    let cases = |text: &str| {
        text.chars().filter(|c| place(*c).is_some()).map(|c| c.is_ascii_uppercase()).collect::<Vec<bool>>()
    };
    places(a).cmp(&places(b)).then_with(|| cases(a).cmp(&cases(b)))
}

fn place(c: char) -> Option<u32> {
    if !c.is_ascii() {
        return Some(1000 + u32::from(c));
    }
    let at = ORDER.find(c.to_ascii_lowercase())?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_javascript() {
        // Sorted by Node: each one is before the next.
        for pair in [
            "", "\t", " ", "_", "-", "-a", ",", ".", "/", "\\", "$", "0", "10", "9", "a", "A", "a ", "a_b",
            "a-b", "a/b", "a1", "ab", "Aa b", "aB", "Ab", "B", "z", "é",
        ]
        .windows(2)
        {
            let expected = match (pair[0], pair[1]) {
                // Here the list is not in order, to see the other answers, too.
                ("ab", "Aa b") => Ordering::Greater,
                _ => Ordering::Less,
            };
            assert_eq!(compare(pair[0], pair[1]), expected, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), expected.reverse(), "{pair:?}");
        }
        assert_eq!(compare("\u{1}a\u{7f}", "a"), Ordering::Equal);
        assert_eq!(compare("localhost:5000/a", "localhost:5000/a"), Ordering::Equal);
    }
}
