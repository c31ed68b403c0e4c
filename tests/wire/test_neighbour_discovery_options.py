"""The options of router advertisements, one by one: what the RFCs say of them, and wrong ones."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, IPv6Network

import pytest

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedRoute, RouterAdvertisement
from trimif._information import EncryptedDnsServer, RawOption
from trimif._wire.neighbour_discovery import encode_options, parse_kernel_options

from .advertisements import ROUTER

PREFIX = "20010db8000a00000000000000000000"
GOOD = "1903000000000258" + "20010db8000a00000000000000000001"


def parse(*options: str, now: float = 0.0) -> RouterAdvertisement:
    return parse_kernel_options(1, ROUTER, bytes.fromhex("".join(options)), now)


def option(kind: int, content: str) -> str:
    """The content of an option with its type and length, padded with zeros."""
    octets = bytes.fromhex(content)
    length = (len(octets) + 9) // 8
    return (bytes([kind, length]) + octets.ljust(8 * length - 2, b"\0")).hex()


# ---------------------------------------------------------------- RFC 4861, RFC 4191


def test_bits_behind_the_prefix_length_are_ignored() -> None:
    (prefix,) = parse("030440c0 00000e10 00000708 00000000 20010db8000a0000ffffffffffffffff").prefixes
    assert prefix.prefix == IPv6Network("2001:db8:a::/64")
    assert not prefix.router_address


def test_a_prefix_that_is_the_address_of_the_router() -> None:
    (prefix,) = parse("03044020 00000e10 00000708 00000000 20010db8000a00000000000000000001").prefixes
    assert (prefix.on_link, prefix.autonomous, prefix.router_address) == (False, False, True)


def test_a_default_route_needs_no_prefix_octets() -> None:
    assert parse("18010008 00000064").routes == (AdvertisedRoute(IPv6Network("::/0"), 1, 100.0),)


def test_the_first_mtu_counts() -> None:
    assert parse("05010000 000005dc", "05010000 00000500").mtu == 1500


# ---------------------------------------------------------------- captive portal (RFC 8910)


def test_a_portal_whose_uri_needs_no_padding() -> None:
    assert parse("2503", b"https://portal.example".hex()).captive_portal == "https://portal.example"


def test_that_there_is_no_portal_is_told_as_it_came() -> None:
    none = "urn:ietf:params:capport:unrestricted"
    said = RouterAdvertisement(1, ROUTER, captive_portal=none)
    assert parse(encode_options(said).hex()).captive_portal == none


def test_the_first_portal_counts() -> None:
    first, second = (RouterAdvertisement(1, ROUTER, captive_portal=f"https://{name}/") for name in ("one", "other"))
    assert parse(encode_options(first).hex(), encode_options(second).hex()) == first


# ---------------------------------------------------------------- PREF64 (RFC 8781)


@pytest.mark.parametrize(
    ("code", "network"),
    [
        (0, "2001:db8:a:b:c:d::/96"),
        (1, "2001:db8:a:b::/64"),
        (2, "2001:db8:a::/56"),
        (3, "2001:db8:a::/48"),
        (4, "2001:db8::/40"),
        (5, "2001:db8::/32"),
    ],
)
def test_the_lengths_of_pref64(code: int, network: str) -> None:
    octets = f"2602 {0x0258 | code:04x} 20010db8000a000b000c000d"
    assert parse(octets, now=10.0).pref64 == ((IPv6Network(network), 610.0),)


def test_a_lifetime_of_pref64_is_rounded_up_to_eight_seconds() -> None:
    """RFC 8781, 4.1: it must not run out before what the router means."""
    said = RouterAdvertisement(1, ROUTER, pref64=((IPv6Network("64:ff9b::/96"), 601.0),))
    assert parse(encode_options(said).hex()).pref64[0][1] == 608.0


def test_a_lifetime_of_zero_withdraws_a_pref64() -> None:
    assert parse("2602 0000 0064ff9b0000000000000000", now=10.0).pref64 == ((IPv6Network("64:ff9b::/96"), 10.0),)


# ---------------------------------------------------------------- encrypted DNS (RFC 9463)

NAME = "0012 04 646f6831 07 6578616d706c65 03 636f6d 00"  # doh1.example.com, as in RFC 9463, 4.1
ADDRESS = "20010db8000a00000000000000000053"


def test_a_server_with_addresses_and_parameters() -> None:
    octets = option(144, f"0001 00000e10 {NAME} 0010 {ADDRESS} 000d 0001 0003 026832 0003 0002 20fb")
    assert parse(octets).encrypted_dns == (
        (
            EncryptedDnsServer(
                priority=1,
                name="doh1.example.com",
                addresses=(IPv6Address("2001:db8:a::53"),),
                alpn=("h2",),
                port=8443,
                parameters=((1, b"\x02h2"), (3, b"\x20\xfb")),
            ),
            3600.0,
        ),
    )


def test_a_server_of_which_only_the_name_is_told() -> None:
    """It may, but need not, be followed by zeros where the length of the addresses would be."""
    server = EncryptedDnsServer(5, "doh1.example.com")
    said = parse(option(144, f"0005 ffffffff {NAME}"))
    assert said.encrypted_dns == ((server, math.inf),)
    assert parse(option(144, f"0005 ffffffff {NAME} 0000000000000000")) == said
    assert encode_options(said).hex() == option(144, f"0005 ffffffff {NAME}")
    no_padding = option(144, "0005 ffffffff 000e 04 646f6831 07 6578616d706c65 00")
    assert parse(no_padding).encrypted_dns == ((EncryptedDnsServer(5, "doh1.example"), math.inf),)


def test_addresses_that_no_server_can_have_are_dropped() -> None:
    bad = "ff020000000000000000000000000001 00000000000000000000000000000001" + "0" * 32
    octets = option(144, f"0001 00000000 {NAME} 0040 {bad} {ADDRESS} 0000")
    ((server, until),) = parse(octets, now=3.0).encrypted_dns
    assert server.addresses == (IPv6Address("2001:db8:a::53"),)
    assert until == 3.0


@pytest.mark.parametrize(
    "server",
    [
        EncryptedDnsServer(65536, "dns.example"),
        EncryptedDnsServer(1, "no good name"),
        EncryptedDnsServer(1, "dns.example", alpn=("dot",)),
        EncryptedDnsServer(1, "dns.example", (IPv6Address("2001:db8::53"),) * 4096),
        EncryptedDnsServer(1, "dns.example", (IPv6Address("2001:db8::53"),), port=-1),
    ],
    ids=["priority", "name", "parameters without address", "addresses", "port"],
)
def test_a_server_that_an_option_can_not_tell(server: EncryptedDnsServer) -> None:
    with pytest.raises(ValueError, match=r"router advertisement|domain name|service parameter"):
        encode_options(RouterAdvertisement(1, ROUTER, encrypted_dns=((server, 1.0),)))


# ---------------------------------------------------------------- wrong ones


@pytest.mark.parametrize(
    "wrong",
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
        "2501 000000000000",
        "2502 68747470733a 0000000000000000",
        "2502 2f2f782e6578616d706c652f0000",
        "2502 68747470733a2f2f7800792f0000",
        "2502 68747470733a2f2f7820792f0000",
        "2502 68747470733a2f2f781b5b6d0000",
        "2502 68747470733a2f2fc3a92f000000",
        "2601 0258 00000000",
        "2603 0258 0064ff9b0000000000000000 0000000000000000",
        "2602 025e 0064ff9b0000000000000000",
        "2602 025f 0064ff9b0000000000000000",
        option(144, "0001 0000"),
        option(144, "0001 00000000 0000"),
        option(144, "0001 00000000 0001 00"),
        option(144, "0001 00000000 00ff 016100"),
        option(144, "0001 00000000 0005 0161000000"),
        option(144, f"0001 00000000 {NAME} 0001 00 0000"),
        option(144, f"0001 00000000 {NAME} 0000 0001 00"),
        option(144, f"0001 00000000 {NAME} 000f {ADDRESS}"),
        option(144, f"0001 00000000 {NAME} 0020 {ADDRESS}"),
        option(144, f"0001 00000000 0014 06 646f68313233 07 6578616d706c65 03 636f6d 00 0010 {ADDRESS}"),
        option(144, f"0001 00000000 {NAME} 0010 {ADDRESS} 0007 000100000000"),
        option(144, f"0001 00000000 {NAME} 0010 {ADDRESS} 00ff 0000"),
        option(144, f"0001 00000000 {NAME} 0010 00000000000000000000000000000001 0000"),
        option(144, f"0001 00000000 {NAME} 0010 {ADDRESS} 0008 00040004c6336401"),
    ],
)
def test_an_option_with_wrong_content_is_left_out_whole_counted_and_kept(wrong: str) -> None:
    """All the rest holds: RFC 8106, 5.3.1 discards "the options", not the message."""
    faults: list[MalformedInput] = []
    octets = bytes.fromhex(wrong)
    assert len(octets) == 8 * octets[1]
    advertisement = parse_kernel_options(1, ROUTER, octets + bytes.fromhex(GOOD), 0.0, faults.append)
    assert len(faults) == 1
    assert advertisement.raw_options == (RawOption(octets[0], octets[2:]),)
    assert advertisement == parse_kernel_options(1, ROUTER, bytes.fromhex(GOOD) + octets, 0.0)
    assert advertisement.dns_servers == parse(GOOD).dns_servers


def test_not_more_than_64_options_are_kept_as_they_came() -> None:
    said = parse("c801000000000000", "c901000000000001", *["ca01000000000002"] * 100)
    assert len(said.raw_options) == 64
    assert said.raw_options[:2] == (RawOption(200, bytes(6)), RawOption(201, bytes(5) + b"\x01"))
