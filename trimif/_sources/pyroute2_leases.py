"""Leases of pyroute2's own DHCP client, which writes ``<interface>.lease.json`` into its working directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from trimif._facts import Lease
from trimif._sources._leases import LeaseFileSource
from trimif._wire.pyroute2_lease import parse_lease

__all__ = ["Pyroute2LeaseSource"]

PATTERNS = ("*.lease.json",)


class Pyroute2LeaseSource(LeaseFileSource):
    """Reports the DHCPv4 leases of the pyroute2 clients that run in the given directories.

    The client does not tell in its file that it released a lease; that its address is gone does.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        super().__init__("pyroute2", directories, PATTERNS, _parse)


def _parse(text: str, deadline: Callable[[datetime], float]) -> tuple[Lease, ...]:
    return (parse_lease(text, deadline),)
