"""The MIF as programs see it: the messages of face 1, and what stands on them."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from trimif._core import Core, Grouping, grouping_named
from trimif._facts import StaticConfiguration
from trimif._handlers import run_on, serve
from trimif._interrupts import protected_async
from trimif._messages import AnnounceInterfaces, Announcement, AnnounceProvisioningDomain, InterfaceAnnouncement
from trimif._mif import MifElement, Record, run_element
from trimif._model import DomainId, InterfaceId
from trimif._name_systems import NameSystem
from trimif._owners import Interface, ProvisioningDomain
from trimif._policy import Policy, Where
from trimif._registry import Registry
from trimif._resolving import ResolvedAddress, domains_for, resolve_in_all
from trimif._sources import Source
from trimif._subscriptions import Subscription
from trimif._workers import Connect, Names

T = TypeVar("T")
OwnerT = TypeVar("OwnerT", Interface, ProvisioningDomain)

__all__ = ["Mif", "open_mif"]


class Mif(MifElement):
    """The networks of this host. Made by `open_mif`."""

    def __init__(
        self,
        core: Core,
        sources: Sequence[Source],
        record: Record | None = None,
        *,
        names: Names,
        connect: Connect,
    ) -> None:
        super().__init__(core, sources, record, names=names, connect=connect)
        self._registry = Registry(self, core)

    async def _fetch(self, ssl_context: ssl.SSLContext | None) -> None:
        """Fetch what networks offer over HTTPS, for as long as the MIF is open."""
        from trimif._additional import follow_additional_information

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await follow_additional_information(self, self._report, ssl_context=ssl_context, task_status=task_status)

        await self._start_source("additional information", run)

    def _note_end(self, owner: InterfaceId | DomainId, reason: str) -> None:
        self._registry.ended(owner, reason)

    # ---------------------------------------------------------------- face 2: scoped channels

    @protected_async
    @asynccontextmanager
    async def interfaces(self, *, max_buffer_size: int = 1000) -> AsyncIterator[Subscription[Interface]]:
        """A channel of the interfaces, each once; it ends when the MIF closes."""
        seen: set[InterfaceId] = set()
        async with self.open_subscriber(max_buffer_size=max_buffer_size) as subscriber:
            subscriber.post(AnnounceInterfaces())
            yield Subscription(subscriber, lambda message: self._registry.new_interface(message, seen))

    @protected_async
    @asynccontextmanager
    async def _domains(self, where: Where | None) -> AsyncIterator[Subscription[ProvisioningDomain]]:
        seen: set[DomainId] = set()

        def item_of(message: Announcement) -> ProvisioningDomain | None:
            if isinstance(message, InterfaceAnnouncement):
                subscriber.post(AnnounceProvisioningDomain(message.interface))
            return _filtered(self._registry.new_domain(message, seen), where)

        async with self.open_subscriber() as subscriber:
            subscriber.post(AnnounceInterfaces())
            yield Subscription(subscriber, item_of)

    def interface(self, name: str) -> Interface:
        """The interface of that display name, ``wlan0``.

        Raises:
            LookupError: there is none; the text says which there are.
        """
        return _named(name, self._registry.interfaces(), "interface")

    def domain(self, name: str) -> ProvisioningDomain:
        """The provisioning domain of that name, ``wlan0/ipv4``.

        Raises:
            LookupError: there is none; the text says which there are.
        """
        return _named(name, self._registry.domains(), "provisioning domain")

    def best_domain(self, policy: Policy | None = None) -> ProvisioningDomain | None:
        """The best domain that can be used now; None if there is none."""
        return (policy or Policy()).best(self._registry.domains())

    async def resolve(self, name: str) -> tuple[ResolvedAddress, ...]:
        """The addresses of a name in all domains that can be used, each bearing the domain that it is good in.

        Where a domain claims the name (`ProvisioningDomain.split_domains`), only those that claim it most precisely
        are asked, be they usable for all else or not.

        Returns:
            By domain, the best one first (`Policy`); those of one domain in the order of RFC 6724.

        Raises:
            socket.gaierror: no domain has an address for it; the text says what each of them said.
            ValueError: it is no name.
        """
        policy = Policy()
        domains = sorted(self._registry.domains(), key=policy.rank)
        return await resolve_in_all(name, domains_for(name, domains, policy.admits))

    async def wait_domain(self, policy: Policy | None = None) -> ProvisioningDomain:
        """Wait until some domain is usable: it has an address and knows a router, and is no loopback.

        Returns:
            The best one at that moment.

        Raises:
            trio.ClosedResourceError: the MIF closed while this waited.
        """
        await trio.lowlevel.checkpoint()
        while (best := self.best_domain(policy)) is None:
            await self._wait_for_change()
        return best

    # ---------------------------------------------------------------- face 3: handlers

    async def serve_interfaces(
        self,
        handler: Callable[[Interface], Awaitable[object]],
        *,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run ``handler(interface)`` for each interface, in a task of its own that ends with the interface.

        Args:
            handler_nursery: where the tasks run; one that ends with this call if None. In a nursery of the caller's
                they outlive this call, and the nursery's cancellation reaches them in no particular order.
            task_status: ``started()`` is called once interfaces are being announced.

        A handler that raises ends the call, as in :func:`trio.serve_listeners`; a lone exception leaves bare. That
        what it handles is gone (`DomainGone`, `InterfaceGone`) is no such failure: it was to end then anyway. Tasks
        inherit the context variables of the caller.
        """
        channel = self.interfaces()
        await serve(channel, handler, handler_nursery=handler_nursery, task_status=task_status)

    async def serve_domains(
        self,
        handler: Callable[[ProvisioningDomain], Awaitable[object]],
        *,
        where: Where | None = None,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run ``handler(domain)`` for each provisioning domain that passes the filter; see `serve_interfaces`."""
        channel = self._domains(where)
        await serve(channel, handler, handler_nursery=handler_nursery, task_status=task_status)

    async def serve_best_domain(
        self,
        handler: Callable[[ProvisioningDomain], Awaitable[T]],
        *,
        policy: Policy | None = None,
        switch_to_better: bool = False,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> T:
        """Run ``handler(domain)`` on the best domain, and again on the next one when that goes.

        Args:
            switch_to_better: also when a better one comes; the handler is cancelled first.
            task_status: ``started()`` is called when the handler runs for the first time.

        Returns:
            What the handler returns, as soon as it does.
        """
        while True:
            domain = await self.wait_domain(policy)
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            is_best = partial(self._is_best, domain, policy) if switch_to_better else partial(bool, True)
            results = await run_on(domain, handler, is_best, self._wait_for_change)
            if results:
                return results[0]

    def _is_best(self, domain: ProvisioningDomain, policy: Policy | None) -> bool:
        return self.best_domain(policy) is domain

    async def _wait_for_change(self) -> None:
        self._check_open("wait for a domain")
        await self._changed.park()

    # ---------------------------------------------------------------- on top

    @trio.lowlevel.enable_ki_protection  # a stream that was received is returned
    async def open_tcp_stream(
        self,
        host: str | bytes,
        port: int,
        *,
        happy_eyeballs_delay: float = 0.25,
        local_address: str | None = None,
    ) -> trio.SocketStream:
        """Connect to a host through whichever domain gets there first; a drop-in for :func:`trio.open_tcp_stream`.

        The name is resolved inside every provisioning domain, and each address is tried only through the domain that
        gave it (RFC 8305 across domains; see `trimif` documentation, "the idea"). There is no fall-back to the
        system's resolver or default route. Loopback addresses and the host's own work as with Trio.

        Args:
            host: a name, or an IPv4 or IPv6 address.
            port: the TCP port.
            happy_eyeballs_delay: seconds before the next attempt starts while earlier ones are still trying.
            local_address: connect from this address only, through the domain that has it.

        Returns:
            The first connection made; it is the caller's to close. The other attempts are closed.

        Raises:
            OSError: every attempt failed; the text says what happened on each domain, and the cause is a group of
                `ConnectFailed`. At once if no domain is usable: see `wait_domain`.
            ValueError: the host is neither a name nor an address, the port or local address is none.
        """
        from trimif._happy_eyeballs import open_tcp_stream

        return await open_tcp_stream(
            self, host, port, happy_eyeballs_delay=happy_eyeballs_delay, local_address=local_address
        )


def _filtered(domain: ProvisioningDomain | None, where: Where | None) -> ProvisioningDomain | None:
    return domain if domain is not None and (where is None or where(domain)) else None


def _named(name: str, owners: Iterable[OwnerT], what: str) -> OwnerT:
    by_name = {owner.name: owner for owner in owners}
    if name not in by_name:
        raise LookupError(f"there is no {what} named {name!r}; there are {', '.join(by_name) or 'none'}")
    return by_name[name]


@protected_async
@asynccontextmanager
async def open_mif(
    *,
    grouping: str | Grouping = "family",
    link: str = "netlink",
    static: Sequence[StaticConfiguration] = (),
    lease_directories: Sequence[str | Path] = (),
    ask_dhcp: Sequence[str] = (),
    additional_information: bool = False,
    name_systems: Sequence[str | NameSystem] = ("hosts", "dns", "mdns", "llmnr"),
    encrypted_dns: bool = True,
    ssl_context: ssl.SSLContext | None = None,
    record: Record | None = None,
) -> AsyncIterator[Mif]:
    """Open the MIF API on the host that the program runs on (in a network namespace: on that one).

    Yields after the first look at the kernel's tables and one read of each local source; it never waits for a router
    advertisement. Leaving the block ends everything of it, leaf first: lookups and connects, domains, interfaces,
    sources. A lone exception leaves bare, not in a group.

    Args:
        grouping: how what is known of an interface forms domains. ``"family"``: one for each address family (draft
            3.1); ``"interface"``: one for both (RFC 7556); ``"router"``: one for each router (RFC 8801); in each of
            them every explicit domain (RFC 8801) is one of its own. Or a function of your own: see :type:`Grouping`.
        link: who tells about the kernel's links, addresses and routes: ``"netlink"``, or ``"pyroute2"``, the reference
            link that the first is tested against. It needs the extra ``asyncio`` and a Python before 3.14, is slower,
            and can't go on after an overrun: the MIF ends with an :exc:`OSError` then.
        static: what you know about an interface and no network says, the name servers of a VPN for example.
        lease_directories: where to look for the files of DHCP clients, besides the usual places.
        ask_dhcp: names of interfaces on which trimif may ask DHCP servers itself for configuration that no client on
            the host has told (DHCPINFORM, RFC 2131; Information-request, RFC 8415). It needs CAP_NET_BIND_SERVICE.
        additional_information: fetch what an explicit domain says of itself (RFC 8801, 4), and ask the API of a
            captive portal (RFC 8908), each inside its domain, over HTTPS. It needs the extra ``http``.
        name_systems: what is asked for names, in this order, until somebody has an address: ``"hosts"``, ``"dns"``,
            ``"mdns"`` (names under ``.local``), ``"llmnr"`` (single labels), and what you add, a :class:`NameSystem`.
        encrypted_dns: ask the encrypted name servers that a network offers (RFC 9463) before its others.
        ssl_context: whom to trust for both; None for the system's trust store. It checks certificates and names.
        record: is called with the time and the facts of each step, before they are applied; ``trimif watch --json``
            writes them down so that they can be replayed.

    Raises:
        ValueError: there is no such grouping, or no such link, or the context does not check.
        ImportError: the link needs trio-asyncio, or additional information httpcore2, which does not import; the text
            tells the remedy.
        OSError: the kernel does not let the program open a netlink socket.
    """
    # what works on a real host is imported when there is one to work on: it would double the cost of `import trimif`
    from trimif._connect import connect
    from trimif._names import NameService
    from trimif._sources._host import host_sources

    core = Core(secrets.token_hex(3), grouping_named(grouping))
    sources = host_sources(link, tuple(static), tuple(Path(each) for each in lease_directories), tuple(ask_dhcp))
    names = NameService(name_systems, encrypted=encrypted_dns, ssl_context=ssl_context)
    mif = Mif(core, sources, record, names=names, connect=connect)
    async with run_element(mif):
        if additional_information:
            await mif._fetch(ssl_context)
        yield mif
