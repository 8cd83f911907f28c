//! Requests behind each other, in any pieces, against a second reader that is as simple as can be.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// What passed, and for which hosts, until the end or a refusal.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Heads and bodies in their order.
    parts: Vec<Result<Vec<u8>, Vec<u8>>>,
    hosts: Vec<String>,
    end: Option<Result<Step, Refusal>>,
}

impl Seen {
    fn body(&mut self, bytes: &[u8]) {
        if let Some(Err(body)) = self.parts.last_mut() {
            body.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            self.parts.push(Err(bytes.to_vec()));
        }
    }

    /// All that went by, which is a prefix of what came in.
    fn all(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.as_ref().unwrap_or_else(|body| body)).copied().collect()
    }
}

/// As the gate does it, with every head allowed.
fn streamed(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Seen {
    let mut ends = cuts.into_iter().chain([bytes.len()]);
    let (mut stream, mut seen, mut start, mut end) = (Stream::default(), Seen::default(), 0, 0);
    loop {
        let step = stream.step(&bytes[start..end]);
        match step {
            Ok(Step::Head(head)) => {
                seen.parts.push(Ok(bytes[start..start + head.len].to_vec()));
                seen.hosts.push(head.authority.host.to_string());
                start += head.len;
                stream.allow();
            }
            Ok(Step::Pass(len)) => {
                assert!(len > 0 && start + len <= end);
                seen.body(&bytes[start..start + len]);
                start += len;
            }
            Ok(Step::More) => match ends.next() {
                Some(cut) => end = end.max(cut),
                None => return seen,
            },
            other => {
                seen.end = Some(other);
                return seen;
            }
        }
    }
}

/// Reads requests that are known to be good: splits at the empty line, searches the text for lengths.
fn naive(mut rest: &[u8]) -> Seen {
    let mut seen = Seen::default();
    while let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let (head, behind) = rest.split_at(at + 4);
        seen.parts.push(Ok(head.to_vec()));
        let text = String::from_utf8_lossy(head).to_ascii_lowercase();
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(&format!("{name}:")))
                .map(|value| value.trim().to_owned())
        };
        seen.hosts.push(value("host").unwrap());
        let mut len = value("content-length").map_or(0, |value| value.parse().unwrap());
        if value("transfer-encoding").is_some() {
            loop {
                let line =
                    std::str::from_utf8(behind[len..].split(|byte| *byte == b'\r').next().unwrap()).unwrap();
                let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
                len += line.len() + 2;
                if size == 0 {
                    break;
                }
                len += size + 2;
            }
            let trailer = &behind[len..];
            len += if trailer.starts_with(b"\r\n") {
                2
            } else {
                trailer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4
            };
        }
        seen.body(&behind[..len]);
        rest = &behind[len..];
    }
    assert!(rest.is_empty());
    seen
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    let chunk = (
        proptest::collection::vec(any::<u8>(), 1..20),
        prop_oneof!["", ";[a-z]{1,5}(=[a-z]{1,5}|=\"[a-z ]{0,5}\")?"],
    );
    let chunks = (proptest::collection::vec(chunk, 0..4), "(X-[a-z]{1,5}: [a-z ]{0,5}\r\n){0,2}");
    let body = prop_oneof![
        Just((String::new(), Vec::new())),
        bytes.prop_map(|bytes| (format!("Content-Length: {}\r\n", bytes.len()), bytes)),
        chunks.prop_map(|(chunks, trailer)| {
            let mut body = Vec::new();
            for (bytes, extension) in chunks {
                body.extend(format!("{:x}{extension}\r\n", bytes.len()).into_bytes());
                body.extend(bytes);
                body.extend(b"\r\n");
            }
            body.extend(format!("0\r\n{trailer}\r\n").into_bytes());
            ("Transfer-Encoding: chunked\r\n".to_owned(), body)
        }),
    ];
    ("[A-Z]{1,6}", "(/[a-z]{0,5}){1,3}", "[a-z]{1,5}\\.example", "(X-[a-z]{1,5}: [ -~]{0,10}\r\n){0,3}", body)
        .prop_map(|(method, path, host, fields, (framing, body))| {
            let method = if method == "CONNECT" { "GET".to_owned() } else { method };
            let head = format!("{method} {path} HTTP/1.1\r\n{fields}Host: {host}\r\n{framing}\r\n");
            [head.into_bytes(), body].concat()
        })
}

fn places(cuts: &[Index], len: usize) -> Vec<usize> {
    cuts.iter().map(|cut| cut.index(len + 1)).collect()
}

/// The same in any pieces; what passes is a prefix.
fn holds(bytes: &[u8], cuts: &[Index]) -> Result<Seen, TestCaseError> {
    let whole = streamed(bytes, []);
    prop_assert_eq!(&streamed(bytes, places(cuts, bytes.len())), &whole);
    prop_assert_eq!(&streamed(bytes, 0..bytes.len()), &whole);
    prop_assert!(bytes.starts_with(&whole.all()));
    Ok(whole)
}

proptest! {
    #[test]
    fn good_ones(
        requests in proptest::collection::vec(request(), 0..5),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let bytes = requests.concat();
        let seen = holds(&bytes, &cuts)?;
        prop_assert_eq!(seen, naive(&bytes));
    }

    #[test]
    fn changed_ones(
        requests in proptest::collection::vec(request(), 1..4),
        changes in proptest::collection::vec((any::<Index>(), prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            Just(vec![]),
            prop_oneof!["\r", "\n", "\0", " ", "\r\n", "\r\n\r\n", "0", ":", "Content-Length: 5\r\n",
                "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "0\r\n\r\n"].prop_map(String::into_bytes),
        ]), 1..4),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let mut bytes = requests.concat();
        for (at, new) in changes {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..(at + 1).min(bytes.len()), new);
        }
        let seen = holds(&bytes, &cuts)?;
        // A head that came through reads alone, and what the server gets instead reads as the same.
        for head in seen.parts.iter().filter_map(|part| part.as_ref().ok()) {
            let read = Reader::default().read(head).unwrap().unwrap();
            if let Some(out) = read.forward(head) {
                let again = Reader::default().read(&out).unwrap().unwrap();
                prop_assert_eq!((again.len, &again.authority.host, again.body), (out.len(), &read.authority.host, read.body));
            }
        }
    }

    #[test]
    fn random_bytes(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"GET / HTTP/1.1\r\n: 0"[..])], 0..200),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        holds(&bytes, &cuts)?;
    }
}
