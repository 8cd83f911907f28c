//! What the installer tells every Claude Code in the image, beside what a company tells it.

use std::fs;
use std::os::unix::fs::symlink;

use crate::setup::{Setup, is_root, tree};

const MAIN: &str = "etc/claude-code/managed-settings.json";
const DROP_IN: &str = "etc/claude-code/managed-settings.d/agent-sandbox.json";

#[test]
fn a_companys_settings_stay_as_they_are() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("etc/claude-code/managed-settings.d")).unwrap();
    let company = "{\"disableAllHooks\": true}";
    fs::write(setup.path(MAIN), company).unwrap();
    fs::write(setup.path("etc/claude-code/managed-settings.d/10-company.json"), "{}").unwrap();
    let output = setup.run(&[]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("managed-settings.json turns all hooks off"), "{said}");
    assert_eq!(fs::read_to_string(setup.path(MAIN)).unwrap(), company);
    let settings: serde_json::Value =
        serde_json::from_slice(&fs::read(setup.path(DROP_IN)).unwrap()).unwrap();
    let wrapper = "/usr/local/libexec/agent-sandbox/claude-process-wrapper";
    assert_eq!(settings["processWrapper"], wrapper);
    for (event, count) in [("UserPromptSubmit", 1), ("PreToolUse", 1)] {
        let hooks = settings["hooks"][event].as_array().unwrap();
        assert_eq!(hooks.len(), count);
        let command = hooks[0]["hooks"][0]["command"].as_str().unwrap();
        assert!(command.ends_with(" cell --check || exit 2"), "{command}");
    }
    // Both name a program that is there.
    for name in ["claude-process-wrapper", "agent-sandbox"] {
        assert!(setup.path("usr/local/libexec/agent-sandbox").join(name).is_file(), "{name}");
    }
}

#[test]
fn settings_that_others_could_write_are_refused() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("home/me")).unwrap();
    if !is_root() {
        eprintln!("skipped: only root refuses other people's folders");
        return;
    }
    std::os::unix::fs::chown(setup.path("home/me"), Some(1000), Some(1000)).unwrap();
    fs::create_dir(setup.path("etc")).unwrap();
    symlink("../home/me", setup.path("etc/claude-code")).unwrap();
    setup.refused(&[], 5, "etc/claude-code can be changed by others than root");
    assert!(tree(&setup.path("home/me")).is_empty());
}
