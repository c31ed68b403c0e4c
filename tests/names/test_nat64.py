"""IPv4 addresses below the prefixes of a NAT64, against the examples of RFC 6052, and finding those prefixes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trimif._names._nat64 import (
    WELL_KNOWN_PREFIX,
    as_ipv4,
    choose_prefixes,
    embed,
    extract,
    may_embed,
    prefixes_from_answers,
    synthesise,
)

# RFC 6052, 2.4, tables 2 and 3
EXAMPLES = [
    ("2001:db8::/32", "192.0.2.33", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "192.0.2.33", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "192.0.2.33", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "192.0.2.33", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "192.0.2.33", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "192.0.2.33", "2001:db8:122:344::192.0.2.33"),
    ("64:ff9b::/96", "192.0.2.33", "64:ff9b::192.0.2.33"),
]
OWN_PREFIX = IPv6Network("2001:db8:64::/96")
SERVICE = IPv4Address("9.9.9.9")  # global


@pytest.mark.parametrize(("prefix", "ipv4", "ipv6"), EXAMPLES)
def test_examples(prefix: str, ipv4: str, ipv6: str) -> None:
    assert embed(IPv6Network(prefix), IPv4Address(ipv4)) == IPv6Address(ipv6)
    assert extract(IPv6Network(prefix), IPv6Address(ipv6)) == IPv4Address(ipv4)


@st.composite
def prefixes(draw: st.DrawFn) -> IPv6Network:
    """Of every length, within 2000::/3, the u octet of the longest being zero (RFC 6052, 2.2)."""
    length = draw(st.sampled_from([32, 40, 48, 56, 64, 96]))
    bits = draw(st.integers(0, 2**125 - 1)) | 1 << 125
    return IPv6Network((bits & ~(0xFF << 56), length), strict=False)


@given(prefixes(), st.ip_addresses(v=4))
def test_round_trip(prefix: IPv6Network, address: IPv4Address) -> None:
    embedded = embed(prefix, address)
    assert embedded in prefix
    assert embedded.packed[8] == 0
    assert extract(prefix, embedded) == address


@given(prefixes(), st.ip_addresses(v=6))
def test_what_is_extracted_was_embedded_but_for_the_suffix(prefix: IPv6Network, address: IPv6Address) -> None:
    inside = IPv6Address(int(prefix.network_address) | int(address) & int(prefix.hostmask))
    extracted = extract(prefix, inside)
    assert (extracted is None) == (inside.packed[8] != 0)
    if extracted is not None:
        suffix = max(96 - prefix.prefixlen - 8, 0)  # bits behind u and the address
        assert int(embed(prefix, extracted)) >> suffix == int(inside) >> suffix


def test_nothing_is_in_an_address_outside_the_prefix() -> None:
    assert extract(WELL_KNOWN_PREFIX, IPv6Address("64:ff9c::192.0.2.33")) is None


def test_the_u_octet_is_zero() -> None:
    assert extract(IPv6Network("2001:db8::/32"), IPv6Address("2001:db8:c000:221:100::")) is None


def test_in_the_longest_prefix_the_u_octet_is_the_prefixs() -> None:
    """RFC 6052, 2.2, wants it zero there too; a network that has it otherwise has a translator that lives with it."""
    prefix = IPv6Network("2001:db8:1:2:100::/96")
    assert extract(prefix, embed(prefix, SERVICE)) == SERVICE


@pytest.mark.parametrize("length", [0, 8, 31, 33, 63, 65, 95, 97, 128])
def test_other_lengths_are_refused(length: int) -> None:
    prefix = IPv6Network(("2001:db8::", length), strict=False)
    with pytest.raises(ValueError, match=f"not {length}: "):
        embed(prefix, SERVICE)
    with pytest.raises(ValueError, match=f"not {length}: "):
        extract(prefix, IPv6Address("2001:db8::1"))


ANSWERS = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))


@given(st.lists(prefixes(), max_size=3, unique=True))
def test_prefixes_are_found_in_the_answers_for_the_name_that_has_ipv4_only(told: list[IPv6Network]) -> None:
    answers = [embed(prefix, address) for prefix in told for address in ANSWERS]
    assert prefixes_from_answers(answers) == tuple(told)


def test_of_an_address_that_can_be_read_in_two_ways_the_other_one_decides() -> None:
    prefix = IPv6Network("2001:db8:c000:aa::/96")  # has 192.0.0.170 behind its first 32 bits
    assert prefixes_from_answers([embed(prefix, ANSWERS[0])]) == ()
    other = IPv6Network("2001:db8:1::/96")
    assert prefixes_from_answers([embed(prefix, ANSWERS[0]), embed(other, ANSWERS[1])]) == (other,)


NO_PREFIXES = [
    "2001:db8::1",
    "2001:db8::192.0.0.172",
    "::ffff:192.0.0.170",  # an IPv4-mapped address: it would lead past the NAT64, as IPv4
    "::192.0.0.170",
    "fe80::192.0.0.170",
    "ff0e::192.0.0.170",
    "64:ff9b:2::192.0.0.170",
]


@pytest.mark.parametrize("answer", NO_PREFIXES)
def test_other_answers_tell_no_prefix(answer: str) -> None:
    assert prefixes_from_answers([IPv6Address(answer)]) == ()


@given(st.lists(st.ip_addresses(v=6), max_size=4))
def test_any_answers_will_do(answers: list[IPv6Address]) -> None:
    for prefix in prefixes_from_answers(answers):
        assert any(extract(prefix, answer) in ANSWERS for answer in answers)


def test_router_advertisements_are_preferred_to_the_dns() -> None:
    told, found = (IPv6Network("2001:db8:1::/96"), WELL_KNOWN_PREFIX), (OWN_PREFIX,)
    assert choose_prefixes(told, found) == told
    assert choose_prefixes((), found) == found
    assert choose_prefixes((*told, *told)) == told


@pytest.mark.parametrize(
    "prefix", ["::/96", "::ffff:0:0/96", "ff00::/96", "fe80::/64", "2001:db8::/60", "2001:db8::1/128"]
)
def test_what_is_no_prefix_of_a_nat64_is_left_out(prefix: str) -> None:
    assert choose_prefixes([IPv6Network(prefix)], [OWN_PREFIX]) == (OWN_PREFIX,)


@pytest.mark.parametrize(
    ("address", "own", "well_known"),
    [
        ("9.9.9.9", True, True),
        ("10.1.2.3", True, False),  # RFC 6052, 3.1
        ("100.64.0.1", True, False),
        ("192.168.1.1", True, False),
        ("203.0.113.7", True, False),
        ("0.0.0.0", False, False),
        ("127.0.0.1", False, False),
        ("169.254.1.1", False, False),
        ("192.0.0.170", False, False),
        ("224.0.0.251", False, False),
        ("255.255.255.255", False, False),
    ],
)
def test_which_addresses_are_embedded(address: str, own: bool, well_known: bool) -> None:
    ipv4 = IPv4Address(address)
    assert (may_embed(OWN_PREFIX, ipv4), may_embed(WELL_KNOWN_PREFIX, ipv4)) == (own, well_known)
    assert bool(synthesise([OWN_PREFIX], [ipv4])) is own
    assert (as_ipv4([OWN_PREFIX], embed(OWN_PREFIX, ipv4)) == ipv4) is own


def test_all_below_the_best_prefix_then_all_below_the_next() -> None:
    private, native = IPv4Address("10.0.0.1"), IPv6Address("2001:db8::1")
    assert synthesise([WELL_KNOWN_PREFIX, OWN_PREFIX], [private, native, SERVICE, SERVICE]) == (
        IPv6Address("64:ff9b::9.9.9.9"),
        IPv6Address("2001:db8:64::10.0.0.1"),
        IPv6Address("2001:db8:64::9.9.9.9"),
    )


@given(st.lists(prefixes(), min_size=1, max_size=3), st.lists(st.ip_addresses(v=4), max_size=3))
def test_what_was_made_is_seen_through(told: list[IPv6Network], addresses: list[IPv4Address]) -> None:
    assume(not any(one != other and one.overlaps(other) for one in told for other in told))
    assert {as_ipv4(told, made) for made in synthesise(told, addresses)} == {
        address for address in addresses if may_embed(told[0], address)
    }


def test_a_hosts_own_address_in_the_prefix_is_left_alone() -> None:
    assert as_ipv4([IPv6Network("2001:db8:1:2::/64")], IPv6Address("2001:db8:1:2:9:909:900:1")) is None
    assert as_ipv4([OWN_PREFIX], IPv6Address("2001:db8::1")) is None
    assert as_ipv4([], IPv6Address("64:ff9b::9.9.9.9")) is None


def test_the_longest_of_prefixes_in_each_other_counts() -> None:
    wide, narrow = IPv6Network("2001:db8:122:300::/56"), IPv6Network("2001:db8:122:309::/64")
    made = embed(narrow, IPv4Address("9.9.9.0"))
    assert as_ipv4([wide], made) == SERVICE
    assert as_ipv4([wide, narrow], made) == IPv4Address("9.9.9.0")
