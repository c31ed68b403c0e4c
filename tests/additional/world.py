"""A simulated host with one network, and HTTPS servers behind it whose answers a test chooses."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import trio
import trustme
from attrs import define, field

from trimif import Mif
from trimif.testing import SimulatedHost, open_simulated_mif
from trimif.testing._servers_https import HttpAnswer, HttpRequest, serve_https

AUTHORITY = trustme.CA()
SERVER, DOMAIN = "2001:db8:ff::443", "eth0/ipv6"
NAME = "pvd.example.com"
PREFIX = "2001:db8:a::/64"
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


@define
class World:
    """The host, its MIF, and what was asked of the servers.

    Attributes:
        respond: what the servers answer, as it is when they are asked.
    """

    host: SimulatedHost
    mif: Mif
    nursery: trio.Nursery
    respond: Callable[[HttpRequest], HttpAnswer] = lambda _request: answer()
    requests: list[tuple[float, HttpRequest]] = field(factory=list)

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
    host.add_link("eth0")
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        world = World(host, mif, nursery)
        await world.serve(*(names or (NAME,)))
        yield world
        nursery.cancel_scope.cancel()
