"""``trimif show``: the host as a tree, interface > provisioning domain > elements and addresses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import trio
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

import trimif
from trimif import (
    Datum,
    DomainSnapshot,
    ElementSnapshot,
    Information,
    InterfaceSnapshot,
    MifStatistics,
    Origin,
    Snapshot,
)
from trimif.cli._data import LABELS, data_to_json
from trimif.cli._domains import GroupingName, LeaseDirectories, Seconds, describe_limitations, wait_settled
from trimif.cli._run import emit, run
from trimif.cli._terminal import escape, for_people, seconds_left
from trimif.testing._data_words import describe_data, describe_item
from trimif.testing._words import ELEMENT_NAMES, describe_interface

__all__ = ["draw_tree", "show", "to_json"]

UNWRAPPED = 1000  # columns of what is no terminal


def show(
    *,
    json: bool = False,
    origins: bool = False,
    grouping: GroupingName = "family",
    wait: Seconds = 1.0,
    leases: LeaseDirectories = (),
) -> int:
    """Show what networks told this host: interfaces, provisioning domains, their configuration and addresses.

    For example `trimif show`, or `trimif show --json | jq '.interfaces[].domains[].name'`.

    Args:
        json: For programs: one JSON object. Times are seconds left, null for ever; an age is the seconds since.
        origins: Also say of each datum who told it, how long ago, and for how long it is valid.
        grouping: How domains are formed: one for each address family, for each interface, or for each router.
        wait: Seconds in which routers may answer, if not everything is known at once.
    """
    return run(lambda: _show(json, origins, grouping, wait, leases))


async def _show(as_json: bool, origins: bool, grouping: str, patience: float, leases: Sequence[Path]) -> int:
    async with trimif.open_mif(grouping=grouping, lease_directories=leases) as mif:
        await wait_settled(mif, patience)
        snapshot, statistics, now = mif.snapshot(), mif.statistics(), trio.current_time()
    if as_json:
        emit(json.dumps(to_json(snapshot, statistics, now), indent=2))
        return 0
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else UNWRAPPED)
    with console.capture() as text:  # Rich would leave a closed pipe by SystemExit
        console.print(*draw_tree(snapshot, now, origins=origins), sep="\n")
    emit(text.get().rstrip("\n"))
    for line in describe_limitations(statistics.limitations):
        emit(line)
    return 0


# ---------------------------------------------------------------- for people


def draw_tree(snapshot: Snapshot, now: float, *, origins: bool = False) -> Iterator[Tree]:
    """A tree for each interface.

    Args:
        now: to which the deadlines refer.
        origins: say of each datum where it came from.
    """
    for interface in snapshot.interfaces:
        tree = Tree(Text(describe_interface(interface.announcement), style="bold"))
        for domain in interface.domains:
            _add_domain(tree, domain, now, origins)
        yield tree


def _add_domain(tree: Tree, domain: DomainSnapshot, now: float, origins: bool) -> None:
    announcement = domain.announcement
    explicit = " (explicit)" if announcement.explicit_id else ""
    branch = tree.add(Text(f"{escape(announcement.name)}{explicit}", style="bold cyan"))
    for element in domain.elements:
        _add_element(branch, element, now, origins)
    for address in domain.addresses:
        valid, preferred = (for_people(until - now) for until in (address.valid_until, address.preferred_until))
        text = f"address {address.address}/{address.prefix_length}, valid {valid}"
        branch.add(Text(text if valid == preferred else f"{text}, preferred {preferred}"))


def _add_element(branch: Tree, element: ElementSnapshot, now: float, origins: bool) -> None:
    announcement = element.announcement
    twig = branch.add(Text(f"{ELEMENT_NAMES[announcement.element]}, {escape(announcement.origin)}", style="cyan"))
    for information in Information.all():
        if information in element.data:
            text = describe_data(information, element.data[information], now)
            leaf = twig.add(Text(f"{LABELS[information]}: {text}"))
            for datum in element.provenance.get(information, ()) if origins else ():
                leaf.add(Text(_describe_origin(datum, now), style="dim"))


def _describe_origin(datum: Datum[Any], now: float) -> str:
    age = f"{for_people(now - datum.received)} ago" if now > datum.received else "just now"
    said = f"{escape(datum.origin)}, {age}, valid {for_people(datum.valid_until - now)}"
    return said if isinstance(datum.value, float) else f"{describe_item(datum.value, now)}: {said}"


# ---------------------------------------------------------------- for programs


def to_json(snapshot: Snapshot, statistics: MifStatistics, now: float) -> dict[str, Any]:
    """The same as plain data. Times are seconds left at `now`, None for ever."""
    return {
        "interfaces": [_interface_to_json(interface, now) for interface in snapshot.interfaces],
        "limitations": [
            {"source": each.source, "missing": each.missing, "remedy": each.remedy} for each in statistics.limitations
        ],
    }


def _interface_to_json(interface: InterfaceSnapshot, now: float) -> dict[str, Any]:
    announcement, details = interface.announcement, interface.announcement.details
    return {
        "name": announcement.name,
        "kind": details.kind.value,
        "mtu": details.mtu,
        "up": details.up,
        "carrier": details.carrier,
        "metered": details.metered,
        "domains": [_domain_to_json(domain, now) for domain in interface.domains],
    }


def _domain_to_json(domain: DomainSnapshot, now: float) -> dict[str, Any]:
    return {
        "name": domain.announcement.name,
        "families": sorted(family.value for family in domain.announcement.families),
        "explicit_id": domain.announcement.explicit_id,
        "elements": [_element_to_json(element, now) for element in domain.elements],
        "addresses": [
            {
                "address": str(each.address),
                "prefix_length": each.prefix_length,
                "valid": seconds_left(each.valid_until, now),
                "preferred": seconds_left(each.preferred_until, now),
            }
            for each in domain.addresses
        ],
    }


def _element_to_json(element: ElementSnapshot, now: float) -> dict[str, Any]:
    told = [information for information in Information.all() if information in element.data]
    return {
        "type": element.announcement.element.value,
        **_origin_to_json(element.announcement.origin),
        "data": {each.name.lower(): data_to_json(each, element.data[each], now) for each in told},
        "provenance": {
            each.name.lower(): [_datum_to_json(each, datum, now) for datum in element.provenance.get(each, ())]
            for each in told
        },
    }


def _datum_to_json(information: Information[Any], datum: Datum[Any], now: float) -> dict[str, Any]:
    return {
        "value": data_to_json(information, datum.value, now),
        **_origin_to_json(datum.origin),
        "age": round(max(0.0, now - datum.received), 3),
        "valid": seconds_left(datum.valid_until, now),
    }


def _origin_to_json(origin: Origin) -> dict[str, Any]:
    return {"source": origin.source, "server": None if origin.server is None else str(origin.server)}
