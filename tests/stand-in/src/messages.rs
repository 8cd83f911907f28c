//! A Messages API whose model wants one tool after the other run, and then is done.

use std::io;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::{self, Request, Response};
use crate::log;
use crate::serve::Peer;

/// What the model says once all commands have run.
const LAST_WORDS: &str = "done";

/// One use of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    tool: String,
    input: Value,
}

impl Call {
    /// A command, for the tool that runs commands.
    pub(crate) fn command(text: &str) -> Self {
        let input = json!({"command": text, "description": "Runs the next step"});
        Self { tool: "Bash".to_owned(), input }
    }

    /// Any tool, written as `NAME=JSON`.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (tool, input) = text.split_once('=').context("a tool's call is NAME=JSON")?;
        let input = serde_json::from_str(input).with_context(|| format!("the input of {tool}"))?;
        Ok(Self { tool: tool.to_owned(), input })
    }
}

/// What the agent is made to do.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// One after the other.
    pub(crate) calls: Vec<Call>,
    /// How many times over.
    pub(crate) times: usize,
}

impl Script {
    /// The nth call.
    fn nth(&self, number: usize) -> Option<&Call> {
        let all = self.calls.len() * self.times.max(1);
        (number < all).then(|| &self.calls[number % self.calls.len()])
    }
}

/// The model's next turn.
#[derive(Debug, PartialEq, Eq)]
enum Turn<'a> {
    /// The nth call.
    Call(usize, &'a Call),
    /// The end.
    Done,
}

/// Answers the requests of one connection.
pub(crate) fn serve(peer: &Peer, script: &Script) -> io::Result<()> {
    http::serve(peer, |request| {
        let (response, mut event) = answer(request, script);
        event["from"] = log::ip(peer.from).into();
        event["at"] = log::ip(peer.at).into();
        log::line(&event);
        response
    })
}

/// The response to a request, and the line about it.
fn answer(request: &Request, script: &Script) -> (Response, Value) {
    let path = request.path.split('?').next().unwrap_or_default();
    let mut event = json!({"messages": request.path, "method": request.method});
    // Whom the agent says it works for; tests give it nothing secret.
    event["authorization"] = request.authorization.as_str().into();
    let body = match (request.method.as_str(), path) {
        ("POST", "/v1/messages") => {
            let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let results = tool_results(&asked);
            let turn = next_turn(&asked, results.len(), script);
            event["results"] = results.len().into();
            event["model"] = asked["model"].clone();
            event["tools"] = asked["tools"].as_array().map_or(0, Vec::len).into();
            event["answer"] = stop_reason(&turn).into();
            if let Some(last) = results.last() {
                event["tool_result"] = result_text(last).into();
                event["is_error"] = last["is_error"].as_bool().unwrap_or(false).into();
            }
            if asked["stream"].as_bool() == Some(true) {
                let body = stream(&asked["model"], &turn).into_bytes();
                return (Response { kind: "text/event-stream", body }, event);
            }
            message(&asked["model"], &turn)
        }
        ("POST", "/v1/messages/count_tokens") => json!({"input_tokens": 1}),
        // Whatever else the agent asks for on the way is not what a test is about.
        _ => json!({}),
    };
    (Response { kind: "application/json", body: body.to_string().into_bytes() }, event)
}

/// A side request, for a title or the like, brings no tools and gets no call.
fn next_turn<'a>(asked: &Value, results: usize, script: &'a Script) -> Turn<'a> {
    let tools = asked["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |call: &Call| tools.iter().any(|tool| tool["name"] == call.tool.as_str());
    match script.nth(results) {
        Some(call) if has(call) => Turn::Call(results, call),
        _ => Turn::Done,
    }
}

fn tool_results(asked: &Value) -> Vec<&Value> {
    let messages = asked["messages"].as_array().into_iter().flatten();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    blocks.filter(|block| block["type"] == "tool_result").collect()
}

