"""Which domain is the best one, and which are meant at all: policies, frozen and without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from attrs import field, frozen

from trimif._model import Family, InterfaceKind
from trimif._owners import ProvisioningDomain

__all__ = ["Policy", "Where"]

Where: TypeAlias = Callable[[ProvisioningDomain], bool]
"""A filter of domains, for example ``lambda domain: domain.interface.kind is InterfaceKind.WIFI``."""

CHEAPEST_FIRST = (
    InterfaceKind.ETHERNET,
    InterfaceKind.BRIDGE,
    InterfaceKind.VIRTUAL,
    InterfaceKind.WIFI,
    InterfaceKind.TUNNEL,
    InterfaceKind.OTHER,
    InterfaceKind.CELLULAR,
)


def _families(families: Iterable[Family]) -> frozenset[Family]:
    return frozenset(families)


@frozen
class Policy:
    """What makes a domain better than another. Without arguments: the cheaper kind of link, then the older domain.

    Attributes:
        where: domains that it does not let through are not used at all.
        prefer: kinds of link, best first; those that are not listed come after.
        families: address families that are used.
        avoid_metered: where it is known that traffic costs money, the domain comes last.
    """

    where: Where | None = None
    prefer: tuple[InterfaceKind, ...] = field(default=CHEAPEST_FIRST, converter=tuple)
    families: frozenset[Family] = field(default=frozenset(Family), converter=_families)
    avoid_metered: bool = False

    def best(self, domains: Iterable[ProvisioningDomain]) -> ProvisioningDomain | None:
        """The best of some domains; None if none may be used."""
        return min(filter(self.admits, domains), key=self.rank, default=None)

    def admits(self, domain: ProvisioningDomain) -> bool:
        """Whether a domain may be used: it has an address and a router, is no loopback, and passes the filters."""
        return (
            domain.usable
            and not self.families.isdisjoint(domain.families)
            and (self.where is None or self.where(domain))
        )

    def rank(self, domain: ProvisioningDomain) -> tuple[bool, int, tuple[int, ...]]:
        """A key to sort domains by: the best one first."""
        kind = domain.interface.kind
        preference = self.prefer.index(kind) if kind in self.prefer else len(self.prefer)
        return self.avoid_metered and domain.metered is True, preference, domain.position
