//! The rules for the options of a Feature, and those that a Template's share.

use std::collections::HashMap;

use super::json::{Json, Object};
use super::problem::{Problems, member};
use super::properties::{expect, texts};

/// Checks the value of a Feature's `options`.
pub fn check(value: &Json, problems: &mut Problems<'_>) {
    if let Json::Object(options) = value {
        check_variables(options, problems);
    }
    check_declarations(value, problems);
}

/// Checks what each option is, whatever becomes of its name.
pub fn check_declarations(value: &Json, problems: &mut Problems<'_>) {
    let Json::Object(options) = value else {
        return expect("options", value, "an object", false, problems);
    };
    for (name, option) in options.iter() {
        let path = member("options", name);
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

/// What install.sh has without any option.
const GIVEN: [&str; 4] = ["_REMOTE_USER", "_CONTAINER_USER", "_REMOTE_USER_HOME", "_CONTAINER_USER_HOME"];

/// install.sh reads each option from an environment variable, so each needs one of its own.
fn check_variables(options: &Object, problems: &mut Problems<'_>) {
    let mut taken: HashMap<String, &str> = HashMap::new();
    for (name, _) in options.iter() {
        let (path, variable) = (member("options", name), variable(name));
        if variable.is_empty() || variable == "_" {
            problems.add(format!(
                "the name of \"{path}\" leaves nothing to name an environment variable with; use ASCII letters"
            ));
        } else if GIVEN.contains(&variable.as_str()) {
            problems.add(format!(
                "\"{path}\" comes to install.sh as {variable}, which means something else there; rename it"
            ));
        } else if let Some(other) = taken.get(&variable) {
            problems.add(format!(
                "\"{path}\" and \"{}\" both come to install.sh as {variable}; rename one of them",
                member("options", other)
            ));
        } else {
            taken.insert(variable, name);
        }
    }
}

/// The environment variable of an option, as consumers make it.
pub fn variable(name: &str) -> String {
    // JavaScript counts in UTF-16.
    let word = |c: char| {
        let kept = c.is_ascii_alphanumeric() || c == '_';
        std::iter::repeat_n(if kept { c.to_ascii_uppercase() } else { '_' }, c.len_utf16())
    };
    let all: String = name.chars().flat_map(word).collect();
    let rest = all.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    if rest.len() == all.len() { all } else { format!("_{rest}") }
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
            problems.add(format!(
                "unknown property \"{}\"; {kind} has {}",
                member(path, key),
                known.join(", ")
            ));
        } else if key == "description" {
            expect(&member(path, key), value, "a string", value.as_str().is_some(), problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        for (name, expected) in [
            ("version", "VERSION"),
            ("installDirenvFromSystem", "INSTALLDIRENVFROMSYSTEM"),
            ("node-version.lts", "NODE_VERSION_LTS"),
            ("7zip", "_ZIP"),
            ("__a_b", "_A_B"),
            ("größe", "GR__E"),
            ("a😀", "A__"),
            ("123", "_"),
            ("é", "_"),
            ("", ""),
        ] {
            assert_eq!(variable(name), expected, "{name}");
        }
    }
}
