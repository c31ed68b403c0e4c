"""All domains of a MIF are followed: for each a task that ends with it, and the limits that its network shares.

It stands on what every program can use: `Mif.serve_domains`, the announcements of elements and addresses, and
`ProvisioningDomain.get`, `resolve` and `connect`. What it finds out it reports as facts, like a source.
"""

from __future__ import annotations

import random as standard_random
import ssl
from collections.abc import Callable, Sequence

import trio

from trimif._additional._fetch import check_http_is_installed, default_ssl_context
from trimif._additional._follower import Follower, Tools
from trimif._additional._limits import NetworkLimits
from trimif._additional._portal import PortalFollower
from trimif._additional._pvd import PvdFollower
from trimif._additional._telling import Teller
from trimif._facts import Fact
from trimif._messages import (
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    InterfaceAnnouncement,
    NoInterfaceAnnouncement,
)
from trimif._model import InterfaceId, InterfaceKind
from trimif._owners import ProvisioningDomain
from trimif._subscriber import Subscriber
from trimif._views import Mif

__all__ = ["follow_additional_information"]


async def follow_additional_information(
    mif: Mif,
    report: Callable[[Sequence[Fact]], None],
    *,
    ssl_context: ssl.SSLContext | None = None,
    random: Callable[[], float] = standard_random.random,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Fetch what RFC 8801 and RFC 8908 offer in the domains of a MIF, until it closes or this is cancelled.

    Reports `AdditionalInformation` and `PortalStatus`, again when they change, and with None as information when they
    no longer count: expired, withdrawn, not covering the advertised prefixes, or the domain is gone. What can't be
    had is reported as a `Limitation`, once, with the reason and the remedy. One failed server ends nothing.

    Everything is looked up and fetched inside its domain. Proxies, and the environment variables that name them, are
    not used; a network's own servers are inside it.

    Args:
        report: takes facts; never blocks and never raises.
        ssl_context: whom to trust; the system's trust store if None, or what ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``
            put in its place. It has to check certificates and names.
        random: gives numbers from 0 up to 1, uniformly.
        task_status: ``started()`` is called once domains are being followed.

    Raises:
        ImportError: httpcore2 does not import; the text names the extra ``trimif[http]``.
        ValueError: the context does not check certificates, or not names.
    """
    check_http_is_installed()
    context = ssl_context or default_ssl_context()
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ValueError("ssl_context has to check certificates and the names in them (RFC 8801, 4.1)")
    following = _Following(mif, Tools(Teller(report), context, random))
    async with mif.open_subscriber() as links, trio.open_nursery() as nursery:
        await nursery.start(mif.serve_domains, following.follow)
        nursery.start_soon(following.watch, links)
        task_status.started()


class _Following:
    def __init__(self, mif: Mif, tools: Tools) -> None:
        self._mif = mif
        self._tools = tools
        self._limits: dict[InterfaceId, NetworkLimits] = {}
        self._followers: dict[Follower, InterfaceId] = {}

    async def follow(self, domain: ProvisioningDomain) -> None:
        """Follow a domain until it is gone."""
        await trio.lowlevel.checkpoint()
        view = domain._registry.view_of(domain.id)
        if view is None or domain.interface.kind is InterfaceKind.LOOPBACK:
            return
        limits = self._limits.setdefault(domain.interface.id, NetworkLimits())
        followers = (
            PvdFollower(domain, view.index, self._tools, limits),
            PortalFollower(domain, view.index, self._tools),
        )
        self._followers |= dict.fromkeys(followers, domain.interface.id)
        try:
            await self._run(domain, followers)
        except* (trio.ClosedResourceError, trio.EndOfChannel):
            if not self._mif._closed:  # it closed under a lookup or connect: an end like any other
                raise
        finally:
            for each in followers:
                del self._followers[each]
                self._tools.teller.forget(each)

    async def _run(self, domain: ProvisioningDomain, followers: Sequence[Follower]) -> None:
        async with self._mif.open_subscriber() as subscriber, trio.open_nursery() as nursery:
            subscriber.post(AnnounceConfigurationElement(domain.id))
            subscriber.post(AnnounceAddress(domain.id))
            for each in followers:
                each.look()
                nursery.start_soon(each.run)
            async for _ in subscriber:
                for each in followers:
                    each.look()
            nursery.cancel_scope.cancel("the MIF is closed")

    async def watch(self, links: Subscriber) -> None:
        """A link that was away may lead to another network when it is back (RFC 8801: "network attachment")."""
        links.post(AnnounceInterfaces())
        async for message in links:
            if isinstance(message, NoInterfaceAnnouncement):
                self._limits.pop(message.interface, None)
            elif isinstance(message, InterfaceAnnouncement) and _is_away(message):
                self._attach_anew(message.interface)

    def _attach_anew(self, interface: InterfaceId) -> None:
        if interface in self._limits:
            self._limits[interface].attach_anew()
        for follower, its_interface in self._followers.items():
            if its_interface == interface:
                follower.wake()


def _is_away(link: InterfaceAnnouncement) -> bool:
    return not (link.details.up and link.details.carrier)
