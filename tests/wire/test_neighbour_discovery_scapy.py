"""Router advertisements held against scapy's: what we encode it decodes, and what it builds we parse, alike.

Scapy knows all of our options but two: PvD and encrypted DNS are unknown to it, and must come to it as they are.
"""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from trimif._facts import AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._wire.neighbour_discovery import encode_router_advertisement, parse_router_advertisement

from .advertisements import INDEX, ROUTER, advertisements

INFINITE = 0xFFFFFFFF
PREFERENCES = {1: 1, 0: 0, -1: 3}
PREF64_LENGTHS = [96, 64, 56, 48, 40, 32]
LINK_LAYER_ADDRESS, PROVISIONING_DOMAIN, ENCRYPTED_DNS = 1, 21, 144

QUIETLY = """
import sys
def hear(event, arguments):
    if event == "socket.__new__":
        assert arguments[1] == 16, arguments  # AF_NETLINK
    assert event not in ("socket.getaddrinfo", "subprocess.Popen", "os.system"), arguments
sys.addaudithook(hear)
import scapy.layers.inet6
"""


def test_importing_scapy_says_nothing_and_asks_only_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", QUIETLY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def scapy() -> Any:
    """Its IPv6 layer, imported when used: it takes a fifth of a second."""
    return importlib.import_module("scapy.layers.inet6")


# ---------------------------------------------------------------- what scapy decoded


def layers_of(packet: Any) -> Iterator[Any]:
    while packet:
        yield packet
        packet = packet.payload


def deadline(seconds: int, now: float) -> float:
    return math.inf if seconds == INFINITE else now + seconds


def decoded(scapy: Any, octets: bytes, now: float) -> tuple[RouterAdvertisement, list[tuple[int, bytes]]]:
    """What scapy makes of a message, in our words, and the types and contents of what it does not know."""
    head, *options = layers_of(scapy.ICMPv6ND_RA(octets))
    preferences = {number: preference for preference, number in PREFERENCES.items()}
    header = RouterHeader(
        until=now + head.routerlifetime,
        managed=bool(head.M),
        other_configuration=bool(head.O),
        preference=preferences[head.prf],
        hop_limit=head.chlim,
        home_agent=bool(head.H),
        proxy=bool(head.P),
        reachable_time=head.reachabletime / 1000,
        retransmission_time=head.retranstimer / 1000,
    )

    def those(name: str) -> list[Any]:
        return [option for option in options if type(option).__name__ == f"ICMPv6NDOpt{name}"]

    said = RouterAdvertisement(
        INDEX,
        ROUTER,
        header,
        mtu=next((option.mtu for option in those("MTU")), None),
        prefixes=tuple(
            AdvertisedPrefix(
                IPv6Network((option.prefix, option.prefixlen)),
                bool(option.L),
                bool(option.A),
                deadline(option.validlifetime, now),
                deadline(option.preferredlifetime, now),
                bool(option.R),
            )
            for option in those("PrefixInfo")
        ),
        routes=tuple(
            AdvertisedRoute(
                IPv6Network((option.prefix, option.plen)), preferences[option.prf], deadline(option.rtlifetime, now)
            )
            for option in those("RouteInfo")
        ),
        dns_servers=tuple(
            (IPv6Address(server), deadline(option.lifetime, now)) for option in those("RDNSS") for server in option.dns
        ),
        search_domains=tuple(
            (name.removesuffix("."), deadline(option.lifetime, now))
            for option in those("DNSSL")
            for name in option.searchlist
        ),
        captive_portal=next((option.URI.decode() for option in those("CaptivePortal")), None),
        pref64=tuple(
            (IPv6Network((option.prefix, PREF64_LENGTHS[option.plc])), now + 8 * option.scaledlifetime)
            for option in those("PREF64")
        ),
    )
    return said, [(option.type, option.data) for option in those("Unknown")]


@given(case=advertisements(known=True))
def test_scapy_decodes_what_was_encoded(scapy: Any, case: tuple[RouterAdvertisement, float]) -> None:
    advertisement, now = case
    assert decoded(scapy, encode_router_advertisement(advertisement, now), now) == (advertisement, [])


