"""Source address selection against the examples of RFC 6724, and against its rules on random addresses."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._connect import order_sources, policy_of
from trimif._connect._selection import common_prefix_length, scope_of
from trimif._model import IPAddress, SourceAddress


def source(text: str, *flags: str) -> SourceAddress:
    address = ip_address(text)
    length = 24 if address.version == 4 else 64
    return SourceAddress(address, length, deprecated="deprecated" in flags, temporary="temporary" in flags)


EXAMPLES = {
    # RFC 6724, 10.1, less the one about home addresses
    "2: a wide enough scope": ("2001:db8:1::1", source("2001:db8:3::1"), source("fe80::1")),
    "2: a multicast destination's scope": ("ff05::1", source("2001:db8:3::1"), source("fe80::1")),
    "1: the same address": ("2001:db8:1::1", source("2001:db8:1::1", "deprecated"), source("2001:db8:2::1")),
    "2: no wider scope than needed": ("fe80::1", source("fe80::2", "deprecated"), source("2001:db8:1::1")),
    "8: the longest prefix": ("2001:db8:1::1", source("2001:db8:1::2"), source("2001:db8:3::2")),
    "6: the label of 6to4": ("2002:c633:6401::1", source("2002:c633:6401::d5e3"), source("2001:db8:1::2", "temporary")),
    "7: temporary": ("2001:db8:1::1", source("2001:db8:1::d5e3", "temporary"), source("2001:db8:1::2")),
    # and what the examples leave out
    "3: not deprecated": ("2001:db8:1::1", source("2001:db8:3::2"), source("2001:db8:1::2", "deprecated")),
    "6: unique local to unique local": ("fd01::1", source("fd02::1"), source("2001:db8::1")),
    "6: a known-local prefix before another": ("fd01::1", source("fd01::2"), source("fd02::1")),
    "8: IPv4 by prefix too": ("198.51.100.7", source("198.51.100.1"), source("203.0.113.1")),
    "2: IPv4 link-local": ("203.0.113.1", source("198.51.100.1"), source("169.254.7.7")),
    "8: not past the source's own prefix": ("2001:db8::8:0:1", source("2001:db8::1"), source("2001:db8::8:0:2")),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(example: str) -> None:
    destination, better, worse = EXAMPLES[example]
    assert order_sources([better, worse], ip_address(destination)) == (better, worse)
    expected = (worse, better) if example.startswith("8: not past") else (better, worse)  # a tie keeps its order
    assert order_sources([worse, better], ip_address(destination)) == expected


def test_no_candidate_of_the_family() -> None:
    assert order_sources([source("198.51.100.1")], ip_address("2001:db8::1")) == ()


@pytest.mark.parametrize(
    ("address", "precedence", "label"),
    [
        ("::1", 50, 0),
        ("2001:db8::1", 40, 1),
        ("198.51.100.1", 20, 4),
        ("2002::1", 5, 2),
        ("2001::1", 5, 5),
        ("fd02::1", 30, 13),
        ("fd01:0:0:7::1", 45, 14),
        ("::5", 1, 3),
        ("fec0::1", 1, 11),
        ("3ffe::1", 1, 12),
    ],
)
def test_the_policy_table(address: str, precedence: int, label: int) -> None:
    policy = policy_of(ip_address(address), frozenset({IPv6Network("fd01::/48")}))
    assert (policy.precedence, policy.label) == (precedence, label)


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("fe80::1", 2),
        ("::1", 2),
        ("127.0.0.1", 2),
        ("169.254.1.1", 2),
        ("fec0::1", 5),
        ("10.0.0.1", 14),
        ("ff08::1", 8),
    ],
)
def test_scopes(address: str, scope: int) -> None:
    assert scope_of(ip_address(address)) == scope


GLOBAL_PREFIXES = ["2001:db8::", "2002::", "2001::", "3ffe::", "::", "ff0e::"]
NARROW_PREFIXES = ["fd01::", "fd02::", "fe80::", "fec0::", "ff02::"]
ipv6_addresses = st.builds(
    lambda prefix, rest: IPv6Address(int(IPv6Address(prefix)) | rest),
    st.sampled_from(GLOBAL_PREFIXES + NARROW_PREFIXES),
    st.integers(0, 15) | st.integers(0, 2**96 - 1),
)
addresses: st.SearchStrategy[IPAddress] = ipv6_addresses | st.ip_addresses(v=4)
candidate = st.builds(SourceAddress, addresses, st.integers(0, 32), st.booleans(), st.booleans())
sources = st.lists(candidate, unique_by=lambda each: each.address, max_size=6)


@given(sources, addresses)
def test_all_candidates_of_the_family_and_no_others(candidates: list[SourceAddress], destination: IPAddress) -> None:
    ordered = order_sources(candidates, destination)
    assert set(ordered) == {each for each in candidates if each.address.version == destination.version}
    assert len(ordered) == len(set(ordered))


@given(sources, addresses)
def test_no_candidate_precedes_a_better_one(candidates: list[SourceAddress], destination: IPAddress) -> None:
    """The RFC defines a comparison of two. (Without unique local addresses: their label depends on the others'.)"""
    others = [each for each in candidates if each.address not in IPv6Network("fc00::/7")]
    for before, after in itertools.combinations(order_sources(others, destination), 2):
        assert not better_by_rfc(after, before, destination)


def better_by_rfc(a: SourceAddress, b: SourceAddress, destination: IPAddress) -> bool:
    """RFC 6724, section 5, word by word: does it prefer A to B?"""
    if (a.address == destination) != (b.address == destination):
        return a.address == destination
    scope_a, scope_b, scope = scope_of(a.address), scope_of(b.address), scope_of(destination)
    if scope_a < scope_b:
        return not scope_a < scope
    if scope_b < scope_a:
        return scope_b < scope
    if a.deprecated != b.deprecated:
        return b.deprecated
    matches = [policy_of(each.address).label == policy_of(destination).label for each in (a, b)]
    if matches[0] != matches[1]:
        return matches[0]
    if a.temporary != b.temporary:
        return a.temporary
    lengths = [min(common_prefix_length(each.address, destination), each.prefix_length) for each in (a, b)]
    return lengths[0] > lengths[1]


@given(st.ip_addresses(v=4), st.integers(0, 31))
def test_common_prefix(address: IPv4Address, bit: int) -> None:
    assert common_prefix_length(address, address) == 32
    assert common_prefix_length(address, IPv4Address(int(address) ^ 1 << bit)) == 31 - bit
