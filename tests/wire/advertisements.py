"""Router advertisements for property tests: strategies that make every value that the wire can carry."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, IPv6Network

from attrs import evolve
from hypothesis import strategies as st

from trimif._facts import AdvertisedDomain, AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._information import EncryptedDnsServer, PvdOption, RawOption
from trimif._wire.service_parameters import encode_service_parameters, parse_service_parameters

INDEX = 7
ROUTER = IPv6Address("fe80::a:1")

numbers = st.integers(0, 2**128 - 1)
addresses = numbers.map(IPv6Address).filter(
    lambda each: not (each.is_multicast or each.is_unspecified or each.is_loopback)
)
labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)
preferences = st.sampled_from([-1, 0, 1])
portals = st.text("abcz019.-_~/?#%&=[]:@!$'()*+,;", min_size=1, max_size=60).map(lambda rest: f"https:{rest}")
milliseconds = st.integers(0, 2**32 - 1).map(lambda number: number / 1000)


def networks(*lengths: int) -> st.SearchStrategy[IPv6Network]:
    length = st.sampled_from(lengths) if lengths else st.integers(0, 128)
    return st.builds(lambda bits, length: IPv6Network((bits, length), strict=False), numbers, length)


def deadlines(now: float) -> st.SearchStrategy[float]:
    return st.integers(0, 2**32 - 2).map(lambda seconds: now + seconds) | st.just(math.inf)


def scaled_deadlines(now: float) -> st.SearchStrategy[float]:
    """Those that a PREF64 option can tell."""
    return st.integers(0, 2**13 - 1).map(lambda eights: now + 8 * eights)


@st.composite
def headers(draw: st.DrawFn, now: float) -> RouterHeader:
    lifetime = draw(st.integers(0, 0xFFFF))
    return RouterHeader(
        until=now + lifetime,
        managed=draw(st.booleans()),
        other_configuration=draw(st.booleans()),
        preference=draw(preferences) if lifetime else 0,
        hop_limit=draw(st.integers(0, 255)),
        home_agent=draw(st.booleans()),
        proxy=draw(st.booleans()),
        reachable_time=draw(milliseconds),
        retransmission_time=draw(milliseconds),
    )


@st.composite
def prefixes(draw: st.DrawFn, now: float) -> AdvertisedPrefix:
    preferred, valid = sorted([draw(deadlines(now)), draw(deadlines(now))])
    prefix = draw(networks().filter(lambda network: not network.is_link_local))
    on_link, autonomous, router = (draw(st.booleans()) for _ in range(3))
    return AdvertisedPrefix(prefix, on_link, autonomous, valid, preferred, router)


@st.composite
def servers(draw: st.DrawFn) -> EncryptedDnsServer:
    priority, name = draw(st.integers(0, 0xFFFF)), draw(names)
    if draw(st.booleans()):
        return EncryptedDnsServer(priority, name)
    alpn = tuple(draw(st.lists(st.sampled_from(["dot", "h2", "h3", "doq"]), max_size=3)))
    path = draw(st.none() | st.just("/dns-query{?dns}"))
    others = draw(st.dictionaries(st.integers(8, 0xFFFF), st.binary(max_size=8), max_size=2))
    octets = encode_service_parameters(alpn, draw(st.none() | st.integers(1, 0xFFFF)), path, tuple(others.items()))
    told = tuple(draw(st.lists(addresses, min_size=1, max_size=3)))
    return EncryptedDnsServer(priority, name, told, *parse_service_parameters(octets))


# Options that are not known: among them the link-layer address (1), the extended flags (26), and ones of no one's.
raw_options = st.builds(
    RawOption, st.sampled_from([1, 2, 14, 26, 34, 200, 253]), st.binary(min_size=14, max_size=14)
) | st.sampled_from([RawOption(5, bytes(6)), RawOption(37, bytes(6)), RawOption(144, bytes(14))])


@st.composite
def contents(draw: st.DrawFn, now: float, header: RouterHeader | None, *, known: bool = False) -> RouterAdvertisement:
    """An advertisement without a PvD option; only what scapy knows, if asked for."""
    encrypted = st.just(()) if known else st.lists(st.tuples(servers(), deadlines(now)), max_size=2)
    return RouterAdvertisement(
        index=INDEX,
        router=ROUTER,
        header=header,
        mtu=draw(st.none() | st.integers(1280, 2**32 - 1)),
        prefixes=tuple(draw(st.lists(prefixes(now), max_size=3))),
        routes=tuple(draw(st.lists(st.builds(AdvertisedRoute, networks(), preferences, deadlines(now)), max_size=3))),
        dns_servers=tuple(draw(st.lists(st.tuples(addresses, deadlines(now)), max_size=4))),
        search_domains=tuple(draw(st.lists(st.tuples(names, deadlines(now)), max_size=4))),
        captive_portal=draw(st.none() | portals),
        pref64=tuple(draw(st.lists(st.tuples(networks(96, 64, 56, 48, 40, 32), scaled_deadlines(now)), max_size=2))),
        encrypted_dns=tuple(draw(encrypted)),
        raw_options=() if known else tuple(draw(st.lists(raw_options, max_size=3))),
    )


@st.composite
def domains(draw: st.DrawFn, now: float) -> AdvertisedDomain:
    http = draw(st.booleans())
    delay, sequence = (draw(st.integers(0, 15)), draw(st.integers(0, 0xFFFF))) if http else (0, 0)
    option = PvdOption(draw(names), http, draw(st.booleans()), delay, sequence)
    return AdvertisedDomain(option, draw(contents(now, draw(st.none() | headers(now)))))


@st.composite
def advertisements(draw: st.DrawFn, *, known: bool = False) -> tuple[RouterAdvertisement, float]:
    """An advertisement and the time when it comes; a PvD option only if not just what scapy knows is asked for."""
    now = draw(st.floats(0, 1e7))
    said = draw(contents(now, draw(headers(now)), known=known))
    if known or draw(st.booleans()):
        return said, now
    return evolve(said, domain=draw(domains(now))), now
