"""Per-link DNS of systemd-resolved, above all of links that nobody else manages: a VPN that called ``SetLinkDNS``.

It is asked over the system bus, each time that it rewrites its files, which it does whenever a link's servers or
domains change. Without a bus, root can read what programs set from the files themselves. Links that systemd-networkd
manages are left out: resolved has them from networkd, and nobody else may set them; networkd's own source tells them,
with their origins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trio
from attrs import evolve

from trimif._errors import MalformedInput
from trimif._facts import AllLinkConfigurations, Limitation, LinkConfiguration
from trimif._model import Origin
from trimif._sources._files import FileContent, read_files
from trimif._sources._managers import ManagerSource, interface_name
from trimif._sources._source import Report
from trimif._sources._system_bus import PROPERTIES, BusError, BusGone, BusUnusable, SystemBus, open_system_bus
from trimif._sources.networkd import DIRECTORY as NETWORKD_DIRECTORY
from trimif._sources.networkd import managed_links
from trimif._wire.link_dns import LinkDns
from trimif._wire.resolved import parse_link_file, read_properties

__all__ = ["DIRECTORY", "ResolvedSource"]

DIRECTORY = Path("/run/systemd/resolve")
SIGNS = ("resolv.conf", "stub-resolv.conf", ".#*", "[0-9]*")
"""It writes a file under another name first; when nothing would change in resolv.conf, that is all there is to see."""

NAME, PATH = "org.freedesktop.resolve1", "/org/freedesktop/resolve1"
MANAGER, LINK = f"{NAME}.Manager", f"{NAME}.Link"
WHAT = "name servers of links in systemd-resolved"


class ResolvedSource(ManagerSource):
    """Reports what systemd-resolved was told of links, as `AllLinkConfigurations`, whenever it changes.

    While resolved is not running, what it said last counts, as it will again when it is: it keeps it.

    Args:
        directory: where it keeps its state.
        networkd_directory: where systemd-networkd does.
        bus_address: of the system bus, as in `open_system_bus`.
    """

    def __init__(
        self,
        directory: Path = DIRECTORY,
        networkd_directory: Path = NETWORKD_DIRECTORY,
        bus_address: str | None = None,
    ) -> None:
        super().__init__("resolved", (directory, directory / "netif"), SIGNS)
        self._directory = directory
        self._networkd_directory = networkd_directory
        self._bus_address = bus_address
        self._heard = False  # by bus, at least once

    async def _look(self, report: Report) -> None:
        await trio.lowlevel.checkpoint()
        if not self._directory.is_dir():
            return
        try:
            links = await self._ask()
            self._heard = True
        except BusError as error:
            if self._heard:
                return
            links = self._read(error, report)
        managed = managed_links(self._networkd_directory)
        names = {index: interface_name(index) for index in links if index not in managed}
        told = {name: data for index, name in sorted(names.items()) if name and (data := links[index].data())}
        origin = Origin(self.name)
        facts = tuple(LinkConfiguration(name, origin, data) for name, data in told.items())
        self._tell(report, AllLinkConfigurations(self.name, facts))

    async def _ask(self) -> Mapping[int, LinkDns]:
        async with open_system_bus(self._bus_address) as bus:
            links = read_properties(await bus.properties(NAME, PATH, MANAGER))
            return {index: await _with_default_route(bus, index, dns) for index, dns in links.items()}

    def _read(self, error: BusError, report: Report) -> Mapping[int, LinkDns]:
        """The files, for who may read them; otherwise what is missing is said."""
        links: dict[int, LinkDns] = {}
        for path, item in read_files([self._directory / "netif"], ["[0-9]*"]).items():
            try:
                if isinstance(item, FileContent):
                    links[int(path.name)] = parse_link_file(item.octets)
                elif isinstance(item, OSError):
                    remedy = error.remedy if isinstance(error, BusUnusable) else "start the system bus, or run as root"
                    self._limit(report, Limitation(self.name, f"{WHAT}: {_reason(error)}", remedy))
                else:
                    raise item
            except (MalformedInput, ValueError):
                self._malformed += 1
        return links


def _reason(error: BusError) -> str:
    return error.text if isinstance(error, BusGone | BusUnusable) else "it does not answer"


async def _with_default_route(bus: SystemBus, index: int, dns: LinkDns) -> LinkDns:
    """resolved decides itself where nobody told it to: a link with routing domains alone is for these alone."""
    try:
        (path,) = await bus.call(NAME, PATH, MANAGER, "GetLink", "i", (index,))
        (value,) = await bus.call(NAME, path, PROPERTIES, "Get", "ss", (LINK, "DefaultRoute"))
    except (BusGone, ValueError):
        raise
    except BusError:  # the link has gone meanwhile, or resolved is older than the property
        await trio.lowlevel.checkpoint()
        return dns
    return evolve(dns, default_route=value) if isinstance(value, bool) else dns
