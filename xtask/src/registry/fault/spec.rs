//! How a fault is written. Does no I/O.

use std::str::FromStr;
use std::time::Duration;

use hyper::StatusCode;

use super::{Effect, Fault, Limit, Location, Page, Refused, RetryAfter, Tokens};

/// What `--help` says.
pub const HELP: &str = "\
Misbehave: EFFECT[=VALUE][,KEY=VALUE]..., and as often as wanted

  status=N             answer N and do nothing; retry-after=TEXT or retry-after=date:SECONDS,
                       body=json, html or empty
  cut-request=N        end the connection after N bytes of the request's body; nothing is done
  cut-answer=N         do it, and end the connection after N bytes of the answer, its head included
  truncate=N           a body of N bytes, and a length that agrees
  wrong-content        a blob or manifest with other bytes
  drip=SECONDS         a pause before each byte of the body
  page=N               at most N tags in an answer
  tags-null            null in place of the list of tags
  hide-tags=PATTERN    a list of tags that lacks some
  lost                 answer 201 to a manifest or the end of an upload and store nothing;
                       of a manifest with ?tag= only the tags are lost
  no-tag-parameter     do not know ?tag=
  no-mount             answer a mount by 202
  not-satisfiable      answer a chunk by 416 and keep nothing of it
  partial-chunk        answer a chunk by 416 and keep half of it
  patch-limit=SIZE     answer a larger chunk by 416, as in 4MiB
  chunk-min=SIZE       say OCI-Chunk-Min-Length, and hold clients to it
  length-required      answer 411 where Content-Length is missing
  location=KIND        of an upload: missing, absolute, query (which must come back),
                       or the address of another host, as in http://localhost:5001
  warning=TEXT         send a header Warning: 299
  token=SECONDS        want bearer tokens, each good for so long; 0 refuses every one;
                       realm=URL names another place for them, login=USER:PASSWORD is their price

