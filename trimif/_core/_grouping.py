"""How what is known of an interface forms provisioning domains: policies without I/O.

Three rules are known, and they conflict, so each is a function and a program may bring its own:

- the draft (3.1), one domain per address family: "for an IPv4 provisioning domain, that would be whatever information
  is received from the DHCP server. For an IPv6 provisioning domain, the information received through router
  advertisements would be combined with the information received via DHCPv6";
- RFC 7556, one implicit domain per interface, both families together;
- RFC 8801, one implicit domain per router.

An explicit domain (RFC 8801) is one of its own in each of them, with all the routers that speak for it. DHCP names no
domain; it is put where the routers' flags say: DHCPv4 to the one explicit domain whose router set L; DHCPv6 without
addresses to every domain whose router set O, and with addresses to every domain whose router set M and announced a
prefix that they are in. What no explicit domain takes is the implicit domain's: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias

from attrs import field, frozen

from trimif._core._evidence import Contribution, Evidence
from trimif._information import Information
from trimif._model import ElementType, Family, Value

__all__ = ["GROUPINGS", "Group", "Grouping", "by_family", "by_interface", "by_router", "check_groups", "grouping_named"]


def _as_tuple(contributions: Iterable[Contribution]) -> tuple[Contribution, ...]:
    return tuple(contributions)


@frozen(repr=False, eq=False)
class Group(Value):
    """A provisioning domain in the making.

    Attributes:
        key: tells it from the other domains of its interface; while it stays, so does the domain's id.
        label: the part of its name after the interface's name and a slash.
        contributions: what it is made of; one that has none is no domain. Its addresses are those that they claim.
        explicit_id: the PvD id, of an explicit domain.
    """

    key: Hashable
    label: str
    contributions: tuple[Contribution, ...] = field(converter=_as_tuple)
    explicit_id: str | None = None
    families: frozenset[Family] = field(init=False)

    @families.default
    def _families_of_the_contributions(self) -> frozenset[Family]:
        return frozenset(each.family for each in self.contributions)


Grouping: TypeAlias = Callable[[Evidence], Sequence[Group]]
"""Forms the domains of one interface, in the order in which they are to be announced.

A pure function: it is called whenever something of the interface changed, and the same evidence gives the same groups.
"""


def by_family(evidence: Evidence) -> Sequence[Group]:
    """One implicit domain for each address family that has a contribution (draft 3.1), then the explicit ones."""
    implicit = _implicit(evidence)
    groups = [Group(family, family.value, _of(implicit, family)) for family in Family]
    return [*(group for group in groups if group.contributions), *_explicit(evidence)]


def by_interface(evidence: Evidence) -> Sequence[Group]:
    """One implicit domain for all that names no domain, both families together (RFC 7556, 2.1), then the explicit."""
    group = Group("implicit", "implicit", _implicit(evidence))
    return [*([group] if group.contributions else ()), *_explicit(evidence)]


def by_router(evidence: Evidence) -> Sequence[Group]:
    """One implicit domain for each router that names no domain (RFC 8801, 2), then the explicit ones.

    What no router said (DHCPv4, what was set by hand) belongs to the implicit domains of all routers, or is one of its
    own where there is none.
    """
    implicit = _implicit(evidence)
    routers = dict.fromkeys(each.router for each in implicit if each.type is ElementType.RA)
    others = tuple(each for each in implicit if each.type is not ElementType.RA)
    groups = [
        Group(
            ("router", router),
            "kernel" if router is None else str(router),
            (*(each for each in implicit if each.type is ElementType.RA and each.router == router), *others),
        )
        for router in routers
    ]
    if not routers and others:
        groups = [Group("implicit", "implicit", others)]
    return [*groups, *_explicit(evidence)]


GROUPINGS: dict[str, Grouping] = {"family": by_family, "interface": by_interface, "router": by_router}
"""The policies that have a name."""


def grouping_named(grouping: str | Grouping) -> Grouping:
    """The policy of that name; a function is a policy itself.

    Raises:
        ValueError: none has the name.
    """
    if not isinstance(grouping, str):
        return grouping
    if grouping not in GROUPINGS:
        raise ValueError(f"grouping is {grouping!r}; there are {', '.join(map(repr, GROUPINGS))}, or give a function")
    return GROUPINGS[grouping]


def check_groups(groups: Iterable[Group]) -> list[Group]:
    """The groups that are domains.

    Raises:
        ValueError: two have one key or one label.
    """
    found = [group for group in groups if group.contributions]
    said: list[tuple[str, list[Hashable]]] = [
        ("key", [group.key for group in found]),
        ("label", [group.label for group in found]),
    ]
    for what, of_all in said:
        twice = next((each for each in of_all if of_all.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"the grouping gave two domains of one interface the {what} {twice!r}: make them differ")
    return found


# ---------------------------------------------------------------- explicit domains


def _explicit(evidence: Evidence) -> Iterator[Group]:
    for identifier, routers in _explicit_routers(evidence).items():
        dhcp = [each for each in _dhcp(evidence) if identifier in _takers(evidence, each)]
        label = identifier if "." in identifier else f"{identifier}."  # never the name of an implicit one
        yield Group(("explicit", identifier), label, (*routers, *dhcp), identifier)


def _explicit_routers(evidence: Evidence) -> dict[str, list[Contribution]]:
    """The contributions of routers that speak for an explicit domain, by its id."""
    found: dict[str, list[Contribution]] = {}
    for each in evidence.contributions:
        if each.option is not None:
            found.setdefault(each.option.identifier, []).append(each)
    return found


def _dhcp(evidence: Evidence) -> list[Contribution]:
    return [each for each in evidence.contributions if each.type in (ElementType.DHCPV6, ElementType.DHCPV4)]


def _takers(evidence: Evidence, dhcp: Contribution) -> list[str]:
    """The explicit domains that a DHCP contribution belongs to."""
    explicit = _explicit_routers(evidence)
    if dhcp.type is ElementType.DHCPV4:
        legacy = [
            identifier
            for identifier, routers in explicit.items()
            if any(each.option is not None and each.option.legacy for each in routers)
        ]
        return legacy if len(legacy) == 1 else []  # several say so: then none of them is believed
    return [identifier for identifier, routers in explicit.items() if any(_gives(each, dhcp) for each in routers)]


def _gives(router: Contribution, dhcp: Contribution) -> bool:
    """Whether a router's flags say that what DHCPv6 gave is of its domain."""
    if not dhcp.claims:
        return bool(router.other_configuration)
    prefixes = router.values(Information.PREFIXES)
    return bool(router.managed) and any(address in prefix for address in dhcp.claims for prefix in prefixes)


# ---------------------------------------------------------------- the implicit ones


def _implicit(evidence: Evidence) -> tuple[Contribution, ...]:
    """All that does not belong to explicit domains, and what belongs to both."""
    routers = [each for each in evidence.contributions if each.type is ElementType.RA and each.option is None]

    def is_implicit(each: Contribution) -> bool:
        if each.option is not None:
            return False
        taken = each.type in (ElementType.DHCPV6, ElementType.DHCPV4) and bool(_takers(evidence, each))
        shared = each.type is ElementType.DHCPV6 and any(_gives(router, each) for router in routers)
        return not taken or shared

    return tuple(each for each in evidence.contributions if is_implicit(each))


def _of(contributions: Iterable[Contribution], family: Family) -> tuple[Contribution, ...]:
    return tuple(each for each in contributions if each.family is family)
