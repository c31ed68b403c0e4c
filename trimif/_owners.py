"""Interfaces and provisioning domains as objects (face 2): their channels, and blocks that end with them.

An object holds an id and its MIF, and stands on messages: what it knows it reads from the core that announces it, what
it does it asks for by a subscriber. There is one object for each id while anybody holds it.
"""

from __future__ import annotations

import abc
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import trio

from trimif._errors import ConnectFailed, DomainGone, InterfaceGone
from trimif._guests import Guests
from trimif._handlers import serve
from trimif._information import Information
from trimif._interrupts import protected, protected_async
from trimif._messages import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationElementAnnouncement,
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    InterfaceAnnouncement,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NotConnected,
    ProvisioningDomainAnnouncement,
    Request,
    TranslateName,
)
from trimif._model import (
    DomainId,
    ElementType,
    Family,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    IPAddress,
    NotConnectedReason,
)
from trimif._name_systems import AddressInfo
from trimif._scopes import Scope
from trimif._subscriber import Subscriber
from trimif._subscriptions import Subscription, Translation

if TYPE_CHECKING:
    from trimif._registry import Registry

__all__ = ["Interface", "ProvisioningDomain"]

T = TypeVar("T")
AnnouncementT = TypeVar("AnnouncementT", InterfaceAnnouncement, ProvisioningDomainAnnouncement)
AddressNews = AddressAnnouncement | NoAddressAnnouncement
ElementNews = ConfigurationElementAnnouncement | NoConfigurationElementAnnouncement


class Owner(abc.ABC, Generic[AnnouncementT]):
    """What an interface and a domain have in common: they go, and what belongs to them goes with them."""

    id: InterfaceId | DomainId

    def __init__(self, registry: Registry, announcement: AnnouncementT) -> None:
        self._registry = registry
        self._last: AnnouncementT = announcement
        self._reason: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{', gone' if self.gone else ''}>"

    @property
    def announcement(self) -> AnnouncementT:
        """What is announced of it now, or was last."""
        present = self._registry.announcement_of(self._last)
        self._last = present if present is not None else self._last
        return self._last

    @property
    def name(self) -> str:
        """Its name for people; it follows a rename of the interface."""
        return self.announcement.name

    @property
    def gone(self) -> bool:
        """Whether it is no more, or `cancel` was called."""
        return self._reason is not None

    @property
    def position(self) -> tuple[int, ...]:
        """Where it stands in the order of announcements, and so of teardown."""
        return self._registry.position_of(self.id)

    @property
    def guests(self) -> Guests:
        """Those of its MIF."""
        return self._registry.guests

    def admit_handler(self, scope: trio.CancelScope, also_of: Sequence[Scope]) -> Scope:
        """Tie a handler's task to it, and to the guests that it is served in."""
        return self._registry.admit(self.id, scope, f"handler of {self.name}", handler=True, also_of=also_of)

    def move_on_when_gone(self) -> AbstractContextManager[trio.CancelScope, bool]:
        """Cancel the block when this is gone, and go on after it; as :func:`trio.move_on_after` does with time."""
        return cast("AbstractContextManager[trio.CancelScope, bool]", self._block())  # it may swallow an exception

    @protected
    @contextmanager
    def _block(self) -> Iterator[trio.CancelScope]:
        with trio.CancelScope() as scope:
            node = self._registry.admit(self.id, scope, f"a block of {self.name}", handler=False)
            try:
                with self.guests.staying(node, handler=False):
                    yield scope
            finally:
                node.leave()

    @protected
    @contextmanager
    def fail_when_gone(self) -> Iterator[trio.CancelScope]:
        """Cancel the block when this is gone, and raise `InterfaceGone` or `DomainGone`."""
        with self.move_on_when_gone() as scope:
            yield scope
        if scope.cancelled_caught and self.gone:
            raise self._gone_error()

    @protected_async
    @asynccontextmanager
    async def open_nursery(self) -> AsyncIterator[trio.Nursery]:
        """A nursery that is cancelled when this is gone; then it raises `InterfaceGone` or `DomainGone`."""
        with self.fail_when_gone():
            async with trio.open_nursery() as nursery:
                yield nursery

    def cancel(self, reason: str) -> None:
        """This program is done with it: everything of it in this MIF ends exactly as if it had gone (law 2).

        `Mif.readmit` lets it in again. On one that is gone it does nothing.
        """
        self._registry.cancel(self.id, reason)

    def end(self, reason: str) -> None:
        """It is gone; for the registry alone to call."""
        self._reason = reason

    @abc.abstractmethod
    def _gone_error(self) -> InterfaceGone | DomainGone: ...

    @protected_async
    @asynccontextmanager
    async def _subscribed(self, request: Request, max_buffer_size: int) -> AsyncIterator[Subscriber]:
        async with self._registry.open_subscriber(max_buffer_size=max_buffer_size) as subscriber:
            with self._registry.tied(subscriber, self.id):
                if not self.gone:
                    subscriber.post(request)
                yield subscriber


