//! Which tags a version takes. Does no I/O.
//!
//! The official rule, but that a pre-release takes no tag except its own: people who follow `1`
//! or `latest` did not ask for one.

use semver::Version;

/// Tags in the order in which the official CLI reports them: `1`, `1.2`, `1.2.3`, `latest`.
pub fn for_version(version: &Version, published: &[String]) -> Vec<String> {
    let mut tags = Vec::new();
    if version.pre.is_empty() {
        let exact = version.to_string();
        let others: Vec<Version> =
            published.iter().filter(|tag| **tag != exact).filter_map(|tag| released(tag)).collect();
        let newest =
            |same: &dyn Fn(&Version) -> bool| !others.iter().any(|other| same(other) && other >= version);
        if newest(&|other| other.major == version.major) {
            tags.push(version.major.to_string());
        }
        if newest(&|other| other.major == version.major && other.minor == version.minor) {
            tags.push(format!("{}.{}", version.major, version.minor));
        }
        tags.push(version.to_string());
        if newest(&|_| true) {
            tags.push("latest".to_owned());
        }
    } else {
        tags.push(version.to_string());
    }
    tags
}

/// The order in which tags are set: the exact version first, and `latest` last.
pub fn in_push_order(tags: &[String], version: &Version) -> Vec<String> {
    let exact = version.to_string();
    let rank = |tag: &String| match tag {
        tag if *tag == exact => 0,
        tag if tag == "latest" => 3,
        tag if tag.contains('.') => 1,
        _ => 2,
    };
    let mut ordered = tags.to_vec();
    ordered.sort_by_key(rank);
    ordered
}

/// The tag of the newest published version that a floating tag may mean.
pub fn newest(floating: &str, published: &[String]) -> Option<String> {
    let means = |version: &Version| {
        floating == "latest"
            || floating == version.major.to_string()
            || floating == format!("{}.{}", version.major, version.minor)
    };
    let versions = published.iter().filter_map(|tag| Some((released(tag)?, tag)));
    let newest = versions.filter(|(version, _)| means(version)).max_by(|(a, _), (b, _)| a.cmp(b));
    newest.map(|(_, tag)| tag.clone())
}

/// A tag that is a released version; the parser of the official CLI takes a `v` before it.
fn released(tag: &str) -> Option<Version> {
    let version = Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()?;
    version.pre.is_empty().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(version: &str, published: &str) -> String {
        let published: Vec<String> = published.split_whitespace().map(str::to_owned).collect();
        for_version(&Version::parse(version).unwrap(), &published).join(" ")
    }

    #[test]
    fn a_version_takes_what_it_is_newest_in() {
        for (version, published, expected) in [
            ("1.0.0", "", "1 1.0 1.0.0 latest"),
            ("0.0.1", "", "0 0.0 0.0.1 latest"),
            ("10.20.30", "", "10 10.20 10.20.30 latest"),
            ("1.0.1", "1 1.0 1.0.0 latest", "1 1.0 1.0.1 latest"),
            ("1.1.0", "1 1.0 1.0.0 latest", "1 1.1 1.1.0 latest"),
            ("2.0.0", "1 1.0 1.0.0 latest", "2 2.0 2.0.0 latest"),
            ("0.1.1", "1 1.0 1.0.0 latest", "0 0.1 0.1.1"),
            ("1.0.1", "1.0.0 1.0.2 latest", "1.0.1"),
            ("1.0.3", "1.0.2 1.1.0 latest", "1.0 1.0.3"),
            ("1.2.4", "1.2.3 2.0.0 latest", "1 1.2 1.2.4"),
            ("1.9.5", "1.10.0", "1.9 1.9.5"),
            ("1.10.1", "1.9.0 1.10.0", "1 1.10 1.10.1 latest"),
            // A version that is published holds what it should hold: the run that set it may have broken off.
            ("1.0.0", "1.0.0", "1 1.0 1.0.0 latest"),
            ("1.0.0", "1.0.0 1.0.1", "1.0.0"),
            // Pre-releases take nothing, and stand in nobody's way.
            ("1.0.0-rc.1", "", "1.0.0-rc.1"),
            ("3.0.0-alpha", "1.0.0 2.0.0 latest", "3.0.0-alpha"),
            ("1.0.0", "1.0.0-rc.1 2.1.0-beta.1", "1 1.0 1.0.0 latest"),
            // What is no version does not count; a `v` before one does.
            ("1.0.0", "dev sha256-abc 1.2.3.4 2 3.0 latest", "1 1.0 1.0.0 latest"),
            ("1.0.0", "v2.0.0", "1 1.0 1.0.0"),
            ("1.0.0", "v1.2.3", "1.0 1.0.0"),
            ("2.0.0", "v2.0.0", "2.0.0"),
        ] {
            assert_eq!(tags(version, published), expected, "{version} after {published:?}");
        }
    }

    #[test]
    fn floating_tags_mean_the_newest() {
        let published = ["1", "1.2.9", "1.10.0", "v2.0.0", "3.0.0-rc.1", "latest", "x"].map(str::to_owned);
        for (floating, expected) in [
            ("latest", Some("v2.0.0")),
            ("1", Some("1.10.0")),
            ("1.2", Some("1.2.9")),
            ("2", Some("v2.0.0")),
            ("3", None),
        ] {
            assert_eq!(newest(floating, &published).as_deref(), expected, "{floating}");
        }
    }

    #[test]
    fn latest_moves_last() {
        let tags: Vec<String> = ["1", "1.2", "1.2.3", "latest"].map(str::to_owned).to_vec();
        assert_eq!(in_push_order(&tags, &Version::new(1, 2, 3)), ["1.2.3", "1.2", "1", "latest"]);
    }
}
