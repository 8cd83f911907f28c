//! What a policy file says. Pure.
//!
//! JSON with comments and trailing commas, and nothing else that is not JSON; a key that is not known is refused.

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::policy::{DEFAULT_PORT, Draft, Mode};

/// More than the form needs; the parser calls itself for each level.
const MAX_DEPTH: usize = 16;

/// What is wrong with the text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    pub(super) what: String,
}

/// Adds to `draft` what the file says; its rules come from `path` and a line.
pub(super) fn add(
    bytes: &[u8],
    path: &str,
    asked: Option<Mode>,
    draft: &mut Draft,
) -> Result<Option<Mode>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        at(before, before.len(), "not UTF-8; save the file in that encoding")
    })?;
    // Some editors write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let top = parse(text)?;
    Reader { text, path, asked, draft }.top(&top)
}

fn parse(text: &str) -> Result<Value<'_>, Problem> {
    check_depth(text)?;
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
        let kind = error.kind().to_string();
        let kind = kind.trim_end_matches('.');
        at(text, error.range().start, &format!("no JSON with comments: {kind}"))
    })?;
    parsed.value.ok_or_else(|| at(text, text.len(), "the file holds nothing; write {} for no names"))
}

struct Reader<'a> {
    text: &'a str,
    path: &'a str,
    asked: Option<Mode>,
    draft: &'a mut Draft,
}

