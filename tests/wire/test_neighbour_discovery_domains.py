"""Explicit provisioning domains in router advertisements: the PvD option of RFC 8801."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedDomain, AdvertisedPrefix, RouterAdvertisement, RouterHeader
from trimif._information import PvdOption, RawOption
from trimif._wire.neighbour_discovery import encode_router_advertisement, parse_router_advertisement

from .advertisements import ROUTER

HEADER = bytes.fromhex("86000000 40 00 0708 00000000 00000000")
INNER_HEADER = "ffeeabcd 20 80 0e10 00000000 00000000"  # "Receivers MUST ignore" type and code, and a checksum
MTU = "05010000 000005dc"
SERVER = "19030000 00000258 20010db8000a00000000000000000053"


def pvd(flags: int, rest: str = "", *, sequence: int = 0, name: str = "07 6578616d706c65 03 6f7267 00") -> bytes:
    head = bytes.fromhex(f"{flags:04x} {sequence:04x} {name}")
    head += bytes(-(2 + len(head)) % 8)
    content = head + bytes.fromhex(rest)
    return bytes([21, (2 + len(content)) // 8]) + content


def parse(*options: bytes, now: float = 0.0) -> tuple[RouterAdvertisement, list[MalformedInput]]:
    faults: list[MalformedInput] = []
    return parse_router_advertisement(1, ROUTER, HEADER + b"".join(options), now, faults.append), faults


def domain_in(said: RouterAdvertisement) -> AdvertisedDomain:
    assert said.domain is not None
    return said.domain


def test_the_example_of_the_rfc() -> None:
    """Figure 2: example.org, H, a delay of 1, sequence number 123, an RDNSS and a prefix information option inside."""
    octets = bytes.fromhex(
        "150c 8001 007b 07 6578616d706c65 03 6f7267 00 0000000000"
        "1905 0000 00000258 20010db8000a00000000000000000001 20010db8000a00000000000000000002"
        "0304 40c0 00000e10 00000708 00000000 20010db8000a00000000000000000000"
    )
    octets = octets[:1] + bytes([len(octets) // 8]) + octets[2:]  # the figure's 12 is one too many
    said, faults = parse(octets)
    assert faults == []
    assert said.domain == AdvertisedDomain(
        PvdOption("example.org", http=True, delay=1, sequence=123),
        RouterAdvertisement(
            index=1,
            router=ROUTER,
            dns_servers=((IPv6Address("2001:db8:a::1"), 600.0), (IPv6Address("2001:db8:a::2"), 600.0)),
            prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:a::/64"), True, True, 3600.0, 1800.0),),
        ),
    )
    assert said == RouterAdvertisement(1, ROUTER, said.header, domain=said.domain)


def test_options_in_and_around_it_and_a_header_of_its_own() -> None:
    said, faults = parse(bytes.fromhex(MTU), pvd(0x6000, INNER_HEADER + SERVER), now=100.0)
    assert faults == []
    assert said.header == RouterHeader(until=1900.0, hop_limit=64)
    assert said.mtu == 1500
    domain = domain_in(said)
    assert domain.option == PvdOption("example.org", legacy=True)
    assert domain.content == RouterAdvertisement(
        1,
        ROUTER,
        RouterHeader(until=3700.0, managed=True, hop_limit=32),
        dns_servers=((IPv6Address("2001:db8:a::53"), 700.0),),
    )


def test_ids_are_told_in_lower_case() -> None:
    """RFC 8801, 3.4: they "MUST be compared in a case-insensitive manner"."""
    said, _ = parse(pvd(0, name="07 4558416d506c65 03 4f7247 00"))
    assert domain_in(said).option.identifier == "example.org"


def test_reserved_flags_are_ignored() -> None:
    said, _ = parse(pvd(0x9FF3, sequence=9))
    assert domain_in(said).option == PvdOption("example.org", http=True, delay=3, sequence=9)


def test_delay_and_sequence_say_nothing_without_additional_information() -> None:
    """RFC 8801, 3.1: "receivers SHOULD ignore the value"."""
    said, _ = parse(pvd(0x000F, sequence=77))
    assert domain_in(said).option == PvdOption("example.org")


def test_an_id_that_ends_where_the_padding_would_begin() -> None:
    said, _ = parse(pvd(0, MTU, name="04 61626364 03 6f7267 00"))
    assert domain_in(said).content.mtu == 1500


def test_padding_is_ignored() -> None:
    octets = bytearray(pvd(0, MTU))
    octets[19:24] = b"\xff" * 5
    said, faults = parse(bytes(octets))
    assert (domain_in(said).content.mtu, faults) == (1500, [])


def test_only_the_first_one_counts() -> None:
    second = pvd(0x8000, MTU, name="05 6f74686572 00")
    said, faults = parse(pvd(0, SERVER), second)
    assert domain_in(said).option.identifier == "example.org"
    assert said.raw_options == (RawOption(21, second[2:]),)
    assert len(faults) == 1


def test_if_the_first_one_names_nobody_the_second_does_not_count_either() -> None:
    first, second = pvd(0, name="03 612062 00"), pvd(0, MTU)
    said, faults = parse(first, second)
    assert said.domain is None
    assert said.raw_options == (RawOption(21, first[2:]), RawOption(21, second[2:]))
    assert len(faults) == 2


def test_one_inside_another_is_ignored() -> None:
    nested = pvd(0, name="05 6f74686572 00")
    said, faults = parse(pvd(0, MTU + nested.hex()))
    domain = domain_in(said)
    assert domain.option.identifier == "example.org"
    assert domain.content == RouterAdvertisement(1, ROUTER, mtu=1500, raw_options=(RawOption(21, nested[2:]),))
    assert len(faults) == 1


@pytest.mark.parametrize(
    "option",
    [
        pvd(0, MTU + "0500000000000000"),
        pvd(0, MTU + "0502000000000000"),
        pvd(0x2000, "86000000 00 00 0000"),
        pvd(0x2000),
    ],
    ids=["length 0", "overrun", "header cut short", "no header"],
)
def test_a_malformed_inside_is_left_out_whole_but_the_domain_is_known(option: bytes) -> None:
    """What is around it belongs to the domain still: to take it for the implicit one's would mix the two."""
    said, faults = parse(option, bytes.fromhex(SERVER))
    assert domain_in(said) == AdvertisedDomain(PvdOption("example.org"), RouterAdvertisement(1, ROUTER))
    assert said.raw_options == (RawOption(21, option[2:]),)
    assert said.dns_servers == ((IPv6Address("2001:db8:a::53"), 600.0),)
    assert len(faults) == 1


