//! What others say, fit for one line of a message.

use rustls::{CertificateError, InvalidMessage};

use super::known::Known;

/// What to do where nothing more is known.
const UNREACHABLE: &str = "check its name and that it runs";

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

/// What to do about a failure to reach a registry.
pub(super) fn hint(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref() {
            return hint_of_tls(tls);
        }
        // What is wrapped by an I/O error is not its source.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    UNREACHABLE
}

fn hint_of_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS, and plain HTTP is spoken with localhost, 127.0.0.1 and [::1] only, so put TLS in front of it"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "if an authority of your own signed its certificate, name that authority's file with NODE_EXTRA_CA_CERTS or SSL_CERT_FILE"
        }
        rustls::Error::InvalidCertificate(_) => {
            "its certificate must be valid today and for just this name, so correct it, or the name"
        }
        _ => UNREACHABLE,
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
