"""A subscriber's mailbox: what it asked for, what it was told, and what it is to be told next.

The queue holds three sorts of entries in one total order (law 6): answers to the subscriber's own requests, single
news, and requests to compare an interface. Single news are the fast path. When there are more of them than the bound,
they are thrown away and each interface concerned gets one `_Compare` instead: when its turn comes, what the subscriber
was told is compared with what is, and the difference is handed out in portions (law 7). A new subscription is the same
thing. What was told is counted when the subscriber takes it, not when it is queued, so a comparison is always right.

Nothing here knows how a reader waits: `wake` is called whenever something was added.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from attrs import define, field, frozen

from trimif._core._difference import Change, Table, difference
from trimif._errors import TooManyRequests
from trimif._messages import (
    AddressAnnouncement,
    Announcement,
    Answer,
    ConfigurationElementAnnouncement,
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    InterfaceAnnouncement,
    NameTranslation,
    NameTranslationFinished,
    News,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    ProvisioningDomainAnnouncement,
    TranslateName,
    Withdrawal,
)
from trimif._model import DomainId, InterfaceId

PORTION = 64
"""How many messages of one comparison are worked out ahead of the reader."""
STALE = 64
"""How many comparisons that were put off are left in the queue at least, before they are cleared away."""
WITHDRAWALS = (
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NoConfigurationElementAnnouncement,
    NoAddressAnnouncement,
)

Presence: TypeAlias = Callable[[InterfaceId], Table]
"""Tells what is now on an interface; nothing for one that is gone."""


@define(eq=False)
class Pending:
    """A translation or connect that has been posted and whose last answer has not been received.

    Attributes:
        active: somebody still works on it; an answer of one that is not active is dropped.
    """

    mailbox: Mailbox
    request: TranslateName | ConnectToAddress | ConnectToAddressFromAddress
    active: bool = True

    @property
    def key(self) -> tuple[str, Hashable]:
        """Tells it from the subscriber's other outstanding requests."""
        if isinstance(self.request, TranslateName):
            return "translation", self.request.translation_id
        return "connect", self.request.connection_id


@define
class Interests:
    """What the subscriber asked to be told."""

    interfaces: bool = False
    domains: set[InterfaceId] = field(factory=set)
    elements: set[DomainId] = field(factory=set)
    addresses: dict[DomainId, bool] = field(factory=dict)
    """The flag: mere extensions of lifetimes too."""

    def include(self, message: Announcement) -> bool:
        """Whether the subscriber wants to hear of this."""
        match message:
            case AddressAnnouncement(domain=domain) | NoAddressAnnouncement(domain=domain):
                return domain in self.addresses
            case ConfigurationElementAnnouncement(domain=domain) | NoConfigurationElementAnnouncement(domain=domain):
                return domain in self.elements
            case ProvisioningDomainAnnouncement(interface=interface):
                return interface in self.domains
            case NoProvisioningDomainAnnouncement(interface=interface):
                return interface in self.domains
            case InterfaceAnnouncement() | NoInterfaceAnnouncement():
                return self.interfaces
            case _:
                return True  # an answer to its own request

    def forget_interface(self, interface: InterfaceId) -> None:
        """Unsubscribe from what can't come any more (draft 3.5.5)."""
        self.domains.discard(interface)

    def forget_domain(self, domain: DomainId) -> None:
        """Unsubscribe from what can't come any more."""
        self.elements.discard(domain)
        self.addresses.pop(domain, None)


@frozen(eq=False)
class _Compare:
    """Stale, and passed over, once the interface is to be compared later, or need not be compared any more."""

    interface: InterfaceId


Entry: TypeAlias = "_Compare | Change | Answer"


