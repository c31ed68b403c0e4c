"""DHCPv6 options and messages: each type, leases with and without faults, and anything at all."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, LeasedAddress
from trimif._information import (
    DelegatedPrefix,
    DnsServerSelection,
    EncryptedDnsServer,
    Information,
    LeaseTimes,
    RawOption,
)
from trimif._model import Origin
from trimif._wire.dhcpv6_message import INFORMATION_REQUEST, REPLY, DHCPv6Message, encode_message, parse_message
from trimif._wire.dhcpv6_options import DHCPv6Options, lease_of, read_options, split_options

NOW = 1000.0
FIRST, SECOND = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
SERVERS = FIRST.packed + SECOND.packed
EXAMPLE = b"\7example\3org\0"
PREFIX = IPv6Network("2001:db8:1::/48")


def u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def option(code: int, octets: bytes) -> bytes:
    return code.to_bytes(2, "big") + len(octets).to_bytes(2, "big") + octets


def status(code: int) -> bytes:
    return option(13, code.to_bytes(2, "big") + b"words")


def address(ip: IPv6Address = FIRST, preferred: int = 60, valid: int = 90, more: bytes = b"") -> bytes:
    return option(5, ip.packed + u32(preferred, valid) + more)


def prefix(network: IPv6Network = PREFIX, preferred: int = 60, valid: int = 90, more: bytes = b"") -> bytes:
    return option(26, u32(preferred, valid) + bytes([network.prefixlen]) + network.network_address.packed + more)


def association(*options: bytes, renew: int = 30, rebind: int = 45) -> bytes:
    return b"iaid" + u32(renew, rebind) + b"".join(options)


def read(*options: tuple[int, bytes]) -> DHCPv6Options:
    return read_options(options, NOW)


def data(*options: tuple[int, bytes]) -> dict[Information[Any], Any]:
    return dict(read(*options).data)


# ---------------------------------------------------------------- leases


def test_leased_addresses() -> None:
    found = read((2, b"duid"), (3, association(address(), address(SECOND, 120, 180))))
    times = LeaseTimes(NOW + 30, NOW + 45, NOW + 180)
    addresses = (LeasedAddress(FIRST, NOW + 90, NOW + 60), LeasedAddress(SECOND, NOW + 180, NOW + 120))
    assert found == DHCPv6Options(b"duid", addresses, times, NOW + 180, ((Information.LEASE, times),))


def test_delegated_prefixes() -> None:
    found = read((25, association(prefix(), renew=0, rebind=0xFFFFFFFF)))
    times = LeaseTimes(None, math.inf, NOW + 90)
    prefixes = (DelegatedPrefix(PREFIX, NOW + 90, NOW + 60),)
    assert found.times == times
    assert dict(found.data) == {Information.LEASE: times, Information.DELEGATED_PREFIXES: prefixes}


def test_the_earliest_association_is_acted_on() -> None:
    found = read((3, association(address())), (3, association(address(SECOND), renew=20, rebind=60)))
    assert found.times == LeaseTimes(NOW + 20, NOW + 45, NOW + 90)
    assert [each.address for each in found.addresses] == [FIRST, SECOND]


def test_for_ever() -> None:
    assert read((3, association(address(FIRST, 0xFFFFFFFF, 0xFFFFFFFF)))).valid_until == math.inf


@pytest.mark.parametrize(
    "options",
    [
        [(3, association(status(2)))],
        [(3, association(address(), status(6)))],
        [(3, association(address(more=status(1))))],
        [(13, b"\0\1"), (3, association(address()))],
        [(3, association(address(FIRST, 0, 0)))],
        [(3, association(address(FIRST, 91, 90)))],
        [(25, association(prefix(), status(6)))],
        [(25, association(prefix(more=status(6))))],
    ],
    ids=["none there", "association", "address", "message", "taken away", "preferred", "prefixes", "prefix"],
)
def test_what_the_server_did_not_give_is_not_leased(options: list[tuple[int, bytes]]) -> None:
    assert read(*options) == DHCPv6Options()


def test_success_is_no_failure() -> None:
    assert read((13, b"\0\0"), (3, association(address(more=status(0)), status(0)))).addresses


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"iaid" + u32(1),
        association(address(), renew=46),
        association(address()[:-1]),
        association(option(5, FIRST.packed)),
        association(address(), address(more=b"\0")),
        association(address(), option(13, b"\0")),
    ],
)
def test_a_malformed_association_is_only_raw(octets: bytes) -> None:
    for code in (3, 25):
        changed = octets.replace(b"\0\5\0", b"\0\x1a\0") if code == 25 else octets
        assert read((code, changed)) == DHCPv6Options(data=((Information.RAW_OPTIONS, (RawOption(code, changed),)),))


def test_without_addresses_the_refresh_time_counts() -> None:
    assert read().valid_until == math.inf
    assert read((32, u32(3600))).valid_until == NOW + 3600
    assert read((32, u32(1))).valid_until == NOW + 600
    assert read((32, u32(0xFFFFFFFF))).valid_until == math.inf
    assert read((32, u32(3600)), (3, association(address()))).valid_until == NOW + 90
    assert lease_of("eth0", "dhcp", read((32, u32(3600))), SECOND) == DHCPv6Lease(
        "eth0", Origin("dhcp", SECOND), NOW + 3600
    )


# ---------------------------------------------------------------- configuration

PATH = "/dns-query{?dns}"
ENCRYPTED = (
    b"\0\1"
    + len(EXAMPLE).to_bytes(2, "big")
    + EXAMPLE
    + b"\0\x10"
    + FIRST.packed
    + b"\0\1\0\3\2h2\0\7\0\x10/dns-query{?dns}"
)


@pytest.mark.parametrize(
    ("code", "octets", "information", "value"),
    [
        (23, SERVERS, "DNS_SERVERS", (FIRST, SECOND)),
        (24, EXAMPLE + b"\3www" + EXAMPLE, "SEARCH_DOMAINS", ("example.org", "www.example.org")),
        (31, SERVERS, "NTP_SERVERS", (FIRST, SECOND)),
        (56, option(1, FIRST.packed), "NTP_SERVERS", (FIRST,)),
        (56, option(3, EXAMPLE) + option(2, b"ignored"), "NTP_NAMES", ("example.org",)),
        (74, FIRST.packed + b"\1" + EXAMPLE, "DNS_SELECTION", (DnsServerSelection(FIRST, 1, ("example.org",)),)),
        (74, FIRST.packed + b"\2\0", "DNS_SELECTION", (DnsServerSelection(FIRST, 0, (".",)),)),
        (103, b"https://portal.example/", "CAPTIVE_PORTAL", "https://portal.example/"),
        (
            144,
            ENCRYPTED,
            "ENCRYPTED_DNS",
            (EncryptedDnsServer(1, "example.org", (FIRST,), ("h2",), None, PATH, ((1, b"\2h2"), (7, PATH.encode()))),),
        ),
        (144, ENCRYPTED[:17], "ENCRYPTED_DNS", (EncryptedDnsServer(1, "example.org"),)),
    ],
)
def test_options(code: int, octets: bytes, information: str, value: object) -> None:
    assert data((code, octets)) == {Information.named(information): value}


def test_options_that_come_twice() -> None:
    assert data((23, SERVERS), (23, FIRST.packed))[Information.DNS_SERVERS] == (FIRST, SECOND)
    assert data((31, SERVERS), (56, option(1, SECOND.packed)))[Information.NTP_SERVERS] == (SECOND, FIRST)
    later = b"\0\2" + ENCRYPTED[2:]
    assert [each.priority for each in data((144, later), (144, ENCRYPTED))[Information.ENCRYPTED_DNS]] == [1, 2]
    selections = data((74, FIRST.packed + b"\0\0"), (74, SECOND.packed + b"\3\0"))[Information.DNS_SELECTION]
    assert [each.server for each in selections] == [FIRST, SECOND]


WRONG = [
    (23, b""),
    (23, SERVERS[:-1]),
    (24, b""),
    (24, b"\7exam"),
    (24, b"\4a b!\0"),
    (31, b"\0"),
    (56, option(2, FIRST.packed)),
    (56, option(1, b"\0")),
    (56, option(3, b"")),
    (56, b"\0\1\0"),
    (74, FIRST.packed + b"\0"),
    (74, bytes(16) + b"\0\0"),
    (74, FIRST.packed + b"\0\7exam"),
    (103, b"nowhere"),
    (144, b""),
    (144, ENCRYPTED[:10]),
    (144, ENCRYPTED[:18]),
    (144, ENCRYPTED[:-1]),
    (200, b"whatever"),
]


@pytest.mark.parametrize(("code", "octets"), WRONG)
def test_an_option_with_wrong_content_or_without_type_is_only_raw(code: int, octets: bytes) -> None:
    assert read((code, octets)) == DHCPv6Options(data=((Information.RAW_OPTIONS, (RawOption(code, octets),)),))


def test_what_makes_up_the_message_is_not_raw() -> None:
    assert read((1, b"client"), (2, b"server"), (7, b"\0"), (13, b""), (32, b"\1")) == DHCPv6Options(b"server")


# ---------------------------------------------------------------- messages and anything at all


def test_a_message_comes_back() -> None:
    message = DHCPv6Message(REPLY, 0xABCDEF, ((2, b"duid"), (23, SERVERS), (2, b"")))
    assert parse_message(encode_message(message)) == message
    assert message.first(2) == b"duid"
    assert message.first(7) is None
    assert encode_message(DHCPv6Message(INFORMATION_REQUEST, 1)) == b"\x0b\0\0\1"


@pytest.mark.parametrize("octets", [b"", b"\7\0\0", b"\x0c\0\0\0", b"\7\0\0\0\0\1\0", b"\7\0\0\0\0\1\0\1"])
def test_what_is_no_message_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_message(octets)


@given(st.binary(max_size=100))
def test_any_octets_give_a_message_or_malformed_input(octets: bytes) -> None:
    try:
        message = parse_message(octets)
    except MalformedInput:
        return
    assert encode_message(message) == octets


GOOD = [
    (3, association(address(), status(0))),
    (25, association(prefix())),
    (56, option(1, FIRST.packed)),
    (144, ENCRYPTED),
]
CODES = sorted({code for code, _ in (*WRONG, *GOOD)})


@given(st.lists(st.tuples(st.sampled_from(CODES), st.binary(max_size=60)), max_size=6))
def test_any_octets_of_options_are_typed_or_raw(options: list[tuple[int, bytes]]) -> None:
    raw = data(*options).get(Information.RAW_OPTIONS, ())
    assert all((each.code, each.octets) in options for each in raw)


@given(st.sampled_from(GOOD), st.data())
def test_mutations(good: tuple[int, bytes], draw: st.DataObject) -> None:
    code, octets = good
    position = draw.draw(st.integers(0, len(octets) - 1))
    changed = octets[:position] + draw.draw(st.binary(max_size=3)) + octets[position + draw.draw(st.integers(0, 3)) :]
    assert isinstance(read((code, changed)), DHCPv6Options)


def test_hostile_sizes_are_harmless() -> None:
    for row in (
        b"\0\x17\0\x10" + SERVERS[:16],
        option(24, b"\1a\0"),
        option(200, b""),
        option(3, association(address())),
    ):
        assert isinstance(read(*split_options(row * (65000 // len(row)))), DHCPv6Options)
    for code in CODES:
        assert isinstance(read((code, (EXAMPLE * 6000)[:65535])), DHCPv6Options)
