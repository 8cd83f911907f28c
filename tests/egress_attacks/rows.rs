//! The list, as the clients give it out.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::internet::Who;

/// The interpreter that an ordinary user may start, too.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It must fail behind the sandbox.
    Attack,
    /// It must work behind the sandbox.
    Ordinary,
}

/// When a row runs, and what happens meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// With others at the same time.
    Together,
    /// Nothing else runs.
    Alone,
    /// In a container of its own, meanwhile: what it does to the container takes long, or spoils it for others.
    Apart,
    /// It begins before there is a sandbox, and is told when there is one.
    Before,
    /// The sandbox is killed and started again.
    Restart,
    /// The sandbox is killed.
    Kill,
    /// The sandbox is stopped without being ended.
    Freeze,
    /// The sandbox's workers are killed.
    Workers,
}

/// As whom the client runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum As {
    /// An unprivileged user.
    User,
    /// uid 0 without capabilities.
    Root,
    /// uid 0 with what the container gives it for raw sockets.
    Raw,
}

/// One attack, or one ordinary use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Class and name.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// Where it was seen.
    pub(crate) source: String,
    /// What it tries, in a sentence.
    pub(crate) tries: String,
    /// Words that an event at the receiving end has when it succeeded. `{t}` is the row's token, `{port}` its number;
    /// where neither is mentioned, the token is one of the words, unless they begin with `=`. ` or ` parts choices.
    seen: String,
    /// Why it is not as it must be behind our sandbox yet; empty where it is.
    pub(crate) open: String,
    /// Why it may not succeed here even without a sandbox; empty where it must.
    pub(crate) needs: String,
    #[serde(rename = "as")]
    user: As,
    pub(crate) phase: Phase,
    /// Seconds that it may take.
    pub(crate) limit: u64,
}

impl Row {
    /// The class.
    pub(crate) fn class(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    /// As whom it runs; what a container gives uid 0 for raw sockets differs.
    pub(crate) fn who(&self, gives_raw: bool) -> Who {
        match self.user {
            As::User => Who::User,
            As::Raw if gives_raw => Who::RootWithRaw,
            As::Root | As::Raw => Who::Root,
        }
    }

    /// The words that tell success, in each of their choices.
    pub(crate) fn choices(&self, token: &str, port: u16) -> Vec<Vec<String>> {
        let (bare, no_token) =
            self.seen.strip_prefix('=').map_or((self.seen.as_str(), false), |rest| (rest, true));
        let reversed: Vec<String> = token.chars().rev().map(String::from).collect();
        let filled = |text: &str| {
            let named = text.contains('{') || no_token;
            let text = text.replace("{t}", token).replace("{t6}", &token[2..]);
            let text = text.replace("{rev}", &reversed.join(".")).replace("{port}", &port.to_string());
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            if !named {
                words.push(token.to_owned());
            }
            words
        };
        bare.split(" or ").map(filled).collect()
    }
}

/// The folder of the clients in the checkout.
pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/egress_attacks/clients")
}

/// The rows whose id has one of the words, or all.
pub(crate) fn list(words: &[String]) -> Vec<Row> {
    let output =
        Command::new(PYTHON).arg("-B").arg(clients().join("main.py")).arg("--list").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Row> = serde_json::from_slice(&output.stdout).expect("the list reads");
    rows.into_iter()
        .filter(|row| words.is_empty() || words.iter().any(|word| row.id.contains(word.as_str())))
        .collect()
}
