//! The policy that the options, the policy file and the image itself make together.

use std::path::Path;

use super::names;
use super::packages::{self, Image, NothingFound};
use super::policy_file::{self, PolicyFileError};
use crate::policy::cell::CellError;
use crate::policy::{CellPolicy, Draft, Mode, Policy, PolicyError};

/// What the options say of it, each as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `presets`
    pub presets: String,
    /// `allow`
    pub allow: String,
    /// `mode`
    pub mode: String,
    /// `policyFile`
    pub file: String,
    /// `writable`
    pub writable: String,
    /// `unixSockets`
    pub unix_sockets: String,
    /// `localPorts`
    pub local_ports: String,
    /// `passEnvironment`
    pub pass_environment: String,
    /// `without`
    pub without: String,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum WishError {
    /// An option does not read.
    #[error("the option `{option}` cannot be used: {reason}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Why not.
        reason: PolicyError,
    },
    /// An option for the agent's cell does not read.
    #[error("the option `{option}` cannot be used: {reason}")]
    Cell {
        /// Its name.
        option: &'static str,
        /// Why not.
        reason: CellError,
    },
    /// The policy file does not read.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// The preset `packages` brings nothing.
    #[error(transparent)]
    Packages(#[from] NothingFound),
    /// What they bring together is no policy.
    #[error("what the options and the policy file bring together cannot be used: {0}")]
    Whole(PolicyError),
}

/// The policy for `wishes` in the image at `root`; `say` gets a line about each thing that people would want to know.
pub fn build(wishes: &Wishes, root: &Path, mut say: impl FnMut(&str)) -> Result<Policy, WishError> {
    let of = |option: &'static str| move |reason| WishError::Option { option, reason };
    let mut draft = Draft::new(names::to_ascii);
    draft.presets(&wishes.presets).map_err(of("presets"))?;
    draft.allow(&wishes.allow).map_err(of("allow"))?;
    let word = wishes.mode.trim();
    let asked = Mode::parse(word).ok_or_else(|| of("mode")(PolicyError::Mode(word.to_owned())))?;
    // Empty is what nobody wrote.
    let asked = (!word.is_empty()).then_some(asked);
    let path = wishes.file.trim();
    let said = if path.is_empty() { None } else { policy_file::add(root, path, asked, &mut draft)? };
    let mode = asked.or(said).unwrap_or_default();
    if draft.wants_packages() {
        packages::add(&Image::here(root), &mut draft, &mut say)?;
    }
    for note in draft.notes() {
        say(note);
    }
    let policy = draft.finish(mode).map_err(WishError::Whole)?;
    Ok(Policy { cell: cell(wishes)?, ..policy })
}

