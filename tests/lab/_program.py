"""A program on the lab's host that hears everything, and what the lab's networks saw of it.

Every `Program` also is a test of the laws: what it posts and receives goes through the law checker, and when it ends
without an error, what it was told has to be what is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import trio

import trimif
from trimif import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationData,
    ConfigurationElementAnnouncement,
    DomainId,
    ElementType,
    GetConfigurationData,
    Information,
    InterfaceAnnouncement,
    InterfaceId,
    NameTranslation,
    NameTranslationFinished,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    Origin,
    ProvisioningDomainAnnouncement,
    Request,
    Subscriber,
    TranslateName,
    TranslationOutcome,
)
from trimif.testing._capture import Packet
from trimif.testing._lab import Greeting, Lab
from trimif.testing._laws import LawChecker

SECONDS = 10.0  # How long a test waits at most for something that should happen.

M = TypeVar("M", bound=Announcement)
T = TypeVar("T")


class Program:
    """Asks for everything it hears of, and keeps what it was told.

    Attributes:
        history: every message received, in order.
        news: those since `begin` was called.
    """

    def __init__(self, mif: trimif.Mif, subscriber: Subscriber) -> None:
        self.history: list[Announcement] = []
        self._mif = mif
        self._subscriber = subscriber
        self._laws = LawChecker()
        self._begin = 0

    # ---------------------------------------------------------------- posting and receiving

    def post(self, request: Request) -> None:
        """Post a request, in sight of the law checker."""
        domain = getattr(request, "domain", None)
        self._subscriber.post(request)
        self._laws.posted(request, domain_is_there=domain in domains_of(self._mif))

    def _take(self, message: Announcement) -> None:
        self.history.append(message)
        self._laws.received(message)
        match message:
            case InterfaceAnnouncement(interface=interface):
                self.post(AnnounceProvisioningDomain(interface))
            case ProvisioningDomainAnnouncement(domain=domain):
                self.post(AnnounceConfigurationElement(domain))
                self.post(AnnounceAddress(domain))

    def listen(self) -> None:
        """Take all messages that wait, without waiting for any."""
        while True:
            try:
                self._take(self._subscriber.receive_nowait())
            except trio.WouldBlock:
                return

    def begin(self) -> None:
        """A new chapter: what was received before is no news any more."""
        self.listen()
        self._begin = len(self.history)

    @property
    def news(self) -> Sequence[Announcement]:
        return self.history[self._begin :]

    async def when(self, condition: Callable[[], T | None]) -> T:
        """Receive until the condition holds of what was told; returns what it returned."""
        with trio.move_on_after(SECONDS):
            await trio.lowlevel.checkpoint()
            while not (found := condition()):
                self._take(await self._subscriber.receive())
            return found
        lines = "\n".join(map(repr, self.news))
        raise AssertionError(f"{condition} did not come true in {SECONDS:g} s; told was\n{lines}")

    async def until(self, kind: type[M], **fields: object) -> M:
        """Receive until one of the news is of that kind with these fields; returns the first."""

        def is_it(message: Announcement) -> bool:
            return all(getattr(message, name) == value for name, value in fields.items())

        return await self.when(lambda: next((m for m in self.news if isinstance(m, kind) and is_it(m)), None))

    def check_rest(self) -> None:
        """The host is quiet: what was told is what is (law 4)."""
        self.listen()
        self._laws.at_rest(presence(self._mif))

    # ---------------------------------------------------------------- what was told, and not withdrawn

    def _told(self, kind: type[M]) -> list[M]:
        return [each for each in self._laws.told.values() if isinstance(each, kind)]

    def interfaces(self) -> dict[str, InterfaceId]:
        return {each.name: each.interface for each in self._told(InterfaceAnnouncement)}

    def domains(self) -> dict[str, DomainId]:
        return {each.name: each.domain for each in self._told(ProvisioningDomainAnnouncement)}

    def elements(self, name: str) -> dict[ElementType, Origin]:
        domain = self.domains().get(name)
        told = self._told(ConfigurationElementAnnouncement)
        return {each.element: each.origin for each in told if each.domain == domain}

    def addresses(self, name: str) -> set[str]:
        domain = self.domains().get(name)
        return {str(each.address) for each in self._told(AddressAnnouncement) if each.domain == domain}

    async def domain(self, name: str) -> DomainId:
        """The id of the domain of that name, as soon as it has an element and an address."""
        await self.when(lambda: self.elements(name) and self.addresses(name))
        return self.domains()[name]

    async def quiet(self) -> None:
        """Wait until provider A's router advertisement has come whole: only trimif's own listener sees the MTU.

        The kernel's routes come first, and its account of the options a moment later: up to three revisions.
        """
        await self.when(lambda: Information.MTU in data_of(self._mif, "up-a/ipv6", ElementType.RA))
        self.begin()

    # ---------------------------------------------------------------- asking

    async def get(self, domain: DomainId, element: ElementType, information: Information[T]) -> T | None:
        """Get Configuration Data; None if there is none."""
        self.begin()
        self.post(GetConfigurationData(domain, element, information))
        answer: Any = await self.when(lambda: next((m for m in self.news if hasattr(m, "information")), None))
        return answer.data if isinstance(answer, ConfigurationData) else None

    async def translate(self, domain: DomainId, name: str) -> tuple[set[str], TranslationOutcome]:
        """Translate Name: the addresses, and the outcome."""
        key = f"{name} in {domain} #{len(self.history)}"
        self.post(TranslateName(domain, name, key))
        finished = await self.until(NameTranslationFinished, translation_id=key)
        told = [each for each in self.history if isinstance(each, NameTranslation) and each.translation_id == key]
        return {str(each.address) for each in told}, finished.outcome


def kinds(messages: Sequence[Announcement]) -> list[str]:
    """The names of the messages' types: the order of a story at a glance."""
    return [type(each).__name__ for each in messages]


