//! The kernel's list of TCP sockets (`/proc/net/tcp` and `tcp6`, proc(5)): whose a connection is. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The socket's number, which descriptors show.
    pub inode: u64,
}

/// Whose socket a line is, if it is at this address and connected to one of these ports.
///
/// A socket that nobody holds any more has no number, and its uid says nothing.
pub fn owner(line: &str, at: SocketAddr, to: &[u16]) -> Option<Owner> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (endpoint(fields.next()?)?, endpoint(fields.next()?)?);
    if local != at || !to.contains(&remote.port()) {
        return None;
    }
    let mut fields = fields.skip(4);
    let uid = fields.next()?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok().filter(|inode| *inode != 0)?;
    Some(Owner { uid, inode })
}

/// Words of 32 bits, each a hexadecimal number in the machine's byte order; IPv4 over an IPv6 socket is IPv4.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |index: usize| {
        let word = u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let address: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const V4: &str =
        "   1: 020011AC:A1B2 0A7100CB:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
    const MAPPED: &str = "   2: 0000000000000000FFFF0000020011AC:A1B2 0000000000000000FFFF00000A7100CB:01BB 01 \
                          00000000:00000000 00:00000000 00000000  1001        0 4712 1 0";
    const V6: &str = "   3: B80D0120000000000000000002000000:A1B2 B80D0120000000000000000010000000:0050 01 \
                      00000000:00000000 00:00000000 00000000     0        0 4713 1 0";

    #[test]
    fn a_line_by_its_address() {
        let v4: SocketAddr = "172.17.0.2:41394".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::2]:41394".parse().unwrap();
        let ports = &[443, 80][..];
        for (line, at, to, want) in [
            (V4, v4, ports, Some((1000, 4711))),
            (MAPPED, v4, ports, Some((1001, 4712))),
            (V6, v6, ports, Some((0, 4713))),
            (V4, v6, ports, None),
            (V4, "172.17.0.2:41395".parse().unwrap(), ports, None),
            (V4, v4, &[8443], None),
            (&V4.replace("4711", "0"), v4, ports, None),
            ("  sl  local_address rem_address   st", v4, ports, None),
            ("", v4, ports, None),
            (&V4[..60], v4, ports, None),
        ] {
            let want = want.map(|(uid, inode)| Owner { uid, inode });
            assert_eq!(owner(line, at, to), want, "{line}");
        }
    }
}
