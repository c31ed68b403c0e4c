"""The list of all origins on this host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from trimif._facts import StaticConfiguration
from trimif._sources._source import Source
from trimif._sources.dhclient import DIRECTORIES, DhclientSource
from trimif._sources.dhcp_questions import DhcpQuestions
from trimif._sources.dhcpcd import DhcpcdSource
from trimif._sources.netlink import NetlinkSource
from trimif._sources.networkd import NetworkdSource
from trimif._sources.networkmanager import NetworkManagerSource
from trimif._sources.pyroute2_leases import Pyroute2LeaseSource
from trimif._sources.pyroute2_link import Pyroute2LinkSource
from trimif._sources.resolvconf import ResolvconfSource
from trimif._sources.resolved import ResolvedSource
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._sources.static import StaticSource
from trimif._sources.udhcpc import UdhcpcSource

LINKS: dict[str, Callable[[], Source]] = {"netlink": NetlinkSource, "pyroute2": Pyroute2LinkSource}
"""Who can tell about the kernel's links, addresses and routes."""


def host_sources(
    link: str, static: Sequence[StaticConfiguration], lease_directories: Sequence[Path], ask_dhcp: Sequence[str]
) -> tuple[Source, ...]:
    """Every origin on this host, in the order in which they are to be started. A new origin is one line here.

    Raises:
        ValueError: there is no such link.
    """
    if link not in LINKS:
        raise ValueError(f"link is {link!r}; there are {', '.join(map(repr, LINKS))}")
    return (
        StaticSource(static),
        DhclientSource((*DIRECTORIES, *lease_directories)),
        Pyroute2LeaseSource(lease_directories),
        DhcpcdSource(),
        UdhcpcSource(),
        NetworkdSource(),
        NetworkManagerSource(),
        ResolvedSource(),
        ResolvconfSource(),
        LINKS[link](),
        RouterAdvertisementSource(),
        *([DhcpQuestions(ask_dhcp)] if ask_dhcp else ()),
    )