To which requests (to all that the effect can meet, if nothing is said):

  method=METHOD        only those with this method
  path=PATTERN         only those with such a path; * stands for anything, as in */manifests/*
  from=N               the Nth such request and those after it
  count=N              so many of them

As in: --fault status=429,retry-after=0.5,method=PUT,path=*/manifests/*,from=2,count=1";

/// Why something is not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is no such effect.
    #[error("there is no fault \"{0}\"; `cargo xtask registry serve --help` lists them")]
    Effect(String),
    /// The effect has no such setting.
    #[error("\"{0}\" is no setting of this fault; `cargo xtask registry serve --help` lists them")]
    Key(String),
    /// A value is missing or none of those that are possible.
    #[error("\"{name}\" wants {wanted}, and \"{value}\" is not that")]
    Value {
        /// What it is the value of.
        name: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        value: String,
    },
}

/// The settings that are not used up yet.
struct Settings<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Settings<'a> {
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let index = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(index).1)
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, SpecError> {
        self.take(name).map(|value| number(name, value)).transpose()
    }
}

impl FromStr for Fault {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut parts = text.split(',').map(|part| part.split_once('=').unwrap_or((part, "")));
        let (name, value) = parts.next().unwrap_or_default();
        let mut settings = Settings(parts.collect());
        let effect = effect(name, value, &mut settings)?;
        let limit = Limit {
            method: settings.take("method").map(str::to_owned),
            path: settings.take("path").map(str::to_owned),
            from: settings.number("from")?.unwrap_or(1),
            count: settings.number("count")?,
        };
        match settings.0.first() {
            Some((key, _)) => Err(SpecError::Key((*key).to_owned())),
            None => Ok(Self { effect, limit, text: text.to_owned() }),
        }
    }
}

fn effect(name: &str, value: &str, settings: &mut Settings<'_>) -> Result<Effect, SpecError> {
    let some = || match value {
        "" => Err(wrong(name, "a text", value)),
        value => Ok(value.to_owned()),
    };
    let plain = |effect| if value.is_empty() { Ok(effect) } else { Err(wrong(name, "no value", value)) };
    Ok(match name {
        "status" => Effect::Status(refused(value, settings)?),
        "cut-request" => Effect::CutRequest(number(name, value)?),
        "cut-answer" => Effect::CutAnswer(number(name, value)?),
        "truncate" => Effect::Truncate(count(name, value)?),
        "wrong-content" => plain(Effect::WrongContent)?,
        "drip" => Effect::Drip(seconds(name, value)?),
        "page" => Effect::Page(count(name, value)?),
        "tags-null" => plain(Effect::TagsNull)?,
        "hide-tags" => Effect::HideTags(some()?),
        "lost" => plain(Effect::Lost)?,
        "no-tag-parameter" => plain(Effect::NoTagParameter)?,
        "no-mount" => plain(Effect::NoMount)?,
        "not-satisfiable" => plain(Effect::NotSatisfiable)?,
        "partial-chunk" => plain(Effect::PartialChunk)?,
        "patch-limit" => Effect::PatchLimit(number(name, value)?),
        "chunk-min" => Effect::ChunkMinimum(number(name, value)?),
        "length-required" => plain(Effect::LengthRequired)?,
        "location" => Effect::Location(match value {
            "missing" => Location::Missing,
            "absolute" => Location::Absolute,
            "query" => Location::Query,
            other if other.starts_with("http://") || other.starts_with("https://") => {
                Location::Elsewhere(other.trim_end_matches('/').to_owned())
            }
            other => return Err(wrong(name, "missing, absolute, query or an address", other)),
        }),
        "warning" => Effect::Warning(some()?),
        "token" => Effect::Token(Tokens {
            life: seconds(name, value)?,
            realm: settings.take("realm").map(str::to_owned),
            login: settings.take("login").map(str::to_owned),
        }),
        other => return Err(SpecError::Effect(other.to_owned())),
    })
}

fn refused(value: &str, settings: &mut Settings<'_>) -> Result<Refused, SpecError> {
    let status = value.parse().ok().filter(|status: &StatusCode| status.as_u16() >= 300);
    let status = status.ok_or_else(|| wrong("status", "a status from 300 on", value))?;
    let retry_after = match settings.take("retry-after") {
        Some(text) => Some(match text.strip_prefix("date:") {
            Some(ahead) => RetryAfter::Ahead(seconds("retry-after", ahead)?),
            None => RetryAfter::Text(text.to_owned()),
        }),
        None => None,
    };
    let body = match settings.take("body") {
        None | Some("json") => Page::Json,
        Some("html") => Page::Html,
        Some("empty") => Page::Empty,
        Some(other) => return Err(wrong("body", "json, html or empty", other)),
    };
    Ok(Refused { status, retry_after, body })
}

fn wrong(name: &str, wanted: &'static str, value: &str) -> SpecError {
    SpecError::Value { name: name.to_owned(), wanted, value: value.to_owned() }
}

fn seconds(name: &str, value: &str) -> Result<Duration, SpecError> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| wrong(name, "a number of seconds", value))
}

/// A number, of bytes perhaps.
fn number(name: &str, value: &str) -> Result<u64, SpecError> {
    let (digits, unit) = match value.split_once(['K', 'M']) {
        Some((digits, "iB")) => (digits, if value.contains('K') { 10 } else { 20 }),
        _ => (value, 0),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << unit));
    number.ok_or_else(|| wrong(name, "a whole number", value))
}

fn count(name: &str, value: &str) -> Result<usize, SpecError> {
    usize::try_from(number(name, value)?).map_err(|_| wrong(name, "a smaller number", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::fault::is_like;

    #[test]
    fn faults_as_they_are_written() {
        let read = |text: &str| text.parse::<Fault>().unwrap();
        let fault = read("status=429,retry-after=0.5,method=PUT,path=*/manifests/*,from=2,count=1");
        assert_eq!(
            fault.effect,
            Effect::Status(Refused {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(RetryAfter::Text("0.5".to_owned())),
                body: Page::Json,
            })
        );
        assert_eq!(
            fault.limit,
            Limit {
                method: Some("PUT".to_owned()),
                path: Some("*/manifests/*".to_owned()),
                from: 2,
                count: Some(1),
            }
        );
        assert_eq!(
            fault.to_string(),
            "status=429,retry-after=0.5,method=PUT,path=*/manifests/*,from=2,count=1"
        );
        assert_eq!(read("tags-null").limit, Limit { from: 1, ..Limit::default() });
        assert_eq!(read("patch-limit=4MiB").effect, Effect::PatchLimit(4 << 20));
        assert_eq!(read("chunk-min=64KiB").effect, Effect::ChunkMinimum(64 << 10));
        assert_eq!(read("drip=0.01").effect, Effect::Drip(Duration::from_millis(10)));
        assert_eq!(
            read("location=http://localhost:5001/").effect,
            Effect::Location(Location::Elsewhere("http://localhost:5001".to_owned()))
        );
        let Effect::Token(tokens) = read("token=2,realm=https://x/token?a=b,login=me:secret").effect else {
            panic!("it is no token");
        };
        assert_eq!(tokens.realm.as_deref(), Some("https://x/token?a=b"));
        assert_eq!(tokens.login.as_deref(), Some("me:secret"));
    }

    #[test]
    fn what_is_no_fault_says_why() {
        for (text, expected) in [
            ("", "there is no fault \"\"; `cargo xtask registry serve --help` lists them"),
            ("slow", "there is no fault \"slow\"; `cargo xtask registry serve --help` lists them"),
            ("page=two", "\"page\" wants a whole number, and \"two\" is not that"),
            ("page", "\"page\" wants a whole number, and \"\" is not that"),
            ("status=200", "\"status\" wants a status from 300 on, and \"200\" is not that"),
            ("status=503,body=pdf", "\"body\" wants json, html or empty, and \"pdf\" is not that"),
            ("lost=1", "\"lost\" wants no value, and \"1\" is not that"),
            ("warning", "\"warning\" wants a text, and \"\" is not that"),
            (
                "location=moon",
                "\"location\" wants missing, absolute, query or an address, and \"moon\" is not that",
            ),
            ("drip=-1", "\"drip\" wants a number of seconds, and \"-1\" is not that"),
            ("page=1,count=x", "\"count\" wants a whole number, and \"x\" is not that"),
            (
                "page=1,retry-after=1",
                "\"retry-after\" is no setting of this fault; `cargo xtask registry serve --help` lists them",
            ),
            (
                "lost,cuont=1",
                "\"cuont\" is no setting of this fault; `cargo xtask registry serve --help` lists them",
            ),
        ] {
            assert_eq!(text.parse::<Fault>().unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn every_effect_is_in_the_help_and_the_help_has_no_other() {
        let listed =
            HELP.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
        let mut names = 0;
        for line in listed {
            let (name, value) = line.split(' ').next().unwrap().split_once('=').unwrap_or((line, ""));
            let name = name.split(' ').next().unwrap();
            if ["method", "path", "from", "count"].contains(&name) {
                continue;
            }
            let value = match value {
                "" => String::new(),
                "N" if name == "status" => "=503".to_owned(),
                "KIND" => "=query".to_owned(),
                _ => "=1".to_owned(),
            };
            let text = format!("{name}{value}");
            assert!(text.parse::<Fault>().is_ok(), "{text}");
            names += 1;
        }
        assert_eq!(names, 20);
        let example = HELP.lines().last().unwrap().split(' ').next_back().unwrap();
        assert!(example.parse::<Fault>().is_ok(), "{example}");
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "/v2/", true),
            ("/v2/", "/v2/", true),
            ("/v2/", "/v2/a", false),
            ("*/manifests/*", "/v2/a/manifests/1", true),
            ("*/manifests/*", "/v2/a/blobs/1", false),
            ("*/a/*/1", "/v2/a/manifests/1", true),
            ("*/a/*/1", "/v2/a/manifests/1.0", false),
            ("a*a", "a", false),
            ("2*", "2.0", true),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
