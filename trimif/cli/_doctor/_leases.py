"""The leases that clients on this host wrote down: the current ones as the MIF is told them, and expired ones.

The MIF is not told of a lease that is over; dhclient's files keep the last one of each interface.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from trimif import IPAddress
from trimif._errors import MalformedInput
from trimif._facts import AllLeases, DHCPv6Lease, Fact, Lease
from trimif._sources._files import FileContent, read_files
from trimif._sources.dhclient import DIRECTORIES, PATTERNS
from trimif._wire.dhclient import parse_leases
from trimif.cli._doctor._picture import HostLease

__all__ = ["CurrentLeases", "read_expired_leases"]


class CurrentLeases:
    """Listens to the facts that a MIF is told: give it to `open_mif` as ``record``."""

    def __init__(self) -> None:
        self._by_source: dict[str, tuple[Lease | DHCPv6Lease, ...]] = {}

    def __call__(self, time: float, facts: Sequence[Fact]) -> None:
        """Keep what each source said last of all its leases."""
        for fact in facts:
            if isinstance(fact, AllLeases):
                self._by_source[fact.source] = fact.leases

    def told(self) -> Iterator[HostLease]:
        """One for each address."""
        for leases in self._by_source.values():
            for lease in leases:
                for address, _valid_until in _addresses(lease):
                    yield HostLease(lease.interface, lease.origin.source, address)


def read_expired_leases(directories: Sequence[Path]) -> Iterator[HostLease]:
    """Leases in dhclient's files whose time is over. Files that can't be read, or are malformed, say nothing.

    Args:
        directories: besides the usual ones.
    """
    now = time.time()
    for found in read_files((*DIRECTORIES, *directories), PATTERNS).values():
        for lease in _parse(found.octets) if isinstance(found, FileContent) else ():
            for address, valid_until in _addresses(lease):
                if valid_until <= now:
                    yield HostLease(lease.interface, lease.origin.source, address, expired=True)


def _parse(octets: bytes) -> Sequence[Lease | DHCPv6Lease]:
    try:
        return parse_leases(octets.decode("latin-1"), datetime.timestamp)
    except MalformedInput:
        return ()


def _addresses(lease: Lease | DHCPv6Lease) -> list[tuple[IPAddress, float]]:
    """Each address, and until when it is valid, on the clock of the lease."""
    if isinstance(lease, Lease):
        return [(lease.address, lease.valid_until)]
    return [(each.address, each.valid_until) for each in lease.addresses]
