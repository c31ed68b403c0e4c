"""The MIF API element of the draft's figure 1, without I/O and without a clock.

Facts about the host, requests of subscribers and `now` go in. What comes out is of two sorts: messages, in the
mailboxes of the subscribers, in the order that the laws fix; and effects, for whoever does the I/O: work to begin or
to abandon, streams to close, owners that have ended.

The order of one step: a fact changes the tables of the host; each interface that it touched is looked at afresh, which
gives its domains, elements and addresses; the difference to what was there before is news; the requests that ran in
domains which are no more get their last words; then every mailbox is offered the news.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeAlias

from attrs import frozen

from trimif._core._difference import Change, Table
from trimif._core._gather import gather
from trimif._core._grouping import Grouping, by_family, check_groups
from trimif._core._host import HeldAddress, Host
from trimif._core._interfaces import Domain, Interface
from trimif._core._mailbox import Mailbox, Pending
from trimif._core._snapshot import Snapshot
from trimif._core._snapshot_of import snapshot_of
from trimif._facts import Fact, Limitation, LinkFact
from trimif._messages import (
    Answer,
    Connected,
    NameTranslation,
    NameTranslationFinished,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    TranslateName,
)
from trimif._model import (
    DomainId,
    DomainView,
    InterfaceDetails,
    InterfaceId,
    NotConnectedReason,
    TranslationOutcome,
    Value,
)


@frozen(repr=False, eq=False)
class Begin(Value):
    """Start to work on a request; report with `Core.answer`."""

    pending: Pending


@frozen(repr=False, eq=False)
class Abandon(Value):
    """Stop working on a request; nobody wants its answers."""

    pending: Pending


@frozen(repr=False, eq=False)
class Discard(Value):
    """Close the stream of a connection that nobody will receive."""

    connected: Connected


@frozen(repr=False, eq=False)
class Ended(Value):
    """An interface or domain is gone; all that runs on its behalf is to end, the requests in it too.

    An interface comes before its domains, so that who ends it knows that it can end them in order.
    """

    owner: InterfaceId | DomainId
    reason: str


Effect: TypeAlias = Begin | Abandon | Discard | Ended


class Core:
    """The state of one MIF.

    Args:
        name: goes into every id, so that ids of two MIFs are never mixed up.
        grouping: forms domains out of what an interface's elements say.
    """

    def __init__(self, name: str, grouping: Grouping = by_family) -> None:
        self._name = name
        self._grouping = grouping
        self._host = Host()
        self._interfaces: dict[int, Interface] = {}
        self._by_id: dict[InterfaceId, Interface] = {}
        self._domains: dict[DomainId, tuple[Interface, Domain]] = {}
        self._pending: dict[DomainId, dict[Pending, None]] = {}
        self._cancelled_interfaces: set[int] = set()
        self._cancelled_domains: dict[int, dict[Hashable, str]] = {}
        self._mailboxes: dict[Mailbox, None] = {}
        self._next_deadline = math.inf
        self._issued_interfaces = 0
        self._issued_domains = 0
        self._effects: list[Effect] = []

    # ---------------------------------------------------------------- facts and time

    def apply(self, facts: Iterable[Fact], now: float) -> list[Effect]:
        """Take what a source reports, as one step.

        A batch may collapse what came and went within it, but never hides that an interface was deleted or taken down.
        """
        for fact in facts:
            self._host.apply(fact, now)
            if self._host.broken:
                self._look(now)
        self._look(now)
        return self._take_effects()

    def advance(self, now: float) -> list[Effect]:
        """Let time pass: what has expired by `now` is withdrawn."""
        due = [index for index, interface in self._interfaces.items() if interface.until <= now]
        self._host.touched.update(dict.fromkeys(due))
        self._look(now)
        self._next_deadline = min((each.until for each in self._interfaces.values()), default=math.inf)
        return self._take_effects()

    @property
    def next_deadline(self) -> float:
        """When to call `advance`, ``math.inf`` for never. It may find nothing to do then, but not later than that."""
        return self._next_deadline

    def _look(self, now: float, reason: str = "the host lost it") -> None:
        touched, self._host.touched, self._host.broken = self._host.touched, {}, False
        moved, self._host.moved = self._host.moved, {}
        for index, addresses in moved.items():
            if index not in touched and not self._move_deadlines(index, addresses, now):
                touched[index] = None
        for index in touched:
            link = self._host.links.get(index)
            if link is None:  # made again, it is another one, and nobody is done with that
                self._cancelled_interfaces.discard(index)
                self._cancelled_domains.pop(index, None)
            if link is not None and index not in self._cancelled_interfaces:
                self._update(index, link, now, reason)
            elif index in self._interfaces:
                self._remove(self._interfaces.pop(index), reason)

    def _move_deadlines(self, index: int, addresses: Iterable[HeldAddress], now: float) -> bool:
        """Take the short way, if there is one."""
        interface = self._interfaces.get(index)
        news = None if interface is None else interface.move_deadlines([each.fact for each in addresses], now)
        if interface is None or news is None:
            return False
        self._next_deadline = min(self._next_deadline, interface.until)
        self._publish(interface, news, "")
        return True

    def _update(self, index: int, link: LinkFact, now: float, reason: str) -> None:
        gathered = gather(self._host, index, now)
        interface = self._interfaces.get(index)
        if interface is None:
            interface = self._interfaces[index] = Interface(self._new_interface_id(), link, gathered.details)
            self._by_id[interface.id] = interface
        cancelled = self._cancelled_domains.get(index, {})
        groups = [each for each in check_groups(self._grouping(gathered.evidence)) if each.key not in cancelled]
        news = interface.update(link, gathered, groups, self._new_domain_id)
        self._next_deadline = min(self._next_deadline, gathered.until)
        self._publish(interface, news, reason)
        self._domains.update((domain.id, (interface, domain)) for domain in interface.domains.values())

    def _remove(self, interface: Interface, reason: str) -> None:
        del self._by_id[interface.id]
        self._effects.append(Ended(interface.id, reason))
        self._publish(interface, interface.withdraw(), f"its interface {interface.link.name} is gone: {reason}")
        for mailbox in self._mailboxes:
            mailbox.interests.forget_interface(interface.id)

    def _publish(self, interface: Interface, news: list[Change], reason: str) -> None:
        gone = [each.domain for _, _, each, _ in news if isinstance(each, NoProvisioningDomainAnnouncement)]
        for domain in gone:
            self._last_words(interface, domain)
        if news:
            for mailbox in self._mailboxes:
                mailbox.offer(interface.id, news)
        for domain in gone:
            self._forget_domain(domain, reason)

    def _last_words(self, interface: Interface, domain: DomainId) -> None:
        """Law 2: first the name translations of the domain finish, then its pending connects fail."""
        pending = list(self._pending.pop(domain, ()))
        pending.sort(key=lambda each: not isinstance(each.request, TranslateName))
        for each in pending:
            each.active = False
            each.mailbox.answer(_gone(each))
        for mailbox in self._mailboxes:
            if mailbox.is_behind(interface.id) and mailbox.awaits_answers_of(domain):
                mailbox.compare(interface.id)  # withdrawals come after these last words

    def _forget_domain(self, domain: DomainId, reason: str) -> None:
        del self._domains[domain]
        for mailbox in self._mailboxes:
            mailbox.interests.forget_domain(domain)
        self._effects.append(Ended(domain, reason))

    def _new_interface_id(self) -> InterfaceId:
        self._issued_interfaces += 1
        return InterfaceId(f"{self._name}-i{self._issued_interfaces}")

    def _new_domain_id(self) -> DomainId:
        self._issued_domains += 1
        return DomainId(f"{self._name}-d{self._issued_domains}")

    def _take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    # ---------------------------------------------------------------- this program is done with it

    def cancel(self, owner: InterfaceId | DomainId, reason: str, now: float) -> list[Effect]:
        """End an interface or domain for this MIF exactly as if it had gone; one that is gone already stays so."""
        if isinstance(owner, InterfaceId):
            interface = self._by_id.get(owner)
            if interface is not None:
                self._cancelled_interfaces.add(interface.link.index)
                self._host.touched[interface.link.index] = None
        elif owner in self._domains:
            interface, domain = self._domains[owner]
            group = domain.group
            self._cancelled_domains.setdefault(interface.link.index, {})[group.key] = group.label
            self._host.touched[interface.link.index] = None
        self._look(now, f"cancelled: {reason}")
        return self._take_effects()

    def readmit(self, name: str, now: float) -> list[Effect]:
        """Let what was cancelled in again, under a new id. Raises ValueError if nothing of that name is cancelled."""
        for index, found in self._cancelled_names():
            if found == name:
                self._cancelled_interfaces.discard(index)
                of_link = self._cancelled_domains.get(index, {})
                self._cancelled_domains[index] = {
                    key: label for key, label in of_link.items() if f"{self._host.links[index].name}/{label}" != name
                }
                self._host.touched[index] = None
        if not self._host.touched:
            names = ", ".join(sorted(each for _, each in self._cancelled_names())) or "nothing"
            raise ValueError(f"no interface or domain named {name!r} was cancelled; cancelled is {names}")
        self._look(now)
        return self._take_effects()

    def _cancelled_names(self) -> list[tuple[int, str]]:
        links = self._host.links
        names = [(index, links[index].name) for index in self._cancelled_interfaces]
        names += [
            (index, f"{links[index].name}/{label}")
            for index, of_link in self._cancelled_domains.items()
            for label in of_link.values()
        ]
        return names

    # ---------------------------------------------------------------- subscribers

    def open_mailbox(self, max_buffer_size: int, max_outstanding: int, wake: Callable[[], None]) -> Mailbox:
        """A mailbox for a new subscriber."""
        mailbox = Mailbox(max_buffer_size, max_outstanding, wake)
        self._mailboxes[mailbox] = None
        return mailbox

    def close_mailbox(self, mailbox: Mailbox) -> list[Effect]:
        """The subscriber is gone: abandon its requests, close what it did not receive."""
        self._mailboxes.pop(mailbox, None)
        for key in list(mailbox.outstanding):
            self.withdraw(mailbox, key)
        mailbox.forget(lambda message: True)
        return self._take_effects()

    def begin(self, pending: Pending) -> None:
        """A request was accepted. In a domain that is gone it gets its negative answer at once."""
        pending.mailbox.check_room()
        pending.mailbox.outstanding[pending.key] = pending
        if pending.request.domain in self._domains:
            self._pending.setdefault(pending.request.domain, {})[pending] = None
            self._effects.append(Begin(pending))
        else:
            pending.active = False
            pending.mailbox.answer(_gone(pending))

    def withdraw(self, mailbox: Mailbox, key: tuple[str, Any]) -> None:
        """The subscriber wants no more answers to this request."""
        pending = mailbox.outstanding.get(key)
        if pending is not None and pending.active:
            self._finish(pending)
            self._effects.append(Abandon(pending))
        self._effects.extend(Discard(connected) for connected in mailbox.withdraw(key))

    def answer(self, pending: Pending, message: Answer) -> bool:
        """Deliver an answer. False: nobody wants it any more, and a stream in it is the caller's to close."""
        if not pending.active:
            return False
        if not isinstance(message, NameTranslation):
            self._finish(pending)
        pending.mailbox.answer(message)
        return True

    def _finish(self, pending: Pending) -> None:
        pending.active = False
        of_domain = self._pending[pending.request.domain]
        del of_domain[pending]
        if not of_domain:
            del self._pending[pending.request.domain]

    def take_effects(self) -> list[Effect]:
        """What the I/O has to do after a post."""
        return self._take_effects()

    # ---------------------------------------------------------------- looking

    def check_interface(self, interface: InterfaceId) -> None:
        """Raise ValueError for an id that was never issued here (not for one that is gone)."""
        if not self._was_issued(interface.token, "i", self._issued_interfaces):
            raise ValueError(f"{interface!r} was never issued by this MIF: take ids from its InterfaceAnnouncements")

    def check_domain(self, domain: DomainId) -> None:
        """The same for a domain."""
        if not self._was_issued(domain.token, "d", self._issued_domains):
            raise ValueError(
                f"{domain!r} was never issued by this MIF: take ids from its ProvisioningDomainAnnouncements"
            )

    def _was_issued(self, token: str, kind: str, issued: int) -> bool:
        prefix = f"{self._name}-{kind}"
        serial = token.removeprefix(prefix)
        plausible = serial.isascii() and serial.isdecimal() and len(serial) <= len(str(issued))
        return token.startswith(prefix) and plausible and 0 < int(serial) <= issued

    def order_of(self, owner: InterfaceId | DomainId) -> int:
        """Ids are issued in the order of announcements: a smaller one is older."""
        return int(owner.token[len(self._name) + 2 :])

    def presence(self, interface: InterfaceId) -> Table:
        """What is to be announced of an interface now; nothing if it is gone."""
        found = self._by_id.get(interface)
        return {} if found is None else found.present

    @property
    def interfaces(self) -> Iterable[InterfaceId]:
        """The interfaces that there are."""
        return self._by_id.keys()

    def interface_of(self, domain: DomainId) -> InterfaceId | None:
        """The interface of a domain, None if the domain is gone."""
        found = self._domains.get(domain)
        return None if found is None else found[0].id

    @property
    def domains(self) -> Iterable[DomainId]:
        """The domains that there are."""
        return self._domains.keys()

    def details(self, domain: DomainId) -> InterfaceDetails | None:
        """What the interface of a domain is, None if the domain is gone."""
        found = self._domains.get(domain)
        return None if found is None else found[0].details

    def domain(self, domain: DomainId) -> Domain | None:
        """A domain that is there now, else None."""
        found = self._domains.get(domain)
        return None if found is None else found[1]

    def view(self, domain: DomainId, now: float) -> DomainView | None:
        """What a lookup or connect in the domain must know; None if the domain is gone."""
        found = self._domains.get(domain)
        return None if found is None else found[0].view(found[1], now)

    @property
    def limitations(self) -> tuple[Limitation, ...]:
        """What the sources said they can't see."""
        return tuple(self._host.limitations)

    def snapshot(self) -> Snapshot:
        """Everything that there is now."""
        return Snapshot(tuple(map(snapshot_of, self._by_id.values())))


def _gone(pending: Pending) -> NameTranslationFinished | NotConnected:
    request = pending.request
    if isinstance(request, TranslateName):
        return NameTranslationFinished(request.translation_id, TranslationOutcome.DOMAIN_GONE)
    return NotConnected(
        request.connection_id, NotConnectedReason.DOMAIN_GONE, errno.ENETDOWN, "the provisioning domain is gone"
    )
