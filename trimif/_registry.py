"""The objects of face 2 by their ids: one for each interface and domain while anybody holds it.

It is what the objects see of their MIF. When an owner ends, the object that stands for it learns the reason here,
before any task does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar, overload
from weakref import ref

import trio

from trimif._core import Core, configuration_data
from trimif._guests import Guests
from trimif._information import Information
from trimif._messages import (
    Announcement,
    InterfaceAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    ProvisioningDomainAnnouncement,
)
from trimif._mif import MifElement
from trimif._model import DomainId, DomainView, ElementType, InterfaceId, IPAddress
from trimif._owners import Interface, ProvisioningDomain
from trimif._scopes import Scope
from trimif._subscriber import Subscriber

T = TypeVar("T")


class Registry:
    """See the module."""

    def __init__(self, element: MifElement, core: Core) -> None:
        self._element = element
        self._core = core
        # Not a WeakValueDictionary: a KeyboardInterrupt that hits its callback is lost. What is dead is dropped when
        # its owner ends.
        self._objects: dict[InterfaceId | DomainId, ref[Interface | ProvisioningDomain]] = {}

    # ---------------------------------------------------------------- objects

    def interface(self, announcement: InterfaceAnnouncement) -> Interface:
        """The object of an announced interface."""
        known = self._known(announcement.interface)
        if isinstance(known, Interface):
            return known
        made = Interface(self, announcement)
        self._objects[announcement.interface] = ref(made)
        return made

    def domain(self, announcement: ProvisioningDomainAnnouncement) -> ProvisioningDomain | None:
        """The object of an announced domain; None if it went before it could be heard of."""
        known = self._known(announcement.domain)
        if isinstance(known, ProvisioningDomain):
            return known
        owner = self._core.presence(announcement.interface).get(NoInterfaceAnnouncement(announcement.interface))
        if not isinstance(owner, InterfaceAnnouncement) or self._core.domain(announcement.domain) is None:
            return None
        made = ProvisioningDomain(self, announcement, self.interface(owner))
        self._objects[announcement.domain] = ref(made)
        return made

    def _known(self, owner: InterfaceId | DomainId) -> Interface | ProvisioningDomain | None:
        known = self._objects.get(owner)
        return None if known is None else known()

    def new_interface(self, message: Announcement, seen: set[InterfaceId]) -> Interface | None:
        """The object of an interface that is announced for the first time."""
        if isinstance(message, NoInterfaceAnnouncement):
            seen.discard(message.interface)
        if not isinstance(message, InterfaceAnnouncement) or message.interface in seen:
            return None
        seen.add(message.interface)
        return self.interface(message) if self._core.presence(message.interface) else None

    def new_domain(self, message: Announcement, seen: set[DomainId]) -> ProvisioningDomain | None:
        """The object of a domain that is announced for the first time."""
        if isinstance(message, NoProvisioningDomainAnnouncement):
            seen.discard(message.domain)
        if not isinstance(message, ProvisioningDomainAnnouncement) or message.domain in seen:
            return None
        seen.add(message.domain)
        return self.domain(message)

    def interfaces(self) -> list[Interface]:
        """All that are there."""
        presences = (self._core.presence(each) for each in self._core.interfaces)
        news = (next(iter(presence.values())) for presence in presences)
        return [self.interface(each) for each in news if isinstance(each, InterfaceAnnouncement)]

    def domains(self) -> list[ProvisioningDomain]:
        """All that are there, in the order of their interfaces."""
        news = [each for owner in self._core.interfaces for each in self._core.presence(owner).values()]
        found = [self.domain(each) for each in news if isinstance(each, ProvisioningDomainAnnouncement)]
        return [each for each in found if each is not None]

    def ended(self, owner: InterfaceId | DomainId, reason: str) -> None:
        """An owner is gone."""
        known = self._known(owner)
        self._objects.pop(owner, None)
        if known is not None:
            known.end(reason)

    # ---------------------------------------------------------------- what objects ask for

    @overload
    def announcement_of(self, last: InterfaceAnnouncement) -> InterfaceAnnouncement | None: ...
    @overload
    def announcement_of(self, last: ProvisioningDomainAnnouncement) -> ProvisioningDomainAnnouncement | None: ...
    def announcement_of(
        self, last: InterfaceAnnouncement | ProvisioningDomainAnnouncement
    ) -> InterfaceAnnouncement | ProvisioningDomainAnnouncement | None:
        """What is announced of the same thing now; None if it is gone."""
        presence = self._core.presence(last.interface)
        if isinstance(last, InterfaceAnnouncement):
            found = presence.get(NoInterfaceAnnouncement(last.interface))
        else:
            found = presence.get(NoProvisioningDomainAnnouncement(last.interface, last.domain))
        return found if isinstance(found, InterfaceAnnouncement | ProvisioningDomainAnnouncement) else None

    def position_of(self, owner: InterfaceId | DomainId) -> tuple[int, ...]:
        """The order of announcements: of the interface, then of the domain."""
        if isinstance(owner, InterfaceId):
            return (self._core.order_of(owner),)
        interface = self._core.interface_of(owner)
        return (self._core.order_of(interface) if interface is not None else 0, self._core.order_of(owner))

    def view_of(self, domain: DomainId) -> DomainView | None:
        """The domain as lookups and connects see it; None if it is gone."""
        return self._core.view(domain, trio.current_time())

    def in_order(self, domain: DomainId, addresses: Sequence[IPAddress]) -> tuple[IPAddress, ...]:
        """Destinations in the order of RFC 6724; as they are if the domain is gone."""
        # What works on a real host is imported when it is used: it would double the cost of `import trimif`.
        from trimif._connect import order_destinations

        view = self.view_of(domain)
        return tuple(addresses if view is None else order_destinations(view, addresses))

    def data_of(self, domain: DomainId, element: ElementType, information: Information[T]) -> T | None:
        """Data of a configuration element; None if there is none."""
        return configuration_data(self._core, domain, element, information)

    def open_subscriber(self, *, max_buffer_size: int = 1000) -> AbstractAsyncContextManager[Subscriber]:
        """As `MifElement.open_subscriber`."""
        return self._element.open_subscriber(max_buffer_size=max_buffer_size)

    @contextmanager
    def tied(self, subscriber: Subscriber, owner: InterfaceId | DomainId) -> Iterator[None]:
        """For the length of the block the subscriber ends with the owner."""
        self._element._tie(subscriber, owner)
        try:
            yield
        finally:
            self._element._untie(subscriber, owner)

    @property
    def guests(self) -> Guests:
        """Whose code is running: handlers and blocks."""
        return self._element._guests

    def admit(
        self,
        owner: InterfaceId | DomainId,
        scope: trio.CancelScope,
        what: str,
        *,
        handler: bool,
        also_of: Sequence[Scope] = (),
    ) -> Scope:
        """As `MifElement._admit`."""
        return self._element._admit(owner, scope, what, handler=handler, also_of=also_of)

    def cancel(self, owner: InterfaceId | DomainId, reason: str) -> None:
        """As `MifElement._cancel`."""
        self._element._cancel(owner, reason)
