//! A file behind an address, outside any registry.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url};

use super::said::root_cause;
use super::secret::Secret;

/// Downloads a file of at most `limit` bytes over HTTPS; GitHub alone is shown GitHub's token.
pub async fn download(url: &Url, github_token: Option<&Secret>, limit: usize) -> Result<Bytes, String> {
    // Fails when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let broken = |error: reqwest::Error| format!("it cannot be downloaded ({})", root_cause(&error));
    let client = reqwest::Client::builder()
        .user_agent(concat!("agent-sandbox-xtask/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .connect_timeout(Duration::from_secs(30))
        .read_timeout(Duration::from_secs(300))
        .build()
        .map_err(broken)?;
    let mut request = client.get(url.clone());
    if let Some(token) =
        github_token.filter(|_| matches!(url.host_str(), Some("github.com" | "api.github.com")))
    {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| "GITHUB_TOKEN holds characters that no HTTP header may hold".to_owned())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let mut response = request.send().await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(format!("it cannot be downloaded (the server answered {})", response.status().as_u16()));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if chunk.len() > limit - body.len() {
            return Err(format!("it is larger than {} MiB", limit >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
