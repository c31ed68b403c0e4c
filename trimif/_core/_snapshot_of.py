"""From an interface as the core has it to the frozen tree that programs see."""

from __future__ import annotations

from typing import Any

from trimif._core._interfaces import Domain, Interface
from trimif._core._snapshot import DomainSnapshot, ElementSnapshot, InterfaceSnapshot
from trimif._messages import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    InterfaceAnnouncement,
    News,
    ProvisioningDomainAnnouncement,
)


def snapshot_of(interface: Interface) -> InterfaceSnapshot:
    """The interface and all that belongs to it, as one frozen tree."""

    def of_kind(kind: type[News], domain: Domain) -> list[Any]:
        return [
            n for n in interface.present.values() if isinstance(n, kind) and getattr(n, "domain", None) == domain.id
        ]

    (root,) = (news for news in interface.present.values() if isinstance(news, InterfaceAnnouncement))
    domains = []
    for domain in interface.domains.values():
        (announcement,) = of_kind(ProvisioningDomainAnnouncement, domain)
        elements = [
            ElementSnapshot(each, dict(element.data), dict(element.provenance))
            for each, element in zip(of_kind(ConfigurationElementAnnouncement, domain), domain.elements, strict=True)
        ]
        addresses = of_kind(AddressAnnouncement, domain)
        domains.append(DomainSnapshot(announcement, tuple(elements), tuple(addresses)))
    return InterfaceSnapshot(root, tuple(domains))
