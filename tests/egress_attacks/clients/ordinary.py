"""What must go on working."""
import os
import socket
import ssl
import subprocess
import threading
import time

from common import *

CA = os.environ.get("CA", "")


def curl(*arguments):
    command = ["curl", "--silent", "--show-error", "--fail", "--http1.1", "--cacert", CA, "--max-time", "8", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=10).stdout


def secure(host, timeout=5):
    context = ssl.create_default_context(cafile=CA)
    return context.wrap_socket(socket.create_connection((host, 443), timeout), server_hostname=host)


def expect(good, what):
    if not good:
        raise SystemExit(what)


@ordinary("use.https4", "api:443 tls sni=api.example")
def _():
    """curl to a listed name over IPv4."""
    expect(b"reached" in curl("-4", f"https://api.example/{TOKEN}"), "no answer")


@ordinary("use.https6", "api:443 tls sni=api.example")
def _():
    """curl to a listed name over IPv6."""
    expect(b"reached" in curl("-6", f"https://api.example/{TOKEN}"), "no answer")


@ordinary("use.http2", "api:443 tls sni=api.example alpn=h2")
def _():
    """HTTP/2, chosen in the TLS handshake."""
    version = curl("--http2", "--output", "/dev/null", "--write-out", "%{http_version}", "-A", TOKEN,
                   "https://api.example/" + TOKEN)
    expect(version == b"2", f"version {version}")
    # HTTP/2 packs its headers, so the token is told in a body.
    curl("--http2", "--data", TOKEN, "https://api.example/")


@ordinary("use.alias", "api:443 tls sni=www.example")
def _():
    """A listed name that is an alias of an alias."""
    curl(f"https://www.example/{TOKEN}")


@ordinary("use.many_addresses", "many:443 tls sni=many.example")
def _():
    """A listed name with more addresses than fit into a datagram."""
    curl(f"https://many.example/{TOKEN}")


