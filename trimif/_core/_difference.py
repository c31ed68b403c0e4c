"""The one operation behind news, catching up and resynchronising: from what was told to what is.

What is told about an interface is a table in the order of telling. A withdrawal names exactly the thing that its
announcement announced, so the withdrawal serves as its key: ``told[NoAddressAnnouncement(domain, address)]`` is the
`AddressAnnouncement` that was told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from trimif._messages import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    InterfaceAnnouncement,
    News,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    ProvisioningDomainAnnouncement,
    Withdrawal,
)
from trimif._model import DomainId, InterfaceId

Table: TypeAlias = Mapping[Withdrawal, News]
"""Everything about one interface: root first, each under the withdrawal that would take it back."""


def withdrawal_of(news: News) -> Withdrawal:
    """The message that takes `news` back."""
    match news:
        case AddressAnnouncement(domain=domain, address=address):
            return NoAddressAnnouncement(domain, address)
        case ConfigurationElementAnnouncement(domain=domain, element=element):
            return NoConfigurationElementAnnouncement(domain, element)
        case ProvisioningDomainAnnouncement(interface=interface, domain=domain):
            return NoProvisioningDomainAnnouncement(interface, domain)
        case InterfaceAnnouncement(interface=interface):
            return NoInterfaceAnnouncement(interface)


class Change(NamedTuple):
    """One thing that is to be said about an interface.

    Made once, and shared by all mailboxes: a tuple, because there is one for each event on the host.

    Attributes:
        key: the withdrawal of what it is about; the message itself, if it is a withdrawal.
        refresh: whether it only extends lifetimes.
    """

    interface: InterfaceId
    key: Withdrawal
    message: News | Withdrawal
    refresh: bool


def difference(interface: InterfaceId, told: Table, present: Table) -> Iterator[Change]:
    """What must be said to lead someone who was told `told` to `present`, in the order of laws 1 and 2."""
    lost = [key for key in told if key not in present]
    for key in _withdrawals(lost) if lost else ():
        yield Change(interface, key, key, False)
    for key, news in present.items():
        before = told.get(key)
        if before is None:
            yield Change(interface, key, news, False)
        elif before is not news and before != news:
            yield Change(interface, key, news, is_refresh(before, news))


def is_refresh(told: News, news: News) -> bool:
    """Whether `news` does nothing but extend the lifetimes of an address that was told.

    A deadline is a promise: one that moves later keeps it, one that moves earlier breaks it and has to be told.
    """
    return (
        isinstance(news, AddressAnnouncement)
        and isinstance(told, AddressAnnouncement)
        and told.prefix_length == news.prefix_length
        and told.valid_until <= news.valid_until
        and told.preferred_until <= news.preferred_until
    )


def _withdrawals(lost: list[Withdrawal]) -> Iterator[Withdrawal]:
    """Leaf first (law 2): domain by domain in the order of their announcements, in each No Address, then No Element."""
    domains: dict[DomainId, None] = {}
    domains.update((key.domain, None) for key in lost if isinstance(key, NoProvisioningDomainAnnouncement))
    domains.update((key.domain, None) for key in lost if not isinstance(key, NoInterfaceAnnouncement))
    of_domain: dict[DomainId, list[Withdrawal]] = {domain: [] for domain in domains}
    for kind in (NoAddressAnnouncement, NoConfigurationElementAnnouncement, NoProvisioningDomainAnnouncement):
        for key in lost:
            if isinstance(key, kind):
                of_domain[key.domain].append(key)
    for keys in of_domain.values():
        yield from keys
    yield from (key for key in lost if isinstance(key, NoInterfaceAnnouncement))
