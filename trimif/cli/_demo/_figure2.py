"""The application of figure 2: one subscriber of the public API, nothing of trimif's inside.

It asks for interfaces, for the provisioning domains of each, for what each domain has, for its DNS servers; asks
every domain for the same name; tries every address that a domain told through that domain, all at once; and takes
the first that answers. The figure's happy-eyeballs delays are left to `Mif.open_tcp_stream`.
"""

from __future__ import annotations

from collections.abc import Iterable

import trio
from attrs import define, field, frozen

from trimif import Subscriber
from trimif._information import Information
from trimif._messages import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationData,
    ConfigurationElementAnnouncement,
    Connected,
    ConnectToAddress,
    GetConfigurationData,
    InterfaceAnnouncement,
    NameTranslation,
    NameTranslationFinished,
    NotConnected,
    ProvisioningDomainAnnouncement,
    Request,
    StopConnecting,
    TranslateName,
)
from trimif._model import DomainId, InterfaceId, InterfaceKind, IPAddress
from trimif.cli._demo._chart import Direction, Passed
from trimif.cli._demo._race import Attempt

__all__ = ["Application", "Race"]

PATIENCE = 3.0
"""Seconds until a race that nobody wins is called off."""
AFTER_THE_WINNER = 0.2
"""Seconds for which the others may run on, to see how they fare."""


@frozen
class Race:
    """How the race went.

    Attributes:
        attempts: in the order in which they were started.
        stream: the winner's, which the receiver of this value closes; None if nobody won.
    """

    attempts: tuple[Attempt, ...]
    winner: Attempt | None = None
    stream: trio.SocketStream | None = None


@define
class _Domain:
    """What the application has heard of a domain."""

    identifier: DomainId
    addresses: set[IPAddress] = field(factory=set)
    dns_servers: tuple[IPAddress, ...] = ()
    told: list[IPAddress] = field(factory=list)

    @property
    def ready(self) -> bool:
        return bool(self.addresses and self.dns_servers)


class Application:
    """Figure 2's left column.

    Attributes:
        history: every message that it posted or received, for the chart.
    """

    def __init__(self, subscriber: Subscriber) -> None:
        self.history: list[Passed] = []
        self._subscriber = subscriber
        self._domains: dict[str, _Domain] = {}
        self._asked: set[InterfaceId] = set()

    def _post(self, request: Request) -> None:
        self.history.append(Passed(trio.current_time(), Direction.POSTED, request))
        self._subscriber.post(request)

    async def _receive(self) -> Announcement:
        message = await self._subscriber.receive()
        self.history.append(Passed(trio.current_time(), Direction.RECEIVED, message))
        return message

    # ---------------------------------------------------------------- which networks are there?

    async def discover(self, expected: Iterable[str]) -> None:
        """Ask for everything, and wait until every expected domain has an address and a DNS server."""
        self._post(AnnounceInterfaces())
        await trio.lowlevel.checkpoint()
        while not all(name in self._domains and self._domains[name].ready for name in expected):
            self._learn(await self._receive())

    def _learn(self, message: Announcement) -> None:
        match message:
            case InterfaceAnnouncement(interface=interface, details=details):
                if interface not in self._asked and details.kind is not InterfaceKind.LOOPBACK:
                    self._asked.add(interface)
                    self._post(AnnounceProvisioningDomain(interface))
            case ProvisioningDomainAnnouncement(domain=domain, name=name):
                if name not in self._domains:
                    self._domains[name] = _Domain(domain)
                    self._post(AnnounceConfigurationElement(domain))
                    self._post(AnnounceAddress(domain))
            case ConfigurationElementAnnouncement(domain=domain, element=element):
                self._post(GetConfigurationData(domain, element, Information.DNS_SERVERS))
            case ConfigurationData(domain=domain, data=servers):
                self._by_id(domain).dns_servers = servers
            case AddressAnnouncement(domain=domain, address=address):
                self._by_id(domain).addresses.add(address)

    def _by_id(self, identifier: DomainId) -> _Domain:
        return next(domain for domain in self._domains.values() if domain.identifier == identifier)

    # ---------------------------------------------------------------- what does each call it?

    async def translate(self, name: str) -> None:
        """Ask every domain for the addresses of a name, and wait for all to finish. Their names serve as ids."""
        for domain_name, domain in self._domains.items():
            self._post(TranslateName(domain.identifier, name, domain_name))
        outstanding = set(self._domains)
        await trio.lowlevel.checkpoint()
        while outstanding:
            match await self._receive():
                case NameTranslation(translation_id=str() as domain_name, address=address):
                    self._domains[domain_name].told.append(address)
                case NameTranslationFinished(translation_id=str() as domain_name):
                    outstanding.remove(domain_name)

    # ---------------------------------------------------------------- who gets through first?

    async def race(self, port: int) -> Race:
        """Connect to every address through the domain that told it, all at once; the first one wins.

        The others may run on for a moment, to see how they fare; then they are stopped, and theirs are closed.
        """
        began = {}
        for name, domain in self._domains.items():
            for address in domain.told:
                began[f"{name} {address}"] = (name, address, trio.current_time())
                self._post(ConnectToAddress(domain.identifier, address, port, f"{name} {address}"))
        return await self._run_race(began)

    async def _run_race(self, began: dict[str, tuple[str, IPAddress, float]]) -> Race:
        ended: dict[str, Attempt] = {}
        connected: dict[str, trio.SocketStream] = {}
        try:
            with trio.move_on_after(PATIENCE) as scope:
                await self._follow_race(began, ended, connected, scope)
        except BaseException:
            _close(connected.values())
            raise
        for attempt in [each for each in began if each not in ended]:
            self._post(StopConnecting(attempt))
            ended[attempt] = Attempt(*began[attempt], trio.current_time(), "no answer, stopped")
        return _judge({attempt: ended[attempt] for attempt in began}, connected)

    async def _follow_race(
        self,
        began: dict[str, tuple[str, IPAddress, float]],
        ended: dict[str, Attempt],
        connected: dict[str, trio.SocketStream],
        scope: trio.CancelScope,
    ) -> None:
        await trio.lowlevel.checkpoint()
        while len(ended) < len(began):
            message = await self._receive()
            if isinstance(message, Connected):
                connected[str(message.connection_id)] = message.stream
                scope.deadline = min(scope.deadline, trio.current_time() + AFTER_THE_WINNER)
            if isinstance(message, (Connected, NotConnected)):
                attempt = str(message.connection_id)
                ended[attempt] = Attempt(*began[attempt], trio.current_time(), _outcome(message))


def _judge(attempts: dict[str, Attempt], connected: dict[str, trio.SocketStream]) -> Race:
    """The first that connected wins; the connections of the others are closed."""
    if not connected:
        return Race(tuple(attempts.values()))
    winner, *losers = connected
    _close(connected[loser] for loser in losers)
    return Race(tuple(attempts.values()), attempts[winner], connected[winner])


def _outcome(message: Connected | NotConnected) -> str:
    return "connected" if isinstance(message, Connected) else message.reason.value


def _close(streams: Iterable[trio.SocketStream]) -> None:
    for stream in streams:
        stream.socket.close()
