"""Provider B with an explicit provisioning domain (RFC 8801): its router, name server, and HTTPS servers far away.

::

    host --up-b-- isp_b  fe80::b:1, 2001:db8:b::/64 --- inet  2001:db8:ff::53 (DNS), 2001:db8:ff::443 (HTTPS)

Provider A advertises an IPv6 network of its own, whose default route is as good: what goes there is a leak.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import trio
import trustme
from attrs import define, field

import trimif
from trimif import Limitation, PvdOption
from trimif._facts import AdvertisedDomain, AdvertisedPrefix, RouterAdvertisement, RouterHeader
from trimif.testing._lab import Lab
from trimif.testing._lab_topology import ISP_B_IPV6_SETUP
from trimif.testing._servers_dns import serve_dns
from trimif.testing._servers_https import HttpAnswer, HttpRequest, open_https_listener, serve_https
from trimif.testing._servers_router import serve_router_advertisements

AUTHORITY = trustme.CA()
NAME, PORTAL = "pvd.example.com", "portal.example.com"
EXPLICIT = f"up-b/{NAME}"
DNS, HTTPS = IPv6Address("2001:db8:ff::53"), IPv6Address("2001:db8:ff::443")
ROUTER, PREFIX = IPv6Address("fe80::b:1"), IPv6Network("2001:db8:b::/64")
UP_B6 = "2001:db8:b::ff:fe00:b02"
OPTION = PvdOption(NAME, http=True)
PVD_TYPE, PORTAL_TYPE = "application/pvd+json", "application/captive+json"
LIFETIME = 1800.0


def trusting() -> ssl.SSLContext:
    """Trusts the tests' authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
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
    """A good PvD document, with members of its own replaced."""
    return json.dumps({"identifier": NAME, "expires": date(3600), "prefixes": ["2001:db8:b::/48"]} | members).encode()


def answer(**members: Any) -> HttpAnswer:
    """A good PvD answer."""
    return HttpAnswer(document(**members), PVD_TYPE)


@define
class Network:
    """Provider B and the servers.

    Attributes:
        respond: what is answered, as it is when the servers are asked.
        requests: what they were asked.
    """

    lab: Lab
    nursery: trio.Nursery
    respond: Callable[[HttpRequest], HttpAnswer] = lambda _request: answer()
    requests: list[HttpRequest] = field(factory=list)
    _router: trio.CancelScope = field(factory=trio.CancelScope)

    async def serve(self, context: ssl.SSLContext) -> None:
        """The DNS server, and the HTTPS server with this certificate."""
        self.lab.ip_batch("isp_b", ISP_B_IPV6_SETUP)
        for address in (DNS, HTTPS):
            self.lab.ip("inet", f"address add {address}/128 dev lo nodad")
        zone = {NAME: [HTTPS], PORTAL: [HTTPS]}
        await self.nursery.start(serve_dns, self.lab.inet, DNS, zone)
        listener = open_https_listener(self.lab.inet, HTTPS)
        await self.nursery.start(serve_https, listener, context, self._answer)

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return self.respond(request)

    async def advertise(self, option: PvdOption | None = OPTION, *, portal: str | None = None) -> None:
        """The router advertises this from now on, in place of what it advertised before."""
        self._router.cancel()
        said = RouterAdvertisement(
            0,
            ROUTER,
            RouterHeader(LIFETIME),
            prefixes=(AdvertisedPrefix(PREFIX, True, True, LIFETIME, LIFETIME),),
            dns_servers=((DNS, LIFETIME),),
            captive_portal=portal,
            domain=None if option is None else AdvertisedDomain(option, RouterAdvertisement(0, ROUTER)),
        )
        self._router = await self.nursery.start(self._route, said)

    async def _route(
        self, said: RouterAdvertisement, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_router_advertisements, self.lab.isp_b, "lan0", said)
                task_status.started(scope)


@asynccontextmanager
async def open_network(lab: Lab, *, context: ssl.SSLContext | None = None) -> AsyncIterator[Network]:
    """Provider B's network, whose router does not advertise yet."""
    async with trio.open_nursery() as nursery:
        network = Network(lab, nursery)
        await network.serve(context or certified(NAME, PORTAL))
        yield network
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_following_mif(**options: Any) -> AsyncIterator[trimif.Mif]:
    """A MIF that fetches additional information, trusting the tests' authority."""
    async with trimif.open_mif(additional_information=True, ssl_context=trusting(), **options) as mif:
        yield mif


def limitations(mif: trimif.Mif, source: str) -> list[Limitation]:
    """What is not there, and why, by one source."""
    return [each for each in mif.statistics().limitations if each.source == source]
