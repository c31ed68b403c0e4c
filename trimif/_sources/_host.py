"""The list of all origins on this host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimif._facts import StaticConfiguration
from trimif._sources._source import Source
from trimif._sources.dhclient import DIRECTORIES, DhclientSource
from trimif._sources.netlink import NetlinkSource
from trimif._sources.pyroute2_leases import Pyroute2LeaseSource
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._sources.static import StaticSource


def host_sources(static: Sequence[StaticConfiguration], lease_directories: Sequence[Path]) -> tuple[Source, ...]:
    """Every origin on this host, in the order in which they are to be started. A new origin is one line here."""
    return (
        StaticSource(static),
        DhclientSource((*DIRECTORIES, *lease_directories)),
        Pyroute2LeaseSource(lease_directories),
        NetlinkSource(),
        RouterAdvertisementSource(),
    )
