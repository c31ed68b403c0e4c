"""dhcpcd's lease files: the last DHCP message of each interface as the server sent it, for root alone to read.

``eth0.lease`` is DHCPv4, ``eth0.lease6`` DHCPv6, and on a wireless link the network's name follows after a hyphen.
The message does not tell when it came; the file's time does. Everybody may see that, so it is also used to date what
the socket says.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

import trio

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, Lease
from trimif._sources._files import FileContent, Found, read_files
from trimif._wire import dhcpv4_message, dhcpv4_options, dhcpv6_message, dhcpv6_options
from trimif._wire.dhcpcd import DHCP, DHCPV6

__all__ = ["PATTERNS", "LeaseFiles"]

PATTERNS = ("*.lease", "*.lease6")
_SUFFIXES = {DHCP: ".lease", DHCPV6: ".lease6"}

logger = logging.getLogger(__name__)


class LeaseFiles:
    """The lease files in some directories, which need not exist.

    Attributes:
        refused: what could not be read, with the reason, at the last look.
        malformed: how many contents were no DHCP message.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self.refused: Mapping[Path, OSError] = {}
        self.malformed = 0
        self._directories = tuple(directories)
        self._parsed: dict[Path, tuple[FileContent, Lease | DHCPv6Lease | None]] = {}
        self._written: dict[Path, tuple[int, float]] = {}

    def received(self, interface: str, protocol: str) -> float | None:
        """When the interface's lease came, on Trio's clock; None if that can't be seen."""
        files = [
            (path, written)
            for directory in self._directories
            for path, written in _listed(directory)
            if path.suffix == _SUFFIXES[protocol] and _interface_of(path) == interface
        ]
        return self._on_trios_clock(*max(files, key=itemgetter(1))) if files else None

    def _on_trios_clock(self, path: Path, written: int) -> float:
        """The same each time for the same file: nothing seems to have changed only because clocks differ a little."""
        known = self._written.get(path)
        if known is None or known[0] != written:
            known = self._written[path] = written, trio.current_time() - max(0.0, time.time() - written / 1e9)
        return known[1]

    def leases(self) -> dict[tuple[str, str], Lease | DHCPv6Lease]:
        """The leases in all files, by interface and protocol. Those that have ended are there too."""
        found = read_files(self._directories, PATTERNS)
        self.refused = {path: item for path, item in found.items() if isinstance(item, OSError)}
        self._parsed = {path: self._known(path, item) for path, item in found.items() if isinstance(item, FileContent)}
        leases = (lease for _, lease in self._parsed.values() if lease is not None)
        return {(lease.interface, DHCP if isinstance(lease, Lease) else DHCPV6): lease for lease in leases}

    def _known(self, path: Path, content: Found) -> tuple[FileContent, Lease | DHCPv6Lease | None]:
        """What was made of the same content before, else what can be made of it now."""
        assert isinstance(content, FileContent)
        before = self._parsed.get(path)
        if before is not None and before[0] == content and before[0].modified == content.modified:
            return before
        if not content.octets:  # just being written: dhcpcd empties it first
            return content, before[1] if before is not None else None
        try:
            return content, _parse(path, content.octets, self._on_trios_clock(path, content.modified))
        except MalformedInput as fault:  # dhcpcd writes in place: the lease that was there is no worse for that
            self.malformed += 1
            logger.debug("dhcpcd: %s is malformed: %s", path, fault)
            return content, before[1] if before is not None else None


def _listed(directory: Path) -> Iterator[tuple[Path, int]]:
    """The lease files, and when they were written, in nanoseconds since 1970."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(tuple(_SUFFIXES.values())):
                yield directory / entry.name, entry.stat().st_mtime_ns


def _interface_of(path: Path) -> str | None:
    """The interface whose name is all of the file's, or comes before a hyphen; the longest, as names have hyphens."""
    names = sorted((name for _, name in socket.if_nameindex()), key=len, reverse=True)
    return next((name for name in names if path.stem == name or path.stem.startswith(name + "-")), None)


def _parse(path: Path, octets: bytes, received: float) -> Lease | DHCPv6Lease | None:
    interface = _interface_of(path)
    if interface is None:
        return None
    if path.suffix == _SUFFIXES[DHCPV6]:
        reply = dhcpv6_message.parse_message(octets)
        return dhcpv6_options.lease_of(interface, "dhcpcd", dhcpv6_options.read_options(reply.options, received))
    answer = dhcpv4_message.parse_message(octets)
    address = answer.your_address if int(answer.your_address) else answer.client_address
    return dhcpv4_options.lease_of(interface, "dhcpcd", address, dhcpv4_options.read_options(answer.options), received)