@asynccontextmanager
async def open_program(mif: trimif.Mif, **options: int) -> AsyncIterator[Program]:
    """A program that has heard of all that is there now. At its end the laws are checked once more."""
    async with mif.open_subscriber(**options) as subscriber:
        program = Program(mif, subscriber)
        program.post(AnnounceInterfaces())
        program.listen()
        yield program
        program.check_rest()


# ---------------------------------------------------------------- what is, by the MIF's own account


def domains_of(mif: trimif.Mif) -> set[DomainId]:
    return {domain.announcement.domain for each in mif.snapshot().interfaces for domain in each.domains}


def data_of(mif: trimif.Mif, name: str, kind: ElementType) -> Mapping[Information[Any], Any]:
    """What an element of a domain says; nothing if there is none."""
    domains = (domain for each in mif.snapshot().interfaces for domain in each.domains)
    elements = (each for domain in domains if domain.announcement.name == name for each in domain.elements)
    return next((each.data for each in elements if each.announcement.element is kind), {})


def presence(mif: trimif.Mif) -> dict[Any, Any]:
    """All there is to be announced, by the message that would withdraw it."""
    table: dict[Any, Any] = {}
    for interface in mif.snapshot().interfaces:
        root = interface.announcement
        table[NoInterfaceAnnouncement(root.interface)] = root
        for domain in interface.domains:
            announcement = domain.announcement
            table[NoProvisioningDomainAnnouncement(root.interface, announcement.domain)] = announcement
            for element in domain.elements:
                told = element.announcement
                table[NoConfigurationElementAnnouncement(told.domain, told.element)] = told
            for address in domain.addresses:
                table[NoAddressAnnouncement(address.domain, address.address)] = address
    return table


# ---------------------------------------------------------------- what the networks saw


class Wires:
    """Captures at the far ends of the host's uplinks, by the network's name."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self._captures = {each: stack.enter_context(lab.capture(each)) for each in ("isp_a", "isp_b", "vpn")}

    def syns(self, *, to: str | None = None, port: int | None = None) -> dict[str, list[str]]:
        """The sources of the SYNs that each network saw; networks that saw none are left out."""
        return _sources({name: each.syns(to=to, port=port) for name, each in self._captures.items()})

    def queries(self, name: str) -> dict[str, set[tuple[str, str]]]:
        """Source and server of the queries for a name that each network saw."""
        seen = {network: each.dns_queries(name=name) for network, each in self._captures.items()}
        return {
            network: {(str(packet.source), str(packet.destination)) for packet in packets}
            for network, packets in seen.items()
            if packets
        }


def _sources(seen: dict[str, list[Packet]]) -> dict[str, list[str]]:
    return {network: [str(packet.source) for packet in packets] for network, packets in seen.items() if packets}


@contextmanager
def watch(lab: Lab) -> Iterator[Wires]:
    """Watch all uplinks. At the end the providers must not have seen a foreign source (law 10, BCP 38)."""
    before = {each: lab.foreign_packets(each) for each in ("isp_a", "isp_b")}
    with ExitStack() as stack:
        yield Wires(lab, stack)
    assert {each: lab.foreign_packets(each) for each in ("isp_a", "isp_b")} == before


async def seen(condition: Callable[[], object]) -> None:
    """Look every two milliseconds until it holds: for what the network and other processes do, who tell nobody."""
    with trio.fail_after(SECONDS):
        await trio.lowlevel.checkpoint()
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.002)


async def read_greeting(stream: trio.SocketStream) -> Greeting:
    """What the server on port 80 says; closes the stream."""
    async with stream:
        with trio.fail_after(SECONDS):
            return Greeting.from_octets(b"".join([chunk async for chunk in stream]))
