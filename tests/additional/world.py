"""A simulated host with one network, and HTTPS servers behind it whose answers a test chooses."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv6Address, IPv6Network
from typing import Any, TypeVar

import trio
import trustme
from attrs import define, field

from trimif import ElementType, Information, Mif, PvdOption
from trimif._additional import follow_additional_information
from trimif._facts import AdditionalInformation, AdvertisedDomain, Fact, Limitation, PortalStatus
from trimif.testing import (
    AddressFact,
    AddressProtocol,
    AdvertisedPrefix,
    RouterAdvertisement,
    RouterHeader,
    SimulatedHost,
    open_simulated_mif,
)
from trimif.testing._servers_https import HttpAnswer, HttpRequest, serve_https

AUTHORITY = trustme.CA()
SERVER, DOMAIN = "2001:db8:ff::443", "eth0/ipv6"
NAME = "pvd.example.com"
PREFIX = "2001:db8:a::/64"
EXPLICIT = f"eth0/{NAME}"
PVD_TYPE, PORTAL_TYPE = "application/pvd+json", "application/captive+json"


def trusting(authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    """Trusts that authority and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def certified(*names: str, authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    """For a server with a certificate of these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def date(seconds: float) -> str:
    """So many seconds from now, in the form of RFC 3339."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def document(**members: Any) -> bytes:
    """A good PvD document; members replace its own, and those that are None are left out."""
    good = {"identifier": f"{NAME}.", "expires": date(3600), "prefixes": ["2001:db8:a::/48"]}
    return json.dumps({key: value for key, value in (good | members).items() if value is not None}).encode()


def answer(**members: Any) -> HttpAnswer:
    """A good PvD answer."""
    return HttpAnswer(document(**members), PVD_TYPE)


T = TypeVar("T")


@define
class World:
    """The host, its MIF, and what was asked of the servers.

    Attributes:
        index: of the interface.
        respond: what the servers answer, as it is when they are asked.
        facts: what following has reported.
    """

    host: SimulatedHost
    mif: Mif
    nursery: trio.Nursery
    index: int
    respond: Callable[[HttpRequest], HttpAnswer] = lambda _request: answer()
    requests: list[tuple[float, HttpRequest]] = field(factory=list)
    facts: list[tuple[float, Fact]] = field(factory=list)

    async def follow(self, *, chance: float = 0.5) -> None:
        """Begin to follow additional information, with the same random number each time."""
        follow = partial(follow_additional_information, ssl_context=trusting(), random=lambda: chance)
        await self.nursery.start(follow, self.mif, self._report)

    def _report(self, facts: Sequence[Fact]) -> None:
        self.facts += [(trio.current_time(), fact) for fact in facts]
        self.host.report(*facts)

    def told(self) -> list[tuple[float, bool]]:
        """When information was told (True), and when taken back (False)."""
        kinds = (AdditionalInformation, PortalStatus)
        return [(time, fact.information is not None) for time, fact in self.facts if isinstance(fact, kinds)]

    def limitations(self) -> list[Limitation]:
        """What is not there, and why."""
        return [fact for _, fact in self.facts if isinstance(fact, Limitation)]

    def data(self, element: ElementType, information: Information[T], domain: str = EXPLICIT) -> T | None:
        """What an element of a domain says."""
        return self.mif.domain(domain).get(element, information)

    def times(self) -> list[float]:
        return [time for time, _ in self.requests]

    async def serve(
        self, *names: str, address: str = SERVER, domain: str = DOMAIN, context: ssl.SSLContext | None = None
    ) -> None:
        """A server of these names at an address, and the names in the domain's DNS."""
        for name in names:
            self.host.add_name(domain, name, address)
        peer = self.host.add_peer(domain, address)
        await self.nursery.start(serve_https, peer, context or certified(*names), self._answer)

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append((trio.current_time(), request))
        return self.respond(request)


@asynccontextmanager
async def open_world(*names: str) -> AsyncIterator[World]:
    """A host with an interface, ``eth0``, and a server that bears the names."""
    host = SimulatedHost()
    index = host.add_link("eth0")
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        world = World(host, mif, nursery, index)
        await world.serve(*(names or (NAME,)))
        yield world
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- routers that speak for explicit domains


def link_local(number: int) -> IPv6Address:
    return IPv6Address(f"fe80::{number}")


def advertise(
    world: World,
    option: PvdOption | None,
    *,
    router: int = 1,
    prefixes: Sequence[str] = (PREFIX,),
    portal: str | None = None,
    seconds: float = 86400,
    address: bool = True,
) -> None:
    """A router's advertisement, for an explicit domain or the implicit one, and the address that comes of it."""
    until, index, source = trio.current_time() + seconds, world.index, link_local(router)
    said = RouterAdvertisement(
        index,
        source,
        RouterHeader(until),
        prefixes=tuple(AdvertisedPrefix(IPv6Network(each), True, True, until, until) for each in prefixes),
        dns_servers=((IPv6Address("2001:db8:a::53"), until),),
        captive_portal=portal,
        domain=None if option is None else AdvertisedDomain(option, RouterAdvertisement(index, source)),
    )
    own = IPv6Network(prefixes[0])[16 + router]
    protocol = AddressProtocol.ROUTER_ADVERTISEMENT
    world.host.report(said, *([AddressFact(index, own, 64, until, until, protocol=protocol)] if address else []))
