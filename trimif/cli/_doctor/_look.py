"""Takes the picture of the host, by looking alone. What can't be looked at is said in the picture."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio
from attrs import evolve

from trimif import Limitation, Mif, Snapshot
from trimif._sources._netlink_dump import Dump, Dumper
from trimif._sources._netlink_socket import open_socket
from trimif._wire.netlink_facts import Tables
from trimif.cli._doctor._leases import CurrentLeases, read_expired_leases
from trimif.cli._doctor._parameters import read_duplicates, read_settings
from trimif.cli._doctor._picture import Configurator, HostAddress, HostLease, HostRoute, Picture, Topic, Unseen, Way
from trimif.cli._doctor._processes import (
    find_configurators,
    managed_interfaces,
    processes_are_hidden,
    read_processes,
)
from trimif.cli._doctor._resolver_file import read_resolver_file
from trimif.cli._doctor._ways import find_default_ways, find_server_ways

__all__ = ["look"]


async def look(mif: Mif, leases: CurrentLeases, directories: Sequence[Path]) -> Picture:
    """The host as it is now.

    Args:
        mif: open, and settled.
        leases: what it was told.
        directories: with lease files of DHCP clients, besides the usual ones.
    """
    await trio.lowlevel.checkpoint()
    known = (*leases.told(), *read_expired_leases(directories))
    picture = _with_files(mif.snapshot(), mif.statistics().limitations, known)
    try:
        dump = await _dump_tables()
        picture = _with_tables(picture, dump)
        return await _with_ways(picture, _indexes(dump))
    except OSError as error:  # a sandbox that forbids netlink: open_mif will have failed before
        return _without(picture, Topic.TABLES, error)


def _without(picture: Picture, topic: Topic, why: OSError) -> Picture:
    return evolve(picture, unseen=(*picture.unseen, Unseen(topic, why.strerror or str(why))))


# ---------------------------------------------------------------- files


def _with_files(snapshot: Snapshot, limitations: tuple[Limitation, ...], leases: tuple[HostLease, ...]) -> Picture:
    settings = read_settings(each.announcement.name for each in snapshot.interfaces)
    picture = Picture(snapshot, limitations, settings=settings, leases=leases, raw_sockets=_may_open_raw_sockets())
    if settings["all"].rp_filter is None:
        picture = evolve(picture, unseen=(Unseen(Topic.SETTINGS, "/proc/sys/net can't be read"),))
    try:
        return evolve(picture, resolver_file=read_resolver_file())
    except OSError as error:
        return _without(picture, Topic.RESOLVER_FILE, error)


def _may_open_raw_sockets() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6).close()
    except OSError:
        return False
    return True


# ---------------------------------------------------------------- the kernel's tables, and who fills them


async def _dump_tables() -> Dump:
    with open_socket() as opened:
        return await Dumper(opened).dump(Tables.ALL)


def _indexes(dump: Dump) -> dict[int, str]:
    return {each.index: each.name for each in dump.links}


def _with_tables(picture: Picture, dump: Dump) -> Picture:
    names = _indexes(dump)
    duplicates = read_duplicates()
    return evolve(
        picture,
        addresses=tuple(
            HostAddress(name, each.address, each.prefix_length, (name, each.address) in duplicates)
            for each in dump.addresses
            if (name := names.get(each.index)) is not None
        ),
        routes=tuple(
            HostRoute(name, each.destination, each.gateway, each.metric)
            for each in dump.routes
            if (name := names.get(each.index)) is not None
        ),
        configurators=_configurators(picture, names),
        unseen=(*picture.unseen, *_hidden()),
    )


def _hidden() -> tuple[Unseen, ...]:
    return (Unseen(Topic.PROCESSES, "other users' processes are hidden"),) if processes_are_hidden() else ()


def _configurators(picture: Picture, names: Mapping[int, str]) -> tuple[Configurator, ...]:
    """A manager's interfaces are those of its state files, and those that it has a lease for."""
    managed = managed_interfaces(names)
    for lease in picture.leases:
        if not lease.expired:
            managed[lease.source] = managed.get(lease.source, frozenset()) | {lease.interface}
    return find_configurators(read_processes(), names.values(), managed)


async def _with_ways(picture: Picture, names: Mapping[int, str]) -> Picture:
    await trio.lowlevel.checkpoint()
    indexes = {name: index for index, name in names.items()}
    default_ways: list[Way] = []
    server_ways: list[Way] = []
    for interface, domain in picture.domains():
        if interface in indexes:  # it may have gone meanwhile
            default_ways += await find_default_ways(domain, indexes[interface], names, picture.routes)
            server_ways += await find_server_ways(domain, indexes[interface], names)
    return evolve(picture, default_ways=tuple(default_ways), server_ways=tuple(server_ways))
