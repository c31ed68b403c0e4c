"""One interface as the core presents it: ids for its domains, revisions for its elements, and the table of what is."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from attrs import define, field

from trimif._core._difference import Change, difference, withdrawal_of
from trimif._core._evidence import Element
from trimif._core._grouping import Group
from trimif._facts import LinkFact
from trimif._messages import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    InterfaceAnnouncement,
    News,
    ProvisioningDomainAnnouncement,
    Withdrawal,
)
from trimif._model import (
    DomainId,
    DomainView,
    ElementType,
    Information,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    IPAddress,
    SourceAddress,
)


@define
class Domain:
    """A provisioning domain that is there now."""

    id: DomainId
    group: Group
    revisions: dict[ElementType, int] = field(factory=dict)

    def element(self, kind: ElementType) -> Element | None:
        """The element of that type, if the domain has it."""
        return next((element for element in self.group.elements if element.type is kind), None)

    def data(self, information: Information[Any]) -> tuple[Any, ...]:
        """What all elements say, in their order, each item once; for identifiers whose data is a tuple."""
        said = (item for element in self.group.elements for item in element.data.get(information, ()))
        return tuple(dict.fromkeys(said))


@define(eq=False)
class Interface:
    """An interface that is there now.

    Attributes:
        present: what is to be announced of it, root first.
        until: the first moment at which that changes by itself.
    """

    id: InterfaceId
    link: LinkFact
    domains: dict[Hashable, Domain] = field(factory=dict)
    present: dict[Withdrawal, News] = field(factory=dict)
    until: float = math.inf

    def update(self, link: LinkFact, groups: Sequence[Group], new_domain_id: Callable[[], DomainId]) -> list[Change]:
        """Make it what the groups say; gives what has changed, in the order in which it is to be told."""
        self.link = link
        self.domains = self._regrouped(groups, new_domain_id)
        before, self.present = self.present, self._table()
        return list(difference(self.id, before, self.present))

    def withdraw(self) -> list[Change]:
        """It is gone: all of it is to be taken back."""
        before, self.present = self.present, {}
        return list(difference(self.id, before, {}))

    def _regrouped(self, groups: Sequence[Group], new_domain_id: Callable[[], DomainId]) -> dict[Hashable, Domain]:
        regrouped = {}
        for key, domain in self.domains.items():  # the oldest stay first: "in the order of their announcements"
            group = next((each for each in groups if each.key == key), None)
            if group is not None:
                regrouped[key] = Domain(domain.id, group, _revisions(domain, group))
        for group in groups:
            if group.key not in regrouped:
                first = {element.type: 1 for element in group.elements}
                regrouped[group.key] = Domain(new_domain_id(), group, first)
        return regrouped

    def _table(self) -> dict[Withdrawal, News]:
        link = self.link
        details = InterfaceDetails(kind=link.kind, mtu=link.mtu, up=link.up, carrier=link.carrier)
        news: list[News] = [InterfaceAnnouncement(self.id, link.name, details)]
        for domain in self.domains.values():
            news += self._news_of(domain)
        table: dict[Withdrawal, News] = {}
        for each in news:  # the kernel can hold an address twice, with two prefix lengths: the first one counts
            table.setdefault(withdrawal_of(each), each)
        return table

    def _news_of(self, domain: Domain) -> list[News]:
        group = domain.group
        news: list[News] = [
            ProvisioningDomainAnnouncement(self.id, domain.id, self.name_of(domain), group.families, group.explicit_id)
        ]
        news += [
            ConfigurationElementAnnouncement(domain.id, each.type, each.origin, domain.revisions[each.type])
            for each in group.elements
        ]
        news += [
            AddressAnnouncement(domain.id, f.address, f.prefix_length, f.valid_until, f.preferred_until)
            for f in group.addresses
        ]
        return news

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
                SourceAddress(f.address, f.prefix_length, f.preferred_until <= now, f.temporary)
                for f in domain.group.addresses
            ),
            dns_servers=domain.data(Information.DNS_SERVERS),
            search_domains=domain.data(Information.SEARCH_DOMAINS),
            routers=frozenset(routers),
        )


def _revisions(domain: Domain, group: Group) -> dict[ElementType, int]:
    revisions = {}
    for element in group.elements:
        before = domain.element(element.type)
        number = domain.revisions.get(element.type, 0)
        revisions[element.type] = number if before is not None and _same(before, element) else number + 1
    return revisions


def _same(before: Element, after: Element) -> bool:
    """Whether the content is the same; new lifetimes alone are no change."""
    return before.origin == after.origin and _lasting(before.data) == _lasting(after.data)


def _lasting(data: Mapping[Information[Any], Any]) -> dict[Information[Any], Any]:
    return {information: value for information, value in data.items() if information is not Information.VALID_UNTIL}
