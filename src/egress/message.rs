//! Reading a DNS question (RFC 1035 section 4), and the frames in which questions come over TCP. Pure.
//!
//! [`read`] says what a message is: one plain question, something to answer with a code, or nothing to answer at all.
//! Over TCP, [`framed`] finds it in the bytes so far, and [`frame`] puts the answer's length before it.
//!
//! The message is read by hand: it comes from anybody, only one question and one kind of additional record matter, and
//! a question for a record type that no library knows still wants an answer at once. Every byte has to be accounted
//! for, since what the filter does not look at could be meant for somebody behind it.

/// Bytes of a message's header.
pub const HEADER: usize = 12;
/// Largest question taken over TCP: the longest name, with room for padding (RFC 8467).
pub const MAX_QUESTION: usize = 1232;
/// Longest name (RFC 1035 section 2.3.4), with the lengths in it.
const MAX_NAME: usize = 255;

/// The response bit of the flags.
pub const FLAG_RESPONSE: u16 = 0x8000;
/// The operation, as a mask of the flags.
pub const OPCODE: u16 = 0x7800;
/// The class of the internet.
pub const CLASS_IN: u16 = 1;
/// The record in which a sender tells what it can take.
pub const TYPE_OPT: u16 = 41;

/// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// There is an answer, or none of this type.
    Ok = 0,
    /// The question does not read.
    Malformed = 1,
    /// It cannot be answered now.
    Failure = 2,
    /// There is no such name.
    NoSuchName = 3,
    /// Another operation than a query.
    NotImplemented = 4,
    /// It is not answered.
    Refused = 5,
    /// Another version of EDNS.
    BadVersion = 16,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// No question: what is said to it could only start a conversation between two servers.
    Silence,
    /// To be answered with a code, and with as much of the question as could be read.
    Refused(Code, Option<Question<'a>>),
    /// One question of the class of the internet.
    Question(Question<'a>),
}

/// The one question of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// Its bytes, which a reply repeats as they are, upper and lower case included.
    pub raw: &'a [u8],
    /// What is asked for.
    pub kind: Kind,
    /// Whether and how the sender speaks EDNS.
    pub edns: Option<Edns>,
}

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// A transfer of a zone, a key exchange, or another thing that is no record (RFC 6895 section 3.1): refused.
    Meta(u16),
    /// Records that a filter has none of, among them those that would help around it: TXT and NULL carry data, HTTPS
    /// and SVCB lead to other hosts, ports and encrypted hellos, ANY (RFC 8482) asks for all of them.
    Other(u16),
}

/// What the sender says of itself in an OPT record (RFC 6891 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// Largest message that it takes.
    pub size: u16,
    /// Its version.
    pub version: u8,
}

impl From<u16> for Kind {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            0 | TYPE_OPT | 128..=254 => Self::Meta(number),
            _ => Self::Other(number),
        }
    }
}

/// Reads a message of anybody's.
pub fn read(message: &[u8]) -> Message<'_> {
    let Some(flags) = u16_at(message, 2).filter(|_| message.len() >= HEADER) else { return Message::Silence };
    if flags & FLAG_RESPONSE != 0 {
        return Message::Silence;
    }
    if flags & OPCODE != 0 {
        return Message::Refused(Code::NotImplemented, None);
    }
    let Some((question, class)) = Question::read(message) else {
        return Message::Refused(Code::Malformed, None);
    };
    if question.edns.is_some_and(|edns| edns.version != 0) {
        return Message::Refused(Code::BadVersion, Some(question));
    }
    if class != CLASS_IN {
        return Message::Refused(Code::Refused, Some(question));
    }
    Message::Question(question)
}

impl<'a> Question<'a> {
    /// Reads exactly one question, at most one OPT record behind it, and nothing else. Names are written out: a
    /// pointer in the first name of a message can only lead into its header.
    fn read(message: &'a [u8]) -> Option<(Self, u16)> {
        let count = |at| u16_at(message, at);
        let (questions, answers, authorities, additional) = (count(4)?, count(6)?, count(8)?, count(10)?);
        if questions != 1 || answers != 0 || authorities != 0 {
            return None;
        }
        let mut end = HEADER;
        loop {
            match *message.get(end)? {
                0 => break,
                len @ 1..=63 => end += 1 + usize::from(len),
                _ => return None,
            }
            if end - HEADER >= MAX_NAME {
                return None;
            }
        }
        end += 1;
        let (raw, rest) = message.get(HEADER..)?.split_at_checked(end - HEADER + 4)?;
        let edns = match (additional, rest) {
            (0, []) => None,
            (1, record) => Some(Edns::read(record)?),
            _ => return None,
        };
        let kind = Kind::from(u16_at(message, end)?);
        Some((Self { raw, kind, edns }, u16_at(message, end + 2)?))
    }

    /// The name in lower case, without a dot at its end, if it is of letters, digits, hyphens and underscores. The
    /// root is an empty text.
    pub fn name(&self) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.raw;
        while let Some((len @ 1.., tail)) = rest.split_first() {
            let (label, tail) = tail.split_at_checked(usize::from(*len))?;
            if !text.is_empty() {
                text.push('.');
            }
            for byte in label {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                        text.push(char::from(byte.to_ascii_lowercase()));
                    }
                    _ => return None,
                }
            }
            rest = tail;
        }
        Some(text)
    }
}

impl Edns {
    /// Reads a record that fills these bytes: owned by the root, of type OPT, with options that fit (RFC 6891 section
    /// 6.1.2). What the options say is nothing to a filter.
    fn read(record: &[u8]) -> Option<Self> {
        let (fixed, mut options) = record.split_at_checked(11)?;
        if fixed[0] != 0 || u16_at(fixed, 1)? != TYPE_OPT || usize::from(u16_at(fixed, 9)?) != options.len() {
            return None;
        }
        while !options.is_empty() {
            let len = usize::from(u16_at(options, 2)?);
            options = options.get(4 + len..)?;
        }
        Some(Self { size: u16_at(fixed, 3)?, version: fixed[6] })
    }
}

/// The first of the messages in what came over TCP (RFC 1035 section 4.2.2, RFC 7766).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed<'a> {
    /// It is not whole.
    More,
    /// It, and how many bytes it used up; others may follow.
    Message(&'a [u8], usize),
    /// A length that no question has: the connection is to be closed.
    Bad(u16),
}

/// Finds the first message in the bytes that are not used up yet.
pub fn framed(bytes: &[u8]) -> Framed<'_> {
    let Some(len) = u16_at(bytes, 0) else { return Framed::More };
    if !(HEADER..=MAX_QUESTION).contains(&usize::from(len)) {
        return Framed::Bad(len);
    }
    let end = 2 + usize::from(len);
    bytes.get(2..end).map_or(Framed::More, |message| Framed::Message(message, end))
}

/// A message with its length before it, as it goes over TCP. `None` for one that is too long.
pub fn frame(message: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(message.len()).ok()?;
    Some([&len.to_be_bytes()[..], message].concat())
}

/// Two bytes as a number.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
