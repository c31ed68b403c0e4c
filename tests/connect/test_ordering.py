"""Destination address selection against the examples of RFC 6724, and its rules on random addresses."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._connect._ordering import order_destinations
from trimif._model import DomainId, DomainView, IPAddress, SourceAddress


def source(text: str) -> SourceAddress:
    """An address with marks: ``"fe80::2 deprecated"``."""
    literal, *marks = text.split()
    address = ip_address(literal)
    return SourceAddress(address, 24 if address.version == 4 else 64, deprecated="deprecated" in marks)


def view(*sources: str, loopback: bool = False) -> DomainView:
    return DomainView(DomainId("d"), "up-a/ipv6", 7, loopback, tuple(source(each) for each in sources))


EXAMPLES = {
    # RFC 6724, 10.2, less the one about home addresses
    "2: a matching scope, IPv6": (
        ["2001:db8:1::2", "fe80::1", "169.254.13.78"],
        ["2001:db8:1::1", "198.51.100.121"],
    ),
    "2: a matching scope, IPv4": (["fe80::1", "198.51.100.117"], ["198.51.100.121", "2001:db8:1::1"]),
    "6: higher precedence": (["2001:db8:1::2", "fe80::1", "10.1.2.4"], ["2001:db8:1::1", "10.1.2.3"]),
    "8: smaller scope": (["2001:db8:1::2", "fe80::2"], ["fe80::1", "2001:db8:1::1"]),
    "3: no deprecated source": (["2001:db8:1::2", "fe80::2 deprecated"], ["2001:db8:1::1", "fe80::1"]),
    "9: the longest prefix": (
        ["2001:db8:1::2", "2001:db8:3f44::2", "fe80::2"],
        ["2001:db8:1::1", "2001:db8:3ffe::1"],
    ),
    "5: a matching label": (["2002:c633:6401::2", "fe80::2"], ["2002:c633:6401::1", "2001:db8:1::1"]),
    "6: higher precedence than 6to4": (
        ["2002:c633:6401::2", "2001:db8:1::2", "fe80::2"],
        ["2001:db8:1::1", "2002:c633:6401::1"],
    ),
    # and what the examples leave out, with the update of the policy table
    "1: no source of the family, IPv4": (["2001:db8:1::2"], ["2001:db8:1::1", "198.51.100.121"]),
    "1: no source of the family, IPv6": (["198.51.100.117"], ["198.51.100.121", "2001:db8:1::1"]),
    "1: however bad the source": (["2001:db8:1::2 deprecated"], ["2001:db8:1::1", "198.51.100.121"]),
    "1: loopback from elsewhere": (["169.254.13.78"], ["198.51.100.121", "127.0.0.1"]),
    "1: the unspecified address": (["198.51.100.117", "2001:db8:1::2"], ["2002:c633:6401::1", "0.0.0.0"]),
    "1: an IPv4-mapped address": (["198.51.100.117", "2001:db8:1::2"], ["198.51.100.121", "::ffff:198.51.100.121"]),
    "5: a global source does not match a unique local destination": (
        ["2001:db8:1::2", "198.51.100.117"],
        ["198.51.100.121", "fd02::1"],
    ),
    "6: unique local before IPv4": (["fd01::2", "198.51.100.117"], ["fd01::1", "198.51.100.121"]),
    "6: the site's own before global": (["fd01::2", "2001:db8:1::2"], ["fd01::1", "2001:db8:1::1"]),
    "6: IPv4 before 6to4": (["2002:c633:6401::2", "198.51.100.117"], ["198.51.100.121", "2002:c633:6401::1"]),
    "8: the link's own address is as good without a source of ours": (["2001:db8:1::2"], ["fe80::1", "2001:db8:1::1"]),
    "9: IPv4 on the link": (["198.51.100.117"], ["198.51.100.121", "203.0.113.1"]),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(example: str) -> None:
    sources, expected = EXAMPLES[example]
    addresses = [ip_address(each) for each in expected]
    assert order_destinations(view(*sources), addresses) == addresses
    assert order_destinations(view(*sources), reversed(addresses)) == addresses


UNDECIDED = {
    "9: not past the source's prefix": (["2001:db8::1"], ["2001:db8::8:0:1", "2001:db8::1:0:0"]),
    "9: IPv4 beyond the link": (["198.51.100.117"], ["203.0.113.1", "198.51.101.1"]),
    "1: neither can be reached": (["198.51.100.117"], ["2001:db8::1", "fd01::1"]),
}


@pytest.mark.parametrize("example", UNDECIDED)
def test_what_the_rules_leave_equal_keeps_its_order(example: str) -> None:
    sources, texts = UNDECIDED[example]
    for given_order in (texts, texts[::-1]):
        addresses = [ip_address(each) for each in given_order]
        assert order_destinations(view(*sources), addresses) == addresses


def test_the_loopback_interface_leads_to_this_host_only() -> None:
    domain = view("127.0.0.1", "198.51.100.117", loopback=True)
    peers = [ip_address(each) for each in ("203.0.113.1", "198.51.100.117", "127.0.0.2")]
    assert order_destinations(domain, peers)[-1] == peers[0]


PREFIXES = ["2001:db8::", "2002::", "fd01::", "fd02::", "fe80::", "::ffff:0:0", "::"]
ipv6 = st.builds(
    lambda prefix, rest: ip_address(int(ip_address(prefix)) | rest), st.sampled_from(PREFIXES), st.integers(0, 9)
)
addresses: st.SearchStrategy[IPAddress] = ipv6 | st.ip_addresses(v=4)
domains = st.builds(
    lambda sources, loopback: DomainView(DomainId("d"), "d", 7, loopback, tuple(sources)),
    st.lists(st.builds(SourceAddress, addresses, st.integers(0, 32), st.booleans()), max_size=4),
    st.booleans(),
)


@given(domains, st.lists(addresses, max_size=6))
def test_nothing_is_lost_and_the_order_is_stable(domain: DomainView, destinations: list[IPAddress]) -> None:
    ordered = order_destinations(domain, destinations)
    assert sorted(map(str, ordered)) == sorted(map(str, destinations))
    assert order_destinations(domain, ordered) == ordered


@given(domains, addresses, addresses)
def test_two_are_ordered_alike_in_any_company(domain: DomainView, one: IPAddress, other: IPAddress) -> None:
    """The order of two does not depend on the others: a third may always join."""
    third = ip_address("2001:db8::7")
    pair = order_destinations(domain, [one, other])
    company = [each for each in order_destinations(domain, [one, third, other]) if each != third]
    assert company == [each for each in pair if each != third]
