"""Router advertisements: captured ones, round trips, and whatever else the network may send."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._wire.domain_names import decode_compressed_names, decode_names, encode_name
from trimif._wire.neighbour_discovery import (
    encode_options,
    encode_router_advertisement,
    parse_kernel_options,
    parse_router_advertisement,
    router_solicitation,
)

ROUTER = IPv6Address("fe80::a:1")
HEADER = bytes.fromhex("86000000 40 00 0708 00000000 00000000")

# What radvd 2.19 sent: M, O, high preference, and one option of each kind that it can send.
FROM_RADVD = bytes.fromhex(
    "8600368840c807080000000000000000"
    "030440c000000e10000007080000000020010db8000a00000000000000000000"
    "180330180000070820010db800ff00000000000000000000"
    "190500000000025820010db8000a0000000000000000000120010db8000a00000000000000000003"
    "1f050000ffffffff056973702d61076578616d706c6500076578616d706c6503636f6d0000000000"
    "05010000000005b40101e60c0a46c723"
)

# ---------------------------------------------------------------- what real routers and kernels send


def test_an_advertisement_of_radvd() -> None:
    assert parse_router_advertisement(2, ROUTER, FROM_RADVD, now=100.0) == RouterAdvertisement(
        index=2,
        router=ROUTER,
        header=RouterHeader(until=1900.0, managed=True, other_configuration=True, preference=1, hop_limit=64),
        mtu=1460,
        prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:a::/64"), True, True, 3700.0, 1900.0),),
        routes=(AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), -1, 1900.0),),
        dns_servers=((IPv6Address("2001:db8:a::1"), 700.0), (IPv6Address("2001:db8:a::3"), 700.0)),
        search_domains=(("isp-a.example", math.inf), ("example.com", math.inf)),
    )


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        (
            "030440c000000e10000007080000000020010db8000a00000000000000000000",
            {"prefixes": (AdvertisedPrefix(IPv6Network("2001:db8:a::/64"), True, True, 3600.0, 1800.0),)},
        ),
        (
            "190300000000025820010db8000a00000000000000000001",
            {"dns_servers": ((IPv6Address("2001:db8:a::1"), 600.0),)},
        ),
        ("1f03000000000258056973702d61076578616d706c650000", {"search_domains": (("isp-a.example", 600.0),)}),
        ("250368747470733a2f2f782e6578616d706c652f00000000", {}),
        ("260202580064ff9b0000000000000000", {}),
    ],
    ids=["prefix", "DNS servers", "search list", "captive portal", "PREF64"],
)
def test_options_that_the_kernel_passed_on(captured: str, expected: dict[str, object]) -> None:
    octets = bytes.fromhex(captured)
    advertisement = parse_kernel_options(3, ROUTER, octets, now=0.0)
    assert advertisement == RouterAdvertisement(index=3, router=ROUTER, **expected)  # type: ignore[arg-type]
    assert encode_options(advertisement) == (octets if expected else b"")


def test_a_solicitation_is_eight_octets_of_type_133() -> None:
    assert router_solicitation() == bytes([133, 0, 0, 0, 0, 0, 0, 0])


# ---------------------------------------------------------------- round trips

addresses = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda a: not a.is_multicast and not a.is_unspecified)
labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)
preferences = st.sampled_from([-1, 0, 1])


def networks() -> st.SearchStrategy[IPv6Network]:
    packed = st.integers(0, 2**128 - 1)
    return st.builds(lambda bits, length: IPv6Network((bits, length), strict=False), packed, st.integers(0, 128))


def deadlines(now: float) -> st.SearchStrategy[float]:
    return st.integers(0, 2**32 - 2).map(lambda seconds: now + seconds) | st.just(math.inf)


@st.composite
def prefixes(draw: st.DrawFn, now: float) -> AdvertisedPrefix:
    preferred, valid = sorted([draw(deadlines(now)), draw(deadlines(now))])
    prefix = draw(networks().filter(lambda network: not network.is_link_local))
    return AdvertisedPrefix(prefix, draw(st.booleans()), draw(st.booleans()), valid, preferred)


@st.composite
def advertisements(draw: st.DrawFn) -> tuple[RouterAdvertisement, float]:
    now = draw(st.floats(0, 1e7))
    lifetime = draw(st.integers(0, 0xFFFF))
    header = RouterHeader(
        until=now + lifetime,
        managed=draw(st.booleans()),
        other_configuration=draw(st.booleans()),
        preference=draw(preferences) if lifetime else 0,
        hop_limit=draw(st.integers(0, 255)),
    )
    advertisement = RouterAdvertisement(
        index=7,
        router=ROUTER,
        header=header,
        mtu=draw(st.none() | st.integers(1280, 2**32 - 1)),
        prefixes=tuple(draw(st.lists(prefixes(now), max_size=3))),
        routes=tuple(draw(st.lists(st.builds(AdvertisedRoute, networks(), preferences, deadlines(now)), max_size=3))),
        dns_servers=tuple(draw(st.lists(st.tuples(addresses, deadlines(now)), max_size=4))),
        search_domains=tuple(draw(st.lists(st.tuples(names, deadlines(now)), max_size=4))),
    )
    return advertisement, now


@given(advertisements())
def test_what_was_encoded_is_parsed_as_it_was(case: tuple[RouterAdvertisement, float]) -> None:
    advertisement, now = case
    assert parse_router_advertisement(7, ROUTER, encode_router_advertisement(advertisement, now), now) == advertisement


def test_without_a_time_deadlines_are_lifetimes() -> None:
    octets = encode_router_advertisement(RouterAdvertisement(0, ROUTER, RouterHeader(until=1800)))
    assert octets == bytes.fromhex("86000000 00 00 0708 00000000 00000000")


def test_a_deadline_that_has_passed_is_sent_as_zero_and_withdraws_on_arrival() -> None:
    server = IPv6Address("2001:db8::53")
    octets = encode_options(RouterAdvertisement(0, ROUTER, dns_servers=((server, 90.0),)), now=100.0)
    assert parse_kernel_options(0, ROUTER, octets, now=100.0).dns_servers == ((server, 100.0),)


@pytest.mark.parametrize(
    "advertisement",
    [
        RouterAdvertisement(0, ROUTER),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=65536)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=math.inf)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1, hop_limit=256)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), mtu=2**32),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), search_domains=(("no good name", 1.0),)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), dns_servers=((ROUTER, 1.0),) * 128),
    ],
    ids=["no header", "lifetime", "for ever", "hop limit", "MTU", "name", "too many servers"],
)
def test_what_does_not_fit_is_not_encoded(advertisement: RouterAdvertisement) -> None:
    with pytest.raises(ValueError, match=r"router advertisement|option|domain name"):
        encode_router_advertisement(advertisement)


# ---------------------------------------------------------------- details of the RFCs


def test_the_reserved_router_preference_is_medium() -> None:
    octets = bytes.fromhex("86000000 40 10 0708 00000000 00000000")
    header = parse_router_advertisement(1, ROUTER, octets, 0.0).header
    assert header is not None
    assert header.preference == 0


def test_a_router_that_is_no_default_router_has_no_preference() -> None:
    octets = bytes.fromhex("86000000 40 08 0000 00000000 00000000")
    assert parse_router_advertisement(1, ROUTER, octets, 5.0).header == RouterHeader(until=5.0, hop_limit=64)


def test_bits_behind_the_prefix_length_are_ignored() -> None:
    octets = bytes.fromhex("030440c0 00000e10 00000708 00000000 20010db8000a0000ffffffffffffffff")
    assert parse_kernel_options(1, ROUTER, octets, 0.0).prefixes[0].prefix == IPv6Network("2001:db8:a::/64")


def test_a_default_route_needs_no_prefix_octets() -> None:
    octets = bytes.fromhex("18010008 00000064")
    assert parse_kernel_options(1, ROUTER, octets, 0.0).routes == (AdvertisedRoute(IPv6Network("::/0"), 1, 100.0),)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        HEADER[:15],
        b"\x85" + HEADER[1:],
        HEADER[:1] + b"\x01" + HEADER[2:],
        HEADER + b"\x03",
        HEADER + b"\x05\x00\x00\x00\x00\x00\x05\xb4",
        HEADER + b"\x05\x02\x00\x00\x00\x00\x05\xb4",
        HEADER + b"\x05\x01\x00\x00\x00\x00\x05\xb4" + b"\x63\x00",
    ],
    ids=["empty", "short", "solicitation", "code", "no length", "length 0", "overrun", "length 0 behind a good one"],
)
def test_a_message_without_a_valid_frame_is_dropped(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_router_advertisement(1, ROUTER, octets, 0.0)


PREFIX = "20010db8000a00000000000000000000"


@pytest.mark.parametrize(
    "option",
    [
        "030340c0 00000e10 00000708 00000000 20010db8000a0000",
        f"030481c0 00000e10 00000708 00000000 {PREFIX}",
        f"030440c0 00000708 00000e10 00000000 {PREFIX}",
        "030440c0 00000e10 00000708 00000000 fe800000000000000000000000000000",
        "05010000 000004ff",
        "05020000 000005b4 0000000000000000",
        "18024110 00000708 20010db8000a0000",
        "18010108 00000708",
        f"18048008 00000708 {PREFIX} 0000000000000000",
        f"18038108 00000708 {PREFIX}",
        f"18034010 00000708 {PREFIX}",
        "19010000 00000258",
        f"19040000 00000258 {PREFIX} 0000000000000000",
        "19030000 00000258 ff020000000000000000000000000001",
        "19030000 00000258 00000000000000000000000000000000",
        "1f010000 00000258",
        "1f020000 00000258 0861626364656667",
        "1f020000 00000258 0361ff6300000000",
        "1f020000 00000258 0361006300000000",
        "1f020000 00000258 03611b6300000000",
        "1f020000 00000258 0361626300000001",
        "1f020000 00000258 0361c00000000000",
        "1f020000 00000258 c000000000000000",
    ],
)
def test_an_option_with_wrong_content_is_left_out_whole_and_counted(option: str) -> None:
    """All the rest holds: RFC 8106, 5.3.1 discards "the options", not the message."""
    good = bytes.fromhex("190300000000025820010db8000a00000000000000000001")
    faults: list[MalformedInput] = []
    octets = HEADER + bytes.fromhex(option) + good
    advertisement = parse_router_advertisement(1, ROUTER, octets, 0.0, faults.append)
    assert len(faults) == 1
    assert advertisement == parse_router_advertisement(1, ROUTER, HEADER + good, 0.0)


# ---------------------------------------------------------------- anything at all


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_give_a_value_or_malformed_input(octets: bytes, framed: bool) -> None:
    try:
        advertisement = parse_router_advertisement(1, ROUTER, HEADER + octets if framed else octets, 0.0)
    except MalformedInput:
        return
    assert parse_router_advertisement(1, ROUTER, encode_router_advertisement(advertisement), 0.0) == advertisement


@given(st.integers(0, len(FROM_RADVD) - 1), st.integers(0, 255), st.integers(0, len(FROM_RADVD)))
def test_mutations_of_a_real_advertisement(position: int, octet: int, length: int) -> None:
    mutated = bytearray(FROM_RADVD)
    mutated[position] = octet
    try:
        advertisement = parse_router_advertisement(1, ROUTER, bytes(mutated[:length]), 0.0)
    except MalformedInput:
        return
    assert all(domain.isprintable() and domain.isascii() for domain, _until in advertisement.search_domains)


# ---------------------------------------------------------------- names


@given(st.lists(names, max_size=6))
def test_names_come_back(domains: list[str]) -> None:
    octets = b"".join(map(encode_name, domains))
    assert decode_names(octets + bytes(5)) == tuple(domains)
    assert decode_compressed_names(octets) == tuple(domains)


def test_compressed_names_are_the_example_of_rfc_3397() -> None:
    octets = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"
    assert decode_compressed_names(octets) == ("eng.apple.com", "marketing.apple.com")


@pytest.mark.parametrize(
    "octets",
    [b"\xc0\x00", b"\x01a\xc0\x00", b"\x01a\xc0\x02", b"\x01a\xc0", b"\x01a\x00\x01b\xc0\x09", b"\x01a\x00\x80"],
    ids=["itself", "own start", "own end", "cut short", "forwards", "reserved"],
)
def test_pointers_that_do_not_lead_backwards_are_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        decode_compressed_names(octets)


def test_a_name_of_255_octets_is_the_longest() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert decode_names(encode_name(longest)) == (longest,)
    with pytest.raises(ValueError, match="longer"):
        encode_name(longest + "d")
    with pytest.raises(MalformedInput, match="longer"):
        decode_names(b"\x3f" + b"a" * 63 + encode_name(longest)[:-1] + b"\0")


@given(st.binary(max_size=200))
def test_any_octets_give_names_or_malformed_input(octets: bytes) -> None:
    for decode in (decode_names, decode_compressed_names):
        try:
            found = decode(octets)
        except MalformedInput:
            continue
        assert all(encode_name(name) for name in found)