@given(case=advertisements())
def test_what_scapy_does_not_know_comes_to_it_as_it_is(scapy: Any, case: tuple[RouterAdvertisement, float]) -> None:
    """Each option is where it should be: the frames are right, those of nested options included."""
    advertisement, now = evolve(case[0], raw_options=()), case[1]  # scapy would take some of those for others
    octets = encode_router_advertisement(advertisement, now)
    expected = [ENCRYPTED_DNS] * len(advertisement.encrypted_dns)
    expected += [PROVISIONING_DOMAIN] * (advertisement.domain is not None)
    _, *options = layers_of(scapy.ICMPv6ND_RA(octets))
    assert b"".join(bytes(option)[: 8 * option.len] for option in options) == octets[16:]
    assert [option.type for option in options if type(option) is scapy.ICMPv6NDOptUnknown] == expected


# ---------------------------------------------------------------- what scapy built


def seconds(until: float, now: float) -> int:
    return INFINITE if until == math.inf else round(until - now)


def built(scapy: Any, said: RouterAdvertisement, now: float) -> bytes:
    """The message that scapy makes of our words."""
    header = said.header
    assert header is not None
    packet = scapy.ICMPv6ND_RA(
        cksum=0,
        chlim=header.hop_limit,
        M=header.managed,
        O=header.other_configuration,
        H=header.home_agent,
        prf=PREFERENCES[header.preference],
        P=header.proxy,
        routerlifetime=seconds(header.until, now),
        reachabletime=round(1000 * header.reachable_time),
        retranstimer=round(1000 * header.retransmission_time),
    )
    for option in options_built(scapy, said, now):
        packet /= option
    return bytes(packet)


def options_built(scapy: Any, said: RouterAdvertisement, now: float) -> Iterator[Any]:
    yield scapy.ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:0a:01")
    if said.captive_portal is not None:
        yield scapy.ICMPv6NDOptCaptivePortal(URI=said.captive_portal.encode())
    for each, until in said.pref64:
        code, lifetime = PREF64_LENGTHS.index(each.prefixlen), seconds(until, now) // 8
        yield scapy.ICMPv6NDOptPREF64(scaledlifetime=lifetime, plc=code, prefix=str(each.network_address))
    for prefix in said.prefixes:
        yield scapy.ICMPv6NDOptPrefixInfo(
            prefixlen=prefix.prefix.prefixlen,
            L=prefix.on_link,
            A=prefix.autonomous,
            R=prefix.router_address,
            validlifetime=seconds(prefix.valid_until, now),
            preferredlifetime=seconds(prefix.preferred_until, now),
            prefix=str(prefix.prefix.network_address),
        )
    for route in said.routes:
        yield scapy.ICMPv6NDOptRouteInfo(
            plen=route.prefix.prefixlen,
            prf=PREFERENCES[route.preference],
            rtlifetime=seconds(route.until, now),
            prefix=str(route.prefix.network_address),
        )
    for server, until in said.dns_servers:
        yield scapy.ICMPv6NDOptRDNSS(dns=[str(server)], lifetime=seconds(until, now))
    for name, until in said.search_domains:
        yield scapy.ICMPv6NDOptDNSSL(searchlist=[f"{name}."], lifetime=seconds(until, now))
    if said.mtu is not None:
        yield scapy.ICMPv6NDOptMTU(mtu=said.mtu)


@given(case=advertisements(known=True))
def test_what_scapy_built_is_parsed(scapy: Any, case: tuple[RouterAdvertisement, float]) -> None:
    advertisement, now = case
    octets = built(scapy, advertisement, now)
    parsed = parse_router_advertisement(INDEX, ROUTER, octets, now)
    assert [option.code for option in parsed.raw_options] == [LINK_LAYER_ADDRESS]
    assert decoded(scapy, octets, now)[0] == advertisement
    assert [getattr(parsed, name) for name in FIELDS] == [getattr(advertisement, name) for name in FIELDS]


FIELDS = (
    "header",
    "mtu",
    "prefixes",
    "routes",
    "dns_servers",
    "search_domains",
    "captive_portal",
    "pref64",
    "encrypted_dns",
    "domain",
)