class Mailbox:
    """See the module. `max_buffer_size` bounds single news, `max_outstanding` requests without their last answer."""

    def __init__(self, max_buffer_size: int, max_outstanding: int, wake: Callable[[], None]) -> None:
        self.max_buffer_size = max_buffer_size
        self.max_outstanding = max_outstanding
        self.interests: Interests = Interests()
        self.outstanding: dict[tuple[str, Hashable], Pending] = {}
        self.received: int = 0
        self.skipped: int = 0
        self._wake = wake
        self._queue: deque[Entry] = deque()
        self._portion: deque[Change] = deque()
        self._singles = 0
        self._stale = 0
        self._unread_data = 0
        self._behind: dict[InterfaceId, _Compare] = {}
        self._told: dict[InterfaceId, dict[Withdrawal, News]] = {}

    # ---------------------------------------------------------------- what comes in

    def offer(self, interface: InterfaceId, changes: Sequence[Change]) -> None:
        """The interface has changed: queue what the subscriber wants to hear of it."""
        wanted = [change for change in changes if self._wants(change)]
        if not wanted:
            return
        if interface in self._behind:
            self.skipped += len(wanted)
            return
        if self._singles + len(wanted) > self.max_buffer_size:
            self._fall_behind(interface, len(wanted))
        else:
            self._queue.extend(wanted)
            self._singles += len(wanted)
        self._wake()

    def answer(self, message: Answer) -> None:
        """Queue an answer; it is never dropped."""
        self._queue.append(message)
        if not isinstance(message, NameTranslation | NameTranslationFinished | Connected | NotConnected):
            self._unread_data += 1
        self._wake()

    def compare(self, interface: InterfaceId) -> None:
        """Have the interface compared after all that is queued now."""
        if interface in self._behind:
            self._stale += 1
        else:
            self._drop_singles(interface)
        if self._portion and self._portion[0].interface == interface:
            self._portion.clear()  # a portion is of one interface; it will be worked out again
        self._put_behind(interface)
        if self._stale > max(STALE, len(self._behind)):
            self._clear_stale()
        self._wake()

    def _put_behind(self, interface: InterfaceId) -> None:
        compare = self._behind[interface] = _Compare(interface)
        self._queue.append(compare)

    def _is_stale(self, compare: _Compare) -> bool:
        return self._behind.get(compare.interface) is not compare

    def _clear_stale(self) -> None:
        self._queue = deque(e for e in self._queue if not (isinstance(e, _Compare) and self._is_stale(e)))
        self._stale = 0

    def check_room(self) -> None:
        """Raise `TooManyRequests` if another request would go beyond the bound."""
        if len(self.outstanding) + self._unread_data >= self.max_outstanding:
            raise TooManyRequests(
                f"{self.max_outstanding} requests of this subscriber are outstanding: receive answers, "
                "or stop requests that are no longer wanted, before posting more"
            )

    def _wants(self, change: Change) -> bool:
        message = change.message
        if change.refresh and isinstance(message, AddressAnnouncement):
            return self.interests.addresses.get(message.domain, False)
        return self.interests.include(message)

    def _fall_behind(self, interface: InterfaceId, more: int) -> None:
        singles = (entry.interface for entry in self._queue if isinstance(entry, Change))
        interfaces = dict.fromkeys([*singles, interface])
        self.skipped += self._singles + more
        self._queue = deque(entry for entry in self._queue if not isinstance(entry, Change))
        self._singles = 0
        for each in interfaces:
            self._put_behind(each)

    def _drop_singles(self, interface: InterfaceId) -> None:
        if not self._singles:
            return
        kept = deque(e for e in self._queue if not (isinstance(e, Change) and e.interface == interface))
        self._singles -= len(self._queue) - len(kept)
        self._queue = kept

    # ---------------------------------------------------------------- what goes out

    def ready(self, presence: Presence) -> bool:
        """Whether `take` would give a message."""
        while not self._portion:
            if not self._queue:
                return False
            entry = self._queue[0]
            if isinstance(entry, Change):
                if not self._is_told(entry):
                    return True
                self._queue.popleft()
                self._singles -= 1
            elif isinstance(entry, _Compare):
                self._work_out_portion(entry, presence)
            else:
                return True
        return True

    def take(self, presence: Presence) -> Announcement | None:
        """The next message, or None; from now on the subscriber has been told it."""
        if not self.ready(presence):
            return None
        self.received += 1
        if self._portion:
            return self._count(self._portion.popleft())
        entry = self._queue.popleft()
        assert not isinstance(entry, _Compare)
        if isinstance(entry, Change):
            self._singles -= 1
            return self._count(entry)
        self._settle(entry)
        return entry

    @property
    def queued(self) -> int:
        """How many messages wait, comparisons not counted."""
        return len(self._portion) + sum(not isinstance(entry, _Compare) for entry in self._queue)

    def interfaces_in_queue(self) -> list[InterfaceId]:
        """The interfaces of which news wait that have been worked out already."""
        entries = [*self._portion, *self._queue]
        return list({entry.interface: None for entry in entries if isinstance(entry, Change)})

    def awaits_answers_of(self, domain: DomainId) -> bool:
        """Whether the last answer to some request in the domain has not been received."""
        return any(pending.request.domain == domain for pending in self.outstanding.values())

    def is_behind(self, interface: InterfaceId) -> bool:
        """Whether the interface is to be compared."""
        return interface in self._behind

    def _work_out_portion(self, entry: _Compare, presence: Presence) -> None:
        interface = entry.interface
        if self._is_stale(entry):
            self._queue.popleft()
            self._stale -= 1
            return
        told = self._told.get(interface, {})
        self._portion.extend(islice(self._wanted_difference(interface, told, presence(interface)), PORTION))
        if len(self._portion) < PORTION:  # that was all of it: single news can follow
            self._queue.popleft()
            del self._behind[interface]

    def _wanted_difference(self, interface: InterfaceId, told: Table, present: Table) -> Iterator[Change]:
        """What was told was wanted, and still is: a Stop makes us forget it."""
        for change in difference(interface, told, present):
            if change.message is change.key or self._wants(change):
                yield change

    def _is_told(self, single: Change) -> bool:
        """A lifetime that was extended, which nobody heard, and cut back again: the same content (law 3)."""
        message = single.message
        if single.refresh or not isinstance(message, AddressAnnouncement):
            return False
        return self._told.get(single.interface, {}).get(single.key) == message

    def _count(self, change: Change) -> Announcement:
        interface, key, message, _ = change
        if not isinstance(message, WITHDRAWALS):
            self._told.setdefault(interface, {})[key] = message
            return message
        told = self._told[interface]
        del told[key]
        if not told:
            del self._told[interface]
        return message

    def _settle(self, message: Answer) -> None:
        match message:
            case NameTranslation():
                pass
            case NameTranslationFinished(translation_id=translation_id):
                del self.outstanding["translation", translation_id]
            case Connected(connection_id=connection_id) | NotConnected(connection_id=connection_id):
                del self.outstanding["connect", connection_id]
            case _:
                self._unread_data -= 1

    # ---------------------------------------------------------------- stop is stop (law 5)

    def forget(self, unwanted: Callable[[Announcement], bool]) -> None:
        """Forget what was told of this sort, and drop what is queued of it. Its interests have ended."""
        for interface, told in list(self._told.items()):
            kept = {key: news for key, news in told.items() if not unwanted(news)}
            if kept:
                self._told[interface] = kept
            else:
                del self._told[interface]
        self._drop(unwanted)

    def withdraw(self, key: tuple[str, Hashable]) -> list[Connected]:
        """Drop a request and every answer to it; gives the connections that nobody will receive."""
        self.outstanding.pop(key, None)
        return self._drop(lambda message: _request_key(message) == key)

    def _drop(self, unwanted: Callable[[Announcement], bool]) -> list[Connected]:
        dropped = [entry for entry in self._queue if not isinstance(entry, _Compare) and unwanted(_message(entry))]
        if dropped:
            self._queue = deque(e for e in self._queue if isinstance(e, _Compare) or not unwanted(_message(e)))
            self._singles -= sum(isinstance(entry, Change) for entry in dropped)
        self._portion = deque(single for single in self._portion if not unwanted(single.message))
        return [entry for entry in dropped if isinstance(entry, Connected)]


def _message(entry: Change | Answer) -> Announcement:
    return entry.message if isinstance(entry, Change) else entry


def _request_key(message: Announcement) -> tuple[str, Hashable] | None:
    match message:
        case NameTranslation(translation_id=key) | NameTranslationFinished(translation_id=key):
            return "translation", key
        case Connected(connection_id=key) | NotConnected(connection_id=key):
            return "connect", key
        case _:
            return None