@ordinary("use.git_fetch", "api:443 tls git-upload-pack", limit=10)
def _():
    """What git does when it fetches: a GET for the refs, and a POST on the same connection."""
    with secure("api.example") as sock:
        sock.sendall(b"GET /r.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: api.example\r\nGit-Protocol: version=2\r\n\r\n")
        expect(b"200" in listen(sock, 3), "no refs")
        body = b"0014command=fetch\n" + T
        sock.sendall(b"POST /r.git/git-upload-pack HTTP/1.1\r\nHost: api.example\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        expect(b"200" in listen(sock, 3), "no pack")


@ordinary("use.apt", "api:80 raw Host: api.example")
def _():
    """A package list over plain HTTP, as apt asks for it."""
    curl("-A", "Debian APT-HTTP/1.3", f"http://api.example/debian/dists/{TOKEN}/InRelease")


@ordinary("use.keep_alive_http", "api:80 raw")
def _():
    """Several requests on one plain connection."""
    with dial(socket.getaddrinfo("api.example", 80, socket.AF_INET)[0][4][0], 80) as sock:
        for number in range(4):
            sock.sendall(get("api.example", f"{TOKEN}/{number}"))
            expect(b"200" in listen(sock, 3), "no answer")


@ordinary("use.large_download", "api:443 tls large", limit=12)
def _():
    """Eight megabytes."""
    expect(len(curl(f"https://api.example/large?{TOKEN}")) == 8 << 20, "not all of it")


@ordinary("use.upload", "api:443 tls", limit=12)
def _():
    """Four megabytes the other way."""
    expect(b"reached" in subprocess.run(
        ["curl", "-sSf", "--http1.1", "--cacert", CA, "--max-time", "9", "--header", "Expect:", "--data-binary", "@-", f"https://api.example/{TOKEN}"],
        input=b"x" * (4 << 20), stdout=subprocess.PIPE, check=True).stdout, "no answer")


@ordinary("use.parallel", "api:443 tls", limit=15, phase="alone")
def _():
    """Forty connections at once."""
    failed = []

    def one(number):
        try:
            with secure("api.example", 10) as sock:
                sock.sendall(get("api.example", f"{TOKEN}/{number}"))
                if b"200" not in listen(sock, 8):
                    failed.append("no answer")
        except OSError as error:
            failed.append(str(error))
    threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    expect(not failed, f"{len(failed)} failed: {failed[:1]}")


@ordinary("use.idle", "api:443 tls after", limit=15)
def _():
    """A connection that is silent for six seconds."""
    with secure("api.example") as sock:
        sock.sendall(get("api.example", f"before/{TOKEN}"))
        expect(b"200" in listen(sock, 3), "no answer")
        time.sleep(6)
        sock.sendall(get("api.example", f"after/{TOKEN}"))
        expect(b"200" in listen(sock, 3), "no answer after a while")


@ordinary("use.websocket", "api:443 tls")
def _():
    """A WebSocket over TLS."""
    with secure("api.example") as sock:
        sock.sendall(b"GET /ws HTTP/1.1\r\nHost: api.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
        expect(b"101" in listen(sock, 3), "no upgrade")
        frame = b"\x81" + bytes([0x80 | len(T)]) + b"\0\0\0\0" + T
        sock.sendall(frame)
        expect(T in listen(sock, 3), "no echo")


@ordinary("use.rotating", "rotate:443 tls sni=rotate.example", limit=14)
def _():
    """A listed name whose addresses change every second, while clients keep connecting."""
    failed, done = [], 0
    end = time.monotonic() + 8
    while time.monotonic() < end:
        try:
            with secure("rotate.example", 3) as sock:
                sock.sendall(get("rotate.example", f"{TOKEN}/{done}"))
                if b"200" in listen(sock, 3):
                    done += 1
                else:
                    failed.append("no answer")
        except OSError as error:
            failed.append(str(error))
        time.sleep(0.1)
    expect(done > 10 and not failed, f"{len(failed)} of {done + len(failed)} failed: {failed[:1]}")


@ordinary("use.wildcard", "api:443 tls sni={t}.zone.example")
def _():
    """A name below a listed zone, which nobody has asked for before."""
    expect(b"reached" in curl(f"https://{TOKEN}.zone.example/{TOKEN}"), "no answer")


@ordinary("use.database", "shared:5432 raw")
def _():
    """A port of a host's, opened by a rule of its own, over both families."""
    for kind in (socket.AF_INET, socket.AF_INET6):
        tell(socket.getaddrinfo("db.example", 5432, kind)[0][4][0], 5432, T + b"\n")


@ordinary("use.host_port", "gateway:9418 raw")
def _():
    """A listed port of the host's, whose address only the hosts file knows, as with Docker's --add-host."""
    tell(socket.getaddrinfo("host.docker.internal", 9418, socket.AF_INET)[0][4][0], 9418, T + b"\n")


@ordinary("use.ssh", "many:22 raw")
def _():
    """What git over SSH does first: the server greets, the client answers."""
    with dial(socket.getaddrinfo("git.example", 22, socket.AF_INET)[0][4][0], 22) as sock:
        expect(listen(sock, 3).startswith(b"SSH-2.0-"), "no greeting")
        sock.sendall(b"SSH-2.0-" + T + b"\r\n")
        listen(sock)


@ordinary("use.dns_over_tcp", "many:443 tls sni=many.example")
def _():
    """A long answer asked for over TCP, as clients do when it was cut short."""
    with dial(*RESOLVER) as sock:
        sock.sendall(framed(question("many.example")))
        expect(len(listen(sock, 3)) > 512, "no long answer")
    curl(f"https://many.example/{TOKEN}")


@ordinary("use.loopback", "=api:443", limit=8)
def _():
    """A server of one's own on loopback, over both families."""
    curl("https://api.example/")
    for address in ("127.0.0.1", "::1"):
        with socket.socket(family(address)) as server:
            server.bind((address, 0))
            server.listen()
            with dial(address, server.getsockname()[1]) as client:
                peer, _ = server.accept()
                peer.sendall(T)
                expect(listen(client, 2) == T, "loopback is closed")


@ordinary("use.quick_refusals", "api:443 tls", limit=10)
def _():
    """Whatever is refused is refused at once: nothing hangs."""
    def quick(what, attempt, limit=1.5):
        start = time.monotonic()
        try:
            attempt()
        except OSError:
            pass
        took = time.monotonic() - start
        expect(took < limit, f"{what} took {took:.1f} s")
    quick("a name", lambda: socket.getaddrinfo("www.evil.test", 443))
    quick("TCP", lambda: dial(EVIL, 8080, 4).close())
    quick("TCP over IPv6", lambda: dial(EVIL6, 8080, 4).close())
    quick("the metadata service", lambda: dial("169.254.169.254", 80, 4).close())
    quick("TLS", lambda: careless().wrap_socket(dial(EVIL, 443, 4), server_hostname="www.evil.test").close())
    quick("TLS for another tenant", lambda: careless().wrap_socket(dial(SHARED, 443, 4), server_hostname=TENANT).close())
    quick("HTTP for another tenant", lambda: tell(SHARED, 80, get(TENANT), 4))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((EVIL, 443))
        quick("QUIC", lambda: sock.send(b"\xc3\0\0\0\1" + b"\0" * 1200))
    curl(f"https://api.example/{TOKEN}")
