//! Requests of one connection: the same in any pieces, nothing passes but a prefix, and each head that comes through is
//! the same to a server, in the bytes that it gets.
//!
//! The first byte says where the input is cut.
#![no_main]

use agent_sandbox::egress::gate::http::{Form, MAX_HEAD, Reader, Refusal, Step, Stream};
use libfuzzer_sys::fuzz_target;

/// Which bytes were heads, which bodies, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    heads: Vec<(usize, usize)>,
    passed: usize,
    end: Option<Result<Step, Refusal>>,
}

fn run(bytes: &[u8], cuts: &[usize]) -> Seen {
    let mut ends = cuts.iter().copied().chain([bytes.len()]);
    let (mut stream, mut seen, mut end) = (Stream::default(), Seen::default(), 0);
    loop {
        let rest = &bytes[seen.passed..end];
        match stream.step(rest) {
            Ok(Step::Head(head)) => {
                seen.heads.push((seen.passed, head.len));
                seen.passed += head.len;
                assert_eq!(stream.step(&bytes[seen.passed..end]), Ok(Step::More), "it is not allowed yet");
                stream.allow();
                if stream.is_switching() {
                    stream.answered(b"HTTP/1.1 200 ");
                }
            }
            Ok(Step::Pass(len)) => {
                assert!(len > 0 && len <= rest.len());
                seen.passed += len;
            }
            Ok(Step::More) => match ends.next() {
                Some(cut) => end = end.max(cut),
                None => return seen,
            },
            other => {
                assert_eq!(stream.step(rest), other, "and again");
                seen.end = Some(other);
                return seen;
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let [cut, bytes @ ..] = input else { return };
    let cut = usize::from(*cut) * bytes.len() / 255;
    let whole = run(bytes, &[]);
    assert_eq!(run(bytes, &[cut]), whole);
    assert_eq!(run(bytes, &[cut / 2, cut, (cut + bytes.len()) / 2]), whole);
    for (start, len) in whole.heads {
        assert!(len <= MAX_HEAD);
        let head = &bytes[start..start + len];
        let read = Reader::default().read(head).expect("it was read before").expect("all of it");
        assert!(Reader::default().read(&head[..len - 1]).is_ok_and(|read| read.is_none()));
        let Some(out) = read.forward(head) else {
            assert_eq!(read.form, Form::Authority);
            continue;
        };
        assert!(out.len() <= len + 32);
        let again = Reader::default().read(&out).expect("a server reads it").expect("all of it");
        assert_eq!((again.len, &again.method, again.body), (out.len(), &read.method, read.body));
        assert_eq!(
            (&again.authority.host, again.close, again.version),
            (&read.authority.host, read.close, read.version)
        );
        assert_eq!(again.authority.port.unwrap_or(80), read.authority.port.unwrap_or(80));
        assert_eq!(again.forward(&out), Some(out.clone()), "what was written once stays as it is");
    }
});
