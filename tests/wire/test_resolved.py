"""systemd-resolved's files and properties: those that it gave, and garbage."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._wire.link_dns import LinkDns, NameServer
from trimif._wire.resolved import parse_link_file, read_properties

# What systemd-resolved 252 wrote and answered after resolvectl had set two servers and two domains of link 5.
FILE = b"""\
# This is private data. Do not parse.
LLMNR=yes
MDNS=no
DNSOVERTLS=opportunistic
DEFAULT_ROUTE=no
SERVERS=203.0.113.9#dot.example 2001:db8::5
DOMAINS=~intra.example search.example
"""
PROPERTIES: dict[str, Any] = {
    "DNS": [(0, 2, b"\xc0\x00\x02\x35"), (5, 2, b"\xcb\x00\x71\x09")],
    "DNSEx": [
        (0, 2, b"\xc0\x00\x02\x35", 0, ""),
        (3, 10, bytes.fromhex("fd6d6966000100000000000000000001"), 5353, ""),
        (5, 2, b"\xcb\x00\x71\x09", 0, "dot.example"),
        (5, 10, bytes.fromhex("20010db8000000000000000000000005"), 0, ""),
    ],
    "Domains": [(3, ".", True), (5, "intra.example", True), (5, "search.example", False), (0, "global.example", False)],
    "DNSSEC": "no",
}
SERVERS = (NameServer(IPv4Address("203.0.113.9"), None, "dot.example"), NameServer(IPv6Address("2001:db8::5")))
DNS = LinkDns(SERVERS, ("search.example",), ("intra.example",))


def test_a_captured_file() -> None:
    assert parse_link_file(FILE) == LinkDns(SERVERS, ("search.example",), ("intra.example",), default_route=False)


def test_captured_properties() -> None:
    """What is of no link, the servers of the whole host, is left out."""
    assert read_properties(PROPERTIES) == {
        3: LinkDns((NameServer(IPv6Address("fd6d:6966:1::1"), 5353),), (), (".",)),
        5: DNS,
    }


def test_properties_of_old_versions() -> None:
    assert read_properties({"DNS": PROPERTIES["DNS"]}) == {5: LinkDns((NameServer(IPv4Address("203.0.113.9")),))}


@pytest.mark.parametrize(
    "item",
    [
        (5, 2, b"\xcb\x00", 0, ""),
        (5, 2, b"\xcb\x00\x71\x09", 0, "no name!"),
        (5, 2, [256, 0, 0, 0], 0, ""),
        (5, 2),
        "nonsense",
        None,
        (5, 2, b"\xcb\x00\x71\x09", 0, "", "more"),
    ],
)
def test_a_malformed_server_is_left_out(item: object) -> None:
    assert read_properties({"DNSEx": [item, *PROPERTIES["DNSEx"]], "Domains": PROPERTIES["Domains"]})[5] == DNS


@pytest.mark.parametrize("value", [None, 7, "text", {}, [[]], [(5,)], [(5, b"x", True)]])
def test_malformed_properties(value: object) -> None:
    assert read_properties({"DNSEx": value, "Domains": value}) == {}


def test_a_file_that_is_cut_short_is_malformed() -> None:
    with pytest.raises(MalformedInput):
        parse_link_file(FILE[:-5])


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    try:
        parse_link_file(octets)
    except MalformedInput:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=17),
    lambda inner: st.lists(inner, max_size=5) | st.tuples(inner, inner, inner, inner, inner),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JSON, JSON)
def test_any_properties(servers: object, domains: object) -> None:
    assert all(index > 0 for index in read_properties({"DNSEx": servers, "Domains": domains}))