/// The text of a tool result, which is a string or a list of blocks.
fn result_text(result: &Value) -> String {
    match &result["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn stop_reason(turn: &Turn<'_>) -> &'static str {
    match turn {
        Turn::Call(..) => "tool_use",
        Turn::Done => "end_turn",
    }
}

/// The one block of a turn: as a whole, and as its empty start and the rest.
fn block(turn: &Turn<'_>) -> (Value, Value, Value) {
    match turn {
        Turn::Call(number, call) => {
            let mut block = json!({
                "type": "tool_use", "id": format!("toolu_{number}"), "name": call.tool, "input": {},
            });
            let start = block.clone();
            let rest = json!({"type": "input_json_delta", "partial_json": call.input.to_string()});
            block["input"] = call.input.clone();
            (block, start, rest)
        }
        Turn::Done => (
            json!({"type": "text", "text": LAST_WORDS}),
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": LAST_WORDS}),
        ),
    }
}

fn message(model: &Value, turn: &Turn<'_>) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": [block(turn).0], "stop_reason": stop_reason(turn), "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}

/// The same as [`message`], as server-sent events.
fn stream(model: &Value, turn: &Turn<'_>) -> String {
    let (_, start, rest) = block(turn);
    let mut empty = message(model, turn);
    empty["content"] = json!([]);
    empty["stop_reason"] = Value::Null;
    let end = json!({"stop_reason": stop_reason(turn), "stop_sequence": null});
    let events = [
        json!({"type": "message_start", "message": empty}),
        json!({"type": "content_block_start", "index": 0, "content_block": start}),
        json!({"type": "content_block_delta", "index": 0, "delta": rest}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    let lines = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, body: &Value) -> (String, Value) {
        let script = Script { calls: vec![Call::command("id -u"), Call::command("curl x")], times: 1 };
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            body: body.to_string().into_bytes(),
            ..Request::default()
        };
        let (response, event) = answer(&request, &script);
        (String::from_utf8(response.body).unwrap(), event)
    }

    fn conversation(results: &[Value], stream: bool) -> Value {
        let blocks = results.iter().map(|content| json!({"type": "tool_result", "content": content}));
        let messages = blocks.map(|block| json!({"role": "user", "content": [block]}));
        let mut all = vec![json!({"role": "user", "content": "hello"})];
        all.extend(messages);
        json!({"model": "m", "stream": stream, "tools": [{"name": "Bash"}], "messages": all})
    }

    #[test]
    fn one_command_after_the_other() {
        let text = json!("0\n");
        let blocks = json!([{"type": "text", "text": "no"}, {"type": "text", "text": "route"}]);
        let (body, event) = ask("/v1/messages?beta=true", &conversation(&[], true));
        assert!(body.contains(r#""name":"Bash""#) && body.contains("id -u"), "{body}");
        assert!(body.starts_with("event: message_start\ndata: {") && body.ends_with("}\n\n"));
        assert_eq!((&event["answer"], &event["tool_result"]), (&json!("tool_use"), &Value::Null));
        let (body, event) = ask("/v1/messages", &conversation(std::slice::from_ref(&text), true));
        assert!(body.contains("curl x"), "{body}");
        assert_eq!(event["tool_result"], "0\n");
        let (body, event) = ask("/v1/messages", &conversation(&[text, blocks], false));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["content"][0]["text"], "done");
        assert_eq!((&event["tool_result"], &event["answer"]), (&json!("no\nroute"), &json!("end_turn")));
    }

    #[test]
    fn several_times_over() {
        let [a, b] = ["a", "b"].map(Call::command);
        let script = Script { calls: vec![a.clone(), b.clone()], times: 2 };
        let all: Vec<_> = (0..5).map(|number| script.nth(number)).collect();
        assert_eq!(all, [Some(&a), Some(&b), Some(&a), Some(&b), None]);
        assert_eq!(Script::default().nth(0), None);
    }

    #[test]
    fn another_tool() {
        let call = Call::parse(r#"Read={"file_path":"/a=b"}"#).unwrap();
        assert_eq!(call, Call { tool: "Read".to_owned(), input: json!({"file_path": "/a=b"}) });
        assert!(Call::parse("Read").is_err() && Call::parse("Read=/a").is_err());
        let script = Script { calls: vec![call], times: 1 };
        // Nobody is made to use a tool that they have not got.
        assert_eq!(next_turn(&conversation(&[], false), 0, &script), Turn::Done);
        let mut asked = conversation(&[], false);
        asked["tools"] = json!([{"name": "Bash"}, {"name": "Read"}]);
        let turn = next_turn(&asked, 0, &script);
        let text = message(&asked["model"], &turn).to_string();
        assert!(text.contains(r#""name":"Read""#) && text.contains("/a=b"), "{text}");
    }

    #[test]
    fn side_requests() {
        let mut asked = conversation(&[], false);
        asked["tools"] = json!([]);
        assert_eq!(ask("/v1/messages", &asked).1["answer"], "end_turn");
        assert_eq!(ask("/v1/messages", &json!("garbage")).1["answer"], "end_turn");
        assert_eq!(ask("/v1/messages/count_tokens", &asked).0, r#"{"input_tokens":1}"#);
        assert_eq!(ask("/api/other", &asked).0, "{}");
    }
}
