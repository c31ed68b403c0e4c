"""The laws as a checker: shown what one subscriber posted and received, it raises at the first breach.

It knows nothing of the core. What a program sees is enough for most laws; for "truth at rest" it is shown the host.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any

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
    ConnectToAddressFromAddress,
    GetConfigurationData,
    InterfaceAnnouncement,
    NameTranslation,
    NameTranslationFinished,
    News,
    NoAddressAnnouncement,
    NoConfigurationData,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    ProvisioningDomainAnnouncement,
    Request,
    StopAnnouncingAddress,
    StopAnnouncingConfigurationElement,
    StopAnnouncingInterfaces,
    StopAnnouncingProvisioningDomains,
    StopConnecting,
    StopTranslatingName,
    TranslateName,
    Withdrawal,
)
from trimif._model import DomainId, InterfaceId


class LawBroken(AssertionError):
    """A law of trimif was broken: ``law`` is its number in the documentation."""

    def __init__(self, law: int, text: str) -> None:
        super().__init__(f"law {law}: {text}")
        self.law = law


class LawChecker:
    """Follows one subscriber. Call `posted` and `received` in their order, `at_rest` when the host is quiet."""

    def __init__(self) -> None:
        self.told: dict[Withdrawal, News] = {}
        self.interfaces: bool = False
        self.domains: set[InterfaceId] = set()
        self.elements: set[DomainId] = set()
        self.addresses: set[DomainId] = set()
        self.owners: dict[DomainId, InterfaceId] = {}
        self.outstanding: dict[tuple[str, Hashable], DomainId | None] = {}
        self._withdrawn: set[Withdrawal] = set()
        self._gets: deque[GetConfigurationData[Any]] = deque()

    # ---------------------------------------------------------------- requests

    def posted(self, request: Request, *, domain_is_there: bool = True) -> None:
        """The subscriber posted this, and it was accepted.

        Args:
            domain_is_there: whether the domain of the request was still there; one that has gone is answered late.
        """
        match request:
            case AnnounceInterfaces():
                self.interfaces = True
            case AnnounceProvisioningDomain(interface=interface):
                self.domains.add(interface)
            case AnnounceConfigurationElement(domain=domain):
                self.elements.add(domain)
            case AnnounceAddress(domain=domain):
                self.addresses.add(domain)
            case GetConfigurationData():
                self._gets.append(request)
            case TranslateName(translation_id=key):
                self.outstanding["translation", key] = request.domain if domain_is_there else None
            case ConnectToAddress(connection_id=key) | ConnectToAddressFromAddress(connection_id=key):
                self.outstanding["connect", key] = request.domain if domain_is_there else None
            case _:
                self._stopped(request)

    def _stopped(self, request: Request) -> None:
        match request:
            case StopAnnouncingInterfaces():
                self.interfaces = False
            case StopAnnouncingProvisioningDomains(interface=interface):
                self.domains.discard(interface)
            case StopAnnouncingConfigurationElement(domain=domain):
                self.elements.discard(domain)
            case StopAnnouncingAddress(domain=domain):
                self.addresses.discard(domain)
            case StopTranslatingName(translation_id=key):
                self.outstanding.pop(("translation", key), None)
            case StopConnecting(connection_id=key):
                self.outstanding.pop(("connect", key), None)
        self.told = {key: news for key, news in self.told.items() if self._asked(key)}

    def _asked(self, key: Withdrawal) -> bool:
        match key:
            case NoInterfaceAnnouncement():
                return self.interfaces
            case NoProvisioningDomainAnnouncement(interface=interface):
                return interface in self.domains
            case NoConfigurationElementAnnouncement(domain=domain):
                return domain in self.elements
            case NoAddressAnnouncement(domain=domain):
                return domain in self.addresses

    # ---------------------------------------------------------------- announcements

    def received(self, message: Announcement) -> None:
        """The subscriber received this."""
        match message:
            case InterfaceAnnouncement(interface=interface):
                self._news(NoInterfaceAnnouncement(interface), message)
            case ProvisioningDomainAnnouncement(interface=interface, domain=domain):
                self.owners[domain] = interface
                self._check_parent(self.interfaces, NoInterfaceAnnouncement(interface), message)
                self._news(NoProvisioningDomainAnnouncement(interface, domain), message)
            case ConfigurationElementAnnouncement(domain=domain, element=element):
                self._check_domain(domain, message)
                self._news(NoConfigurationElementAnnouncement(domain, element), message)
            case AddressAnnouncement(domain=domain, address=address):
                self._check_domain(domain, message)
                self._news(NoAddressAnnouncement(domain, address), message)
            case ConfigurationData() | NoConfigurationData():
                self._data(message)
            case NameTranslation() | NameTranslationFinished() | Connected() | NotConnected():
                self._answer(message)
            case _:
                self._withdrawal(message)

    def _check_domain(self, domain: DomainId, message: News) -> None:
        owner = self.owners.get(domain)
        if owner is not None:
            self._check_parent(owner in self.domains, NoProvisioningDomainAnnouncement(owner, domain), message)

    def _check_parent(self, asked: bool, parent: Withdrawal, message: News) -> None:
        if asked and parent not in self.told:
            raise LawBroken(1, f"{message} came before what it belongs to")

    def _news(self, key: Withdrawal, message: News) -> None:
        if not self._asked(key):
            raise LawBroken(5, f"{message} came although it was not asked for, or stopped")
        if key in self._withdrawn and not isinstance(key, NoAddressAnnouncement | NoConfigurationElementAnnouncement):
            raise LawBroken(9, f"{message} has an id that was gone")
        if self.told.get(key) == message:
            raise LawBroken(3, f"{message} was told twice")
        self.told[key] = message

    def _withdrawal(self, message: Withdrawal) -> None:
        if not self._asked(message):
            raise LawBroken(5, f"{message} came although it was stopped")
        if message not in self.told:
            raise LawBroken(3, f"{message} withdraws what was not told")
        del self.told[message]
        self._withdrawn.add(message)
        left = [key for key in self.told if _belongs_to(key, message)]
        if left:
            raise LawBroken(2, f"{message} came before {left[0]}")
        if isinstance(message, NoProvisioningDomainAnnouncement):
            self._check_last_words(message)
        if isinstance(message, NoInterfaceAnnouncement):
            self.domains.discard(message.interface)

    def _check_last_words(self, message: NoProvisioningDomainAnnouncement) -> None:
        for key, domain in self.outstanding.items():
            if domain == message.domain:
                raise LawBroken(2, f"{message} came before the last answer to {key}")

    def _data(self, message: ConfigurationData[Any] | NoConfigurationData) -> None:
        asked = self._gets.popleft() if self._gets else None
        if asked is None or (asked.domain, asked.element, asked.information) != (
            message.domain,
            message.element,
            message.information,
        ):
            raise LawBroken(6, f"{message} came where the answer to {asked} was due")

    def _answer(self, message: NameTranslation | NameTranslationFinished | Connected | NotConnected) -> None:
        if isinstance(message, NameTranslation | NameTranslationFinished):
            key: tuple[str, Hashable] = ("translation", message.translation_id)
        else:
            key = ("connect", message.connection_id)
        if key not in self.outstanding:
            raise LawBroken(5, f"{message} answers a request that was stopped or has been answered")
        if not isinstance(message, NameTranslation):
            del self.outstanding[key]

    # ---------------------------------------------------------------- rest

    def at_rest(self, present: Mapping[Withdrawal, News]) -> None:
        """The host is quiet and everything was received: what was told has to be what is (law 4).

        A deadline counts as true if it was told no later than it is: extensions are told on request only.
        """
        wanted = {key: news for key, news in present.items() if self._asked(key)}
        if self.told.keys() != wanted.keys():
            wrong = self.told.keys() ^ wanted.keys()
            raise LawBroken(4, f"told and true differ in {sorted(map(repr, wrong))}")
        for key, news in wanted.items():
            if not _is_true(self.told[key], news):
                raise LawBroken(4, f"{self.told[key]} was told, and {news} is true")
        if self._gets:
            raise LawBroken(7, f"{self._gets[0]} was never answered")


def _belongs_to(key: Withdrawal, parent: Withdrawal) -> bool:
    match parent:
        case NoInterfaceAnnouncement(interface=interface):
            return isinstance(key, NoProvisioningDomainAnnouncement) and key.interface == interface
        case NoProvisioningDomainAnnouncement(domain=domain):
            kinds = NoAddressAnnouncement | NoConfigurationElementAnnouncement
            return isinstance(key, kinds) and key.domain == domain
        case _:
            return False


def _is_true(told: News, true: News) -> bool:
    if isinstance(told, AddressAnnouncement) and isinstance(true, AddressAnnouncement):
        return (
            told.prefix_length == true.prefix_length
            and told.valid_until <= true.valid_until
            and told.preferred_until <= true.preferred_until
        )
    return told == true
