"""Random host histories against the core, every law checked on the way.

A `Story` owns a core, makes facts about a small host as a random source dictates, and plays several subscribers:
eager, lazy, with buffers of one message, that subscribe, stop, ask and leave in the middle of everything. The numbers
of an interface go into every address on it, so that a mix-up between domains shows (law 10).
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Any, cast

import trio

from trimif import _messages as m
from trimif._core import Abandon, Begin, Core, Discard, Effect, Ended, Mailbox, Pending, post
from trimif._core._grouping import GROUPINGS
from trimif._core._mailbox import PORTION
from trimif._errors import TooManyRequests
from trimif._facts import AllLinks, Fact, LinkFact, LinkGone, StaticConfiguration
from trimif._information import Information
from trimif._messages import News, Withdrawal
from trimif._model import DomainId, ElementType, InterfaceId, NotConnectedReason, TranslationOutcome
from trimif.testing._laws import LawBroken, LawChecker

from .story_host import INDEXES, RandomHost


class Listener:
    """A subscriber and the checker that follows it."""

    def __init__(self, core: Core, size: int) -> None:
        self.woken = 0
        self.mailbox: Mailbox = core.open_mailbox(size, 50, self._wake)
        self.checker = LawChecker()
        self.addresses_due: Counter[object] = Counter()
        self.barriers: list[dict[Withdrawal, News] | None] = []

    def _wake(self) -> None:
        self.woken += 1


class Story(RandomHost):
    """See the module. `step` does one random thing; `finish` brings everything to rest."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.core = Core("test", rng.choice(list(GROUPINGS.values())))
        self.listeners: list[Listener] = []
        self.incarnations: dict[int, int] = {}
        self.ids: dict[str, object] = {}
        self.serial = itertools.count(1)
        self.pending: dict[Pending, DomainId] = {}
        self.streams: set[int] = set()
        self.known_interfaces: list[InterfaceId] = []
        self.known_domains: dict[DomainId, InterfaceId] = {}
        self.facts([StaticConfiguration(f"if{INDEXES[0]}", (self.server(INDEXES[0], 4),), ("corp.example",))])

    # ---------------------------------------------------------------- the host

    def facts(self, facts: list[Fact]) -> None:
        for fact in facts:
            self._follow_links(fact)
        self.carry_out(self.core.apply(facts, self.now))
        self.check_core()

    def _follow_links(self, fact: Fact) -> None:
        if isinstance(fact, LinkFact):
            if fact.index not in self.links:
                self.incarnations[fact.index] = next(self.serial)
            self.links[fact.index] = fact
        elif isinstance(fact, LinkGone):
            self.links.pop(fact.index, None)
        elif isinstance(fact, AllLinks):
            listed = {link.index: link for link in fact.links}
            for index in listed.keys() - self.links.keys():
                self.incarnations[index] = next(self.serial)
            self.links = listed

    def pass_time(self) -> None:
        self.now += self.rng.choice([0.1, 1.0, 2.5, 6.0, 30.0])
        self.carry_out(self.core.advance(self.now))
        if self.core.next_deadline <= self.now:
            raise LawBroken(4, "advancing left something expired")
        self.check_core()

    def cancel_or_readmit(self) -> None:
        """The program is done with something, or lets it in again."""
        if self.rng.random() < 0.4:
            for index, name in self.core._cancelled_names():
                if "/" not in name:
                    self.incarnations[index] = next(self.serial)  # under a new id
                self.carry_out(self.core.readmit(name, self.now))
                break
        else:
            owners: list[InterfaceId | DomainId] = [*self.core.interfaces, *self.known_domains]
            if owners:
                self.carry_out(self.core.cancel(self.rng.choice(owners), "a whim", self.now))
        self.check_core()

    # ---------------------------------------------------------------- what the I/O would do

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Begin(pending=pending):
                    self.pending[pending] = pending.request.domain
                case Abandon(pending=pending):
                    del self.pending[pending]
                case Discard(connected=connected):
                    self.streams.discard(cast(Any, connected.stream))
                case Ended(owner=owner):
                    self.pending = {pending: domain for pending, domain in self.pending.items() if domain != owner}

    def answer_something(self) -> None:
        if not self.pending:
            return
        pending = self.rng.choice(list(self.pending))
        request, listener = pending.request, self.listener_of(pending.mailbox)
        final = self.rng.random() < 0.5
        message: m.Answer
        if isinstance(request, m.TranslateName):
            message = (
                m.NameTranslationFinished(request.translation_id, TranslationOutcome.ANSWERED)
                if final
                else m.NameTranslation(request.translation_id, ip_address("203.0.113.1"))
            )
        elif self.rng.random() < 0.5:
            self.streams.add(number := next(self.serial))
            message = m.Connected(request.connection_id, cast(trio.SocketStream, number))
        else:
            message = m.NotConnected(request.connection_id, NotConnectedReason.REFUSED)
        if not isinstance(message, m.NameTranslation):
            del self.pending[pending]
        if not self.core.answer(pending, message):
            raise LawBroken(8, f"{request} was neither abandoned nor wanted")
        if isinstance(message, m.NameTranslation):
            listener.addresses_due[message.translation_id] += 1

    def listener_of(self, mailbox: Mailbox) -> Listener:
        return next(listener for listener in self.listeners if listener.mailbox is mailbox)

    # ---------------------------------------------------------------- subscribers

    def post(self, listener: Listener, request: m.Request) -> None:
        domain = getattr(request, "domain", None)
        there = domain is None or self.core.domain(domain) is not None
        behind = any(listener.mailbox.is_behind(interface) for interface in self.core.interfaces)
        try:
            effects = post(self.core, listener.mailbox, request)
        except TooManyRequests:
            return
        listener.checker.posted(request, domain_is_there=there)
        if isinstance(request, m.TranslateName):
            listener.addresses_due[request.translation_id] = 0
        if isinstance(request, m.GetConfigurationData):
            listener.barriers.append(None if behind or listener.mailbox.max_buffer_size < 1000 else self.present())
        elif type(request).__name__.startswith(("Announce", "Stop")):
            listener.barriers = [None] * len(listener.barriers)
        self.carry_out(effects)

    def random_request(self, listener: Listener) -> m.Request:
        rng, key = self.rng, self.rng.randrange(8)
        requests: list[m.Request] = [m.AnnounceInterfaces()] * 2
        if rng.random() < 0.15:
            requests = [m.StopAnnouncingInterfaces()]
            requests += [
                m.StopTranslatingName(key) if kind == "translation" else m.StopConnecting(key)
                for kind, key in listener.mailbox.outstanding
            ]
        if self.known_interfaces and rng.random() < 0.6:
            interface = rng.choice(self.known_interfaces[-4:])
            requests += [m.AnnounceProvisioningDomain(interface)] * 4
            requests.append(m.StopAnnouncingProvisioningDomains(interface))
        if self.known_domains and rng.random() < 0.8:
            requests += self.domain_requests(listener, rng.choice(list(self.known_domains)[-6:]), key)
        return rng.choice(requests)

    def domain_requests(self, listener: Listener, domain: DomainId, key: int) -> list[m.Request]:
        requests: list[m.Request] = [
            m.AnnounceConfigurationElement(domain),
            m.AnnounceConfigurationElement(domain),
            m.AnnounceAddress(domain, self.rng.random() < 0.3),
            m.AnnounceAddress(domain),
            m.StopAnnouncingAddress(domain),
            m.StopAnnouncingConfigurationElement(domain),
            m.GetConfigurationData(domain, self.rng.choice(list(ElementType)), Information.DNS_SERVERS),
        ]
        if ("translation", key) not in listener.mailbox.outstanding:
            requests += [m.TranslateName(domain, "www.example.org", key)] * 2
        if ("connect", key) not in listener.mailbox.outstanding:
            requests += [m.ConnectToAddress(domain, "203.0.113.1", 80, key)] * 2
        return requests

    def receive(self, listener: Listener, count: int) -> None:
        for _ in range(count):
            message = listener.mailbox.take(self.core.presence)
            if message is None:
                return
            if isinstance(message, m.Connected):
                self.streams.discard(cast(Any, message.stream))
            self.learn(message)
            listener.checker.received(message)
            if isinstance(message, m.NameTranslation):
                listener.addresses_due[message.translation_id] -= 1
            if isinstance(message, m.NameTranslationFinished) and listener.addresses_due[message.translation_id]:
                raise LawBroken(7, f"addresses of translation {message.translation_id!r} were lost")
            if isinstance(message, m.ConfigurationData | m.NoConfigurationData):
                self.check_barrier(listener)
            self.follow_up(listener, message)

    def follow_up(self, listener: Listener, message: m.Announcement) -> None:
        """Ask on, as programs do."""
        requests: list[m.Request] = []
        if isinstance(message, m.InterfaceAnnouncement):
            requests = [m.AnnounceProvisioningDomain(message.interface)]
        elif isinstance(message, m.ProvisioningDomainAnnouncement):
            lifetimes = self.rng.random() < 0.3
            requests = [m.AnnounceConfigurationElement(message.domain), m.AnnounceAddress(message.domain, lifetimes)]
        for request in requests:
            if self.rng.random() < 0.8:
                self.post(listener, request)

    def learn(self, message: m.Announcement) -> None:
        if isinstance(message, m.InterfaceAnnouncement) and message.interface not in self.known_interfaces:
            self.known_interfaces.append(message.interface)
        if isinstance(message, m.ProvisioningDomainAnnouncement):
            self.known_domains[message.domain] = message.interface

    def check_barrier(self, listener: Listener) -> None:
        """Law 6: an answer comes after all news of before the request, and before all news of after it."""
        present = listener.barriers.pop(0)
        if present is not None and listener.mailbox.skipped == 0:
            try:
                listener.checker.at_rest(present)
            except LawBroken as broken:
                if broken.law == 4:
                    raise LawBroken(6, f"the answer to a request is out of order: {broken}") from broken
                if broken.law != 7:  # later requests may still be unanswered
                    raise

    def leave(self, listener: Listener) -> None:
        self.listeners.remove(listener)
        self.carry_out(self.core.close_mailbox(listener.mailbox))
        if any(pending.mailbox is listener.mailbox for pending in self.pending):
            raise LawBroken(8, "requests outlive their subscriber")

    # ---------------------------------------------------------------- what must hold at any moment

    def present(self) -> dict[Withdrawal, News]:
        return {k: news for each in self.core.interfaces for k, news in self.core.presence(each).items()}

    def check_core(self) -> None:
        for pending, domain in self.pending.items():
            if self.core.domain(domain) is None:
                raise LawBroken(8, f"{pending.request} outlives its domain")
        for interface in self.core.snapshot().interfaces:
            self.check_identity(interface.announcement.interface, interface.announcement.name)
            for each in interface.domains:
                self.check_view(each.announcement.domain)
        for listener in self.listeners:
            answers = len(listener.mailbox.outstanding) * 70 + listener.mailbox.max_outstanding
            if listener.mailbox.queued > listener.mailbox.max_buffer_size + PORTION + answers:
                raise LawBroken(7, f"{listener.mailbox.queued} messages are queued")
            singles = listener.mailbox._singles
            if singles > listener.mailbox.max_buffer_size:
                raise LawBroken(7, f"{singles} single news are queued")

    def check_identity(self, interface: InterfaceId, name: str) -> None:
        """Law 9: one id, one incarnation of one link."""
        index = self.core._by_id[interface].link.index
        incarnation = (index, self.incarnations[index])
        if self.ids.setdefault(interface.token, incarnation) != incarnation:
            raise LawBroken(9, f"{interface} ({name}) was another interface before")

    def check_view(self, domain: DomainId) -> None:
        """Law 10: what a lookup or connect is given is all of its own domain."""
        view = self.core.view(domain, self.now)
        assert view is not None
        own = (ip_network(f"198.51.{view.index}.0/24"), ip_network(f"2001:db8:{view.index}::/48"))
        configured = self.server(INDEXES[0], 4)
        for address in (*view.dns_servers, *(source.address for source in view.addresses)):
            if not any(address in network for network in own) and address != configured:
                raise LawBroken(10, f"{view.name} would use {address}")
        if self.core._by_id[self.known(domain)].link.index != view.index:
            raise LawBroken(10, f"{view.name} would use interface {view.index}")

    def known(self, domain: DomainId) -> InterfaceId:
        interface = self.core.interface_of(domain)
        assert interface is not None
        return interface

    # ---------------------------------------------------------------- the telling

    def step(self) -> None:
        rng = self.rng
        what = rng.randrange(20)
        if what < 8:
            self.facts([fact for _ in range(rng.choice([1, 1, 2, 5])) for fact in self.host_facts()])
        elif what == 8:
            self.pass_time()
        elif what == 9:
            self.answer_something()
            if rng.random() < 0.1:
                self.cancel_or_readmit()
        elif what == 10 and len(self.listeners) < 4:
            self.listeners.append(Listener(self.core, rng.choice([1, 2, 5, 1000])))
            self.post(self.listeners[-1], m.AnnounceInterfaces())
        elif what == 11 and self.listeners and rng.random() < 0.4:
            self.leave(rng.choice(self.listeners))
        elif self.listeners and what < 16:
            listener = rng.choice(self.listeners)
            self.post(listener, self.random_request(listener))
        elif self.listeners:
            self.receive(rng.choice(self.listeners), rng.choice([1, 1, 3, 100]))

    def finish(self) -> None:
        """Bring everything to rest, and compare."""
        while self.pending:
            self.answer_something()
        present = self.present()
        for listener in self.listeners:
            self.receive(listener, 10_000)
            listener.checker.at_rest(present)
            if listener.checker.outstanding:
                raise LawBroken(7, f"{next(iter(listener.checker.outstanding))} never got its last answer")
            if listener.mailbox.outstanding or listener.mailbox.queued:
                raise LawBroken(7, "something is left in the mailbox")
        for listener in list(self.listeners):
            self.leave(listener)
        if self.streams:
            raise LawBroken(8, f"{len(self.streams)} streams were neither received nor closed")


def tell(rng: random.Random, steps: int) -> None:
    """One history from beginning to rest."""
    story = Story(rng)
    for _ in range(steps):
        story.step()
    story.finish()