impl Reader<'_> {
    fn top(&mut self, value: &Value<'_>) -> Result<Option<Mode>, Problem> {
        let mut mode = None;
        for (key, place, value) in self.keys(value, "the file", &["mode", "presets", "allow"])? {
            match key {
                "mode" => mode = Some(self.mode(value)?),
                "presets" => {
                    for value in &self.list(value, place, "presets", "[\"github\"]")?.elements {
                        let name = self.string(value, "a preset's name in quotes, as in \"github\"")?;
                        self.draft.preset(name).map_err(|error| self.at(value, &error.to_string()))?;
                    }
                }
                _ => {
                    for value in &self.list(value, place, "allow", "[\"api.example.com\"]")?.elements {
                        self.entry(value)?;
                    }
                }
            }
        }
        Ok(mode)
    }

    fn mode(&self, value: &Value<'_>) -> Result<Mode, Problem> {
        let form = "\"enforce\" or \"audit\"";
        let text = self.string(value, form)?;
        let mode = (!text.is_empty()).then(|| Mode::parse(text)).flatten();
        let mode = mode.ok_or_else(|| self.at(value, &format!("there is no mode '{text}'; write {form}")))?;
        match self.asked {
            Some(asked) if asked != mode => Err(self.at(
                value,
                &format!(
                    "the option `mode` is '{asked}' and this is '{mode}'; leave one of them out, or write the same in both"
                ),
            )),
            _ => Ok(mode),
        }
    }

    fn entry(&mut self, value: &Value<'_>) -> Result<(), Problem> {
        let from = format!("{} line {}", self.path, at(self.text, value.start(), "").line);
        if let Value::StringLit(name) = value {
            let added = self.draft.entry(&name.value, &from);
            return added.map_err(|error| self.at(value, &format!("'{}' {error}", name.value)));
        }
        let form = "a name in quotes, or { \"name\": \"api.example.com\", \"ports\": [443], \"why\": \"…\" }";
        let Value::Object(_) = value else {
            return Err(
                self.at(value, &format!("{} stands where an entry belongs; write {form}", kind(value)))
            );
        };
        let (mut name, mut ports) = (None, vec![(DEFAULT_PORT, value)]);
        for (key, place, value) in self.keys(value, "an entry", &["name", "ports", "why"])? {
            match key {
                "name" => name = Some((value, self.string(value, "a host's name in quotes")?)),
                "ports" => ports = self.ports(value, place)?,
                _ => _ = self.string(value, "a reason in quotes")?,
            }
        }
        let (place, name) =
            name.ok_or_else(|| self.at(value, &format!("the entry has no name; write {form}")))?;
        for (port, written) in ports {
            self.draft.named(name, port, &from).map_err(|error| {
                let place = if error.is_of_port() { written } else { place };
                self.at(place, &format!("'{name}' {error}"))
            })?;
        }
        Ok(())
    }

    fn ports<'v>(&self, value: &'v Value<'v>, place: usize) -> Result<Vec<(u16, &'v Value<'v>)>, Problem> {
        let list = self.list(value, place, "ports", "[443, 8443]")?;
        let port = |value: &'v Value<'v>| {
            let port = value.as_number_lit().and_then(|number| number.value.parse::<u16>().ok());
            let port = port.filter(|port| *port != 0);
            let what = "not a port; write a number from 1 to 65535, without quotes";
            Ok((port.ok_or_else(|| self.at(value, what))?, value))
        };
        let ports = list.elements.iter().map(port).collect::<Result<Vec<_>, _>>()?;
        if ports.is_empty() {
            return Err(self.at(value, "no port in the list; write one, or leave \"ports\" out for 443"));
        }
        Ok(ports)
    }

    /// The keys of an object, each once and one of `known`, with the place and the value of each.
    fn keys<'v>(
        &self,
        value: &'v Value<'_>,
        what: &str,
        known: &[&'static str],
    ) -> Result<Vec<(&'static str, usize, &'v Value<'v>)>, Problem> {
        let Value::Object(Object { properties, .. }) = value else {
            let said = format!("{what} is {} and not an object; write {{ … }}", kind(value));
            return Err(self.at(value, &said));
        };
        let mut found: Vec<(&'static str, usize, &'v Value<'v>)> = Vec::new();
        for property in properties {
            let place = property.range.start;
            let fail = |what: &str| at(self.text, place, what);
            let key = property.name.as_str();
            let Some(key) = known.iter().find(|name| **name == key) else {
                let said = format!("{what} has the unknown key \"{key}\"; there are: {}", known.join(", "));
                return Err(fail(&said));
            };
            if found.iter().any(|(other, ..)| other == key) {
                return Err(fail(&format!("{what} has \"{key}\" twice; write it once")));
            }
            found.push((key, place, &property.value));
        }
        Ok(found)
    }

    fn list<'v>(
        &self,
        value: &'v Value<'v>,
        place: usize,
        key: &str,
        form: &str,
    ) -> Result<&'v Array<'v>, Problem> {
        let said = || format!("\"{key}\" is {} and not a list; write \"{key}\": {form}", kind(value));
        value.as_array().ok_or_else(|| at(self.text, place, &said()))
    }

    fn string<'v>(&self, value: &'v Value<'v>, form: &str) -> Result<&'v str, Problem> {
        let text = value.as_string_lit().map(|text| text.value.as_ref());
        text.ok_or_else(|| {
            self.at(value, &format!("{} stands where text belongs; write {form}", kind(value)))
        })
    }

    fn at(&self, value: &Value<'_>, what: &str) -> Problem {
        at(self.text, value.start(), what)
    }
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::NullKeyword(_) => "null",
        Value::BooleanLit(_) => "a boolean",
        Value::NumberLit(_) => "a number",
        Value::StringLit(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn check_depth(text: &str) -> Result<(), Problem> {
    let (mut depth, mut rest) = (0_usize, text);
    while let Some(c) = rest.chars().next() {
        let offset = text.len() - rest.len();
        let length = match c {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |end| end + 4),
            '{' | '[' if depth == MAX_DEPTH => {
                return Err(at(text, offset, "nested deeper than any policy; remove the brackets"));
            }
            '{' | '[' => {
                depth += 1;
                1
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                1
            }
            c => c.len_utf8(),
        };
        rest = &rest[length..];
    }
    Ok(())
}

/// The length of the string that a text begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return index + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn at(text: &str, offset: usize, what: &str) -> Problem {
    let offset = (0..=offset).rev().find(|&offset| text.is_char_boundary(offset)).unwrap_or(0);
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Problem {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests;
