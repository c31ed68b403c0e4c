"""Requests: what trimif asks, octet by octet as linux/rtnetlink.h lays it out."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from trimif._model import Family
from trimif._wire.netlink import Message, attributes, messages
from trimif._wire.netlink_requests import dump_addresses, dump_links, dump_routes, get_link, get_route

REQUEST = 0x1
DUMP = 0x300
ROUTE = struct.Struct("=BBBBBBBBI")


def only_message(octets: bytes) -> Message:
    (message,) = messages(octets)
    return message


def test_dumps() -> None:
    for kind, octets in ((18, dump_links(7)), (22, dump_addresses(7)), (26, dump_routes(7, Family.IPV4))):
        message = only_message(octets)
        assert (message.kind, message.flags, message.sequence, message.port) == (kind, REQUEST | DUMP, 7, 0)


def test_links_are_asked_for_without_statistics() -> None:
    for octets in (dump_links(7), get_link(7, 3)):
        assert attributes(only_message(octets).body, 16) == {29: struct.pack("=I", 8)}


def test_one_link() -> None:
    message = only_message(get_link(7, 3))
    assert (message.kind, message.flags) == (18, REQUEST)
    assert struct.unpack_from("=BxHiII", message.body) == (0, 0, 3, 0, 0)


@pytest.mark.parametrize(("family", "number"), [(Family.IPV4, 2), (Family.IPV6, 10)])
def test_routes_of_a_family_and_only_unicast_ones(family: Family, number: int) -> None:
    assert only_message(dump_routes(7, family)).body == bytes([number, 0, 0, 0, 0, 0, 0, 1]) + bytes(4)


@pytest.mark.parametrize(
    ("family", "length", "source", "destination"),
    [(2, 32, "198.51.100.10", "203.0.113.9"), (10, 128, "2001:db8:a::10", "2001:db8:ff::1")],
)
def test_one_route(family: int, length: int, source: str, destination: str) -> None:
    message = only_message(get_route(9, 3, ip_address(source), ip_address(destination)))
    assert (message.kind, message.flags, message.sequence) == (26, REQUEST, 9)
    assert ROUTE.unpack_from(message.body) == (family, length, length, 0, 0, 0, 0, 0, 0x2000)
    assert attributes(message.body, ROUTE.size) == {
        1: ip_address(destination).packed,
        2: ip_address(source).packed,
        4: struct.pack("=I", 3),
    }


def test_one_route_from_any_source() -> None:
    message = only_message(get_route(9, 3, None, ip_address("203.0.113.9")))
    assert ROUTE.unpack_from(message.body)[2] == 0
    assert 2 not in attributes(message.body, ROUTE.size)


def test_a_route_from_one_family_to_another() -> None:
    with pytest.raises(ValueError, match=r"from 198\.51\.100\.10 to 2001:db8::1"):
        get_route(9, 3, ip_address("198.51.100.10"), ip_address("2001:db8::1"))
