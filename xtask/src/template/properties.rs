//! The properties that devcontainer-template.json may have, and the shape of each.

use super::placeholder;
use crate::feature::json::{Json, Object};
use crate::feature::known::Known;
use crate::feature::options;
use crate::feature::problem::Problems;
use crate::feature::properties::{expect, texts};

/// The shape of a property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Texts,
    Options,
    Paths,
    /// Written while packing, whatever it was before.
    Computed,
}

/// Every property of the schema and the specification, and `$schema`, which editors use.
const PROPERTIES: &[(&str, Shape)] = &[
    ("$schema", Shape::Text),
    ("id", Shape::Text),
    ("version", Shape::Text),
    ("name", Shape::Text),
    ("description", Shape::Text),
    ("documentationURL", Shape::Text),
    ("licenseURL", Shape::Text),
    ("options", Shape::Options),
    ("platforms", Shape::Texts),
    ("publisher", Shape::Text),
    ("keywords", Shape::Texts),
    ("optionalPaths", Shape::Paths),
    ("type", Shape::Computed),
    ("files", Shape::Computed),
    ("fileCount", Shape::Computed),
    ("featureIds", Shape::Computed),
];

const KNOWN: Known<Shape> = Known {
    of: "Templates",
    properties: PROPERTIES,
    // The specification's own table writes it so, and nothing else does.
    misplaced: &[("optionalPath", "unknown property \"optionalPath\"; write \"optionalPaths\"")],
};

/// Checks every property of a Template's metadata.
pub fn check(metadata: &Object, problems: &mut Problems<'_>) {
    KNOWN.check(metadata, problems, check_shape);
}

fn check_shape(name: &str, shape: Shape, value: &Json, problems: &mut Problems<'_>) {
    match shape {
        Shape::Text => expect(name, value, "a string", value.as_str().is_some(), problems),
        Shape::Texts => {
            texts(name, value, problems);
        }
        Shape::Options => check_options(value, problems),
        Shape::Paths => {
            for path in texts(name, value, problems) {
                let outside = path.starts_with('/') || path.split('/').any(|part| part == "..");
                if outside || path.is_empty() {
                    problems.add(format!(
                        "\"{name}\" names \"{path}\"; write a path below the Template's folder, and \"folder/*\" for a folder"
                    ));
                }
            }
        }
        Shape::Computed => {}
    }
}

fn check_options(value: &Json, problems: &mut Problems<'_>) {
    let Json::Object(declared) = value else {
        return options::check_declarations(value, problems);
    };
    let mut plain = Object::default();
    for (name, option) in declared.iter() {
        if !placeholder::is_name(name) {
            problems.add(format!(
                "the option \"{name}\" cannot be asked for in a file; use letters, digits and \"_\""
            ));
        }
        plain.set(name, without_text_flag(option));
    }
    options::check_declarations(&Json::Object(plain), problems);
}

/// An option whose default is a flag that is written as text, which the specification's example does.
fn without_text_flag(option: &Json) -> Json {
    let Json::Object(object) = option else {
        return option.clone();
    };
    let boolean = object.get("type").and_then(Json::as_str) == Some("boolean");
    let flag = match object.get("default").and_then(Json::as_str) {
        Some("true") if boolean => true,
        Some("false") if boolean => false,
        _ => return option.clone(),
    };
    let mut object = object.clone();
    object.set("default", Json::Bool(flag));
    Json::Object(object)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::feature::json;

    fn problems(text: &str) -> Vec<String> {
        let path = Path::new("t.json");
        let mut problems = Problems::of(path);
        check(json::parse(text).unwrap().as_object().unwrap(), &mut problems);
        problems.into_vec().into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn each_rule_has_its_sentence() {
        for (text, expected) in [
            (r#"{"nmae":1}"#, "unknown property \"nmae\"; the specification of Templates has none"),
            (r#"{"Platforms":1}"#, "unknown property \"Platforms\"; write \"platforms\""),
            (r#"{"optionalPath":[]}"#, "unknown property \"optionalPath\"; write \"optionalPaths\""),
            (r#"{"install.sh":1}"#, "unknown property \"install.sh\""),
            (r#"{"publisher":1}"#, "\"publisher\" must be a string, and is a number"),
            (r#"{"platforms":"x"}"#, "\"platforms\" must be a list of strings, and is a string"),
            (r#"{"keywords":["x",null]}"#, "\"keywords[1]\" must be a string, and is null"),
            (r#"{"optionalPaths":["../x"]}"#, "\"optionalPaths\" names \"../x\"; write a path below"),
            (r#"{"optionalPaths":["/x/*"]}"#, "\"optionalPaths\" names \"/x/*\"; write a path below"),
            (r#"{"optionalPaths":[""]}"#, "\"optionalPaths\" names \"\"; write a path below"),
            (r#"{"options":[]}"#, "\"options\" must be an object, and is a list"),
            (r#"{"options":{"o":{"type":"number","default":1}}}"#, "\"options.o.type\" must be"),
            (r#"{"options":{"o":{"type":"boolean","default":"yes"}}}"#, "\"options.o.default\" must be true"),
            (
                r#"{"options":{"o":{"type":"string","default":"x","enum":["y"]}}}"#,
                "the default \"x\" of \"options.o\" is not in its \"enum\"",
            ),
            (
                r#"{"options":{"a-b":{"type":"string","default":"x"}}}"#,
                "the option \"a-b\" cannot be asked for in a file",
            ),
        ] {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(expected), "{text}: {found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn a_file_with_everything_is_valid() {
        let text = r#"{"$schema":"s","id":"a","version":"1.0.0","name":"A","description":"d",
            "documentationURL":"u","licenseURL":"l","platforms":["Any"],"publisher":"p","keywords":["k"],
            "optionalPaths":["a.md",".github/*"],"type":"image","files":[],"fileCount":1,"featureIds":[],
            "options":{"s":{"type":"string","default":"","proposals":["x"],"description":"d"},
                       "2":{"type":"string","default":""},"S":{"type":"string","default":""},
                       "e_1":{"type":"string","default":"x","enum":["x"]},
                       "b":{"type":"boolean","default":false},"t":{"type":"boolean","default":"true"}}}"#;
        assert_eq!(problems(text), Vec::<String>::new());
    }
}
