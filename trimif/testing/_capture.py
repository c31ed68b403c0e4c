"""Watch the packets on a link: the proof of who sent what by which uplink (law 10).

A raw packet socket (:manpage:`packet(7)`) on one interface of a namespace, read without blocking whenever
`Capture.packets` is asked for: no thread, no process, nothing to wait for. The kernel puts a packet into it before
the ``connect`` or ``sendto`` that caused it returns, or shortly after; on a virtual cable, before any answer.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from attrs import evolve, frozen

from trimif.testing._namespaces import Namespace

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
PACKET_OUTGOING = 4
SOL_PACKET = 263
PACKET_STATISTICS = 6
SO_RCVBUFFORCE = 33
BUFFER_OCTETS = 16 << 20

_TCP_SYN, _TCP_ACK = 0x02, 0x10
_EXTENSION_HEADERS = frozenset({0, 43, 60})  # Hop-by-hop, routing, destination options (RFC 8200, 4)
_FRAGMENT_HEADER = 44
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_NAME_SERVICES = frozenset({53, 5353, 5355})  # DNS, multicast DNS, LLMNR


@frozen
class Packet:
    """An IP packet that was seen on a link.

    Attributes:
        protocol: ``"tcp"``, ``"udp"``, ``"icmp"``, ``"icmpv6"``, or the protocol's number.
        outgoing: it was sent by the namespace that was watched, not received by it.
        syn: it asks for a TCP connection (SYN without ACK).
        dns_name: the name in the first question of a DNS message, in lower case and without the last dot.
        icmpv6_type: for example 133, a router solicitation.
    """

    protocol: str
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    outgoing: bool = False
    source_port: int | None = None
    destination_port: int | None = None
    syn: bool = False
    dns_name: str | None = None
    icmpv6_type: int | None = None


def parse_packet(octets: bytes, *, outgoing: bool = False) -> Packet | None:
    """Read an IPv4 or IPv6 packet, which may be cut off; None if it isn't one."""
    try:
        version = octets[0] >> 4
        return {4: _parse_ipv4, 6: _parse_ipv6}[version](octets, outgoing)
    except (IndexError, KeyError, struct.error):
        return None


def _parse_ipv4(octets: bytes, outgoing: bool) -> Packet:
    fragment, protocol, source, destination = struct.unpack_from("!6xHxB2x4s4s", octets)
    packet = Packet(str(protocol), IPv4Address(source), IPv4Address(destination), outgoing)
    if fragment & 0x1FFF:  # Only the first fragment has ports.
        return packet
    return _parse_transport(packet, protocol, octets[(octets[0] & 0x0F) * 4 :])


def _parse_ipv6(octets: bytes, outgoing: bool) -> Packet:
    protocol, source, destination = struct.unpack_from("!6xBx16s16s", octets)
    packet = Packet(str(protocol), IPv6Address(source), IPv6Address(destination), outgoing)
    rest = octets[40:]
    while protocol in _EXTENSION_HEADERS:
        protocol, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    if protocol == _FRAGMENT_HEADER:
        protocol, offset = struct.unpack_from("!BxH", rest)
        if offset >> 3:
            return packet
        rest = rest[8:]
    return _parse_transport(packet, protocol, rest)


def _parse_transport(packet: Packet, protocol: int, octets: bytes) -> Packet:
    packet = evolve(packet, protocol=_PROTOCOLS.get(protocol, str(protocol)))
    if packet.protocol == "icmpv6":
        return evolve(packet, icmpv6_type=octets[0])
    if packet.protocol == "udp":
        return _with_ports(packet, octets, octets[8:])
    if packet.protocol == "tcp":
        data, flags = (octets[12] >> 4) * 4, octets[13]
        packet = evolve(packet, syn=flags & (_TCP_SYN | _TCP_ACK) == _TCP_SYN)
        return _with_ports(
            packet, octets, octets[data + 2 :]
        )  # Over TCP a message follows its length (RFC 1035, 4.2.2).
    return packet


def _with_ports(packet: Packet, octets: bytes, message: bytes) -> Packet:
    source, destination = struct.unpack_from("!HH", octets)
    name = _question(message) if _NAME_SERVICES & {source, destination} else None
    return evolve(packet, source_port=source, destination_port=destination, dns_name=name)


def _question(message: bytes) -> str | None:
    """The name that a DNS message asks for; None if there is none. The first name is never compressed."""
    labels, position = [], 12
    while position < len(message) and (length := message[position]):
        label = message[position + 1 : position + 1 + length]
        if length > 63 or len(label) < length:
            return None
        labels.append(label.decode("ascii", "backslashreplace"))
        position += 1 + length
    return ".".join(labels).lower() if position < len(message) else None


class PacketsLost(Exception):
    """The capture's buffer was full: it can't say what was *not* sent."""


class Capture:
    """What went over one interface since the capture was opened. A context manager; close it when done."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        """Begin to watch; nothing that is sent after this is missed."""
        # With the protocol 0 it receives nothing until bind() names interface and protocol together.
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self._enlarge_buffer()
            self._socket.setblocking(False)
            self._socket.bind((interface, ETH_P_ALL))
        except BaseException:
            self._socket.close()
            raise
        self._packets: list[Packet] = []

    def _enlarge_buffer(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        with suppress(PermissionError):  # In a user namespace the system's limit holds.
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching; what was seen can still be read. A second call does nothing."""
        if self._socket.fileno() >= 0:
            self._drain()
            self._socket.close()

    @property
    def packets(self) -> Sequence[Packet]:
        """Every IP packet so far, in the order in which the link carried them. Does not block.

        Raises:
            PacketsLost: the kernel had to drop some.
        """
        if self._socket.fileno() >= 0:
            self._drain()
        return tuple(self._packets)

    def _drain(self) -> None:
        while True:
            try:
                octets, (_, protocol, kind, *_) = self._socket.recvfrom(65535)
            except BlockingIOError:
                break
            except OSError:  # ENETDOWN, once: the link went down or was deleted. What came before is still there.
                continue
            if protocol in (ETH_P_IP, ETH_P_IPV6):
                packet = parse_packet(octets, outgoing=kind == PACKET_OUTGOING)
                self._packets.extend([packet] if packet else [])
        self._check_losses()

    def _check_losses(self) -> None:
        _seen, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:
            raise PacketsLost(f"{dropped} packets did not fit into the capture's buffer")

    def syns(self, *, to: object = None, port: int | None = None) -> list[Packet]:
        """The requests for a TCP connection: all of them, or those to an address, to a port."""
        destination = None if to is None else ip_address(str(to))
        return [
            packet
            for packet in self.packets
            if packet.syn and destination in (None, packet.destination) and port in (None, packet.destination_port)
        ]

    def dns_queries(self, *, name: str | None = None) -> list[Packet]:
        """The questions to name servers, over UDP or TCP: all of them, or those for one name."""
        wanted = None if name is None else name.lower().removesuffix(".")
        return [
            packet
            for packet in self.packets
            if packet.dns_name is not None
            and packet.destination_port in _NAME_SERVICES
            and wanted in (None, packet.dns_name)
        ]
