"""How an interface's configuration elements form provisioning domains: a policy without I/O.

The draft (3.1) has one domain per link and address family: "for an IPv4 provisioning domain, that would be whatever
information is received from the DHCP server. For an IPv6 provisioning domain, the information received through router
advertisements would be combined with the information received via DHCPv6."
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from attrs import frozen

from trimif._core._evidence import Element, Evidence, family_of
from trimif._facts import AddressFact
from trimif._model import ElementType, Family

ORDER = {kind: rank for rank, kind in enumerate(ElementType)}


@frozen
class Group:
    """A provisioning domain in the making.

    Attributes:
        key: tells it from the other domains of its interface; while it stays, so does the domain's id.
        label: the part of its name after the interface's name.
    """

    key: Hashable
    label: str
    families: frozenset[Family]
    elements: tuple[Element, ...]
    addresses: tuple[AddressFact, ...]
    explicit_id: str | None = None


Grouping: TypeAlias = Callable[[Evidence], Sequence[Group]]
"""Forms the domains of one interface, in the order in which they are to be announced."""


def by_family(evidence: Evidence) -> Sequence[Group]:
    """One domain for each address family that has an element (draft 3.1)."""
    groups = []
    for family in Family:
        elements = sorted((each for each in evidence.elements if each.family is family), key=lambda e: ORDER[e.type])
        if elements:
            addresses = tuple(fact for fact in evidence.addresses if family_of(fact.address) is family)
            groups.append(Group(family, family.value, frozenset({family}), tuple(elements), addresses))
    return groups
