//! `${…}` in devcontainer.json. Does no I/O, but for the environment's variables.

use std::path::Path;

use crate::feature::json::{Json, Object};

/// What the variables stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables {
    workspace: String,
    in_container: Option<String>,
}

impl Variables {
    /// The variables of a workspace with a configuration.
    pub fn of(workspace: &Path, config: &Object) -> Result<Self, String> {
        let workspace = workspace.to_string_lossy().into_owned();
        let named = config.get("workspaceFolder").and_then(Json::as_str).filter(|name| !name.is_empty());
        let in_container = match (named, config.get("dockerComposeFile")) {
            (Some(named), _) => named.to_owned(),
            (None, Some(_)) => "/".to_owned(),
            (None, None) => format!("/workspaces/{}", last(&workspace)),
        };
        let mut variables = Self { workspace, in_container: None };
        variables.in_container = Some(text(&variables, &in_container)?);
        Ok(variables)
    }

    fn value(&self, whole: &str, inner: &str) -> Result<String, String> {
        let mut parts = inner.split(':');
        let name = parts.next().unwrap_or_default();
        let in_container = self.in_container.as_deref();
        Ok(match name {
            "env" | "localEnv" => {
                let variable =
                    parts.next().ok_or_else(|| format!("{whole} names no environment variable"))?;
                // Rust's library panics at names that no variable can have.
                let usable = !variable.is_empty() && !variable.contains(['=', '\0']);
                let value = usable.then(|| std::env::var_os(variable)).flatten();
                match value {
                    Some(value) => value.to_string_lossy().into_owned(),
                    None => parts.next().unwrap_or_default().to_owned(),
                }
            }
            "localWorkspaceFolder" => self.workspace.clone(),
            "localWorkspaceFolderBasename" => last(&self.workspace).to_owned(),
            "containerWorkspaceFolder" => in_container.unwrap_or(whole).to_owned(),
            "containerWorkspaceFolderBasename" => in_container.map_or(whole, last).to_owned(),
            _ => whole.to_owned(),
        })
    }
}

fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// An object with the variables in all its texts replaced; names stay as they are.
pub fn object(variables: &Variables, object: &Object) -> Result<Object, String> {
    let mut replaced = Object::default();
    for (name, item) in object.iter() {
        replaced.set(name, value(variables, item)?);
    }
    Ok(replaced)
}

fn value(variables: &Variables, json: &Json) -> Result<Json, String> {
    Ok(match json {
        Json::String(string) => Json::String(text(variables, string)?),
        Json::Array(items) => {
            Json::Array(items.iter().map(|item| value(variables, item)).collect::<Result<_, _>>()?)
        }
        Json::Object(inner) => Json::Object(object(variables, inner)?),
        other => other.clone(),
    })
}

fn text(variables: &Variables, text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inner = &rest[start + 2..];
        let end = inner.find(['}', '\n', '\r', '\u{2028}', '\u{2029}']);
        let Some(end) = end.filter(|end| inner[*end..].starts_with('}')) else {
            out.push_str(&rest[..start + 2]);
            rest = inner;
            continue;
        };
        out.push_str(&rest[..start]);
        out.push_str(&variables.value(&rest[start..=start + 2 + end], &inner[..end])?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(config: &str) -> Variables {
        let config = crate::feature::json::parse(config).unwrap();
        Variables::of(Path::new("/home/me/work"), config.as_object().unwrap()).unwrap()
    }

    #[test]
    fn variables_are_replaced() {
        let plain = variables("{}");
        for (written, expected) in [
            ("a${localWorkspaceFolder}b", "a/home/me/workb"),
            ("${localWorkspaceFolderBasename}", "work"),
            ("${containerWorkspaceFolder}", "/workspaces/work"),
            ("${containerWorkspaceFolderBasename}", "work"),
            ("${localEnv:NO_SUCH_VARIABLE_HERE}", ""),
            ("${env:NO_SUCH_VARIABLE_HERE:x}${localEnv::y}", "xy"),
            ("${localEnv:NO_SUCH_VARIABLE_HERE:a:b}", "a"),
            ("${containerEnv:X} $ {} ${", "${containerEnv:X} $ {} ${"),
            ("${a\n${localWorkspaceFolderBasename}", "${a\nwork"),
        ] {
            assert_eq!(text(&plain, written).unwrap(), expected, "{written}");
        }
        assert_eq!(text(&plain, "${localEnv}").unwrap_err(), "${localEnv} names no environment variable");
        let named = variables(r#"{"workspaceFolder":"/w/${localWorkspaceFolderBasename}"}"#);
        assert_eq!(text(&named, "${containerWorkspaceFolder}").unwrap(), "/w/work");
        let composed = variables(r#"{"dockerComposeFile":"c.yml"}"#);
        assert_eq!(text(&composed, "${containerWorkspaceFolder}").unwrap(), "/");
    }
}
