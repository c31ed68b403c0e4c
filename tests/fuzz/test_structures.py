"""Frames that are right around content that is anything: mutations of octets seldom get that deep."""

from __future__ import annotations

import struct
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from .checks import fault_in, outcome_of
from .parsers import PARSERS
from .seeds import OPTIONS4, OPTIONS6

EXAMPLES = settings(max_examples=150, deadline=None)
WORDS = (b"", b"\0", b"\1", b"\0\0\0\0", b"\xff\xff\xff\xff", bytes(16), b"\xff" * 16, b"\3a.b\0", b"\1a\0", b"\xc0\0")

Octets = st.SearchStrategy[bytes]

anything: Octets = st.one_of(st.binary(max_size=40), st.lists(st.sampled_from(WORDS), max_size=6).map(b"".join))


def rows(kinds: list[int], content: Octets, frame: Callable[[int, bytes], bytes]) -> Octets:
    one = st.tuples(st.sampled_from(kinds), content).map(lambda pair: frame(*pair))
    return st.lists(one, max_size=6).map(b"".join)


def assert_sound(name: str, octets: bytes) -> None:
    outcome = outcome_of(PARSERS[name], octets)
    assert fault_in(PARSERS[name], outcome) is None


# ---------------------------------------------------------------- DHCP


def option4(code: int, content: bytes) -> bytes:
    return bytes([code, min(255, len(content))]) + content[:255]


@EXAMPLES
@given(rows([*OPTIONS4, 0, 52, 53, 255], anything | st.sampled_from([*OPTIONS4.values()]), option4))
def test_options_of_dhcpv4(row: bytes) -> None:
    header = PARSERS["dhcpv4_lease"].seeds[0][:240]
    for name in ("dhcpv4", "dhcpv4_lease", "dhcpinform_answer"):
        assert_sound(name, header + row)


def option6(code: int, content: bytes) -> bytes:
    return struct.pack("!HH", code, len(content)) + content


nested = rows([5, 26, 13, 1, 3, 25], anything, option6)
associations = st.tuples(st.binary(min_size=12, max_size=12), nested).map(b"".join)
leased = rows([5], st.tuples(st.binary(min_size=24, max_size=24), nested).map(b"".join), option6)
told = st.one_of(anything, associations, nested, leased, st.sampled_from([content for _, content in OPTIONS6]))


@EXAMPLES
@given(rows([code for code, _ in OPTIONS6], told, option6))
def test_options_of_dhcpv6(row: bytes) -> None:
    for name in ("dhcpv6", "dhcpv6_lease", "information_answer"):
        assert_sound(name, b"\7\0\0\7" + row)


# ---------------------------------------------------------------- router advertisements


def option_of_router(kind: int, content: bytes) -> bytes:
    units = (9 + len(content)) // 8
    return bytes([kind, units]) + content.ljust(8 * units - 2, b"\0")


ROUTERS_OPTIONS = [3, 5, 24, 25, 31, 37, 38, 144, 200]
inside = rows(ROUTERS_OPTIONS, anything, option_of_router)
domains = st.tuples(st.sampled_from([b"\x80\5\0\1", b"\x20\0\0\1"]), st.just(b"\1a\0" + bytes(7)), anything, inside)


@EXAMPLES
@given(rows([*ROUTERS_OPTIONS, 21], anything | domains.map(b"".join), option_of_router))
def test_options_of_routers(row: bytes) -> None:
    assert_sound("router_advertisement", PARSERS["router_advertisement"].seeds[0][:16] + row)
    assert_sound("kernel_options", row)


# ---------------------------------------------------------------- netlink


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0x100, 1, 1) + body + bytes(-len(body) % 4)


attributes = rows([*range(20), 0x8012], anything, attribute)
hops = st.tuples(st.binary(min_size=6, max_size=6), attributes).map(
    lambda pair: struct.pack("=H", 8 + len(pair[1])) + pair[0] + pair[1]
)
routes = rows([1, 4, 5, 6, 9, 12, 15, 18], anything | st.lists(hops, max_size=3).map(b"".join), attribute)
HEADS = (
    b"\0\0\1\0\2\0\0\0\1\0\1\0\0\0\0\0",  # of a link
    b"\2\x18\x80\0\2\0\0\0",  # of addresses
    b"\x0a\x40\x80\0\2\0\0\0",
    b"\2\x18\0\0\xfe\3\0\1\0\0\0\0",  # of routes
    b"\x0a\x40\0\0\xfe\3\0\1\0\0\0\0",
)
bodies = st.tuples(st.sampled_from(HEADS), attributes | routes).map(b"".join)


@EXAMPLES
@given(rows([2, 3, 16, 17, 20, 21, 24, 25, 68], bodies, message))
def test_messages_of_the_kernel(datagram: bytes) -> None:
    for name in ("netlink_event", "netlink_route", "netlink_end"):
        assert_sound(name, datagram)
