"""``trimif show``: the host as a tree, interface > provisioning domain > elements and addresses."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import trio
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

import trimif
from trimif import DomainSnapshot, ElementSnapshot, Information, InterfaceSnapshot, MifStatistics, Snapshot
from trimif.cli._domains import LeaseDirectories, Seconds, describe_limitations, wait_settled
from trimif.cli._run import emit, run
from trimif.cli._terminal import escape, for_people, seconds_left
from trimif.testing._words import ELEMENT_NAMES, describe_data, describe_interface

__all__ = ["draw_tree", "show", "to_json"]

UNWRAPPED = 1000  # columns of what is no terminal

LABELS: dict[Information[Any], str] = {
    Information.DNS_SERVERS: "DNS servers",
    Information.SEARCH_DOMAINS: "search domains",
    Information.SPLIT_DOMAINS: "split domains",
    Information.DNS_SELECTION: "DNS selection",
    Information.ENCRYPTED_DNS: "encrypted DNS",
    Information.ROUTERS: "routers",
    Information.ROUTES: "routes",
    Information.PREFIXES: "prefixes",
    Information.DELEGATED_PREFIXES: "delegated prefixes",
    Information.PREF64: "NAT64 prefixes",
    Information.MTU: "MTU",
    Information.NTP_SERVERS: "NTP servers",
    Information.NTP_NAMES: "NTP servers by name",
    Information.CAPTIVE_PORTAL: "captive portal API",
    Information.PORTAL: "captive portal",
    Information.PVD: "provisioning domain",
    Information.PVD_INFORMATION: "additional information",
    Information.LEASE: "lease",
    Information.IPV6_ONLY_WAIT: "IPv6-only wait",
    Information.WEB_PROXY: "web proxy",
    Information.METERED: "metered",
    Information.LINK_TYPE: "link",
    Information.RAW_OPTIONS: "other options",
    Information.VALID_UNTIL: "valid",
}


def show(*, json: bool = False, wait: Seconds = 1.0, leases: LeaseDirectories = ()) -> int:
    """Show what networks told this host: interfaces, provisioning domains, their configuration and addresses.

    For example `trimif show`, or `trimif show --json | jq '.interfaces[].domains[].name'`.

    Args:
        json: For programs: one JSON object. Times are seconds left, null for ever.
        wait: Seconds in which routers may answer, if not everything is known at once.
    """
    return run(lambda: _show(json, wait, leases))


async def _show(as_json: bool, patience: float, leases: Sequence[Path]) -> int:
    async with trimif.open_mif(lease_directories=leases) as mif:
        await wait_settled(mif, patience)
        snapshot, statistics, now = mif.snapshot(), mif.statistics(), trio.current_time()
    if as_json:
        emit(json.dumps(to_json(snapshot, statistics, now), indent=2))
        return 0
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else UNWRAPPED)
    with console.capture() as text:  # Rich would leave a closed pipe by SystemExit
        console.print(*draw_tree(snapshot, now), sep="\n")
    emit(text.get().rstrip("\n"))
    for line in describe_limitations(statistics.limitations):
        emit(line)
    return 0


# ---------------------------------------------------------------- for people


def draw_tree(snapshot: Snapshot, now: float) -> Iterator[Tree]:
    """A tree for each interface.

    Args:
        now: to which the deadlines refer.
    """
    for interface in snapshot.interfaces:
        tree = Tree(Text(describe_interface(interface.announcement), style="bold"))
        for domain in interface.domains:
            _add_domain(tree, domain, now)
        yield tree


def _add_domain(tree: Tree, domain: DomainSnapshot, now: float) -> None:
    announcement = domain.announcement
    explicit = f" ({escape(announcement.explicit_id)})" if announcement.explicit_id else ""
    branch = tree.add(Text(f"{escape(announcement.name)}{explicit}", style="bold cyan"))
    for element in domain.elements:
        _add_element(branch, element, now)
    for address in domain.addresses:
        valid, preferred = (for_people(until - now) for until in (address.valid_until, address.preferred_until))
        text = f"address {address.address}/{address.prefix_length}, valid {valid}"
        branch.add(Text(text if valid == preferred else f"{text}, preferred {preferred}"))


def _add_element(branch: Tree, element: ElementSnapshot, now: float) -> None:
    announcement = element.announcement
    twig = branch.add(Text(f"{ELEMENT_NAMES[announcement.element]}, {escape(announcement.origin)}", style="cyan"))
    for information in Information.all():
        if information in element.data:
            datum = element.data[information]
            text = for_people(datum - now) if information is Information.VALID_UNTIL else describe_data(datum)
            twig.add(Text(f"{LABELS[information]}: {text}"))


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
    origin = element.announcement.origin
    return {
        "type": element.announcement.element.value,
        "source": origin.source,
        "server": None if origin.server is None else str(origin.server),
        "data": {
            information.name.lower(): _datum_to_json(information, element.data[information], now)
            for information in Information.all()
            if information in element.data
        },
    }


def _datum_to_json(information: Information[Any], datum: Any, now: float) -> Any:
    if information is Information.VALID_UNTIL:
        return seconds_left(datum, now)
    if information is Information.ROUTES:
        return [
            {"destination": str(route.destination), "gateway": None if route.gateway is None else str(route.gateway)}
            for route in datum
        ]
    if isinstance(datum, tuple):
        return [str(item) for item in datum]
    return datum if not isinstance(datum, float) or math.isfinite(datum) else None
