"""Per-interface DNS of resolvconf: Debian's own, and openresolv, which dhcpcd, wg-quick and others use.

Both keep what programs hand to them as files of one directory, readable for everybody. openresolv has another one
with a file of the same name for each record that is private: its servers are for its own domains only.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import trio
from attrs import evolve

from trimif._errors import MalformedInput
from trimif._facts import AllLinkConfigurations, Limitation, LinkConfiguration
from trimif._model import Origin
from trimif._sources._files import FileContent, Found, read_files
from trimif._sources._managers import ManagerSource
from trimif._sources._source import Report
from trimif._wire.link_dns import LinkDns
from trimif._wire.resolvconf import interface_of_record, parse_record

__all__ = ["DIRECTORY", "ResolvconfSource"]

DIRECTORY = Path("/run/resolvconf")
RECORDS = ("interface", "interfaces", "keys")
"""Where records are: Debian's, openresolv's until 3.13, and since."""
PRIVATE = "private"
NOT_SEARCHED = "nosearch"


class ResolvconfSource(ManagerSource):
    """Reports what resolvconf was told, as `AllLinkConfigurations`, whenever it changes.

    Args:
        directory: where it keeps its state.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        places = [directory / name for name in (*RECORDS, PRIVATE, NOT_SEARCHED)]
        super().__init__("resolvconf", places, ("[!.]*",))
        self._directory = directory

    async def _look(self, report: Report) -> None:
        found = read_files(self._directories, self._signs)
        for path, item in found.items():
            if isinstance(item, OSError):
                missing = f"name servers in {path}: {item.strerror}"
                self._limit(report, Limitation(self.name, missing, f"let this user read {path}"))
        links: dict[str, LinkDns] = {}
        for interface, dns in self._records(found):
            links[interface] = links.get(interface, LinkDns()) + dns
        if links or self._told:
            origin = Origin(self.name)
            told = tuple(LinkConfiguration(name, origin, dns.data()) for name, dns in sorted(links.items()))
            self._tell(report, AllLinkConfigurations(self.name, told))
        await trio.lowlevel.checkpoint()

    def _records(self, found: dict[Path, Found]) -> Iterator[tuple[str, LinkDns]]:
        for path, item in sorted(found.items()):
            if path.parent.name not in RECORDS or isinstance(item, OSError):
                continue
            try:
                interface = interface_of_record(path.name, _exists)
                if isinstance(item, MalformedInput):
                    raise item
                yield interface, self._marked(path.name, _content(item), found)
            except MalformedInput:
                self._malformed += 1

    def _marked(self, record: str, dns: LinkDns, found: dict[Path, Found]) -> LinkDns:
        if self._directory / PRIVATE / record not in found:
            return dns
        searched = () if self._directory / NOT_SEARCHED / record in found else dns.search_domains
        return evolve(dns, search_domains=searched, routing_domains=dns.search_domains)


def _content(item: FileContent) -> LinkDns:
    return parse_record(item.octets)


def _exists(name: str) -> bool:
    try:
        return socket.if_nametoindex(name) > 0
    except (OSError, ValueError):
        return False
