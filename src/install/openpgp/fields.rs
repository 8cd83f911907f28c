//! The numbers and strings that packets are made of.

use super::OpenPgpError;

/// What is left of a packet's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

const SHORT: OpenPgpError = OpenPgpError::Malformed("it ends in the middle");

impl<'a> Fields<'a> {
    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], OpenPgpError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], OpenPgpError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, OpenPgpError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, OpenPgpError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, OpenPgpError> {
        self.array().map(u32::from_be_bytes)
    }

    /// What a length of two bytes announces.
    pub(super) fn block(&mut self) -> Result<&'a [u8], OpenPgpError> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    /// A whole number, without zeros in front.
    pub(super) fn mpi(&mut self) -> Result<&'a [u8], OpenPgpError> {
        let bits = u32::from(self.u16()?);
        let bytes = self.bytes(bits.div_ceil(8) as usize)?;
        // One number has one spelling: RFC 9580, 3.2.
        match bytes.first() {
            Some(first) if first.leading_zeros() == bits.next_multiple_of(8) - bits => Ok(bytes),
            _ => Err(OpenPgpError::Malformed("a number is spelled in an odd way")),
        }
    }

    /// Nothing must follow.
    pub(super) fn end(self) -> Result<(), OpenPgpError> {
        if self.0.is_empty() { Ok(()) } else { Err(OpenPgpError::Malformed("something follows its end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(Fields(&[0, 9, 1, 2]).mpi(), Ok(&[1, 2][..]));
        assert_eq!(Fields(&[0, 8, 0x80, 2]).mpi(), Ok(&[0x80][..]));
        for odd in
            [&[0, 10, 1, 2][..], &[0, 8, 1, 2], &[0, 9, 2, 0], &[0, 16, 0, 1], &[0, 0], &[0, 9, 1], &[0]]
        {
            assert!(Fields(odd).mpi().is_err(), "{odd:?}");
        }
    }
}
