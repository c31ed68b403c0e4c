"""Who tells us about the host: one file per origin, each with the one small interface of `_source`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimif._facts import StaticConfiguration
from trimif._sources._source import Report, Source, SourceStatistics
from trimif._sources.dhclient import DIRECTORIES as DHCLIENT_DIRECTORIES
from trimif._sources.dhclient import DhclientSource
from trimif._sources.netlink import NetlinkSource
from trimif._sources.pyroute2_leases import Pyroute2LeaseSource
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._sources.static import StaticSource

__all__ = ["Report", "Source", "SourceStatistics", "host_sources"]


def host_sources(static: Sequence[StaticConfiguration], lease_directories: Sequence[Path]) -> tuple[Source, ...]:
    """Every origin on this host, in the order in which they are to be started. A new origin is one line here."""
    return (
        StaticSource(static),
        DhclientSource((*DHCLIENT_DIRECTORIES, *lease_directories)),
        Pyroute2LeaseSource(lease_directories),
        NetlinkSource(),
        RouterAdvertisementSource(),
    )
