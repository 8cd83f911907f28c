//! What the two processes that are not the program say to each other, a datagram each.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

/// Longer sentences are cut.
const MAX: usize = 4096;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The keeper's: the program runs, and this is its process.
    Started(i32),
    /// The keeper's: it does not, and why.
    Failed(String),
    /// The keeper's: a signal has stopped the program.
    Stopped(i32),
    /// The keeper's: it has ended.
    Ended(Ending),
    /// The mirror's: somebody sent it this signal, which is meant for the program.
    Signal(i32),
}

/// Both ends, of which no other program gets one.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one. Whether the other side is still there is found out by listening to it.
pub(super) fn say(to: impl AsFd, word: &Word) {
    let bytes = word.encode();
    while send(&to, &bytes, SendFlags::NOSIGNAL) == Err(Errno::INTR) {}
}

/// Sends one unless the other side has not come after, and says whether it did. For what the cell can bring about any
/// number of times: two who wait for each other would wait for ever.
pub(super) fn try_say(to: impl AsFd, word: &Word) -> bool {
    let bytes = word.encode();
    loop {
        match send(&to, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            result => return result != Err(Errno::AGAIN),
        }
    }
}

/// The next one, waited for; `None` when the other side has gone.
pub(super) fn hear(from: impl AsFd) -> io::Result<Option<Word>> {
    let mut bytes = [0; MAX];
    loop {
        match recv(&from, &mut bytes[..], RecvFlags::empty()) {
            Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(None),
            Ok((length, _)) => {
                let word = bytes.get(..length).and_then(Word::decode);
                return word.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// One that was said already, if there is one.
pub(super) fn left(from: impl AsFd) -> Option<Word> {
    let mut bytes = [0; MAX];
    let (length, _) = recv(from, &mut bytes[..], RecvFlags::DONTWAIT).ok()?;
    Word::decode(bytes.get(..length)?)
}

impl Word {
    fn encode(&self) -> Vec<u8> {
        let (tag, value) = match self {
            Self::Started(process) => (b'p', *process),
            Self::Failed(why) => {
                let mut bytes = vec![b'f'];
                bytes.extend_from_slice(why.as_bytes().get(..MAX - 1).unwrap_or(why.as_bytes()));
                return bytes;
            }
            Self::Stopped(signal) => (b't', *signal),
            Self::Ended(Ending::Exited(code)) => (b'e', *code),
            Self::Ended(Ending::Killed(signal)) => (b'k', *signal),
            Self::Signal(signal) => (b's', *signal),
        };
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        if *tag == b'f' {
            return Some(Self::Failed(String::from_utf8_lossy(rest).into_owned()));
        }
        let value = i32::from_le_bytes(rest.try_into().ok()?);
        Some(match tag {
            b'p' => Self::Started(value),
            b't' => Self::Stopped(value),
            b'e' => Self::Ended(Ending::Exited(value)),
            b'k' => Self::Ended(Ending::Killed(value)),
            b's' => Self::Signal(value),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_room_for_a_signal() {
        let (here, there) = pair().unwrap();
        let said = (0..10_000).filter(|_| try_say(&here, &Word::Signal(15))).count();
        assert!((1..10_000).contains(&said));
        for _ in 0..said {
            assert_eq!(hear(&there).unwrap(), Some(Word::Signal(15)));
        }
        assert!(try_say(&here, &Word::Stopped(20)));
        assert_eq!(hear(&there).unwrap(), Some(Word::Stopped(20)));
        drop(there);
        assert!(try_say(&here, &Word::Stopped(20)), "nothing to wait for");
    }

    #[test]
    fn words_arrive_as_they_were_said() {
        let (here, there) = pair().unwrap();
        let words = [
            Word::Started(7),
            Word::Failed("no".to_owned()),
            Word::Stopped(20),
            Word::Ended(Ending::Exited(-1)),
            Word::Ended(Ending::Killed(9)),
            Word::Signal(15),
        ];
        assert_eq!(left(&there), None);
        say(&here, &Word::Stopped(1));
        assert_eq!(left(&there), Some(Word::Stopped(1)));
        for word in words {
            say(&here, &word);
            assert_eq!(hear(&there).unwrap(), Some(word));
        }
        say(&here, &Word::Failed("x".repeat(2 * MAX)));
        assert!(matches!(hear(&there).unwrap(), Some(Word::Failed(why)) if why.len() == MAX - 1));
        drop(here);
        assert_eq!(hear(&there).unwrap(), None);
        for strange in [&b""[..], b"e", b"e123", b"x1234"] {
            assert_eq!(Word::decode(strange), None);
        }
    }
}
