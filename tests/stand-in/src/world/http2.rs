//! As much HTTP/2 (RFC 9113) as answers every request with status 200.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` in HPACK's static table.
const STATUS_200: u8 = 0x88;

/// Whether this is, or may become, the client's preface.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let len = bytes.len().min(PREFACE.len());
    len >= 3 && bytes[..len] == PREFACE[..len]
}

/// One connection's state.
#[derive(Debug, Default)]
pub(super) struct Server {
    buffer: Vec<u8>,
    greeted: bool,
}

impl Server {
    /// What to send after `bytes` have come.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.buffer.extend(bytes);
        let mut out = Vec::new();
        if !self.greeted {
            if self.buffer.len() < PREFACE.len() {
                return out;
            }
            self.buffer.drain(..PREFACE.len());
            self.greeted = true;
            out.extend(frame(SETTINGS, 0, 0, &[]));
        }
        while self.buffer.len() >= HEAD {
            let length = usize::from(self.buffer[0]) << 16
                | usize::from(self.buffer[1]) << 8
                | usize::from(self.buffer[2]);
            if self.buffer.len() < HEAD + length {
                break;
            }
            let one: Vec<u8> = self.buffer.drain(..HEAD + length).collect();
            let (kind, flags) = (one[3], one[4]);
            let stream = u32::from_be_bytes([one[5], one[6], one[7], one[8]]);
            match kind {
                SETTINGS if flags & ACK == 0 => out.extend(frame(SETTINGS, ACK, 0, &[])),
                PING if flags & ACK == 0 => out.extend(frame(PING, ACK, 0, &one[HEAD..])),
                HEADERS | DATA if flags & END_STREAM != 0 => {
                    out.extend(frame(HEADERS, END_HEADERS, stream, &[STATUS_200]));
                    out.extend(frame(DATA, END_STREAM, stream, b"stand-in reached\n"));
                }
                _ => {}
            }
        }
        out
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_however_it_is_cut() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82]));
        let whole = Server::default().answer(&bytes);
        assert!(whole.windows(HEAD + 1).any(|part| part == frame(HEADERS, END_HEADERS, 1, &[STATUS_200])));
        let mut server = Server::default();
        let pieces: Vec<u8> = bytes.chunks(3).flat_map(|piece| server.answer(piece)).collect();
        assert_eq!(pieces, whole);
        assert!(begins(b"PRI * HTT") && !begins(b"PRIVATE") && !begins(b"P"));
    }
}
