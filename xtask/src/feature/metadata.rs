//! devcontainer-feature.json or devcontainer-template.json as a checked value.

use std::path::Path;

use semver::Version;

use super::grammar;
use super::js_json;
use super::json::{self, Json, Object};
use super::kind::Kind;
use super::problem::{Problem, Problems};
use super::properties;
use crate::template;

/// What a valid file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// What it is of.
    pub kind: Kind,
    /// The id, which is also the folder's name and the end of the repository's name.
    pub id: String,
    /// The version.
    pub version: Version,
    /// Ids under which the Feature was published before.
    pub legacy_ids: Vec<String>,
    /// Whether users are told to move on.
    pub deprecated: bool,
    /// The whole file, with what is added while packing.
    pub json: Json,
    /// The bytes of the file in the archive.
    pub file: Vec<u8>,
}

impl Metadata {
    /// Reads the text of the file. `folder` is the name of the folder that it lies in.
    pub fn parse(kind: Kind, path: &Path, bytes: &[u8], folder: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::of(path);
        let Ok(text) = std::str::from_utf8(bytes) else {
            problems.add("the file is not UTF-8");
            return Err(problems.into_vec());
        };
        let object = match json::parse(text) {
            Ok(Json::Object(object)) => object,
            Ok(other) => {
                problems.add(format!("the file must hold an object, and holds {}", other.kind()));
                return Err(problems.into_vec());
            }
            Err(error) => {
                problems.add(error.to_string());
                return Err(problems.into_vec());
            }
        };
        match kind {
            Kind::Feature => properties::check(&object, &mut problems),
            Kind::Template => template::properties::check(&object, &mut problems),
        }
        let id = check_id(&object, folder, &mut problems);
        let version = check_version(&object, &mut problems);
        require_text(&object, "name", &mut problems);
        let legacy_ids = check_legacy_ids(&object, id, &mut problems);
        let problems = problems.into_vec();
        match (id, version) {
            (Some(id), Some(version)) if problems.is_empty() => {
                Ok(Self::assemble(kind, id.to_owned(), version, legacy_ids, object, bytes))
            }
            _ => Err(problems),
        }
    }

    fn assemble(
        kind: Kind,
        id: String,
        version: Version,
        legacy_ids: Vec<String>,
        mut object: Object,
        bytes: &[u8],
    ) -> Self {
        let deprecated = object.get("deprecated") == Some(&Json::Bool(true));
        let renamed = !legacy_ids.is_empty();
        if renamed {
            object.set("currentId", Json::String(id.clone()));
        }
        let json = Json::Object(object);
        // The official CLI rewrites the file of a renamed Feature in just this form.
        let file = if renamed { js_json::stringify_pretty(&json).into_bytes() } else { bytes.to_vec() };
        Self { kind, id, version, legacy_ids, deprecated, json, file }
    }

    /// The value of the `dev.containers.metadata` annotation.
    pub fn annotation(&self) -> String {
        js_json::stringify(&self.json)
    }
}

/// A required string that is not empty.
fn require_text<'a>(object: &'a Object, name: &str, problems: &mut Problems<'_>) -> Option<&'a str> {
    match object.get(name) {
        None => problems.add(format!("the required property \"{name}\" is missing")),
        Some(Json::String(text)) if text.trim().is_empty() => {
            problems.add(format!("the required property \"{name}\" is empty"));
        }
        Some(Json::String(text)) => return Some(text),
        // The table of properties says what is wrong with it.
        Some(_) => {}
    }
    None
}

fn check_id<'a>(object: &'a Object, folder: &str, problems: &mut Problems<'_>) -> Option<&'a str> {
    let id = require_text(object, "id", problems)?;
    if !grammar::is_id(id) {
        problems.add(format!(
            "the id \"{id}\" cannot name a repository; use letters and digits with single \".\", \"_\" or \"-\" between them"
        ));
    } else if id != folder {
        problems.add(format!("the id \"{id}\" differs from its folder \"{folder}\"; give both one name"));
    }
    Some(id)
}

fn check_version(object: &Object, problems: &mut Problems<'_>) -> Option<Version> {
    let text = require_text(object, "version", problems)?;
    match grammar::version(text) {
        Ok(version) => Some(version),
        Err(what) => {
            problems.add(what);
            None
        }
    }
}

