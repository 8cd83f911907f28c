//! Bearer tokens of the embedded registry. They keep nobody out who means it: a token says itself what
//! it is good for, so that one registry's token endpoint can serve another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{Method, Response, StatusCode};

use super::{Asked, Tokens};
use crate::registry::body::Answer;
use crate::registry::error::Refusal;
use crate::registry::route::{self, Route};
use crate::registry::server::{Reply, respond};

/// Where tokens are to be had.
pub const PATH: &str = "/token";
const SERVICE: &str = "embedded";

/// The answer to somebody without a good token.
pub fn challenge(asked: &Asked, tokens: &Tokens) -> Reply {
    let own = || format!("http://{}{PATH}", asked.host);
    let realm = tokens.realm.clone().unwrap_or_else(own);
    let scope = needs(asked).map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
    let builder = Response::builder()
        .status(StatusCode::UNAUTHORIZED)
        .header(CONTENT_TYPE, "application/json")
        .header(WWW_AUTHENTICATE, format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"{scope}"));
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "a good token is wanted");
    respond(builder, Answer::bytes(refusal.body()))
}

/// The answer of the token endpoint to a GET, or to a POST with a form in its body.
pub fn give(asked: &Asked, form: &str, tokens: &Tokens) -> Reply {
    if let Some(login) = &tokens.login {
        let basic = format!("Basic {}", STANDARD.encode(login));
        let password = login.split_once(':').map_or("", |(_, password)| password);
        let bought = route::query(Some(form), "refresh_token").is_some_and(|token| token == password);
        if asked.authorization.as_deref() != Some(&basic) && !bought {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "user and password are not those that a token costs",
            ));
        }
    }
    let query = if asked.method == Method::POST { Some(form) } else { asked.query.as_deref() };
    let scope = route::query(query, "scope").unwrap_or_default();
    let until = now() + tokens.life;
    let token = URL_SAFE_NO_PAD.encode(format!("{} {scope}", until.as_micros()));
    // Nobody caches what is not even good for a second.
    let body = serde_json::json!({
        "token": token,
        "access_token": token,
        "expires_in": tokens.life.as_secs(),
    });
    let builder = Response::builder().status(StatusCode::OK).header(CONTENT_TYPE, "application/json");
    respond(builder, Answer::bytes(body.to_string()))
}

/// Whether a request shows a token that is good for it.
pub fn is_good(asked: &Asked) -> bool {
    let token = asked.authorization.as_deref().and_then(|text| text.strip_prefix("Bearer "));
    let token = token.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
    let token = token.and_then(|token| String::from_utf8(token).ok()).unwrap_or_default();
    let Some((until, scopes)) = token.split_once(' ') else {
        return false;
    };
    let fresh = until.parse::<u128>().is_ok_and(|until| now().as_micros() < until);
    let granted = needs(asked).is_none_or(|needed| scopes.split(' ').any(|scope| covers(scope, &needed)));
    fresh && granted
}

/// The scope that a request needs; none for `/v2/` itself.
fn needs(asked: &Asked) -> Option<String> {
    let name = match asked.route.as_ref()? {
        Route::Base => return None,
        Route::Blob(name, _)
        | Route::Uploads(name)
        | Route::Upload(name, _)
        | Route::Manifest(name, _)
        | Route::Tags(name) => name,
    };
    let read = matches!(asked.method, Method::GET | Method::HEAD);
    Some(format!("repository:{name}:{}", if read { "pull" } else { "pull,push" }))
}

/// Whether what is granted has everything that is needed.
fn covers(granted: &str, needed: &str) -> bool {
    let (Some((repository, granted)), Some((wanted, needed))) =
        (granted.rsplit_once(':'), needed.rsplit_once(':'))
    else {
        return false;
    };
    repository == wanted && needed.split(',').all(|action| granted.split(',').any(|other| other == action))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_no_more_than_it_says() {
        for (granted, needed, expected) in [
            ("repository:a/b:pull", "repository:a/b:pull", true),
            ("repository:a/b:pull,push", "repository:a/b:pull", true),
            ("repository:a/b:push,pull", "repository:a/b:pull,push", true),
            ("repository:a/b:pull", "repository:a/b:pull,push", false),
            ("repository:a:pull,push", "repository:a/b:pull", false),
            ("", "repository:a:pull", false),
        ] {
            assert_eq!(covers(granted, needed), expected, "{granted} for {needed}");
        }
    }
}
