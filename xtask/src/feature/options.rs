//! The rules for a Feature's options.

use super::json::{Json, Object};
use super::problem::Problems;
use super::properties::{expect, texts};

/// Checks the value of `options`.
pub fn check(value: &Json, problems: &mut Problems<'_>) {
    let Json::Object(options) = value else {
        return expect("options", value, "an object", false, problems);
    };
    for (name, option) in options.iter() {
        let path = format!("options.{name}");
        let Json::Object(option) = option else {
            expect(&path, option, "an object with \"type\" and \"default\"", false, problems);
            continue;
        };
        match option.get("type").and_then(Json::as_str) {
            Some("boolean") => check_boolean(&path, option, problems),
            Some("string") => check_string(&path, option, problems),
            _ => problems.add(format!("\"{path}.type\" must be \"boolean\" or \"string\"")),
        }
    }
}

fn check_boolean(path: &str, option: &Object, problems: &mut Problems<'_>) {
    check_keys(path, option, &["type", "default", "description"], "a boolean option", problems);
    match option.get("default") {
        Some(Json::Bool(_)) => {}
        Some(other) => expect(&format!("{path}.default"), other, "true or false", false, problems),
        None => problems.add(format!("\"{path}\" needs a \"default\", true or false")),
    }
}

fn check_string(path: &str, option: &Object, problems: &mut Problems<'_>) {
    check_keys(
        path,
        option,
        &["type", "default", "description", "enum", "proposals"],
        "a string option",
        problems,
    );
    let default = match option.get("default") {
        Some(Json::String(text)) => Some(text.as_str()),
        Some(other) => {
            expect(&format!("{path}.default"), other, "a string", false, problems);
            None
        }
        None => {
            problems.add(format!("\"{path}\" needs a \"default\", which may be \"\""));
            None
        }
    };
    if option.get("enum").is_some() && option.get("proposals").is_some() {
        problems.add(format!(
            "\"{path}\" has both \"enum\" and \"proposals\"; keep \"enum\" if no other value is allowed, else \"proposals\""
        ));
    }
    if let Some(proposals) = option.get("proposals") {
        texts(&format!("{path}.proposals"), proposals, problems);
    }
    if let Some(list) = option.get("enum") {
        let allowed = texts(&format!("{path}.enum"), list, problems);
        if let Some(default) = default.filter(|default| !allowed.contains(default)) {
            problems.add(format!("the default \"{default}\" of \"{path}\" is not in its \"enum\""));
        }
    }
}

fn check_keys(path: &str, option: &Object, known: &[&str], kind: &str, problems: &mut Problems<'_>) {
    for (key, value) in option.iter() {
        if !known.contains(&key) {
            problems.add(format!("unknown property \"{path}.{key}\"; {kind} has {}", known.join(", ")));
        } else if key == "description" {
            expect(&format!("{path}.{key}"), value, "a string", value.as_str().is_some(), problems);
        }
    }
}
