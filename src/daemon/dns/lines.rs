//! What the worker says, line by line. It reads bytes of anybody's, so its words may be anybody's, too.

use crate::policy::HostName;

/// A host name has no more bytes (RFC 1035 section 2.3.4).
const MAX_LINE: usize = 253;

/// The line that is not yet whole.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    too_long: bool,
}

/// What a few bytes said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// An empty line: the worker is at work.
    pub(super) alive: bool,
    /// Names it refused. What is no host name is passed over.
    pub(super) names: Vec<HostName>,
}

impl Lines {
    /// Takes in the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Heard {
        let mut heard = Heard::default();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.partial);
                    if std::mem::take(&mut self.too_long) {
                        continue;
                    }
                    heard.alive |= line.is_empty();
                    let name = std::str::from_utf8(&line).ok().and_then(|text| HostName::parse(text).ok());
                    heard.names.extend(name);
                }
                _ if self.partial.len() == MAX_LINE => self.too_long = true,
                byte => self.partial.push(*byte),
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_pass_and_nothing_else() {
        let mut lines = Lines::default();
        let heard = lines.take(b"\na.exam");
        assert_eq!(heard, Heard { alive: true, names: vec![] });
        let heard = lines.take(b"ple\nB.example\n");
        let names: Vec<&str> = heard.names.iter().map(HostName::as_str).collect();
        assert_eq!((heard.alive, names), (false, vec!["a.example", "b.example"]));
        for hostile in [
            &b"\x1b[31mred.example\n"[..],
            b"../../etc/passwd\n",
            b"a.example\r\n",
            b"a b\n",
            b"\xff\xfe\n",
            b"*.example\n",
            b"203.0.113.1\n",
            b"a\0b\n",
        ] {
            assert_eq!(lines.take(hostile), Heard::default(), "{hostile:?}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.take(&[b'a'; 1000]), Heard::default());
        }
        assert!(lines.partial.len() <= MAX_LINE);
        // The end of it is no name, what follows is.
        assert_eq!(lines.take(b"\n"), Heard::default());
        assert_eq!(lines.take(b"b.example\n").names.len(), 1);
    }
}
