"""Checks of the programs that configure the host, and of what this process may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from trimif import IPAddress
from trimif.cli._doctor._finding import Finding, Severity, command
from trimif.cli._doctor._picture import Configurator, Picture

__all__ = ["find_limitations", "find_two_clients", "find_two_leases"]


def find_two_clients(picture: Picture) -> Iterator[Finding]:
    """Two programs that configure one interface for the same address family."""
    for interface in picture.interfaces():
        name = interface.announcement.name
        mine = [each for each in picture.configurators if name in (each.interfaces or ())]
        for one, other in combinations(mine, 2):
            if one.families & other.families:
                yield Finding(
                    Severity.PROBLEM,
                    name,
                    f"is configured by two programs: {_describe(one)} and {_describe(other)}",
                    "Each undoes what the other does: addresses, routes and resolv.conf change back and forth.",
                    _leave_to_one(one, other, name),
                )


def _describe(program: Configurator) -> str:
    return f"{program.program} (process {program.process})"


def _leave_to_one(one: Configurator, other: Configurator, interface: str) -> str:
    """End the single client of the two, the later one of two; of two managers, tell one to leave it alone."""
    clients = [each for each in (one, other) if not each.manager]
    if clients:
        return command("kill", clients[-1].process)
    programs = {one.program: one, other.program: other}
    if "NetworkManager" in programs:
        return command("nmcli", "device", "set", interface, "managed", "no")
    if "dhcpcd" in programs:
        return f"echo {command('denyinterfaces', interface)} >> /etc/dhcpcd.conf && dhcpcd --rebind"
    return command("kill", max(one.process, other.process))


def find_two_leases(picture: Picture) -> Iterator[Finding]:
    """Two clients with different leases on one interface, both of whose addresses it has."""
    present = {(each.interface, each.address) for each in picture.addresses}
    leases: dict[tuple[str, int], dict[str, IPAddress]] = defaultdict(dict)
    for each in picture.leases:
        if not each.expired and (each.interface, each.address) in present:
            leases[each.interface, each.address.version].setdefault(each.source, each.address)
    for (interface, _version), by_source in leases.items():
        if len(by_source) > 1 and len(set(by_source.values())) > 1:
            said = " and ".join(f"{address} by {source}" for source, address in by_source.items())
            last = list(by_source)[-1]
            yield Finding(
                Severity.WARNING,
                interface,
                f"has leases of two clients: {said}",
                "Either client is running beside the other, or one of the leases was left behind.",
                f"stop {last} on {interface}, and remove its address {by_source[last]}",
            )


def find_limitations(picture: Picture) -> Iterator[Finding]:
    """What trimif can't see on this host, for lack of a privilege mostly."""
    for each in picture.limitations:
        yield Finding(
            Severity.NOTE,
            each.source,
            f"not seen: {each.missing}",
            "What is not seen is not announced to programs.",
            each.remedy,
        )
