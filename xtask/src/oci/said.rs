//! What others say, fit for one line of a message.

use super::known::Known;

/// What a registry says about a refusal, as ": …". A body that is not JSON is shown shortened,
/// and secrets are hidden before anything is cut.
pub(super) fn detail(body: &[u8], secrets: &Known) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said: Vec<String> = errors
        .iter()
        .map(|error| match (error["code"].as_str(), error["message"].as_str()) {
            (Some(code), Some(message)) => format!("{code} ({message})"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => String::new(),
        })
        .filter(|text| !text.is_empty())
        .collect();
    let text = match said.as_slice() {
        [] => one_error(&json).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
        said => said.join(", "),
    };
    let text = printable(secrets.hide(text.trim()).trim(), 200);
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What the places where tokens are made say, each in its way.
fn one_error(json: &serde_json::Value) -> Option<String> {
    let text = |name: &str| json[name].as_str().filter(|text| !text.is_empty());
    match (text("error"), text("error_description").or_else(|| text("message")).or_else(|| text("details"))) {
        (Some(code), Some(message)) => Some(format!("{code} ({message})")),
        (code, message) => code.or(message).map(str::to_owned),
    }
}

/// A text from elsewhere, in one line, without control characters, and not too long.
pub(super) fn printable(text: &str, limit: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

/// The innermost cause: the outer ones repeat the URL, query and all.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) {
        if error.is_timeout() { "timed out".to_owned() } else { "the request failed".to_owned() }
    } else {
        cause.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_one_short_line() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"DENIED","message":"no"}]}"#, ": DENIED (no)"),
            (r#"{"errors":[{"code":"A"},{"message":"b"}]}"#, ": A, b"),
            ("<html>\nBad\tGateway</html>", ": <html> Bad Gateway</html>"),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, ": invalid_grant (expired)"),
            (r#"{"details":"incorrect username or password"}"#, ": incorrect username or password"),
            (r#"{"error":"x"}"#, ": x"),
            ("", ""),
            ("{\"errors\":[]}", ": {\"errors\":[]}"),
        ] {
            assert_eq!(detail(body.as_bytes(), &Known::default()), expected);
        }
        assert_eq!(detail("x".repeat(1000).as_bytes(), &Known::default()).chars().count(), 203);
    }
}
