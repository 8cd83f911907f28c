//! A ruleset as data: what nf_tables is told and what it answers, in the words of `linux/netfilter/nf_tables.h`.

use std::net::{IpAddr, SocketAddr};

/// One table of family `inet` with its chains and sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// The table's name.
    pub table: &'static str,
    /// Sets of allowed endpoints, and of what was refused.
    pub sets: Vec<Set>,
    /// Base chains first, then the chains they jump to.
    pub chains: Vec<Chain>,
}

/// A set whose elements time out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// The set's name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Address family of its elements.
    pub family: Family,
}

/// What a set's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// `address . port`, put there by the daemon.
    Endpoints,
    /// `address . protocol . port . uid`, put there by rules, with how many packets they were.
    Flows {
        /// How many; further ones are not noted.
        most: u32,
    },
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Length of an address in bytes.
    pub const fn address_len(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

/// An allowed endpoint: TCP to this address and port.
pub type Endpoint = SocketAddr;

/// What packets were for, as a rule has noted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// The destination.
    pub address: IpAddr,
    /// The transport protocol's number.
    pub protocol: u8,
    /// The destination port of TCP and UDP; of other protocols 0.
    pub port: u16,
    /// Whose socket sent them; of what was refused on loopback 0.
    pub uid: u32,
}

impl Flow {
    /// The port on loopback that somebody outside the agent's cell listens on, if that is what the cell was refused:
    /// what is for ourselves is noted for nothing else.
    pub fn local_port(&self) -> Option<u16> {
        self.address.is_loopback().then_some(self.port)
    }
}

/// A chain and its rules in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The chain's name.
    pub name: String,
    /// Where it is hooked in; a chain that is only jumped to has none.
    pub base: Option<BaseChain>,
    /// Each rule is a list of expressions.
    pub rules: Vec<Vec<Expr>>,
}

/// Where a base chain is hooked in, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseChain {
    /// Its type, which decides its policy too.
    pub kind: ChainKind,
    /// The netfilter hook.
    pub hook: InetHook,
    /// Priority among the hook's chains.
    pub priority: i32,
}

/// Types of base chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Judges packets; what no rule takes is dropped.
    Filter,
    /// Redirects flows by their first packet; what no rule takes goes on as it was.
    Nat,
}

/// Hooks of family inet (`enum nf_inet_hooks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum InetHook {
    /// Packets for this machine.
    LocalIn = 1,
    /// Packets routed through.
    Forward = 2,
    /// Packets made here.
    LocalOut = 3,
    /// Packets about to leave, by the interface that they really leave by.
    PostRouting = 4,
}

/// A register. The kernel names the first 16 bytes `1` and their 4-byte parts `8` to `11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(pub u32);

/// The register that most expressions use.
pub const REG: Register = Register(1);

/// An nf_tables expression, as far as this table uses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Load packet meta data.
    Meta {
        /// What to load.
        key: MetaKey,
        /// Where to.
        to: Register,
    },
    /// Load the connection tracking state bits.
    CtState {
        /// Where to.
        to: Register,
    },
    /// Load the mark of the connection tracking entry.
    CtMark {
        /// Where to.
        to: Register,
    },
    /// Set the mark of the connection tracking entry.
    SetCtMark {
        /// Where it is.
        from: Register,
    },
    /// Load a number.
    Number {
        /// The number.
        number: u32,
        /// Where to.
        to: Register,
    },
    /// Load bytes of the packet.
    Payload {
        /// Header to count from.
        base: PayloadBase,
        /// Bytes from its start.
        offset: u32,
        /// How many.
        len: u32,
        /// Where to.
        to: Register,
    },
    /// Load the type of an address, as routing sees it (`NFT_FIB_RESULT_ADDRTYPE`).
    AddressType {
        /// Which address.
        of: AddressOf,
        /// Where to.
        to: Register,
    },
    /// And with a mask, in place.
    Mask {
        /// The register.
        register: Register,
        /// The mask, as long as the value.
        mask: Vec<u8>,
    },
    /// And with a mask and set other bits, in place.
    Replace {
        /// The register.
        register: Register,
        /// What stays, as long as the value.
        keep: Vec<u8>,
        /// What takes the other bits' place, as long as the value.
        with: Vec<u8>,
    },
    /// Write bytes of the TCP header, and its checksum anew.
    Write {
        /// Header to count from.
        base: PayloadBase,
        /// Bytes from its start.
        offset: u32,
        /// How many.
        len: u32,
        /// Where they are.
        from: Register,
    },
    /// Go on with the rule only if the register compares so.
    Cmp {
        /// The register.
        from: Register,
        /// How to compare.
        op: CmpOp,
        /// With what.
        data: Vec<u8>,
    },
    /// Go on with the rule only if the register's value is in the set.
    Lookup {
        /// The set's name.
        set: String,
        /// First register of the value.
        from: Register,
    },
    /// Note the registers' value in a set, with a count of packets; where the set is full, go on with the next rule.
    Note {
        /// The set's name.
        set: String,
        /// First register of the value.
        from: Register,
        /// How long it stays after the last packet.
        seconds: u64,
    },
    /// Count packets; the counts themselves are not part of the ruleset.
    Counter,
    /// Load a port, in network order.
    Port {
        /// The port.
        port: u16,
        /// Where to.
        to: Register,
    },
    /// Send the flow to this machine's loopback address, at the port in the register.
    Redirect {
        /// Where the port is.
        port: Register,
    },
    /// Refuse, so that clients need not wait for a time-out.
    Reject(RejectWith),
    /// End the chain.
    Verdict(Verdict),
    /// Something that this program never writes; a table that holds it differs from any plan.
    Unknown(String),
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectWith {
    /// A reset. For TCP this works at once; an ICMP error comes while `connect` still holds the socket, is
    /// dropped, and only the first retransmission a second later is refused.
    TcpReset,
    /// "Communication administratively prohibited", for IPv4 and IPv6 alike.
    AdminProhibited,
}

/// Verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Let the packet go.
    Accept,
    /// Let it vanish.
    Drop,
    /// Go on in another chain and come back.
    Jump(String),
}

/// Keys of the meta expression (`enum nft_meta_keys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MetaKey {
    /// The socket's firewall mark.
    Mark = 3,
    /// Name of the interface that the packet leaves by.
    OifName = 7,
    /// Uid of the socket's owner.
    SkUid = 10,
    /// IPv4 or IPv6.
    NfProto = 15,
    /// Transport protocol.
    L4Proto = 16,
}

/// Addresses of a packet (`enum nft_fib_flags`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum AddressOf {
    /// Its source.
    Source = 1,
    /// Its destination.
    Destination = 2,
}

/// Headers that the payload expression counts from (`enum nft_payload_bases`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum PayloadBase {
    /// The IP header.
    Network = 1,
    /// The TCP, UDP or ICMP header.
    Transport = 2,
}

/// Comparisons (`enum nft_cmp_ops`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CmpOp {
    /// Equal.
    Eq = 0,
    /// Not equal.
    Neq = 1,
}
