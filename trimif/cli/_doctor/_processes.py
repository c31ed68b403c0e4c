"""Who configures this host's interfaces: running programs, by what /proc shows of them to everybody.

Only those in this thread's network namespace count, and which one a process is in can be told without a privilege:
the files below ``/proc/PID/net`` are other files in each namespace, with other inode numbers (``/proc/PID/ns/net``
can only be read by whoever may trace the process).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from trimif import Family
from trimif.cli._doctor._picture import Configurator

__all__ = ["Process", "find_configurators", "managed_interfaces", "processes_are_hidden", "read_processes"]

PROC = Path("/proc")
MANAGERS = {"NetworkManager": "NetworkManager", "systemd-network": "networkd"}
"""By what the kernel calls them, which is at most 15 characters; the names are those of `trimif.Origin`."""
CLIENTS = {"dhclient", "dhcpcd", "udhcpc", "udhcpc6"}
HELPER = "nm-dhcp-helper"
"""On the command line of a client that NetworkManager has started."""


@frozen
class Process:
    """A process of this network namespace."""

    number: int
    parent: int
    name: str
    arguments: tuple[str, ...]


def processes_are_hidden(proc: Path = PROC) -> bool:
    """/proc shows a user only the user's own processes (``hidepid``)."""
    return not os.access(proc / "1" / "stat", os.R_OK)


def read_processes(proc: Path = PROC) -> Iterator[Process]:
    """All processes of this thread's network namespace that may be configurators."""
    here = _namespace(proc / "thread-self")
    for path in proc.glob("[0-9]*"):
        try:
            name = (path / "comm").read_text().rstrip("\n")
            if name not in CLIENTS and name not in MANAGERS and name != "busybox":
                continue
            if _namespace(path) == here:
                yield Process(int(path.name), _parent(path), *_name_and_arguments(name, path))
        except OSError:
            continue  # it has ended meanwhile


def _namespace(process: Path) -> tuple[int, int]:
    status = (process / "net" / "dev").stat()
    return status.st_dev, status.st_ino


def _parent(process: Path) -> int:
    """The second field after the name, which is in parentheses and may have some in it."""
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def _name_and_arguments(name: str, process: Path) -> tuple[str, tuple[str, ...]]:
    """What it was started with; or what it calls itself since, in words (dhcpcd)."""
    octets = (process / "cmdline").read_bytes()
    words = octets.decode(errors="replace").replace("\0", " ").split()
    if name == "busybox":
        return (words[1], tuple(words[2:])) if len(words) > 1 else (name, ())
    return name, tuple(words[1:])


def find_configurators(
    processes: Iterable[Process], interfaces: Iterable[str], managed: Mapping[str, frozenset[str]]
) -> tuple[Configurator, ...]:
    """What the processes take care of, oldest first.

    Args:
        interfaces: all of the host.
        managed: by name of the program, the interfaces that are known to be its, from its files or leases.
    """
    names = frozenset(interfaces)
    by_number = {each.number: each for each in processes}
    found = []
    for number in sorted(by_number):
        process = by_number[number]
        if not _is_part_of_another(process, by_number):
            found.append(_configurator(process, names, managed))
    return tuple(found)


def _is_part_of_another(process: Process, by_number: Mapping[int, Process]) -> bool:
    """dhcpcd is several processes for the separation of privileges; NetworkManager starts clients of its own."""
    parent = by_number.get(process.parent)
    return (parent is not None and parent.name in (process.name, *MANAGERS)) or any(
        HELPER in word for word in process.arguments
    )


def _configurator(process: Process, interfaces: frozenset[str], managed: Mapping[str, frozenset[str]]) -> Configurator:
    if process.name in MANAGERS:
        program = MANAGERS[process.name]
        return Configurator(program, process.number, managed.get(program), manager=True)
    mine = interfaces & {word.removeprefix("-i").removeprefix("--interface=") for word in process.arguments}
    families = _families(process)
    if process.name == "dhcpcd" and not mine:  # it does not say: all that it likes
        return Configurator(process.name, process.number, managed.get("dhcpcd"), families, manager=True)
    if process.name.startswith("udhcpc") and not mine:
        mine = interfaces & {"eth0"}
    return Configurator(process.name, process.number, mine or managed.get(process.name), families)


def _families(process: Process) -> frozenset[Family]:
    """Those of a DHCP client: ISC's has one process for each, dhcpcd serves both in one unless told otherwise."""
    if process.name == "dhclient":
        return frozenset({Family.IPV6 if "-6" in process.arguments else Family.IPV4})
    if process.name == "dhcpcd" and not {"-4", "-6", "[ip4]", "[ip6]"} & set(process.arguments):
        return frozenset(Family)
    if process.name == "dhcpcd":
        options = {"-4": Family.IPV4, "[ip4]": Family.IPV4, "-6": Family.IPV6, "[ip6]": Family.IPV6}
        return frozenset(options[word] for word in process.arguments if word in options)
    return frozenset({Family.IPV6 if process.name == "udhcpc6" else Family.IPV4})


# ---------------------------------------------------------------- what managers say of themselves


NETWORK_MANAGER = Path("/run/NetworkManager/devices")
NETWORKD = Path("/run/systemd/netif/links")


def managed_interfaces(
    indexes: Mapping[int, str], network_manager: Path = NETWORK_MANAGER, networkd: Path = NETWORKD
) -> dict[str, frozenset[str]]:
    """Which interfaces the managers take care of, by the state files that they keep, one for each interface.

    A manager without such files is left out.
    """
    managed = {}
    for program, directory, is_managed in (
        ("NetworkManager", network_manager, _network_manager_manages),
        ("networkd", networkd, _networkd_manages),
    ):
        if directory.is_dir():
            managed[program] = frozenset(_names_of(indexes, directory, is_managed))
    return managed


def _names_of(
    indexes: Mapping[int, str], directory: Path, is_managed: Callable[[Mapping[str, str]], bool]
) -> Iterator[str]:
    for index, name in indexes.items():
        try:
            lines = (directory / str(index)).read_text(errors="replace").splitlines()
        except OSError:
            continue
        if is_managed({key.strip(): value.strip() for key, _equals, value in (line.partition("=") for line in lines)}):
            yield name


def _network_manager_manages(state: Mapping[str, str]) -> bool:
    """A link that somebody else configured is "managed" too, under a connection made up for it; only looked at.

    What NetworkManager configures itself has a lease in most cases, or a metric that it would like to have.
    """
    own = {"[dhcp4]", "[dhcp6]", "route-metric-default-aspired"}
    return state.get("managed") in ("true", "full") and not own.isdisjoint(state)


def _networkd_manages(state: Mapping[str, str]) -> bool:
    return state.get("ADMIN_STATE", "unmanaged") not in ("unmanaged", "initialized", "pending", "linger")
