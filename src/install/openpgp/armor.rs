//! ASCII armour: packets in base64 between two lines of dashes (RFC 9580, section 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::OpenPgpError;

/// What is armoured: the words on the two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Key,
    Signature,
}

impl Label {
    fn words(self) -> &'static str {
        match self {
            Self::Key => "PGP PUBLIC KEY BLOCK",
            Self::Signature => "PGP SIGNATURE",
        }
    }
}

/// The packets in `file`, which is armour with `label`, or packets as they are.
///
/// Several blocks one after the other are one file, as after `cat`.
pub(super) fn packets(file: &[u8], label: Label) -> Result<Vec<u8>, OpenPgpError> {
    // The first byte of a packet has its highest bit set, and no text starts so.
    if file.first().is_none_or(|first| *first >= 0x80) {
        return Ok(file.to_vec());
    }
    let text = str::from_utf8(file).map_err(|_| OpenPgpError::Malformed("neither packets nor text"))?;
    let mut packets = Vec::new();
    // Line ends may have got carriage returns and spaces on the way.
    let mut lines = text.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\r'])).peekable();
    loop {
        while lines.next_if(|line| line.is_empty()).is_some() {}
        if lines.peek().is_none() {
            return Ok(packets);
        }
        packets.extend(block(&mut lines, label)?);
    }
}

fn block<'a>(lines: &mut impl Iterator<Item = &'a str>, label: Label) -> Result<Vec<u8>, OpenPgpError> {
    let words = label.words();
    if lines.next() != Some(&format!("-----BEGIN {words}-----")) {
        return Err(OpenPgpError::Malformed("a line other than that with BEGIN comes first"));
    }
    // Headers such as "Comment: …" mean nothing to a reader, and end with an empty line.
    for line in lines.by_ref() {
        match line {
            "" => break,
            header if header.contains(": ") => {}
            _ => return Err(OpenPgpError::Malformed("a line before the base64 is no header")),
        }
    }
    let (mut base64, mut checksum) = (String::new(), false);
    for line in lines {
        if line == format!("-----END {words}-----") {
            let bytes = STANDARD.decode(base64);
            return bytes.map_err(|_| OpenPgpError::Malformed("its base64 cannot be read"));
        }
        // The checksum is no protection, and RFC 9580 says not to refuse for it. It is the last line.
        match line.strip_prefix('=') {
            Some(sum) if sum.len() == 4 && !checksum => checksum = true,
            None if !checksum => base64.push_str(line),
            _ => break,
        }
    }
    Err(OpenPgpError::Malformed("the line with END is not where it should be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u8>, OpenPgpError> {
        packets(text.as_bytes(), Label::Signature)
    }

    #[test]
    fn armour_and_none() {
        let begin = "-----BEGIN PGP SIGNATURE-----";
        let end = "-----END PGP SIGNATURE-----";
        for good in [
            format!("{begin}\n\nAQID\nBA==\n=abcd\n{end}\n"),
            format!("{begin}\n\nAQIDBA==\n{end}"),
            format!("\r\n{begin}\r\nVersion: 1\r\nComment: x\r\n\r\nAQID\r\nBA==\r\n{end} \r\n\r\n"),
            format!("{begin}\n\nAQ==\n{end}\n{begin}\n\nAgME\n=0000\n{end}\n"),
        ] {
            assert_eq!(read(&good), Ok(vec![1, 2, 3, 4]), "{good}");
        }
        assert_eq!(packets(b"\x88\x00\xff", Label::Key), Ok(vec![0x88, 0, 0xff]));
        assert_eq!(packets(b"", Label::Key), Ok(Vec::new()));
        for bad in [
            begin.to_owned(),
            format!("{begin}\n\nAQID\n"),
            format!("{begin}\n\nAQID\n-----END PGP MESSAGE-----\n"),
            format!("{begin}\nAQID\n{end}\n"),
            format!("{begin}\n\nAQI\n{end}\n"),
            format!("{begin}\n\nA!ID\n{end}\n"),
            format!("{begin}\n\nAQID\n=abcd\nAQID\n{end}\n"),
            format!("{begin}\n\nAQID\n=abcd\n=abcd\n{end}\n"),
            format!("{begin}\n\nAQID\n{end}\nand more\n"),
            format!("more\n{begin}\n\nAQID\n{end}\n"),
            format!("{begin}\n\nAQID\n{end}\n\u{e9}\n"),
            "<html>please log in</html>".to_owned(),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
        assert!(packets(format!("{begin}\n\nAQID\n{end}\n").as_bytes(), Label::Key).is_err());
    }
}