def test_a_wrong_option_inside_is_left_out_alone() -> None:
    said, faults = parse(pvd(0, "05010000 000004ff" + SERVER))
    content = domain_in(said).content
    assert (content.mtu, len(content.dns_servers), len(faults)) == (None, 1, 1)
    assert content.raw_options == (RawOption(5, bytes.fromhex("0000000004ff")),)


@pytest.mark.parametrize(
    "option",
    [
        bytes.fromhex("1501 0000 0000 0000"),
        bytes.fromhex("1501 0000 0000 0361"),
        pvd(0, name="00"),
        pvd(0, name="c0 00"),
        pvd(0, name="03 611b62 00"),
        pvd(0, name=("3f" + "61" * 63) * 4 + "00"),
    ],
    ids=["the root", "cut short", "the root, padded", "compressed", "control character", "too long"],
)
def test_without_a_domain_name_it_names_nobody(option: bytes) -> None:
    said, faults = parse(option, bytes.fromhex(MTU))
    assert (said.domain, said.mtu, len(faults)) == (None, 1500, 1)
    assert said.raw_options == (RawOption(21, option[2:]),)


CONTENT = RouterAdvertisement(1, ROUTER)


@pytest.mark.parametrize(
    "domain",
    [
        AdvertisedDomain(PvdOption("no good name"), CONTENT),
        AdvertisedDomain(PvdOption("example.org", http=True, delay=16), CONTENT),
        AdvertisedDomain(PvdOption("example.org", http=True, sequence=65536), CONTENT),
        AdvertisedDomain(
            PvdOption("example.org"),
            RouterAdvertisement(1, ROUTER, domain=AdvertisedDomain(PvdOption("example.com"), CONTENT)),
        ),
        AdvertisedDomain(
            PvdOption("example.org"),
            RouterAdvertisement(1, ROUTER, dns_servers=((IPv6Address("2001:db8::"), 1.0),) * 127),
        ),
    ],
    ids=["id", "delay", "sequence number", "nested", "too long"],
)
def test_what_an_option_can_not_tell(domain: AdvertisedDomain) -> None:
    with pytest.raises(ValueError, match=r"PvD option|router advertisement|domain name"):
        encode_router_advertisement(RouterAdvertisement(1, ROUTER, RouterHeader(0), domain=domain))
