"""One interface as the core presents it: ids for its domains, revisions for its elements, and the table of what is."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from trimif._core._difference import Change, difference, is_refresh, withdrawal_of
from trimif._core._elements import Element, elements_of, is_same_content
from trimif._core._evidence import claims_of
from trimif._core._gather import Gathered
from trimif._core._grouping import Group
from trimif._facts import AddressFact, LinkFact
from trimif._information import Information
from trimif._messages import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    InterfaceAnnouncement,
    News,
    NoAddressAnnouncement,
    NoInterfaceAnnouncement,
    ProvisioningDomainAnnouncement,
    Withdrawal,
)
from trimif._model import (
    DomainId,
    DomainView,
    ElementType,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    IPAddress,
    SourceAddress,
)


@define(eq=False)
class Address:
    """An address of a domain, and what is said about it.

    Attributes:
        key: its withdrawal, made once for as long as the address is there: equal ones are slow to compare.
    """

    fact: AddressFact
    key: NoAddressAnnouncement
    announcement: AddressAnnouncement


@define
class Domain:
    """A provisioning domain that is there now.

    Attributes:
        elements: of its group, and of what was fetched for it.
        revisions: how often the content of each element has changed.
        addresses: in the order of their announcements.
    """

    id: DomainId
    group: Group
    elements: tuple[Element, ...] = ()
    revisions: dict[ElementType, int] = field(factory=dict)
    addresses: dict[IPAddress, Address] = field(factory=dict)

    def regrouped(self, group: Group, gathered: Gathered) -> Domain:
        """The same domain, with what its group is now."""
        elements = _elements(group, gathered)
        addresses = _addresses(self.id, group, gathered, self.addresses)
        return Domain(self.id, group, elements, _revisions(self, elements), addresses)

    def address_of(self, fact: AddressFact) -> Address | None:
        """The address that the fact is about, if nothing else of the domain depends on its lifetimes.

        The kernel can hold an address twice, with two prefix lengths: only the first one is announced.
        """
        address = self.addresses.get(fact.address)
        if address is None or address.fact.prefix_length != fact.prefix_length:
            return None
        for element in self.elements:
            if element.type is not ElementType.STATIC and fact.address in element.claims:
                return None
        return address

    def element(self, kind: ElementType) -> Element | None:
        """The element of that type, if the domain has it."""
        return next((element for element in self.elements if element.type is kind), None)

    def data(self, information: Information[Any]) -> tuple[Any, ...]:
        """What all elements say, in their order, each item once; for identifiers whose data is a tuple."""
        said = (item for element in self.elements for item in element.data.get(information, ()))
        return tuple(dict.fromkeys(said))


@define(eq=False)
class Interface:
    """An interface that is there now.

    Attributes:
        details: what it is.
        present: what is to be announced of it, root first.
        until: the first moment at which that changes by itself.
    """

    id: InterfaceId
    link: LinkFact
    details: InterfaceDetails
    domains: dict[Hashable, Domain] = field(factory=dict)
    present: dict[Withdrawal, News] = field(factory=dict)
    until: float = math.inf

    def update(
        self, link: LinkFact, gathered: Gathered, groups: Sequence[Group], new_domain_id: Callable[[], DomainId]
    ) -> list[Change]:
        """Make it what the groups say; gives what has changed, in the order in which it is to be told."""
        self.link, self.details, self.until = link, gathered.details, gathered.until
        self.domains = self._regrouped(gathered, groups, new_domain_id)
        before, self.present = self.present, self._table()
        return list(difference(self.id, before, self.present))

    def withdraw(self) -> list[Change]:
        """It is gone: all of it is to be taken back."""
        before, self.present = self.present, {}
        return list(difference(self.id, before, {}))

    def move_deadlines(self, facts: Iterable[AddressFact], now: float) -> list[Change] | None:
        """The short way, for when nothing but lifetimes of static addresses has changed, and none has run out.

        Gives what is to be told, or None if the interface has to be looked at as a whole.
        """
        if self.until <= now:
            return None
        moved = []
        for fact in facts:
            address = self._find(fact)
            if address is None or fact.valid_until <= now:
                return None
            moved.append((address, fact))
        return [self._move(address, fact) for address, fact in moved]

    def _find(self, fact: AddressFact) -> Address | None:
        found = [domain.address_of(fact) for domain in self.domains.values() if fact.address in domain.addresses]
        return found[0] if len(found) == 1 else None  # domains may share an address, each with lifetimes of its own

    def _move(self, address: Address, fact: AddressFact) -> Change:
        before, after = address.announcement, _announcement(address.key, fact)
        address.fact, address.announcement = fact, after
        self.present[address.key] = after
        self.until = min(self.until, fact.valid_until)  # too early does no harm: then everything is looked at
        return Change(self.id, address.key, after, is_refresh(before, after))

    def _regrouped(
        self, gathered: Gathered, groups: Sequence[Group], new_domain_id: Callable[[], DomainId]
    ) -> dict[Hashable, Domain]:
        regrouped = {}
        for key, domain in self.domains.items():  # the oldest stay first: "in the order of their announcements"
            group = next((each for each in groups if each.key == key), None)
            if group is not None:
                regrouped[key] = domain.regrouped(group, gathered)
        for group in groups:
            if group.key not in regrouped:
                regrouped[group.key] = Domain(new_domain_id(), group).regrouped(group, gathered)
        return regrouped

    def _table(self) -> dict[Withdrawal, News]:
        table: dict[Withdrawal, News] = {
            NoInterfaceAnnouncement(self.id): InterfaceAnnouncement(self.id, self.link.name, self.details)
        }
        for domain in self.domains.values():
            table.update((withdrawal_of(news), news) for news in self._roots_of(domain))
            table.update((address.key, address.announcement) for address in domain.addresses.values())
        return table

    def _roots_of(self, domain: Domain) -> Iterator[News]:
        group = domain.group
        yield ProvisioningDomainAnnouncement(
            self.id, domain.id, self.name_of(domain), group.families, group.explicit_id
        )
        for each in domain.elements:
            yield ConfigurationElementAnnouncement(domain.id, each.type, each.origin, domain.revisions[each.type])

    def name_of(self, domain: Domain) -> str:
        """The domain's name for people: it follows the interface's."""
        return f"{self.link.name}/{domain.group.label}"

    def view(self, domain: Domain, now: float) -> DomainView:
        """What a lookup or connect in the domain must know."""
        routers: list[IPAddress] = [*domain.data(Information.ROUTERS)]
        routers += [route.gateway for route in domain.data(Information.ROUTES) if route.gateway is not None]
        return DomainView(
            domain=domain.id,
            name=self.name_of(domain),
            index=self.link.index,
            loopback=self.link.kind is InterfaceKind.LOOPBACK,
            addresses=tuple(
                SourceAddress(fact.address, fact.prefix_length, fact.preferred_until <= now, fact.temporary)
                for fact in (address.fact for address in domain.addresses.values())
            ),
            dns_servers=domain.data(Information.DNS_SERVERS),
            search_domains=domain.data(Information.SEARCH_DOMAINS),
            routers=frozenset(routers),
            default_route=any(not route.destination.prefixlen for route in domain.data(Information.ROUTES)),
            split_domains=domain.data(Information.SPLIT_DOMAINS),
            dns_selection=domain.data(Information.DNS_SELECTION),
            encrypted_dns=domain.data(Information.ENCRYPTED_DNS),
            pref64=domain.data(Information.PREF64),
        )


def _addresses(
    domain: DomainId, group: Group, gathered: Gathered, before: Mapping[IPAddress, Address]
) -> dict[IPAddress, Address]:
    addresses: dict[IPAddress, Address] = {}
    claims = claims_of(group.contributions)
    for fact in gathered.addresses:
        if fact.address not in claims:
            continue
        address = before.get(fact.address)
        if address is None or address.fact is not fact:
            key = NoAddressAnnouncement(domain, fact.address) if address is None else address.key
            address = Address(fact, key, _announcement(key, fact))
        addresses.setdefault(fact.address, address)
    return addresses


def _announcement(key: NoAddressAnnouncement, fact: AddressFact) -> AddressAnnouncement:
    return AddressAnnouncement(key.domain, key.address, fact.prefix_length, fact.valid_until, fact.preferred_until)


def _revisions(domain: Domain, elements: Iterable[Element]) -> dict[ElementType, int]:
    """One that comes back goes on counting: who slept meanwhile must not take it for the one that was."""
    revisions = dict(domain.revisions)
    for element in elements:
        before = domain.element(element.type)
        number = domain.revisions.get(element.type, 0)
        revisions[element.type] = number if before is not None and is_same_content(before, element) else number + 1
    return revisions


def _elements(group: Group, gathered: Gathered) -> tuple[Element, ...]:
    """What the group contributes, with what was fetched inside the domain because of that."""
    contributions = list(group.contributions)
    if group.explicit_id is not None and group.explicit_id in gathered.fetched:
        contributions.append(gathered.fetched[group.explicit_id])
    uris = [uri for each in group.contributions for uri in each.values(Information.CAPTIVE_PORTAL)]
    contributions += [gathered.portals[uri] for uri in dict.fromkeys(uris) if uri in gathered.portals]
    return elements_of(contributions)
