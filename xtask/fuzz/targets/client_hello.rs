//! A hello is the same in any pieces, whole as soon as it is there, and its name is one that stands in it.
//!
//! The first byte says where the input is cut; the second whether it is a hello's body, which gets the headers that it
//! needs, or bytes as they come.
#![no_main]

use agent_sandbox::egress::gate::client_hello::{MAX_BYTES, Outcome, Reader, Watch};
use libfuzzer_sys::fuzz_target;

fn framed(body: &[u8], size: usize) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("small").to_be_bytes();
    let message = [&[1], &len[1..], body].concat();
    let record = |part: &[u8]| {
        let len = u16::try_from(part.len()).expect("small").to_be_bytes();
        [&[22, 3, 1], &len[..], part].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

fuzz_target!(|input: &[u8]| {
    let [cut, kind, rest @ ..] = input else { return };
    let bytes = match kind {
        0..128 => rest.to_vec(),
        size => framed(rest, usize::from(*size) * 4),
    };
    let whole = Reader::default().read(&bytes);
    let cut = usize::from(*cut) * bytes.len() / 255;
    for cuts in [&[cut][..], &[cut / 2, cut, (cut + bytes.len()) / 2]] {
        let mut reader = Reader::default();
        let mut outcomes = cuts.iter().copied().chain([bytes.len()]).map(|end| reader.read(&bytes[..end]));
        let outcome = outcomes.find(|outcome| *outcome != Outcome::More).unwrap_or(Outcome::More);
        assert_eq!(outcome, whole);
    }
    match &whole {
        Outcome::Hello(hello) => {
            assert!(hello.len <= bytes.len() && hello.len <= MAX_BYTES);
            assert!(hello.alpn.len() <= 16 && hello.alpn.iter().all(|name| (1..=255).contains(&name.len())));
            assert_eq!(Reader::default().read(&bytes[..hello.len - 1]), Outcome::More);
            if let Some(name) = &hello.server_name
                && *kind >= 128
            {
                let name = name.as_str().as_bytes();
                assert!(rest.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)));
            }
            // As a second hello it is the same, and what is held back passes at once.
            let mut watch = Watch::new(hello);
            let passed = watch.client(&bytes[hello.len..]);
            assert!(passed.is_err() || passed.is_ok_and(|passed| passed <= bytes.len() - hello.len));
            watch.server(b"\x16\x03\x03\x00\x05\x02");
            let mut second = Watch::new(hello);
            second.server(b"\x16\x03\x03\x00\x05\x02");
            assert_eq!(second.client(&bytes), Ok(bytes.len()));
        }
        Outcome::More => assert!(bytes.len() <= MAX_BYTES),
        Outcome::NotTls => assert!(bytes[0] != 22 || bytes[1] != 3),
        Outcome::Refused(refusal) => assert!(!refusal.to_string().is_empty()),
    }
});
