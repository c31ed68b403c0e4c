"""Router advertisements as messages: captured ones, their frames, and the headers of the RFCs."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, IPv6Network

import pytest

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._information import RawOption
from trimif._wire.neighbour_discovery import (
    encode_options,
    encode_router_advertisement,
    parse_kernel_options,
    parse_router_advertisement,
    router_solicitation,
)

from .advertisements import ROUTER

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
        raw_options=(RawOption(1, bytes.fromhex("e60c0a46c723")),),
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
        ("250368747470733a2f2f782e6578616d706c652f00000000", {"captive_portal": "https://x.example/"}),
        ("260202580064ff9b0000000000000000", {"pref64": ((IPv6Network("64:ff9b::/96"), 600.0),)}),
    ],
    ids=["prefix", "DNS servers", "search list", "captive portal", "PREF64"],
)
def test_options_that_the_kernel_passed_on(captured: str, expected: dict[str, object]) -> None:
    octets = bytes.fromhex(captured)
    advertisement = parse_kernel_options(3, ROUTER, octets, now=0.0)
    assert advertisement == RouterAdvertisement(index=3, router=ROUTER, **expected)  # type: ignore[arg-type]
    assert encode_options(advertisement) == octets


def test_a_solicitation_is_eight_octets_of_type_133() -> None:
    assert router_solicitation() == bytes([133, 0, 0, 0, 0, 0, 0, 0])


# ---------------------------------------------------------------- encoded


def test_without_a_time_deadlines_are_lifetimes() -> None:
    octets = encode_router_advertisement(RouterAdvertisement(0, ROUTER, RouterHeader(until=1800)))
    assert octets == bytes.fromhex("86000000 00 00 0708 00000000 00000000")


def test_a_deadline_that_has_passed_is_sent_as_zero_and_withdraws_on_arrival() -> None:
    server = IPv6Address("2001:db8::53")
    octets = encode_options(RouterAdvertisement(0, ROUTER, dns_servers=((server, 90.0),)), now=100.0)
    assert parse_kernel_options(0, ROUTER, octets, now=100.0).dns_servers == ((server, 100.0),)


def test_lists_that_are_longer_than_an_option_take_several() -> None:
    servers = tuple((IPv6Address(f"2001:db8::{number:x}"), 600.0) for number in range(1, 300))
    domains = tuple((f"{'x' * 60}{number}.example", 600.0) for number in range(60))
    advertisement = RouterAdvertisement(0, ROUTER, dns_servers=servers, search_domains=domains)
    assert parse_kernel_options(0, ROUTER, encode_options(advertisement), 0.0) == advertisement


@pytest.mark.parametrize(
    "advertisement",
    [
        RouterAdvertisement(0, ROUTER),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=65536)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=math.inf)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1, hop_limit=256)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1, reachable_time=4294968)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), mtu=2**32),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), search_domains=(("no good name", 1.0),)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), captive_portal="x:" + "y" * 2037),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), pref64=((IPv6Network("2001:db8::/47"), 8.0),)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), pref64=((IPv6Network("64:ff9b::/96"), math.inf),)),
        RouterAdvertisement(0, ROUTER, RouterHeader(until=1), raw_options=(RawOption(200, bytes(2039)),)),
    ],
    ids=[
        "no header",
        "lifetime",
        "for ever",
        "hop limit",
        "reachable time",
        "MTU",
        "name",
        "portal",
        "length of PREF64",
        "lifetime of PREF64",
        "raw option",
    ],
)
def test_what_does_not_fit_is_not_encoded(advertisement: RouterAdvertisement) -> None:
    with pytest.raises(ValueError, match=r"router advertisement|option|domain name"):
        encode_router_advertisement(advertisement)


# ---------------------------------------------------------------- the header


def test_every_field_of_the_header() -> None:
    octets = bytes.fromhex("8600ffff 40 ec 0708 00007530 000003e8")
    assert parse_router_advertisement(1, ROUTER, octets, 0.0).header == RouterHeader(
        until=1800.0,
        managed=True,
        other_configuration=True,
        preference=1,
        hop_limit=64,
        home_agent=True,
        proxy=True,
        reachable_time=30.0,
        retransmission_time=1.0,
    )


def test_the_reserved_router_preference_is_medium() -> None:
    octets = bytes.fromhex("86000000 40 10 0708 00000000 00000000")
    header = parse_router_advertisement(1, ROUTER, octets, 0.0).header
    assert header is not None
    assert header.preference == 0


def test_a_router_that_is_no_default_router_has_no_preference() -> None:
    octets = bytes.fromhex("86000000 40 08 0000 00000000 00000000")
    assert parse_router_advertisement(1, ROUTER, octets, 5.0).header == RouterHeader(until=5.0, hop_limit=64)


# ---------------------------------------------------------------- the frame


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
