//! Packets: a tag, a length, a body (RFC 9580, section 4.2).

use super::OpenPgpError;
use super::fields::Fields;

/// A signature.
pub(super) const SIGNATURE: u8 = 2;
/// A primary key.
pub(super) const KEY: u8 = 6;
/// Something that readers skip.
pub(super) const MARKER: u8 = 10;
/// What a program notes for itself.
pub(super) const TRUST: u8 = 12;
/// A name and an address.
pub(super) const USER_ID: u8 = 13;
/// A subkey.
pub(super) const SUBKEY: u8 = 14;
/// A picture.
pub(super) const USER_ATTRIBUTE: u8 = 17;
/// Bytes without a meaning.
pub(super) const PADDING: u8 = 21;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// Splits `bytes` into packets, with nothing left over.
pub(super) fn split(bytes: &[u8]) -> Result<Vec<Packet<'_>>, OpenPgpError> {
    let mut fields = Fields(bytes);
    let mut packets = Vec::new();
    while !fields.0.is_empty() {
        packets.push(next(&mut fields)?);
    }
    Ok(packets)
}

fn next<'a>(fields: &mut Fields<'a>) -> Result<Packet<'a>, OpenPgpError> {
    let first = fields.u8()?;
    let (tag, length) = match first {
        ..0x80 => return Err(OpenPgpError::Malformed("no packet starts where one should")),
        0x80..0xc0 => {
            let length = match first & 3 {
                0 => fields.u8()?.into(),
                1 => fields.u16()?.into(),
                2 => fields.u32()?,
                // Up to wherever the file ends, which is no length for keys and signatures.
                _ => return Err(OpenPgpError::Malformed("a packet has no length")),
            };
            ((first >> 2) & 0x0f, length)
        }
        0xc0.. => {
            let length = match fields.u8()? {
                short @ ..192 => short.into(),
                long @ 192..224 => ((u32::from(long) - 192) << 8) + u32::from(fields.u8()?) + 192,
                255 => fields.u32()?,
                // Only for data, which neither keys nor signatures are.
                _ => return Err(OpenPgpError::Malformed("a packet comes in parts")),
            };
            (first & 0x3f, length)
        }
    };
    Ok(Packet { tag, body: fields.bytes(length as usize)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(bytes: &[u8]) -> Result<Vec<(u8, usize)>, OpenPgpError> {
        Ok(split(bytes)?.iter().map(|packet| (packet.tag, packet.body.len())).collect())
    }

    #[test]
    fn both_formats() {
        let body = [7; 300];
        for (head, tag, length) in [
            (&[0x88, 3][..], 2, 3),
            (&[0x99, 1, 44], 6, 300),
            (&[0x9a, 0, 0, 0, 2], 6, 2),
            (&[0xc2, 3], 2, 3),
            (&[0xc6, 192, 8], 6, 200),
            (&[0xd5, 255, 0, 0, 1, 0], 21, 256),
        ] {
            let packet = [head, &body[..length]].concat();
            assert_eq!(lengths(&packet), Ok(vec![(tag, length)]), "{head:?}");
            assert_eq!(lengths(&[&packet[..], &packet].concat()), Ok(vec![(tag, length); 2]));
            assert!(lengths(&packet[..packet.len() - 1]).is_err(), "{head:?}");
            assert!(lengths(&[&packet[..], b"\n"].concat()).is_err(), "{head:?}");
        }
        for head in
            [&[0x8b, 1][..], &[0xc2, 224], &[0xc2, 254], &[0x00, 1], &[0x7f], &[0x9a, 255, 255, 255, 255]]
        {
            assert!(lengths(&[head, &body].concat()).is_err(), "{head:?}");
        }
    }
}
