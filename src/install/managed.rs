//! What every Claude Code in the container is told by root, whoever starts it and by whatever path. Pure.
//!
//! The shim on PATH puts an agent into its cell. An editor's extension or an SDK brings a program of its own and starts
//! that. So the managed settings have it ask, before a prompt and before each tool, whether it is in a cell: a hook that
//! ends with 2 keeps Claude Code from going on, in bypass mode as well, and neither a user's settings, nor a project's,
//! nor a flag turn managed hooks off. Its background processes are started through the wrapper.
//!
//! This is for agents that somebody starts past the shim without meaning to. It is no wall: what is outside the cell is
//! not held by it, and `claude mcp serve` and a `!` command of the user's ask no hook.

use serde_json::{Value, json};

/// Beside the file that a company may have; later names win where two set the same (`managed-settings.d`).
pub(super) const DROP_IN: &str = "etc/claude-code/managed-settings.d/agent-sandbox.json";
/// The company's own.
pub(super) const MAIN: &str = "etc/claude-code/managed-settings.json";

/// Starts what its arguments say in a cell.
const WRAPPER: &str = "/usr/local/libexec/agent-sandbox/claude-process-wrapper";
/// Any other code than 2 would let Claude Code go on: one that cannot be asked is a no.
const CHECK: &str = "/usr/local/libexec/agent-sandbox/agent-sandbox cell --check || exit 2";

/// The settings.
pub(super) fn settings() -> Value {
    let check = json!([{ "type": "command", "command": CHECK }]);
    json!({
        "hooks": {
            "UserPromptSubmit": [{ "hooks": check }],
            "PreToolUse": [{ "matcher": "*", "hooks": check }],
        },
        "processWrapper": WRAPPER,
    })
}

/// What `text`, other managed settings, does to these.
pub(super) fn conflict(text: &[u8]) -> Option<&'static str> {
    let settings: Value = serde_json::from_slice(text).ok()?;
    if settings.get("disableAllHooks") == Some(&Value::Bool(true)) {
        return Some("turns all hooks off: an agent that is not started by `claude` on PATH is not refused");
    }
    let wrapper = settings.get("processWrapper")?;
    (wrapper != WRAPPER).then_some("names another processWrapper, which this Feature's replaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_conflict_are_named() {
        for (text, part) in [
            ("", None),
            ("{}", None),
            ("{\"disableAllHooks\": false}", None),
            ("{\"disableAllHooks\": true}", Some("turns all hooks off")),
            ("{\"processWrapper\": \"/opt/corp/run\"}", Some("another processWrapper")),
        ] {
            let found = conflict(text.as_bytes());
            assert_eq!(found.is_some(), part.is_some(), "{text}");
            assert!(part.is_none_or(|part| found.unwrap().contains(part)), "{text}");
        }
        assert_eq!(conflict(settings().to_string().as_bytes()), None);
    }
}
