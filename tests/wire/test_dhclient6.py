"""ISC dhclient's DHCPv6 leases: captured ones, cut short, and what their blocks can hold."""

from __future__ import annotations

import math
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, Lease, LeasedAddress
from trimif._information import DelegatedPrefix, Information, LeaseTimes, RawOption
from trimif._model import Origin
from trimif._wire.dhclient import parse_leases

# What dhclient 4.4.3 wrote when it had a lease of dnsmasq; and when it had released it.
BOUND = r"""default-duid "\000\001\000\0012\225\247\203\002\000\000\000\012\002";
lease6 {
  interface "up-a";
  ia-na 00:00:0a:02 {
    starts 1795353349;
    renew 30;
    rebind 45;
    iaaddr 2001:db8:a::1000 {
      starts 1795353349;
      preferred-life 60;
      max-life 90;
    }
  }
  option dhcp6.client-id 0:1:0:1:32:95:a7:83:2:0:0:0:a:2;
  option dhcp6.server-id 0:3:0:1:2:0:0:0:a:1;
  option dhcp6.name-servers 2001:db8:a::1,2001:db8:a::3;
  option dhcp6.domain-search "isp-a.example.", "example.com.";
  option dhcp6.sntp-servers 2001:db8:a::1;
}
"""
BLOCK = BOUND[BOUND.index("lease6") :]
RELEASED = BLOCK.replace("  option dhcp6.client-id", "  released;\n  option dhcp6.client-id")
DELEGATED = """lease6 {
  interface "up-a";
  ia-pd 00:00:0a:02 {
    starts 1795353349;
    renew 0;
    rebind 0;
    iaprefix 2001:db8:b00::/40 {
      starts 1795353349;
      preferred-life 4294967295;
      max-life 4294967295;
    }
  }
}
"""

START = 1795353349.0
SERVER = IPv6Address("2001:db8:a::1")
LEASE = DHCPv6Lease(
    interface="up-a",
    origin=Origin("dhclient"),
    valid_until=START + 90,
    addresses=(LeasedAddress(IPv6Address("2001:db8:a::1000"), START + 90, START + 60),),
    data=(
        (Information.LEASE, LeaseTimes(START + 30, START + 45, START + 90)),
        (Information.DNS_SERVERS, (SERVER, IPv6Address("2001:db8:a::3"))),
        (Information.SEARCH_DOMAINS, ("isp-a.example", "example.com")),
        (Information.NTP_SERVERS, (SERVER,)),
    ),
)


def parse(text: str) -> tuple[Lease | DHCPv6Lease, ...]:
    return parse_leases(text, datetime.timestamp)


def only(text: str) -> DHCPv6Lease:
    (lease,) = parse(text)
    assert isinstance(lease, DHCPv6Lease)
    return lease


def test_a_captured_lease() -> None:
    assert parse(BOUND) == (LEASE,)


def test_a_released_lease_has_ended() -> None:
    assert parse(BOUND + RELEASED) == (DHCPv6Lease("up-a", Origin("dhclient"), -math.inf),)
    assert parse(BOUND + RELEASED + BLOCK) == (LEASE,)


def test_both_families_have_a_lease_of_the_same_interface() -> None:
    lease4 = 'lease { interface "up-a"; fixed-address 198.51.100.9; expire never; }'
    assert [type(each) for each in parse(lease4 + BOUND + lease4)] == [Lease, DHCPv6Lease]


def test_a_file_that_ends_at_any_octet() -> None:
    complete = BLOCK.rindex("}") + 1
    assert all(parse(BLOCK[:length]) == () for length in range(complete))
    assert all(parse(BOUND + RELEASED[:length]) == (LEASE,) for length in range(RELEASED.rindex("}") + 1))


def test_a_delegated_prefix_for_ever() -> None:
    lease = only(DELEGATED)
    assert lease.addresses == ()
    assert lease.valid_until == math.inf
    assert dict(lease.data) == {
        Information.LEASE: LeaseTimes(None, None, math.inf),
        Information.DELEGATED_PREFIXES: (DelegatedPrefix(IPv6Network("2001:db8:b00::/40"), math.inf, math.inf),),
    }


@pytest.mark.parametrize("where", ["    starts 1795353349;\n    renew", "      preferred-life"])
def test_what_the_server_refused_is_not_leased(where: str) -> None:
    status = 'option dhcp6.status-code NoAddrsAvail "none left";\n'
    assert BLOCK.count(where) == 1
    assert only(BLOCK.replace(where, status + where)).addresses == ()
    assert only(BLOCK.replace(where, status.replace("NoAddrsAvail", "success") + where)) == LEASE


@pytest.mark.parametrize(
    ("written", "information", "datum"),
    [
        ('v6-captive-portal "https://portal.example/"', "CAPTIVE_PORTAL", "https://portal.example/"),
        ("unknown-103 68:74:74:70:73:3a:2f", "CAPTIVE_PORTAL", "https:/"),
        ("unknown-224 1:2", "RAW_OPTIONS", (RawOption(224, b"\1\2"),)),
        ("inf-max-rt 3600", "RAW_OPTIONS", (RawOption(83, b"\0\0\x0e\x10"),)),
        ("unknown-56 0:1:0:10:20:1:d:b8:0:a:0:0:0:0:0:0:0:0:0:1", "NTP_SERVERS", (SERVER,)),
    ],
)
def test_options(written: str, information: str, datum: object) -> None:
    lease = only(f"{DELEGATED[: DELEGATED.rindex('}')]} option dhcp6.{written}; }}")
    assert dict(lease.data)[Information.named(information)] == datum


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('interface "up-a";', ""),
        ('"up-a"', '"../up-a"'),
        ("2001:db8:a::1000", "198.51.100.7"),
        ("iaaddr 2001:db8:a::1000", "iaaddr"),
        ("      starts 1795353349;", ""),
        ("      starts 1795353349;", "starts yesterday;"),
        ("      starts 1795353349;", "starts 999999999999999;"),
        ("max-life 90;", ""),
        ("max-life 90;", "max-life 90 90;"),
        ("renew 30;", "renew -1;"),
    ],
)
def test_what_does_not_make_a_lease_is_malformed(old: str, new: str) -> None:
    assert old in BLOCK
    with pytest.raises(MalformedInput):
        parse(BLOCK.replace(old, new))


@given(st.integers(0, len(BOUND) - 1), st.characters(), st.integers(0, 3))
def test_mutations_of_a_captured_lease(position: int, character: str, removed: int) -> None:
    text = BOUND[:position] + character + BOUND[position + removed :]
    try:
        leases = parse(text)
    except MalformedInput:
        return
    assert all(isinstance(each, Lease | DHCPv6Lease) for each in leases)


@given(st.text('lease6ian-adr{};"0: \n', max_size=200))
def test_any_text_gives_leases_or_malformed_input(text: str) -> None:
    try:
        assert isinstance(parse(text), tuple)
    except MalformedInput:
        return
