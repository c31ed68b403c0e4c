"""Leases of ISC dhclient, out of its lease files, which it keeps in /var/lib unless told otherwise (``-lf``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimif._sources._leases import LeaseFileSource
from trimif._wire.dhclient import parse_leases

__all__ = ["DhclientSource"]

DIRECTORIES = (Path("/var/lib/dhcp"), Path("/var/lib/dhclient"))
"""Debian's, and that of Fedora and its kin."""
PATTERNS = ("dhclient*.leases", "dhclient*.lease")
"""Not simply ``*.leases``: Debian's dhcpd keeps its own ``dhcpd.leases`` in the same directory."""


class DhclientSource(LeaseFileSource):
    """Reports dhclient's DHCPv4 and DHCPv6 leases. Stateless DHCPv6 (``-S``) leaves nothing in its files."""

    def __init__(self, directories: Sequence[Path] = DIRECTORIES, patterns: Sequence[str] = PATTERNS) -> None:
        super().__init__("dhclient", directories, patterns, parse_leases)