class Interface(Owner[InterfaceAnnouncement]):
    """A network interface, from its announcement until it is gone."""

    id: InterfaceId

    def __init__(self, registry: Registry, announcement: InterfaceAnnouncement) -> None:
        super().__init__(registry, announcement)
        self.id = announcement.interface

    @property
    def details(self) -> InterfaceDetails:
        """Its kind, MTU and state."""
        return self.announcement.details

    @property
    def kind(self) -> InterfaceKind:
        """What sort of link it is."""
        return self.details.kind

    @protected_async
    @asynccontextmanager
    async def domains(self, *, max_buffer_size: int = 1000) -> AsyncIterator[Subscription[ProvisioningDomain]]:
        """A channel of its provisioning domains, each once; it ends when the interface is gone."""
        async with self._filtered_domains(None, max_buffer_size) as domains:
            yield domains

    @protected_async
    @asynccontextmanager
    async def _filtered_domains(
        self, where: Callable[[ProvisioningDomain], bool] | None, max_buffer_size: int = 1000
    ) -> AsyncIterator[Subscription[ProvisioningDomain]]:
        seen: set[DomainId] = set()

        def item_of(message: Announcement) -> ProvisioningDomain | None:
            domain = self._registry.new_domain(message, seen)
            return domain if domain is not None and (where is None or where(domain)) else None

        async with self._subscribed(AnnounceProvisioningDomain(self.id), max_buffer_size) as subscriber:
            yield Subscription(subscriber, item_of)

    async def serve_domains(
        self,
        handler: Callable[[ProvisioningDomain], Awaitable[object]],
        *,
        where: Callable[[ProvisioningDomain], bool] | None = None,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run ``handler(domain)`` for each of its domains, until the interface is gone; see `Mif.serve_domains`."""
        channel = self._filtered_domains(where)
        await serve(channel, handler, handler_nursery=handler_nursery, task_status=task_status)

    def _gone_error(self) -> InterfaceGone:
        return InterfaceGone(self.name, self._reason or "")


class ProvisioningDomain(Owner[ProvisioningDomainAnnouncement]):
    """A provisioning domain, from its announcement until it is gone."""

    id: DomainId

    def __init__(self, registry: Registry, announcement: ProvisioningDomainAnnouncement, interface: Interface) -> None:
        super().__init__(registry, announcement)
        self.id = announcement.domain
        self.interface = interface

    @property
    def families(self) -> frozenset[Family]:
        """The address families that it gives."""
        return self.announcement.families

    @property
    def explicit_id(self) -> str | None:
        """The domain name of an explicit provisioning domain (RFC 8801), else None."""
        return self.announcement.explicit_id

    @property
    def metered(self) -> bool | None:
        """Whether traffic costs money, by the domain's word (RFC 8801), else its interface's; None if nobody says."""
        told = self._registry.data_of(self.id, ElementType.PVD, Information.METERED)
        return self.interface.details.metered if told is None else told

    @property
    def interface_index(self) -> int:
        """The kernel's index of its interface, what sockets of the domain are bound to; 0 if it is gone."""
        view = self._registry.view_of(self.id)
        return 0 if view is None else view.index

    @property
    def split_domains(self) -> tuple[str, ...]:
        """Domains whose names are to be asked here alone, by the host's managers' word; without trailing dot.

        What a network claims by itself does not count: it could draw the names of another to itself.
        """
        return self._registry.data_of(self.id, ElementType.STATIC, Information.SPLIT_DOMAINS) or ()

    @property
    def usable(self) -> bool:
        """Whether it has an address, and a router or a default route (a tunnel has no router), and is no loopback."""
        view = self._registry.view_of(self.id)
        if view is None or view.loopback:
            return False
        return bool(view.addresses) and (view.default_route or bool(view.routers))

    def addresses(
        self, *, lifetimes: bool = False, max_buffer_size: int = 1000
    ) -> AbstractAsyncContextManager[Subscription[AddressNews]]:
        """A channel of what is announced of its addresses; it ends when the domain is gone.

        Args:
            lifetimes: announce an address again also when only its lifetimes were extended.
        """
        request = AnnounceAddress(self.id, lifetimes)
        return self._channel(request, lambda message: cast(AddressNews, message), max_buffer_size)

    def elements(self, *, max_buffer_size: int = 1000) -> AbstractAsyncContextManager[Subscription[ElementNews]]:
        """A channel of what is announced of its configuration elements; it ends when the domain is gone."""
        request = AnnounceConfigurationElement(self.id)
        return self._channel(request, lambda message: cast(ElementNews, message), max_buffer_size)

    @protected_async
    @asynccontextmanager
    async def _channel(
        self, request: Request, item_of: Callable[[Announcement], T | None], max_buffer_size: int
    ) -> AsyncIterator[Subscription[T]]:
        async with self._subscribed(request, max_buffer_size) as subscriber:
            yield Subscription(subscriber, item_of)

    @protected_async
    @asynccontextmanager
    async def translate(self, name: str, *, systems: Sequence[str] | None = None) -> AsyncIterator[Translation]:
        """The addresses of a name as this domain's name service tells them, streamed; then see `Translation.outcome`.

        Args:
            systems: the name systems to ask, in this order; those of the MIF if None.

        Raises:
            ValueError: it is no name, or there is no such name system.
        """
        async with self._registry.open_subscriber() as subscriber:
            translation = Translation(subscriber, name)
            subscriber.post(TranslateName(self.id, name, name, systems))
            yield translation

    @trio.lowlevel.enable_ki_protection
    async def resolve(self, name: str, *, systems: Sequence[str] | None = None) -> tuple[IPAddress, ...]:
        """All addresses of a name in this domain, best first as RFC 6724 says; see `translate`.

        Raises:
            DomainGone: the domain is gone, or went in the middle.
            socket.gaierror: there is none; the text says why.
        """
        self._check_there()
        async with self.translate(name, systems=systems) as translation:
            addresses = tuple([answer.address async for answer in translation])
        if self.gone:
            await self.guests.await_turn()
            raise self._gone_error()
        if not addresses:
            outcome = translation.outcome.value if translation.outcome is not None else "no answer"
            raise socket.gaierror(socket.EAI_NONAME, f"{name} has no address in {self.name}: {outcome}")
        return self._registry.in_order(self.id, addresses)

    async def getaddrinfo(
        self,
        host: str | None,
        port: int | str | bytes | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """:func:`socket.getaddrinfo` inside this domain: the same arguments and results, in the order of RFC 6724.

        Raises:
            DomainGone: the domain is gone, or went in the middle.
            socket.gaierror: there is no address, no such service, or the arguments do not fit.
        """
        from trimif._resolving import getaddrinfo_in

        self._check_there()
        return await getaddrinfo_in(self, host, port, family, type, proto, flags)

    @trio.lowlevel.enable_ki_protection  # a stream that was received is returned
    async def connect(
        self, address: IPAddress | str, port: int, *, source: IPAddress | str | None = None
    ) -> trio.SocketStream:
        """Connect to a TCP port through this domain, and nowhere else (law 10).

        Args:
            source: one of the domain's addresses; the best ones in turn if None (RFC 6724).

        Returns:
            The stream, which is the caller's to close.

        Raises:
            DomainGone: the domain is gone, or went in the middle.
            ConnectFailed: an :exc:`OSError` with the errno, the reason and a sentence.
            ValueError: an address or port is none.
        """
        request: Request
        if source is None:
            request = ConnectToAddress(self.id, cast(IPAddress, address), port, 0)
        else:
            request = ConnectToAddressFromAddress(self.id, cast(IPAddress, source), cast(IPAddress, address), port, 0)
        self._check_there()
        async with self._registry.open_subscriber() as subscriber:
            subscriber.post(request)
            answer = await subscriber.receive()
        if isinstance(answer, Connected):
            return answer.stream
        assert isinstance(answer, NotConnected)
        if answer.reason is NotConnectedReason.DOMAIN_GONE:
            await self.guests.await_turn()
            raise self._gone_error()
        raise ConnectFailed(answer.errno or errno.EIO, answer.reason, answer.text)

    def get(self, element: ElementType, information: Information[T]) -> T | None:
        """Data of a configuration element now (draft 3.5.15), None if it says nothing of that.

        Raises:
            DomainGone: the domain is gone.
        """
        self._check_there()
        return self._registry.data_of(self.id, element, information)

    def _check_there(self) -> None:
        if self.gone:
            raise self._gone_error()

    def _gone_error(self) -> DomainGone:
        return DomainGone(self.name, self._reason or "")
