//! The bytes of a socket address, as `connect` and `bind` are given them.

/// How long an address can be: `struct sockaddr_storage`. The kernel refuses what says it is longer.
pub(super) const MAX: usize = 128;
/// `struct sockaddr_un`.
const MAX_UNIX: usize = 110;

/// What an address means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Of the Unix family, by path: not empty, without NUL.
    Path(Vec<u8>),
    /// Of the Unix family, abstract: the bytes after the first NUL, NULs included.
    Abstract(Vec<u8>),
    /// Of the Unix family and nothing else: `bind` chooses a name.
    Unnamed,
    /// Of the Unix family, and longer than one can be.
    TooLong,
    /// Of any other family, or none.
    Other,
}

/// How many bytes there are to read of an address that says it has this many; `None` where the kernel will refuse it, or
/// find no family in it.
pub(super) fn readable(len: i32) -> Option<usize> {
    usize::try_from(len).ok().filter(|len| (2..=MAX).contains(len))
}

/// Reads an address as unix(7) has it.
pub(super) fn parse(bytes: &[u8]) -> Address {
    let Some((family, path)) = bytes.split_first_chunk() else { return Address::Other };
    if i32::from(u16::from_ne_bytes(*family)) != libc::AF_UNIX {
        return Address::Other;
    }
    if bytes.len() > MAX_UNIX {
        return Address::TooLong;
    }
    match path.split_first() {
        None => Address::Unnamed,
        Some((0, name)) => Address::Abstract(name.to_vec()),
        // The kernel puts a NUL behind one that has none.
        Some(_) => Address::Path(path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(path: &[u8]) -> Vec<u8> {
        [&1u16.to_ne_bytes(), path].concat()
    }

    #[test]
    fn addresses_read() {
        let table: [(Vec<u8>, Address); 11] = [
            (vec![], Address::Other),
            (vec![1], Address::Other),
            (vec![2, 0, 1, 1, 127, 0, 0, 1], Address::Other),
            (vec![0, 1, b'/'], Address::Other),
            (unix(b""), Address::Unnamed),
            (unix(b"\0"), Address::Abstract(vec![])),
            (unix(b"\0a\0/b"), Address::Abstract(b"a\0/b".to_vec())),
            (unix(b"/a\0/b"), Address::Path(b"/a".to_vec())),
            (unix(b"a"), Address::Path(b"a".to_vec())),
            (unix(&[b'a'; 108]), Address::Path(vec![b'a'; 108])),
            (unix(&[b'a'; 109]), Address::TooLong),
        ];
        for (bytes, address) in table {
            assert_eq!(parse(&bytes), address, "{bytes:?}");
        }
    }

    #[test]
    fn lengths() {
        for len in [i32::MIN, -1, 0, 1, 129, i32::MAX] {
            assert_eq!(readable(len), None, "{len}");
        }
        assert_eq!((readable(2), readable(128)), (Some(2), Some(128)));
    }

    proptest! {
        #[test]
        fn what_a_path_says_is_what_the_kernel_reads(bytes in proptest::collection::vec(any::<u8>(), 0..=MAX)) {
            match parse(&bytes) {
                Address::Path(path) => {
                    prop_assert!(!path.is_empty() && !path.contains(&0) && path.len() <= 108);
                    prop_assert!(bytes[2..].starts_with(&path));
                    prop_assert!(matches!(bytes.get(2 + path.len()), None | Some(0)));
                }
                Address::Abstract(name) => prop_assert_eq!(&bytes[3..], &name[..]),
                Address::Unnamed => prop_assert_eq!(bytes.len(), 2),
                Address::TooLong => prop_assert!(bytes.len() > 110),
                Address::Other => prop_assert!(bytes.len() < 2 || bytes[..2] != 1u16.to_ne_bytes()),
            }
        }

        #[test]
        fn a_unix_address_is_never_taken_for_another(path in proptest::collection::vec(any::<u8>(), 0..=126)) {
            prop_assert_ne!(parse(&unix(&path)), Address::Other);
        }
    }
}
