"""Contributions put together: the configuration elements of one domain.

A domain has at most one element of each type (draft 3.5.10), but several routers or leases may have contributed to it.
Data that are lists are joined, each item once; of the others one is chosen. Where each item came from stays with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from trimif._core._evidence import Contribution, Datums, claims_of
from trimif._information import Datum, DelegatedPrefix, Information, PortalInformation, PvdInformation
from trimif._model import ElementType, IPAddress, Origin, Value

Choose = Callable[[tuple[Datum[Any], ...]], Datum[Any]]


def _first(datums: tuple[Datum[Any], ...]) -> Datum[Any]:
    return datums[0]


def _least(datums: tuple[Datum[Any], ...]) -> Datum[Any]:
    return min(datums, key=lambda datum: datum.value)


def _greatest(datums: tuple[Datum[Any], ...]) -> Datum[Any]:
    return max(datums, key=lambda datum: datum.value)


SINGLE: Mapping[Information[Any], Choose] = {
    Information.MTU: _least,
    Information.CAPTIVE_PORTAL: _first,
    Information.PORTAL: _first,
    Information.PVD: _first,
    Information.PVD_INFORMATION: _first,
    Information.LEASE: _first,
    Information.IPV6_ONLY_WAIT: _first,
    Information.WEB_PROXY: _first,
    Information.METERED: _greatest,
    Information.LINK_TYPE: _first,
    Information.VALID_UNTIL: _greatest,
}
"""Identifiers whose data is no list, and which datum counts where there are several."""


ORDER = {kind: rank for rank, kind in enumerate(ElementType)}


@frozen(repr=False, eq=False)
class Element(Value):
    """A configuration element: the content of what the draft calls RA, DHCPv6, DHCPv4.

    Attributes:
        origin: of the first contribution, the preferred one.
        data: what it says, by information identifier; identifiers that it says nothing about are absent.
        provenance: the same with the origins and deadlines; one for each item.
        claims: the addresses on the interface that came from it.
    """

    type: ElementType
    origin: Origin
    data: Mapping[Information[Any], Any]
    provenance: Datums
    claims: frozenset[IPAddress] = frozenset()


def elements_of(contributions: Iterable[Contribution]) -> tuple[Element, ...]:
    """One element for each type of contribution, in the order of the types."""
    parts: dict[ElementType, list[Contribution]] = {}
    for each in contributions:
        parts.setdefault(each.type, []).append(each)
    return tuple(_element(kind, parts[kind]) for kind in sorted(parts, key=ORDER.__getitem__))


def _element(kind: ElementType, parts: list[Contribution]) -> Element:
    told = dict.fromkeys(information for part in parts for information in part.data)
    provenance = {information: _joined(information, parts) for information in told}
    data = {
        information: datums[0].value if information in SINGLE else tuple([datum.value for datum in datums])
        for information, datums in provenance.items()
    }
    return Element(kind, parts[0].origin, data, provenance, claims_of(parts))


def _joined(information: Information[Any], parts: list[Contribution]) -> tuple[Datum[Any], ...]:
    datums = [datum for part in parts for datum in part.data.get(information, ())]
    if information in SINGLE:
        return (SINGLE[information](tuple(datums)),)
    best: dict[Any, Datum[Any]] = {}
    for datum in datums:  # where several say the same, it is valid as long as any of them says
        if datum.value not in best or best[datum.value].valid_until < datum.valid_until:
            best[datum.value] = datum
    return tuple(best.values())


# ---------------------------------------------------------------- what is a change


def is_same_content(before: Element, after: Element) -> bool:
    """Whether two elements say the same; new lifetimes alone are no change."""
    return before.origin == after.origin and _lasting(before.data) == _lasting(after.data)


def _lasting(data: Mapping[Information[Any], Any]) -> dict[Information[Any], Any]:
    return {
        information: _without_deadlines(value)
        for information, value in data.items()
        if information not in (Information.VALID_UNTIL, Information.LEASE)
    }


def _without_deadlines(value: Any) -> Any:
    match value:
        case PvdInformation():
            return evolve(value, expires=0.0)
        case PortalInformation():
            return evolve(value, session_until=None)
        case (DelegatedPrefix(), *_):
            return tuple(each.prefix for each in value)
        case _:
            return value
