"""What systemd-networkd did on each link: DHCP leases, routers that it heard, and what a person configured.

Its files are always read, and with a system bus it is asked besides: only there it tells where each datum came from,
and what DHCPv6 and routers said. Without a bus, what the DHCPv4 lease doesn't explain of a link's name servers counts
as configured: nobody else claims it.

networkd writes its files anew whenever a link has news, under another name first; even a renewal in which nothing
changed begins that way. Such a sign makes trimif look again. Where no sign comes, it looks again when half of the
time to the next deadline has passed: what routers repeat moves deadlines without one.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address
from pathlib import Path

import trio
from attrs import evolve

from trimif._errors import MalformedInput
from trimif._facts import AllLeases, AllLinkConfigurations, Lease, Limitation, LinkConfiguration, RouterAdvertisement
from trimif._information import Data
from trimif._model import Origin
from trimif._sources._files import FileContent, read_files
from trimif._sources._managers import ManagerSource, interface_name
from trimif._sources._source import Report
from trimif._sources._system_bus import BusError, BusUnusable, open_system_bus
from trimif._wire.link_dns import LinkDns
from trimif._wire.networkd import LeaseFile, LinkFile, parse_lease, parse_link
from trimif._wire.networkd_description import LinkDescription, parse_description
from trimif._wire.networkd_routers import withdrawing

__all__ = ["DIRECTORY", "NetworkdSource", "managed_links"]

DIRECTORY = Path("/run/systemd/netif")
SIGNS = ("[0-9]*", ".#*")
NAME, PATH = "org.freedesktop.network1", "/org/freedesktop/network1"
"""Of networkd on the bus; its interface is the name and ``.Manager``."""
INDEX = re.compile("[0-9]{1,10}", re.ASCII)
SHORTEST_PAUSE = 1.0
"""Before looking again without a sign, in seconds."""
CLOCKS_APART = 0.1
"""CLOCK_BOOTTIME goes on while the machine sleeps, Trio's doesn't: a difference of more seconds is believed."""


def managed_links(directory: Path) -> frozenset[int]:
    """The indexes of the links that networkd configures, by its files."""
    return frozenset(index for index, link in _read_links(directory).items() if link.managed)


class NetworkdSource(ManagerSource):
    """Reports what systemd-networkd knows, whenever it changes.

    While networkd is not running, what it said last counts as long as its deadlines allow: it leaves on the host
    what it configured.

    Args:
        directory: where it keeps its state.
        bus_address: of the system bus, as in `open_system_bus`.
    """

    def __init__(self, directory: Path = DIRECTORY, bus_address: str | None = None) -> None:
        super().__init__("networkd", (directory / "links", directory / "leases"), SIGNS)
        self._directory = directory
        self._bus_address = bus_address
        self._offset = math.inf
        self._description: Mapping[int, LinkDescription] | None = None
        self._files: dict[int, LeaseFile] = {}
        self._routers: dict[tuple[int, IPv6Address], RouterAdvertisement] = {}

    async def _look(self, report: Report) -> None:
        await trio.lowlevel.checkpoint()
        if not self._directory.is_dir():
            return
        await self._ask(report)
        described = self._description or {}
        names = {index: name for index in self._indexes() if (name := interface_name(index)) is not None}
        leases = self._leases(names, report)
        dhcpv6 = (each.dhcpv6 for each in described.values() if each.index in names)
        self._tell(report, AllLeases(self.name, (*leases.values(), *(lease for lease in dhcpv6 if lease is not None))))
        told = tuple(self._configurations(names, leases))
        self._tell(report, AllLinkConfigurations(self.name, told))
        self._plan()

    def _indexes(self) -> list[int]:
        return sorted({*_read_links(self._directory), *(self._description or {})})

    # ---------------------------------------------------------------- by bus

    async def _ask(self, report: Report) -> None:
        """Ask networkd, if it is there; then report what routers said, and no longer say."""
        await trio.lowlevel.checkpoint()
        try:
            async with open_system_bus(self._bus_address) as bus:
                (text,) = await bus.call(NAME, PATH, f"{NAME}.Manager", "Describe")
            links = parse_description(text if isinstance(text, str) else "", self._deadline)
        except BusUnusable as error:
            self._limit(report, error.limitation(self.name, "DHCPv6, routers and who told what, of systemd-networkd"))
        except MalformedInput:
            self._malformed += 1
        except (BusError, ValueError):  # there is no bus, networkd is not running, or it is older than systemd 250
            return
        else:
            self._description = {each.index: each for each in links if each.managed}
            self._tell_routers(report)

    def _deadline(self, boottime: float) -> float:
        """A moment on CLOCK_BOOTTIME as a deadline; the same each time, unless the clocks have gone apart."""
        offset = trio.current_time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        if abs(offset - self._offset) > CLOCKS_APART:
            self._offset = offset
        return boottime + self._offset

    def _tell_routers(self, report: Report) -> None:
        links = (self._description or {}).values()
        heard = {(each.index, each.router): each for link in links for each in link.routers}
        now = trio.current_time()
        facts = []
        for key in sorted({*heard, *self._routers}):
            before, after = self._routers.get(key), heard.get(key)
            if before is None or after is None or before != after:
                facts.append(after if before is None else withdrawing(before, after, now))
        self._routers = heard
        told = [fact for fact in facts if fact is not None]
        if told:
            self._report(report, told)

    def _plan(self) -> None:
        """When to look again without a sign: also while networkd is not there, as it may come back."""
        now = trio.current_time()
        ahead = [each - now for each in self._deadlines() if each > now]
        self._look_again_at = now + max(SHORTEST_PAUSE, min(ahead, default=math.inf) / 2)

    def _deadlines(self) -> Iterator[float]:
        for link in (self._description or {}).values():
            yield from (end for _, end in link.lease_ends)
            if link.dhcpv6 is not None:
                yield from (each.valid_until for each in link.dhcpv6.addresses)
            for router in link.routers:
                yield from (each.valid_until for each in router.prefixes)
                yield from (each.until for each in (*router.routes, router.header) if each is not None)

    # ---------------------------------------------------------------- by files

    def _leases(self, names: Mapping[int, str], report: Report) -> dict[int, Lease]:
        """The leases, by interface index. A file that is malformed counts with its last good content."""
        before, self._files = self._files, {}
        for index, octets in _read(self._directory / "leases"):
            try:
                if index in names and isinstance(octets, bytes):
                    self._files[index] = parse_lease(octets, names[index])
                elif isinstance(octets, OSError):
                    path = self._directory / "leases" / str(index)
                    missing = f"leases in {path}: {octets.strerror}"
                    self._limit(report, Limitation(self.name, missing, f"let this user read {path}"))
            except MalformedInput:
                self._malformed += 1
                if index in before:
                    self._files[index] = before[index]
        return {index: self._ending(index, file) for index, file in self._files.items()}

    def _ending(self, index: int, file: LeaseFile) -> Lease:
        """The lease with what the description says of it; it ends as its address does."""
        link = (self._description or {}).get(index)
        if link is None:
            return file.lease
        lease = file.ending(dict(link.lease_ends).get(file.lease.address, math.inf))
        known = dict(lease.data)
        return evolve(lease, data=(*lease.data, *(item for item in link.dhcpv4 if item[0] not in known)))

    def _configurations(self, names: Mapping[int, str], leases: Mapping[int, Lease]) -> Iterator[LinkConfiguration]:
        files = _read_links(self._directory)
        for index, name in sorted(names.items()):
            link = (self._description or {}).get(index)
            if link is not None:
                data = link.dns.data() + link.data
            elif self._description is None and index in files:
                data = _not_leased(files[index], leases.get(index))
            else:
                continue
            if data:
                yield LinkConfiguration(name, Origin(self.name), data)


def _not_leased(file: LinkFile, lease: Lease | None) -> Data:
    """What a link's file says beyond the lease."""
    if lease is None:
        return file.dns.data() + file.data
    dns = LinkDns(
        tuple(each for each in file.dns.servers if each.address not in lease.dns_servers),
        tuple(each for each in file.dns.search_domains if each not in lease.search_domains),
        file.dns.routing_domains,
        file.dns.default_route,
    )
    return dns.data()


def _read_links(directory: Path) -> dict[int, LinkFile]:
    """What the files of links say, by interface index."""
    links = {}
    for index, octets in _read(directory / "links"):
        try:
            if isinstance(octets, bytes):
                links[index] = parse_link(octets)
        except MalformedInput:
            continue
    return links


def _read(directory: Path) -> Iterator[tuple[int, bytes | OSError]]:
    """The files of a directory that are named after an interface index; what else is there does not count."""
    for path, item in read_files([directory], ["[0-9]*"]).items():
        if INDEX.fullmatch(path.name) and not isinstance(item, MalformedInput):
            yield int(path.name), item.octets if isinstance(item, FileContent) else item
