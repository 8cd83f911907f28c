//! Which tags a version takes, compared with the official CLI.

use std::collections::BTreeMap;

use semver::Version;
use xtask::oci::tags;

use crate::support::Collection;

const TABLE: &str = include_str!("../data/semantic-tags.txt");

/// What the official CLI does with each version after each list of tags.
fn table() -> Vec<(String, Vec<String>, String)> {
    let lines = || TABLE.lines().filter(|line| !line.starts_with('#'));
    let lists: Vec<Vec<String>> = lines()
        .filter_map(|line| line.strip_prefix("after"))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect();
    let mut table = Vec::new();
    for line in lines().filter(|line| line.starts_with('"')) {
        let (version, cells) = line[1..].split_once('"').unwrap();
        let cells: Vec<&str> = cells.split_whitespace().collect();
        assert_eq!(cells.len(), lists.len(), "{line}");
        table.extend(
            lists.iter().zip(cells).map(|(list, cell)| (version.to_owned(), list.clone(), cell.to_owned())),
        );
    }
    table
}

/// A list of tags in the table's letters.
fn letters(version: &Version, tags: &[String]) -> String {
    let letter = |tag: &String| match tag {
        tag if *tag == version.to_string() => 'x',
        tag if tag == "latest" => 'L',
        tag if *tag == version.major.to_string() => 'M',
        tag if *tag == format!("{}.{}", version.major, version.minor) => 'N',
        other => panic!("{version} does not take {other}"),
    };
    tags.iter().map(letter).collect()
}

#[test]
fn tags_are_the_official_ones_except_where_those_are_wrong() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut packs: BTreeMap<String, bool> = BTreeMap::new();
    for (text, published, official) in table() {
        let packed = *packs.entry(text.clone()).or_insert_with(|| {
            let collection = Collection::new();
            collection.feature("a", &text, "");
            crate::support::pack(collection.path()).is_ok()
        });
        let after = format!("{text:?} after {published:?}");
        if !packed {
            // Refused before a registry is asked. The official CLI takes three of these, and skips what is a tag
            // before it looks whether it is a version.
            let rule = match official.as_str() {
                "no" => "refused by both",
                "there" => "refused here and skipped there",
                _ => "refused here alone",
            };
            let lenient = ["v1.0.0", " 1.0.0 ", "1.0.0+b1"].contains(&text.as_str());
            assert_eq!(rule == "refused here alone", lenient, "{after}");
            *counts.entry(rule).or_default() += 1;
            continue;
        }
        let version = Version::parse(&text).unwrap();
        let ours = letters(&version, &tags::for_version(&version, &published));
        let rule = if official == "there" {
            // What a version that is there lacks is set; it takes what it took when it was new, and no more.
            assert!(published.contains(&text), "{after}");
            let others: Vec<String> = published.iter().filter(|tag| **tag != text).cloned().collect();
            assert_eq!(ours, letters(&version, &tags::for_version(&version, &others)), "{after}");
            "completed where the official CLI skips"
        } else if version.pre.is_empty() {
            assert_eq!(ours, official, "{after}");
            "the same"
        } else {
            assert_eq!(ours, "x", "{after}");
            assert!(official.contains('x'), "{after}");
            if official == "x" { "the same" } else { "a pre-release with its own tag alone" }
        };
        *counts.entry(rule).or_default() += 1;
    }
    let counts: Vec<(&str, usize)> = counts.into_iter().collect();
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), 286);
    assert_eq!(
        counts,
        [
            ("a pre-release with its own tag alone", 37),
            ("completed where the official CLI skips", 9),
            ("refused by both", 51),
            ("refused here alone", 33),
            ("refused here and skipped there", 4),
            ("the same", 152),
        ]
    );
}