fn cell(wishes: &Wishes) -> Result<CellPolicy, WishError> {
    let of = |option: &'static str| move |reason| WishError::Cell { option, reason };
    Ok(CellPolicy {
        writable: CellPolicy::writable(&wishes.writable).map_err(of("writable"))?,
        unix_sockets: CellPolicy::unix_sockets(&wishes.unix_sockets).map_err(of("unixSockets"))?,
        local_ports: CellPolicy::local_ports(&wishes.local_ports).map_err(of("localPorts"))?,
        pass_environment: CellPolicy::pass_environment(&wishes.pass_environment)
            .map_err(of("passEnvironment"))?,
        without: CellPolicy::without(&wishes.without).map_err(of("without"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn built(root: &Path, [presets, allow, mode, file]: [&str; 4]) -> Result<Policy, String> {
        let [presets, allow, mode, file] = [presets, allow, mode, file].map(str::to_owned);
        let wishes = Wishes { presets, allow, mode, file, ..Wishes::default() };
        build(&wishes, root, |_| {}).map_err(|error| error.to_string())
    }

    #[test]
    fn options_and_file_add_up() {
        let image = tempfile::tempdir().unwrap();
        let (root, path) = (image.path(), image.path().join("p.jsonc"));
        fs::write(&path, r#"{ "mode": "audit", "presets": ["gitlab"], "allow": ["file.example"] }"#).unwrap();
        let policy = built(root, ["github", "option.example", "", "/p.jsonc"]).unwrap();
        assert_eq!(policy.mode, Mode::Audit);
        for from in ["preset claude", "preset github", "preset gitlab", "allow", "/p.jsonc line 1"] {
            assert!(policy.rules.iter().any(|rule| rule.from == from), "{from}");
        }
        assert_eq!(built(root, ["", "", "audit", "/p.jsonc"]).unwrap().mode, Mode::Audit);
        assert_eq!(
            built(root, ["", "", "enforce", "/p.jsonc"]).unwrap_err(),
            "the policy file /p.jsonc, line 1, column 11: the option `mode` is 'enforce' and this is 'audit'; leave one of them out, or write the same in both"
        );
        fs::write(&path, "{}").unwrap();
        assert_eq!(
            built(root, ["", "", "", "/p.jsonc"]),
            Policy::from_options("").map_err(|_| String::new())
        );
        assert_eq!(built(root, ["", "", "audit", "/p.jsonc"]).unwrap().mode, Mode::Audit);
    }

    #[test]
    fn what_is_refused() {
        let image = tempfile::tempdir().unwrap();
        fs::write(image.path().join("bad.jsonc"), "{\n  \"allow\": [\"*.com\"]\n}").unwrap();
        for (wishes, sentence) in [
            (
                ["claude, svn", "", "", ""],
                "the option `presets` cannot be used: entry 2 (column 9): there is no preset 'svn'; there are: claude, vscode",
            ),
            (
                ["", "a.example https://x.example/", "", ""],
                "the option `allow` cannot be used: entry 2 (column 11), 'https://x.example/', is a URL; write",
            ),
            (
                ["", "", "off", ""],
                "the option `mode` cannot be used: there is no mode 'off'; there are: enforce, audit",
            ),
            (["", "", "", "p.jsonc"], "the policy file p.jsonc is no absolute path"),
            (
                ["", "", "", "/p\nq"],
                "the policy file /p\\nq has a path of more than 255 characters, or with others",
            ),
            (["", "", "", "/p.jsonc"], "the policy file /p.jsonc cannot be read: No such file"),
            (
                ["", "", "", "/bad.jsonc"],
                "the policy file /bad.jsonc, line 2, column 13: '*.com' is a wildcard over zones of everybody's; write",
            ),
        ] {
            let error = built(image.path(), wishes).unwrap_err();
            assert!(error.starts_with(sentence), "{error}");
        }
        let many = (0..300).map(|n| format!("n{n}.example")).collect::<Vec<_>>().join(" ");
        let error = built(image.path(), ["", &many, "", ""]).unwrap_err();
        assert!(error.contains("at most 256"), "{error}");
    }

    #[test]
    fn the_cell_is_widened_by_options() {
        let wishes = |local_ports: &str| Wishes {
            writable: "/data".to_owned(),
            local_ports: local_ports.to_owned(),
            ..Wishes::default()
        };
        let policy = build(&wishes("3000"), Path::new("/"), |_| {}).unwrap();
        assert_eq!(policy.cell.writable, ["/data"]);
        assert!(policy.cell.local_ports.contains(&3000));
        let error = build(&wishes("x"), Path::new("/"), |_| {}).unwrap_err().to_string();
        assert!(
            error.starts_with("the option `localPorts` cannot be used: entry 1, 'x', is no port"),
            "{error}"
        );
    }

    #[test]
    fn names_of_other_letters_are_told() {
        let mut said = Vec::new();
        let wishes = Wishes { allow: "bücher.example".to_owned(), ..Wishes::default() };
        let policy = build(&wishes, Path::new("/"), |line| said.push(line.to_owned())).unwrap();
        assert_eq!(said, ["'bücher.example' is xn--bcher-kva.example in the policy"]);
        assert_eq!(policy.allow_entries(), ["xn--bcher-kva.example"]);
    }
}
