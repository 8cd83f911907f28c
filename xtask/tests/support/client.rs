//! Plain requests, without any of the client under test.

use super::NAMESPACE;

/// An answer to a plain request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first error.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

/// One request, without any of the client under test.
pub fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut request = client().request(method.parse().unwrap(), url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    })
}

/// The same from within a runtime.
pub fn http_in_thread(method: &str, url: &str) -> Answer {
    std::thread::scope(|scope| scope.spawn(|| http(method, url, &[], b"")).join().unwrap())
}

/// The digest that a tag means, or nothing.
pub fn digest_of(port: u16, repository: &str, tag: &str) -> Option<String> {
    let url = format!("http://localhost:{port}/v2/{repository}/manifests/{tag}");
    let answer = http("GET", &url, &[("accept", "application/vnd.oci.image.manifest.v1+json")], b"");
    (answer.status == 200).then(|| xtask::oci::digest::Digest::of(&answer.body).to_string())
}

/// The collection file that is published.
pub fn collection_of(port: u16) -> serde_json::Value {
    let base = format!("http://localhost:{port}/v2/{NAMESPACE}");
    let manifest = http(
        "GET",
        &format!("{base}/manifests/latest"),
        &[("accept", "application/vnd.oci.image.manifest.v1+json")],
        b"",
    )
    .json();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    http("GET", &format!("{base}/blobs/{layer}"), &[], b"").json()
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}
