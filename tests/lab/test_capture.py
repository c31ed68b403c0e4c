"""The capture's reader of packets: what it says of well-formed ones, and that none can harm it."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import example, given
from hypothesis import strategies as st

from trimif.testing._capture import Packet, parse_packet

A, B = "198.51.100.10", "203.0.113.80"
A6, B6 = "2001:db8:a::10", "2001:db8:ff::80"
QUESTION = bytes(12) + b"\x04Host\x07example\x03com\x00\x00\x01\x00\x01"


def ipv4(protocol: int, payload: bytes, *, options: bytes = b"", fragment: int = 0) -> bytes:
    head = struct.pack(
        "!BxH2xHBBxx", 0x45 + len(options) // 4, 20 + len(options) + len(payload), fragment, 64, protocol
    )
    return head + ip_address(A).packed + ip_address(B).packed + options + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255)
    return head + ip_address(A6).packed + ip_address(B6).packed + payload


def udp(source: int, destination: int, data: bytes) -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + len(data), 0) + data


def tcp(source: int, destination: int, flags: int, data: bytes = b"") -> bytes:
    return struct.pack("!HHIIBBHHH", source, destination, 0, 0, 0x50, flags, 0, 0, 0) + data


def seen(octets: bytes) -> Packet:
    packet = parse_packet(octets)
    assert packet is not None
    return packet


def test_connection_request() -> None:
    packet = seen(ipv4(6, tcp(40000, 80, 0x02), options=bytes(8)))
    assert packet == Packet("tcp", ip_address(A), ip_address(B), False, 40000, 80, syn=True)


def test_answer_to_a_connection_request_is_none() -> None:
    assert not seen(ipv6(6, tcp(80, 40000, 0x12))).syn


def test_question_over_udp_and_tcp() -> None:
    over_udp = seen(ipv6(17, udp(40000, 53, QUESTION)))
    over_tcp = seen(ipv4(6, tcp(40000, 53, 0x18, struct.pack("!H", len(QUESTION)) + QUESTION)))
    assert over_udp.dns_name == over_tcp.dns_name == "host.example.com"


def test_other_ports_have_no_question() -> None:
    assert seen(ipv4(17, udp(40000, 5000, QUESTION))).dns_name is None


def test_router_solicitation_behind_a_hop_by_hop_header() -> None:
    packet = seen(ipv6(0, bytes([58, 0, 5, 2, 0, 0, 1, 0]) + bytes([133, 0, 0, 0])))
    assert (packet.protocol, packet.icmpv6_type) == ("icmpv6", 133)


def test_later_fragments_have_no_ports() -> None:
    assert seen(ipv4(17, udp(1, 53, QUESTION), fragment=100)).source_port is None
    assert seen(ipv6(44, struct.pack("!BxHI", 17, 100 << 3, 1) + udp(1, 53, QUESTION))).source_port is None


@given(st.binary(max_size=200))
@example(b"")
@example(ipv4(17, udp(1, 53, bytes(12) + b"\xc0\x0c")))
def test_any_octets(octets: bytes) -> None:
    packet = parse_packet(octets)
    assert packet is None or octets[0] >> 4 in (4, 6)


@given(st.integers(0, 100), st.sampled_from([ipv4(17, udp(1, 53, QUESTION)), ipv6(6, tcp(1, 80, 2))]))
def test_cut_off_anywhere(length: int, octets: bytes) -> None:
    packet = parse_packet(octets[:length])
    assert packet is None or str(packet.source) in (A, A6)
