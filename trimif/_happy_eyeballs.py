"""Happy Eyeballs for MIF: a drop-in for :func:`trio.open_tcp_stream` that resolves in, and races across, all domains.

This is the draft's "High Level API" (3.3.2): it is a subscriber like any other and uses public messages alone. It asks
for interfaces, domains and addresses, has the name translated in every domain that can reach something, and posts a
connect for each (address, domain) pair when the race says so. Closing the subscriber stops what is left.

Where an address may be dialled: a loopback address through a loopback domain, an address of this host through the
domain that owns it (bound to any other device both would hang), any other only through the domain in which it was
resolved (RFC 7556: "a lookup's result is used only in the PvD it came from").
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv6Address, ip_address
from typing import Protocol

import trio
from attrs import define, field

from trimif._connect._race import Candidate, Race
from trimif._errors import ConnectFailed
from trimif._messages import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    InterfaceAnnouncement,
    NameTranslation,
    NameTranslationFinished,
    NoAddressAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    ProvisioningDomainAnnouncement,
    TranslateName,
)
from trimif._model import DomainId, InterfaceKind, IPAddress, TranslationOutcome
from trimif._subscriber import Subscriber
from trimif._validation import to_address, to_port


class _MessageApi(Protocol):
    def open_subscriber(self) -> AbstractAsyncContextManager[Subscriber]: ...


@define
class _Domain:
    announcement: ProvisioningDomainAnnouncement
    interface: InterfaceAnnouncement
    addresses: set[IPAddress] = field(factory=set)
    gone: bool = False
    outcome: TranslationOutcome | None = None
    failures: list[NotConnected] = field(factory=list)

    @property
    def is_loopback(self) -> bool:
        return self.interface.details.kind is InterfaceKind.LOOPBACK

    def reaches(self, address: IPAddress) -> bool:
        """Whether it has a source address to send from."""
        return any(own.version == address.version for own in self.addresses)


async def open_tcp_stream(
    mif: _MessageApi,
    host: str | bytes,
    port: int,
    *,
    happy_eyeballs_delay: float,
    local_address: str | None,
) -> trio.SocketStream:
    """See `trimif.Mif.open_tcp_stream`."""
    async with mif.open_subscriber() as subscriber:
        dial = _Dial(subscriber, host, port, happy_eyeballs_delay, local_address)
        subscriber.post(AnnounceInterfaces())
        return await dial.run()


class _Dial:
    """One call of `open_tcp_stream`."""

    def __init__(
        self, subscriber: Subscriber, host: str | bytes, port: int, delay: float, local_address: str | None
    ) -> None:
        self._subscriber = subscriber
        self._host = host.decode("ascii") if isinstance(host, bytes) else host
        self._literal = _literal(self._host)
        self._port = to_port(port)
        self._source = None if local_address is None else to_address(local_address)
        self._race = Race(delay)
        self._interfaces: dict[object, InterfaceAnnouncement] = {}
        self._domains: dict[DomainId, _Domain] = {}
        self._translating: set[DomainId] = set()

    async def run(self) -> trio.SocketStream:
        self._hear_what_is_there()
        self._begin_translations()
        while True:
            stream = await self._next()
            if stream is not None:
                return stream

    def _hear_what_is_there(self) -> None:
        """All announcements of what is there now can be had without waiting."""
        while True:
            try:
                self._handle(self._subscriber.receive_nowait())
            except trio.WouldBlock:
                return

    def _begin_translations(self) -> None:
        now = trio.current_time()
        if self._source is not None and not any(self._source in each.addresses for each in self._domains.values()):
            raise OSError(errno.EADDRNOTAVAIL, f"no domain has the local address {self._source}")
        order = list(self._interfaces)
        for domain in sorted(self._domains.values(), key=lambda domain: order.index(domain.announcement.interface)):
            if self._literal is None:
                self._translate(domain)
            else:
                self._offer(domain, self._literal, now)
        self._complete_if_translated()

    def _translate(self, domain: _Domain) -> None:
        if domain.addresses:
            identifier = domain.announcement.domain
            self._subscriber.post(TranslateName(identifier, self._host, identifier))
            self._translating.add(identifier)

    async def _next(self) -> trio.SocketStream | None:
        while (candidate := self._race.start(trio.current_time())) is not None:
            self._post_connect(candidate)
        if self._race.lost:
            raise self._failure()
        message: Announcement | None = None
        with trio.move_on_at(self._race.wake_at):
            message = await self._subscriber.receive()
        if isinstance(message, Connected):
            return message.stream
        if message is not None:
            self._handle(message)
        return None

    def _post_connect(self, candidate: Candidate) -> None:
        if self._source is None:
            self._subscriber.post(ConnectToAddress(candidate.domain, candidate.address, self._port, candidate))
        else:
            self._subscriber.post(
                ConnectToAddressFromAddress(candidate.domain, self._source, candidate.address, self._port, candidate)
            )

    # ---------------------------------------------------------------- what is heard

    def _handle(self, message: Announcement) -> None:
        match message:
            case InterfaceAnnouncement(interface=interface):
                if interface not in self._interfaces:
                    self._subscriber.post(AnnounceProvisioningDomain(interface))
                self._interfaces[interface] = message
            case ProvisioningDomainAnnouncement(domain=domain, interface=interface):
                if domain not in self._domains:
                    self._domains[domain] = _Domain(message, self._interfaces[interface])
                    self._subscriber.post(AnnounceAddress(domain))
            case AddressAnnouncement(domain=domain, address=address):
                self._domains[domain].addresses.add(address)
            case NoAddressAnnouncement(domain=domain, address=address):
                self._domains[domain].addresses.discard(address)
            case NoProvisioningDomainAnnouncement(domain=domain):
                self._domains[domain].gone = True  # its candidates get their negative answers in their turn
            case NameTranslation(translation_id=DomainId() as domain, address=address):
                self._offer(self._domains[domain], address, trio.current_time())
            case NameTranslationFinished(translation_id=DomainId() as domain, outcome=outcome):
                self._domains[domain].outcome = outcome
                self._translating.discard(domain)
                self._complete_if_translated()
            case NotConnected(connection_id=Candidate() as candidate):
                self._domains[candidate.domain].failures.append(message)
                self._race.failed(candidate, trio.current_time())

    def _complete_if_translated(self) -> None:
        if not self._translating:
            self._race.complete(trio.current_time())

    def _offer(self, domain: _Domain, address: IPAddress, now: float) -> None:
        scope = address.scope_id if isinstance(address, IPv6Address) else None
        if scope is not None and scope != domain.interface.name:
            return
        plain = IPv6Address(int(address)) if scope is not None else address
        for each in self._ways_to(domain, plain):
            if self._source is None or self._source in each.addresses:
                self._race.add(Candidate(each.announcement.domain, plain), now)

    def _ways_to(self, domain: _Domain, address: IPAddress) -> Iterable[_Domain]:
        if address.is_loopback:
            return [each for each in self._domains.values() if each.is_loopback and each.reaches(address)]
        owners = [each for each in self._domains.values() if address in each.addresses]
        if owners:
            return owners
        return [domain] if domain.reaches(address) and not domain.is_loopback else []

    # ---------------------------------------------------------------- all failed

    def _failure(self) -> OSError:
        target = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        reports = list(self._reports())
        if all(domain.is_loopback or domain.gone for domain in self._domains.values()):
            reports.append("no provisioning domain is usable")
        text = f"all attempts to connect to {target} failed: {'; '.join(reports) or 'no domain can reach it'}"
        failures = [failure for domain in self._domains.values() for failure in domain.failures]
        error = OSError(failures[0].errno if len(failures) == 1 else errno.EHOSTUNREACH, text)
        if failures:
            each = [ConnectFailed(failure.errno, failure.reason, failure.text) for failure in failures]
            error.__cause__ = ExceptionGroup(text, each)
        return error

    def _reports(self) -> Iterator[str]:
        """What happened on each domain, for people."""
        for domain in self._domains.values():
            said = [f"{failure.reason.value}, {failure.text}" for failure in domain.failures]
            if domain.outcome is not None and domain.outcome is not TranslationOutcome.ANSWERED:
                said.insert(0, domain.outcome.value)
            if said and not (domain.is_loopback and not domain.failures):
                yield f"{domain.announcement.name}: {', '.join(said)}"


def _literal(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
