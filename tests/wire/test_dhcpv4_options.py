"""DHCPv4 options and messages as octets: each type, each way to be wrong, and anything at all."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import DnsServerSelection, EncryptedDnsServer, Information, LeaseTimes, RawOption
from trimif._model import Origin, Route
from trimif._wire.dhcpv4_message import ACK, INFORM, DHCPv4Message, encode_message, parse_message
from trimif._wire.dhcpv4_options import DHCPv4Options, lease_of, read_options, split_options

FIRST, SECOND = IPv4Address("198.51.100.1"), IPv4Address("198.51.100.2")
SERVERS = FIRST.packed + SECOND.packed
EXAMPLE = b"\7example\3org\0"
DNS = b"\3dns" + EXAMPLE


def counted(octets: bytes, size: int = 1) -> bytes:
    return len(octets).to_bytes(size, "big") + octets


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("code", "octets", "field", "value"),
    [
        (1, b"\xff\xff\xff\xc0", "prefix_length", 26),
        (3, SERVERS, "routers", (FIRST, SECOND)),
        (6, SERVERS, "dns_servers", (FIRST, SECOND)),
        (15, b"example.org", "search_domains", ("example.org",)),
        (15, b"example.org\0", "search_domains", ("example.org",)),
        (15, b"a.example b.example.", "search_domains", ("a.example", "b.example")),
        (26, b"\5\x78", "mtu", 1400),
        (42, FIRST.packed, "ntp_servers", (FIRST,)),
        (51, b"\0\0\0\x78", "lease_seconds", 120),
        (54, FIRST.packed, "server", FIRST),
        (58, b"\0\0\0\x3c", "renewal_seconds", 60),
        (59, b"\0\0\0\x69", "rebinding_seconds", 105),
        (119, EXAMPLE + b"\3www\xc0\0", "search_domains", ("example.org", "www.example.org")),
        (121, b"\0" + FIRST.packed, "routes", (Route(IPv4Network("0.0.0.0/0"), FIRST),)),
    ],
)
def test_options_with_a_field(code: int, octets: bytes, field: str, value: Any) -> None:
    assert read_options({code: octets}) == DHCPv4Options(**{field: value})


PRIORITIES = (b"\0\2" + counted(DNS), b"\0\1" + counted(DNS) + counted(FIRST.packed) + b"\0\1\0\4\3dot\0\3\0\2\3\x55")


@pytest.mark.parametrize(
    ("code", "octets", "information", "value"),
    [
        (43, b"ANDROID_METERED", "METERED", True),
        (108, b"\0\0\7\x08", "IPV6_ONLY_WAIT", 1800.0),
        (108, b"\0\0\0\0", "IPV6_ONLY_WAIT", 300.0),
        (114, b"https://portal.example/api", "CAPTIVE_PORTAL", "https://portal.example/api"),
        (114, b"urn:ietf:params:capport:unrestricted", "CAPTIVE_PORTAL", "urn:ietf:params:capport:unrestricted"),
        (
            146,
            b"\3" + SERVERS + b"\0",
            "DNS_SELECTION",
            (DnsServerSelection(FIRST, -1, (".",)), DnsServerSelection(SECOND, -1, (".",))),
        ),
        (
            146,
            b"\1" + FIRST.packed + bytes(4) + EXAMPLE + b"\0",
            "DNS_SELECTION",
            (DnsServerSelection(FIRST, 1, ("example.org", ".")),),
        ),
        (162, counted(PRIORITIES[0], 2), "ENCRYPTED_DNS", (EncryptedDnsServer(2, "dns.example.org"),)),
        (252, b"http://wpad.example/\n\0", "WEB_PROXY", "http://wpad.example/"),
    ],
)
def test_options_with_an_identifier(code: int, octets: bytes, information: str, value: object) -> None:
    assert read_options({code: octets}) == DHCPv4Options(data=((Information.named(information), value),))


def test_encrypted_name_servers_come_best_first() -> None:
    read = read_options({162: b"".join(counted(each, 2) for each in PRIORITIES)})
    best, other = dict(read.data)[Information.ENCRYPTED_DNS]
    parameters = ((1, b"\3dot"), (3, b"\3\x55"))
    assert best == EncryptedDnsServer(1, "dns.example.org", (FIRST,), ("dot",), 853, None, parameters)
    assert other.priority == 2


def test_the_search_list_wins_over_the_domain_name() -> None:
    assert read_options({15: b"other.example", 119: EXAMPLE}).search_domains == ("example.org",)
    assert read_options({15: b"other.example", 119: b"\7exam"}).search_domains == ("other.example",)


WRONG = [
    (3, b""),
    (3, b"\1\2\3"),
    (6, b"\1\2\3\4\5"),
    (15, b""),
    (15, b"evil\33[2J"),
    (26, b"\0\x14"),
    (26, b"\5"),
    (58, b"\0\0\0"),
    (108, b"\0\0\0\0\0"),
    (114, b"portal"),
    (114, b"https://a b"),
    (114, b""),
    (119, b""),
    (119, b"\xc0\0"),
    (121, b""),
    (121, b"\x21\1\2\3\4\5\6\7\x08\x09"),
    (121, b"\x18\xc6"),
    (146, b"\1" + FIRST.packed),
    (146, b"\1" + SERVERS),
    (146, b"\1" + bytes(8) + b"\0"),
    (146, b"\1" + SERVERS + b"\7exam"),
    (162, b""),
    (162, b"\0\xff\0\1"),
    (162, counted(b"\0\1\0", 2)),
    (162, counted(b"\0\1" + counted(EXAMPLE + EXAMPLE), 2)),
    (162, counted(b"\0\1" + counted(DNS) + counted(b"\1\2\3"), 2)),
    (162, counted(b"\0\1" + counted(DNS) + counted(FIRST.packed) + b"\0\1\0\4\3do", 2)),
    (252, b"\0"),
]


@pytest.mark.parametrize(("code", "octets"), WRONG)
def test_an_option_with_wrong_content_is_only_raw(code: int, octets: bytes) -> None:
    raw = DHCPv4Options(data=((Information.RAW_OPTIONS, (RawOption(code, octets),)),))
    assert read_options({code: octets}) == raw


def test_what_has_no_type_is_raw_and_what_makes_up_the_message_is_not() -> None:
    options = {224: b"x", 12: b"me", 43: b"\1\x0fANDROID_METERED", 53: b"\5", 61: b"id", 1: b"wrong", 51: b"", 54: b""}
    raw = (RawOption(12, b"me"), RawOption(43, options[43]), RawOption(224, b"x"))
    assert read_options(options) == DHCPv4Options(
        data=((Information.METERED, True), (Information.RAW_OPTIONS, raw)),
    )


def test_a_lease() -> None:
    options = read_options({51: b"\0\0\0\x78", 54: FIRST.packed, 59: b"\xff\xff\xff\xff", 3: FIRST.packed})
    times = LeaseTimes(None, math.inf, 1120.0)
    assert lease_of("eth0", "dhcpcd", SECOND, options, 1000.0) == Lease(
        "eth0", Origin("dhcpcd", FIRST), SECOND, 32, 1120.0, (FIRST,), data=((Information.LEASE, times),)
    )


# ---------------------------------------------------------------- rows of options, and messages


def test_pieces_are_put_together_and_pads_skipped() -> None:
    assert split_options(b"\0\x0c\1a\0\x77\1b\x0c\1c\xff\x0c\1d") == [(12, b"ac"), (119, b"b")]
    assert split_options(b"") == []


@pytest.mark.parametrize("octets", [b"\x0c", b"\x0c\2a", b"\0\0\x0c\xffabc"])
def test_a_row_that_is_cut_short_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        split_options(octets)


MESSAGE = DHCPv4Message(True, ACK, 0x12345678, FIRST, SECOND, b"\2\0\0\0\0\1", options={53: b"\5", 12: b"n" * 600})


def test_a_message_comes_back() -> None:
    assert parse_message(encode_message(MESSAGE)) == MESSAGE
    asked = DHCPv4Message(False, INFORM, 7, hardware_type=32, options={53: b"\x08"})
    assert len(encode_message(asked)) == 300
    assert parse_message(encode_message(asked)) == asked


@pytest.mark.parametrize(("overload", "told"), [(1, b"in file"), (2, b"in sname"), (3, b"in file in sname"), (0, b"")])
def test_options_in_the_fields_for_file_and_server_name(overload: int, told: bytes) -> None:
    octets = bytearray(encode_message(DHCPv4Message(True, ACK, 1, options={52: bytes([overload])})))
    for at, text in ((108, b"in file"), (44, b" in sname" if overload == 3 else b"in sname")):
        octets[at : at + len(text) + 3] = bytes([12, len(text)]) + text + b"\xff"
    assert parse_message(bytes(octets)).options.get(12, b"") == told


def test_plain_bootp_has_no_kind() -> None:
    octets = encode_message(DHCPv4Message(True, ACK, 1))
    assert parse_message(octets[:240]).kind == 0


def test_what_is_no_message_is_malformed() -> None:
    octets = encode_message(MESSAGE)
    wrong = [
        octets[:239],
        b"\3" + octets[1:],
        octets[:2] + b"\x11" + octets[3:],
        octets[:236] + bytes(4) + octets[240:],
    ]
    for each in (*wrong, octets[:245], b""):
        with pytest.raises(MalformedInput):
            parse_message(each)


@given(st.binary(max_size=80), st.integers(0, 240), st.integers(0, 255))
def test_any_octets_give_a_message_or_malformed_input(octets: bytes, position: int, octet: int) -> None:
    message = bytearray(encode_message(MESSAGE)[:244] + octets)
    message[position] = octet
    try:
        parsed = parse_message(bytes(message))
    except MalformedInput:
        return
    assert read_options(parsed.options) == read_options(dict(parsed.options))


@given(st.dictionaries(st.sampled_from(sorted({code for code, _ in WRONG})), st.binary(max_size=40)))
def test_any_octets_of_options_are_typed_or_raw(options: dict[int, bytes]) -> None:
    read = read_options(options)
    raw = dict(read.data).get(Information.RAW_OPTIONS, ())
    assert {each.code: each.octets for each in raw}.items() <= options.items()
    typed = len(read.data) - bool(raw) + len({field for field in FIELDS if getattr(read, field) not in (None, ())})
    shadowed = 15 in options and 119 in options and not {15, 119} & {each.code for each in raw}
    assert typed + len(raw) + shadowed == len(options)


FIELDS = ("routers", "routes", "dns_servers", "search_domains", "mtu", "renewal_seconds")


def test_hostile_sizes_are_harmless() -> None:
    for code in sorted({code for code, _ in WRONG}):
        for octets in (bytes(65535), b"\xff" * 65535, (EXAMPLE * 6000)[:65535], b"\0\3\0\1\1\0" * 10000):
            assert isinstance(read_options({code: octets}), DHCPv4Options)
