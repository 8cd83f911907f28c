//! The floor: what a registry takes for the same bytes when one connection sends them and does nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const REPOSITORY: &str = "/v2/bench/floor";
const CONFIG: &[u8] = b"{}";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Sends an archive as a Feature with four tags, in nine requests one after the other; digests are there before.
pub(super) fn send(port: u16, archive: &[u8]) -> anyhow::Result<Duration> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": describe("application/vnd.devcontainers", CONFIG),
        "layers": [describe("application/vnd.devcontainers.layer.v1+tar", archive)],
    })
    .to_string();
    let blobs = [CONFIG, archive].map(|blob| (digest(blob), blob));
    let begun = Instant::now();
    let mut connection = Connection::open(port)?;
    connection.request("GET", &format!("{REPOSITORY}/tags/list"), &[], 404)?;
    for (digest, blob) in blobs {
        let upload = connection.request("POST", &format!("{REPOSITORY}/blobs/uploads/"), &[], 202)?;
        let upload = upload.context("the registry names no place for the upload")?;
        let separator = if upload.contains('?') { '&' } else { '?' };
        connection.request("PUT", &format!("{upload}{separator}digest={digest}"), blob, 201)?;
    }
    for tag in ["1.0.0", "1.0", "1", "latest"] {
        connection.request("PUT", &format!("{REPOSITORY}/manifests/{tag}"), manifest.as_bytes(), 201)?;
    }
    Ok(begun.elapsed())
}

fn describe(media_type: &str, blob: &[u8]) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn digest(blob: &[u8]) -> String {
    let hex: Vec<String> = Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", hex.concat())
}

struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host: format!("localhost:{port}") })
    }

    /// Sends a request and reads its answer, which must have a certain status; returns where it leads.
    fn request(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        status: u16,
    ) -> anyhow::Result<Option<String>> {
        let (host, length) = (&self.host, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {MANIFEST_TYPE}\r\nContent-Length: {length}\r\n\r\n"
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let first = self.line()?;
        let answered = first.split(' ').nth(1).unwrap_or_default();
        ensure!(answered == status.to_string(), "{method} {path}: {first}");
        let (mut length, mut location) = (0, None);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "location" => location = value.find("/v2/").map(|path| value[path..].to_owned()),
                _ => {}
            }
        }
        std::io::copy(&mut self.stream.by_ref().take(length), &mut std::io::sink())?;
        Ok(location)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
