//! Netlink attributes (`struct nlattr`, netlink(7)): type, length, value, padded to four bytes.

/// Marks an attribute that holds attributes.
const NLA_F_NESTED: u16 = 1 << 15;
/// Bits of the type field that are the type.
const NLA_TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// Writes attributes behind whatever the buffer holds.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// A writer on an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// Raw bytes, for message headers.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// An attribute with these bytes as its value.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.buffer.extend_from_slice(value);
        self.close(start);
    }

    /// A 32 bit number in network order, as nf_tables wants its numbers.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A 64 bit number in network order.
    pub fn be64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A string with its terminating zero.
    pub fn string(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.buffer.extend_from_slice(value.as_bytes());
        self.buffer.push(0);
        self.close(start);
    }

    /// An attribute that holds what `fill` writes.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.open(kind | NLA_F_NESTED);
        fill(self);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0, 0]);
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let len = u16::try_from(self.buffer.len() - start).unwrap_or(u16::MAX);
        self.buffer[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        while !self.buffer.len().is_multiple_of(4) {
            self.buffer.push(0);
        }
    }
}

/// The attributes in a message or in a nested attribute. Broken ones end the iteration.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads the attributes in these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The first attribute of this type.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.clone().find_map(|(k, value)| (k == kind).then_some(value))
    }

    /// A 32 bit number in network order.
    pub fn be32(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A 64 bit number in network order.
    pub fn be64(&self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A string without its terminating zero.
    pub fn string(&self, kind: u16) -> Option<&'a str> {
        let value = self.get(kind)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }

    /// The attributes inside an attribute.
    pub fn nested(&self, kind: u16) -> Option<Attributes<'a>> {
        self.get(kind).map(Attributes::new)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, _) = self.rest.split_at_checked(HEADER)?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        if len < HEADER || len > self.rest.len() {
            self.rest = &[];
            return None;
        }
        let value = &self.rest[HEADER..len];
        self.rest = self.rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_round_trip_with_padding_and_nesting() {
        let mut writer = Writer::new();
        writer.string(1, "abcd");
        writer.nested(2, |inner| {
            inner.be32(1, 7);
            inner.bytes(3, &[9]);
        });
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len() % 4, 0);
        let read = Attributes::new(&bytes);
        assert_eq!(read.string(1), Some("abcd"));
        let inner = read.nested(2).unwrap();
        assert_eq!(inner.be32(1), Some(7));
        assert_eq!(inner.get(3), Some(&[9][..]));
        assert_eq!(read.count(), 2);
    }

    #[test]
    fn broken_attributes_end_the_iteration() {
        for bytes in [&[][..], &[8, 0], &[3, 0, 1, 0], &[9, 0, 1, 0, 1, 2, 3, 4]] {
            assert_eq!(Attributes::new(bytes).count(), 0, "{bytes:?}");
        }
    }
}
