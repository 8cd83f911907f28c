"""What all clients use: the rows' decorators, the addresses, and a few ways to send."""
import os
import socket
import ssl
import struct
import sys
import time

TOKEN = os.environ.get("TOKEN", "a0000000")
T = TOKEN.encode()
PORT = int(os.environ.get("PORT", "20000"))
# The proxy in the container: the sandbox's, or a careless one where there is no sandbox.
PROXY = ("127.0.0.1", int(os.environ.get("PROXY_PORT", "3128")))
RESOLVER = ("127.0.0.11", 53)

API, SHARED, RELAY, EVIL = "203.0.113.10", "203.0.113.20", "203.0.113.30", "203.0.113.66"
API6, SHARED6, EVIL6 = "2001:db8:113::10", "2001:db8:113::20", "2001:db8:113::66"
GATEWAY, GATEWAY6, SIBLING, SIBLING6 = "172.30.0.1", "fd30::1", "172.30.0.3", "fd30::3"
TENANT = "evil-tenant.example"
# The UDP port on which the hosts beyond send everything back.
ECHO = 4000

ROWS = {}

FRONTED = "the listed host itself serves another's content, which only its own certificate could tell"
INBOUND = "connections from outside are answered, as ports that are published need it"


def row(id, source, seen, kind="attack", open="", needs="", user="user", phase="together", limit=6):
    """A row of the list; its sentence is the function's documentation."""
    def add(function):
        tries = " ".join(function.__doc__.split())
        assert id not in ROWS, id
        fields = dict(id=id, kind=kind, source=source, tries=tries, seen=seen, open=open, needs=needs)
        fields["as"] = user
        fields.update(phase=phase, limit=limit)
        ROWS[id] = (fields, function)
        return function
    return add


def ordinary(id, seen, **more):
    """A row that must work."""
    return row(id, "ordinary use", seen, kind="ordinary", **more)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def dial(address, port, timeout=2):
    """A TCP connection."""
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.settimeout(timeout)
    sock.connect((address, port))
    return sock


def tell(address, port, data, wait=0.7):
    """Sends over TCP, and waits a little for an answer."""
    with dial(address, port) as sock:
        sock.sendall(data)
        return listen(sock, wait)


def listen(sock, wait=0.7):
    """What comes back within a time."""
    sock.settimeout(wait)
    try:
        return sock.recv(65536)
    except OSError:
        return b""


def udp(address, port, data, times=2):
    """Datagrams; twice, as the first may meet a neighbour that is not known yet."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        for _ in range(times):
            sock.sendto(data, (address, port))
            time.sleep(0.05)


def each(*attempts):
    """Tries all; fails with the last error if all fail."""
    errors = []
    for attempt in attempts:
        try:
            attempt()
        except OSError as error:
            errors.append(error)
    if len(errors) == len(attempts):
        raise errors[-1]


def careless():
    """TLS that trusts anybody."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls(address, port, sni, data, alpn=None, sock=None):
    """Sends inside TLS."""
    context = careless()
    if alpn:
        context.set_alpn_protocols(alpn)
    with context.wrap_socket(sock or dial(address, port), server_hostname=sni) as secure:
        secure.sendall(data)
        return listen(secure)


def get(host, path=None):
    """A request for the row's token."""
    return f"GET /{path or TOKEN} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def wait_for_go():
    """Says that what there is to prepare is prepared, and waits until the sandbox stands."""
    print("ready", flush=True)
    sys.stdin.readline()


def labels(name):
    """A name as DNS writes it."""
    parts = name if isinstance(name, list) else [part.encode() for part in name.split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def question(name, kind=1, klass=1, flags=0x0100, extra=b"", counts=(1, 0, 0, 0), tail=b""):
    """A DNS message with one question, and what may be added to it."""
    head = struct.pack(">HHHHHH", 0x1234, flags, *counts)
    return head + labels(name) + struct.pack(">HH", kind, klass) + extra + tail


def framed(message):
    """A DNS message for TCP."""
    return struct.pack(">H", len(message)) + message
