//! A question's bytes are the message's, its name is the one that another reader sees, and a reply to it is small.
#![no_main]

use agent_sandbox::egress::answer::{Names, reply};
use agent_sandbox::egress::message::{Framed, HEADER, Message, frame, framed, read};
use libfuzzer_sys::fuzz_target;

/// The name, its labels one by one.
fn labels(mut raw: &[u8]) -> String {
    let mut labels = Vec::new();
    while let [len @ 1..=255, rest @ ..] = raw {
        let (label, behind) = rest.split_at(usize::from(*len));
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        raw = behind;
    }
    labels.join(".")
}

fuzz_target!(|message: &[u8]| {
    match read(message) {
        Message::Silence => {}
        Message::Refused(_, question) => {
            assert!(question.is_none_or(|question| message[HEADER..].starts_with(question.raw)));
        }
        Message::Question(question) => {
            assert!(message[HEADER..].starts_with(question.raw));
            assert_eq!(message.len() == HEADER + question.raw.len(), question.edns.is_none());
            if let Some(name) = question.name() {
                assert!(name.len() <= 253);
                assert_eq!(name, labels(question.raw));
            }
        }
    }
    let names: Names =
        serde_json::from_str(r#"{"names":{"a.b":["203.0.113.1","2001:db8::1"],"c":[]},"zones":["z"]}"#)
            .expect("a table");
    if let Some(reply) = reply(message, &names) {
        assert!(reply.bytes.len() <= 3 * message.len() && reply.bytes.len() <= 1232);
        assert_eq!((&reply.bytes[..2], reply.bytes[2] & 0x80), (&message[..2], 0x80));
        assert_eq!(reply.bytes[2] & 2, 0, "a truncation");
        assert_eq!(read(&reply.bytes), Message::Silence);
    }
    // Over TCP, behind another message or cut.
    if let Framed::Message(first, used) = framed(message) {
        assert_eq!(&message[2..used], first);
        assert_eq!(framed(&message[..used - 1]), Framed::More);
        assert_eq!(frame(first).as_deref(), Some(&message[..used]));
    }
});