fn check_legacy_ids(object: &Object, id: Option<&str>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    for (index, legacy) in
        object.get("legacyIds").and_then(Json::as_array).unwrap_or_default().iter().enumerate()
    {
        let Some(legacy) = legacy.as_str() else {
            continue;
        };
        let path = format!("\"legacyIds[{index}]\" (\"{legacy}\")");
        if !grammar::is_id(legacy) {
            problems.add(format!("{path} cannot name a repository"));
        } else if id.is_some_and(|id| same(id, legacy)) {
            problems.add(format!("{path} is the id itself; remove it"));
        } else if ids.iter().any(|known| same(known, legacy)) {
            problems.add(format!("{path} is listed twice"));
        } else {
            ids.push(legacy.to_owned());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match Metadata::parse(Kind::Feature, Path::new("f.json"), text.as_bytes(), "a") {
            Ok(_) => Vec::new(),
            Err(found) => found.into_iter().map(|problem| problem.what).collect(),
        }
    }

    /// A valid file with more properties.
    fn with(more: &str) -> String {
        format!(r#"{{"id":"a","version":"1.0.0","name":"A",{more}}}"#)
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table with a line for each rule")]
    fn each_rule_has_its_sentence() {
        let table: &[(String, &str)] = &[
            ("{".to_owned(), "line 1, column 1: unterminated object"),
            ("[]".to_owned(), "the file must hold an object, and holds a list"),
            (r#"{"version":"1.0.0","name":"A"}"#.to_owned(), "the required property \"id\" is missing"),
            (r#"{"id":"a","name":"A"}"#.to_owned(), "the required property \"version\" is missing"),
            (r#"{"id":"a","version":"1.0.0"}"#.to_owned(), "the required property \"name\" is missing"),
            (
                r#"{"id":"a","version":"1.0.0","name":" "}"#.to_owned(),
                "the required property \"name\" is empty",
            ),
            (
                r#"{"id":1,"version":"1.0.0","name":"A"}"#.to_owned(),
                "\"id\" must be a string, and is a number",
            ),
            (
                r#"{"id":"b","version":"1.0.0","name":"A"}"#.to_owned(),
                "the id \"b\" differs from its folder \"a\"",
            ),
            (
                r#"{"id":"A b","version":"1.0.0","name":"A"}"#.to_owned(),
                "the id \"A b\" cannot name a repository",
            ),
            (
                r#"{"id":"a","version":"1.0","name":"A"}"#.to_owned(),
                "the version \"1.0\" is not semantic versioning",
            ),
            (
                r#"{"id":"a","version":"1.0.0+b","name":"A"}"#.to_owned(),
                "the version \"1.0.0+b\" has build metadata",
            ),
            (with(r#""nmae":1"#), "unknown property \"nmae\""),
            (with(r#""Options":{}"#), "unknown property \"Options\"; write \"options\""),
            (with(r#""currentId":"a""#), "the property \"currentId\" is added while packing"),
            (with(r#""installScript":"x""#), "unknown property \"installScript\""),
            (with(r#""keywords":"x""#), "\"keywords\" must be a list of strings, and is a string"),
            (with(r#""keywords":["x",1]"#), "\"keywords[1]\" must be a string, and is a number"),
            (with(r#""privileged":"true""#), "\"privileged\" must be true or false, and is a string"),
            (with(r#""containerEnv":{"A":1}"#), "\"containerEnv.A\" must be a string, and is a number"),
            (with(r#""containerEnv":[]"#), "\"containerEnv\" must be an object of strings, and is a list"),
            (with(r#""customizations":[]"#), "\"customizations\" must be an object, and is a list"),
            (
                with(r#""options":{"o":{"type":"number","default":1}}"#),
                "\"options.o.type\" must be \"boolean\" or \"string\"",
            ),
            (
                with(r#""options":{"o":{"type":"boolean"}}"#),
                "\"options.o\" needs a \"default\", true or false",
            ),
            (
                with(r#""options":{"o":{"type":"boolean","default":"true"}}"#),
                "\"options.o.default\" must be true or false",
            ),
            (
                with(r#""options":{"o":{"type":"boolean","default":true,"enum":[]}}"#),
                "unknown property \"options.o.enum\"",
            ),
            (with(r#""options":{"o":{"type":"string"}}"#), "\"options.o\" needs a \"default\""),
            (
                with(r#""options":{"o":{"type":"string","default":"x","enum":["y"]}}"#),
                "the default \"x\" of \"options.o\" is not in its \"enum\"",
            ),
            (
                with(r#""options":{"o":{"type":"string","default":"x","enum":["x"],"proposals":["x"]}}"#),
                "has both \"enum\" and \"proposals\"",
            ),
            (
                with(r#""options":{"o":{"type":"string","default":"x","description":1}}"#),
                "\"options.o.description\" must be a string",
            ),
            (with(r#""options":{"o":1}"#), "\"options.o\" must be an object"),
            (with(r#""mounts":["source=a,target=b,type=bind"]"#), "\"mounts[0]\" must be an object"),
            (
                with(r#""mounts":[{"type":"tmpfs","target":"/x"}]"#),
                "\"mounts[0].type\" must be \"bind\" or \"volume\"",
            ),
            (with(r#""mounts":[{"type":"bind"}]"#), "\"mounts[0]\" needs the property \"target\""),
            (
                with(r#""mounts":[{"type":"bind","target":"/x","ro":true}]"#),
                "unknown property \"mounts[0].ro\"",
            ),
            (with(r#""postStartCommand":1"#), "\"postStartCommand\" must be a string, a list of strings"),
            (with(r#""postStartCommand":{"a":{}}"#), "\"postStartCommand.a\" must be a string or a list"),
            (with(r#""onCreateCommand":["a",1]"#), "\"onCreateCommand[1]\" must be a string"),
            (with(r#""initializeCommand":"x""#), "unknown property \"initializeCommand\""),
            (
                with(r#""installsAfter":["git","a b"]"#),
                "\"installsAfter[1]\" (\"a b\") is no reference to a published Feature",
            ),
            (
                with(r#""installsAfter":["./b"]"#),
                "\"installsAfter[0]\" (\"./b\") is a path, which leads nowhere",
            ),
            (with(r#""dependsOn":{"./b":{}}"#), "\"dependsOn['./b']\" is a path, which leads nowhere"),
            (with(r#""dependsOn":{"git":{}}"#), "\"dependsOn.git\" is no reference to a published Feature"),
            (
                with(
                    r#""options":{"a-b":{"type":"boolean","default":true},"A.B":{"type":"boolean","default":true}}"#,
                ),
                "\"options['A.B']\" and \"options.a-b\" both come to install.sh as A_B",
            ),
            (
                with(
                    r#""options":{"_remoteUser":{"type":"string","default":""},"_remote_user":{"type":"string","default":""}}"#,
                ),
                "\"options._remote_user\" comes to install.sh as _REMOTE_USER",
            ),
            (
                with(r#""options":{"7":{"type":"string","default":""}}"#),
                "the name of \"options.7\" leaves nothing",
            ),
            (with(r#""dependsOn":{"ghcr.io/a/b/c":1}"#), "must be an object of options, and is a number"),
            (with(r#""legacyIds":["c","a b"]"#), "\"legacyIds[1]\" (\"a b\") cannot name a repository"),
            (with(r#""legacyIds":["A"]"#), "\"legacyIds[0]\" (\"A\") is the id itself"),
            (with(r#""legacyIds":["b","B"]"#), "\"legacyIds[1]\" (\"B\") is listed twice"),
            (
                r#"{"id":"A","version":"1.0.0","name":"A"}"#.to_owned(),
                "the id \"A\" differs from its folder \"a\"",
            ),
        ];
        for (text, expected) in table {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(expected), "{text}: {found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn a_file_with_everything_is_valid() {
        let text = with(
            r#""$schema":"x","description":"d","documentationURL":"u","licenseURL":"l","keywords":["k"],
            "options":{"s":{"type":"string","default":""},"e":{"type":"string","enum":["x"],"default":"x"},
                       "p":{"type":"string","proposals":["x"],"default":"y"},"b":{"type":"boolean","default":false}},
            "containerEnv":{"A":"1"},"privileged":false,"init":true,"capAdd":["X"],"securityOpt":["y"],"entrypoint":"/e",
            "mounts":[{"type":"volume","target":"/t","source":"s"}],"customizations":{"vscode":{"any":[1]}},
            "installsAfter":["common-utils","ghcr.io/devcontainers/features/git"],"dependsOn":{"ghcr.io/a/b/c:1":{"o":true}},
            "deprecated":true,"onCreateCommand":"a","updateContentCommand":["a","b"],
            "postCreateCommand":{"x":"a","y":["b"]},"postStartCommand":"a","postAttachCommand":"a""#,
        );
        assert_eq!(problems(&text), Vec::<String>::new());
    }

    #[test]
    fn a_renamed_feature_is_rewritten_with_its_current_id() {
        let text = with(r#""legacyIds":["old"]"#);
        let metadata = Metadata::parse(Kind::Feature, Path::new("f.json"), text.as_bytes(), "a").unwrap();
        assert_eq!(
            metadata.annotation(),
            r#"{"id":"a","version":"1.0.0","name":"A","legacyIds":["old"],"currentId":"a"}"#
        );
        assert!(metadata.file.starts_with(b"{\n    \"id\": \"a\",\n"));
        let plain = with(r#""legacyIds":[]"#);
        let metadata = Metadata::parse(Kind::Feature, Path::new("f.json"), plain.as_bytes(), "a").unwrap();
        assert_eq!(metadata.file, plain.as_bytes());
    }
}
