"""Both links side by side over one kernel: whatever happens to the host, at rest they have reported the same facts.

Two MIFs run in one program, one on each link. Their tables, folded from the facts that were reported, and their
snapshots are compared after each chapter of the host's life. That every event of a chapter has been read is known by a
mark: an address that is set last.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest
import trio
from attrs import evolve

import trimif
from trimif import Information
from trimif._facts import AllAddresses, AllLinks, AllRoutes, Fact, Limitation, RouterAdvertisement
from trimif._sources._netlink_dump import Dump
from trimif._sources._source import Source
from trimif._sources.netlink import NetlinkSource
from trimif._sources.pyroute2_link import LIMITATIONS, Pyroute2LinkSource
from trimif._wire.netlink_facts import Tables
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import seen

pytestmark = pytest.mark.lab

TOLERANCE_SECONDS = 2.0
"""The kernel tells whole seconds, and each link asks at another moment."""


class Observer:
    """One MIF, and the kernel's tables according to what its link reported."""

    def __init__(self) -> None:
        self.mif: trimif.Mif
        self._tables = Dump(Tables.ALL)

    def record(self, _now: float, facts: Sequence[Fact]) -> None:
        """Is given every step of the MIF."""
        for fact in facts:
            match fact:
                case AllLinks(links=links):
                    self._tables.links = list(links)
                case AllAddresses(addresses=addresses):
                    self._tables.addresses = list(addresses)
                case AllRoutes(routes=routes):
                    self._tables.routes = list(routes)
                case _:
                    self._tables.replay([fact])

    def dumps(self) -> int:
        """How often the link has read the kernel's tables so far."""
        return sum(each.resynchronisations for each in self.mif.statistics().sources)

    def has(self, address: str) -> bool:
        return any(each.address == ip_address(address) for each in self._tables.addresses)

    def exact(self) -> set[Hashable]:
        """What has to be the same, deadlines apart."""
        now = trio.current_time()
        addresses = {
            evolve(each, valid_until=0.0, preferred_until=float(each.preferred_until <= now))
            for each in self._tables.addresses
        }
        return {*self._tables.links, *addresses, *self._tables.routes, *described(self.mif)}

    def deadlines(self) -> dict[Hashable, float]:
        """What may differ a little. When an address became deprecated is not told."""
        now = trio.current_time()
        found: dict[Hashable, float] = {}
        for each in self._tables.addresses:
            key = (each.index, each.address, each.prefix_length)
            found[key, "valid"] = each.valid_until
            found[key, "preferred"] = max(each.preferred_until, now)
        return found | {route: route.expires for route in self._tables.routes}


def described(mif: trimif.Mif) -> set[Hashable]:
    """The snapshot without ids and deadlines."""
    lines: set[Hashable] = set()
    for interface in mif.snapshot().interfaces:
        lines.add((interface.announcement.name, interface.announcement.details))
        for domain in interface.domains:
            name = domain.announcement.name
            lines.update((name, each.address, each.prefix_length) for each in domain.addresses)
            for element in domain.elements:
                told = element.announcement
                lines.add((name, told.element, told.origin))
                lines.update((name, told.element, key, value) for key, value in said(element.data))
    return lines


def said(data: Mapping[Information[Any], Any]) -> list[tuple[Information[Any], Hashable]]:
    deadlines = (Information.VALID_UNTIL, Information.LEASE)
    return [(key, value) for key, value in data.items() if key not in deadlines]


@asynccontextmanager
async def both(lab: Lab) -> AsyncIterator[tuple[Observer, Observer]]:
    ours, reference = Observer(), Observer()
    leases = [lab.lease_directory]
    async with (
        trimif.open_mif(lease_directories=leases, record=ours.record) as ours.mif,
        trimif.open_mif(lease_directories=leases, record=reference.record, link="pyroute2") as reference.mif,
    ):
        yield ours, reference


async def agree(lab: Lab, ours: Observer, reference: Observer, mark: str) -> None:
    """Wait until both have read everything up to now and the reference its dump, then until they say the same."""
    dumps = reference.dumps()
    lab.ip("host", f"address add {mark}/32 dev lo")
    await seen(lambda: ours.has(mark) and reference.has(mark) and reference.dumps() > dumps)
    with trio.move_on_after(10):
        while not is_same(ours, reference):  # noqa: ASYNC110
            await trio.sleep(0.02)
        return
    assert ours.exact() - reference.exact() == set(), "only netlink says so"
    assert reference.exact() - ours.exact() == set(), "only pyroute2 says so"
    assert ours.deadlines() == reference.deadlines(), "the deadlines are apart"


def is_same(ours: Observer, reference: Observer) -> bool:
    one, other = ours.deadlines(), reference.deadlines()
    return (
        ours.exact() == reference.exact()
        and one.keys() == other.keys()
        and all(math.isclose(one[key], other[key], abs_tol=TOLERANCE_SECONDS) for key in one)
    )


# ---------------------------------------------------------------- chapters of a host's life


def batch(*lines: str) -> Callable[[Lab], None]:
    return lambda lab: lab.ip_batch("host", "".join(f"{line}\n" for line in lines))


def ask_for_temporary_addresses(lab: Lab) -> None:
    lab.host.write_sysctl("net/ipv6/conf/up-a/use_tempaddr", 2)
    lab.set_link("up-a", up=False)
    lab.set_link("up-a", up=True)


def swap_names(lab: Lab) -> None:
    for old, new in (("vpn0", "spare"), ("up-b", "vpn0"), ("spare", "up-b")):
        lab.rename(old, new)


def shows(arguments: str, text: str, *, not_: bool = False) -> Callable[[Lab], bool]:
    """Whether ``ip`` says so, of what happens by and by."""
    return lambda lab: (text in lab.ip("host", arguments)) is not not_


BY_AND_BY: dict[str, Callable[[Lab], bool]] = {
    "carrier is lost": shows("link show dev up-a", "NO-CARRIER"),
    "carrier comes back": shows("-6 address show dev up-a -tentative", "2001:db8:a:"),
    "temporary addresses": shows("-6 address show dev up-a temporary", "2001:db8:a:"),
    "the router retires": shows("-6 route show default dev up-a", "via", not_=True),
}

CHAPTERS: dict[str, Callable[[Lab], object]] = {
    "addresses come, change and go": batch(
        "address add 198.51.100.140/26 dev vpn0",
        "address add 198.51.100.141/26 dev vpn0 valid_lft 600 preferred_lft 300",
        "address add 198.51.100.142 peer 198.51.100.143/32 dev vpn0",
        "address add 2001:db8:c::1/64 dev vpn0 nodad valid_lft 600 preferred_lft 0",
        "address add 2001:db8:c::2/64 dev vpn0 nodad",
        "address change 2001:db8:c::2/64 dev vpn0 nodad valid_lft 500 preferred_lft 400",
        "address delete 198.51.100.140/26 dev vpn0",
    ),
    "routes of all sorts": batch(
        "nexthop add id 5 via fe80::c:1 dev vpn0",
        "route add 203.0.113.64/27 nexthop via 198.51.100.129 dev vpn0 nexthop dev vpn0 weight 4",
        "route add 203.0.113.96/27 via inet6 fe80::c:1 dev vpn0 metric 7",
        "route add 203.0.113.97/32 via 198.51.100.129 table 1000 proto 99",
        "route add 203.0.113.98/32 tos 0x10 via 198.51.100.129",
        "route add blackhole 203.0.113.99/32",
        "route add 2001:db8:d::/48 nexthop via fe80::c:1 dev vpn0 nexthop via fe80::c:2 dev vpn0",
        "route add 2001:db8:e::/48 via fe80::c:1 dev vpn0 expires 500",
        "route add 2001:db8:f::/48 nhid 5",
    ),
    "routes replaced, and gone with their next hop": batch(
        "route replace 203.0.113.97/32 via 198.51.100.130 table 1000 proto 99",
        "route delete 203.0.113.64/27",
        "nexthop delete id 5",
        "route delete 2001:db8:d::/48 nexthop via fe80::c:1 dev vpn0 nexthop via fe80::c:2 dev vpn0",
    ),
    "links made": batch(
        "link add br0 type bridge",
        "link add extra type veth peer name extra-peer",
        "link set extra-peer master br0",
        "link set extra up mtu 1400",
        "link set extra-peer up",
        "link set br0 up",
        "address add 203.0.113.161/28 dev extra",
    ),
    "a link deleted and made again": batch(
        "link delete extra",
        "link add extra type veth peer name extra-peer",
        "link set extra up",
        "address add 203.0.113.162/28 dev extra",
    ),
    "a lease": lambda lab: lab.start_dhclient("up-b"),
    "two links swap their names": swap_names,
    "a link is renamed, down and up": batch("link set extra down", "link set extra name other", "link set other up"),
    "carrier is lost": lambda lab: lab.set_carrier("up-a", False),
    "carrier comes back": lambda lab: lab.set_carrier("up-a", True),
    "temporary addresses": ask_for_temporary_addresses,
    "the router retires": lambda lab: lab.stop("isp_a.radvd", gently=True),
    "an uplink vanishes": lambda lab: lab.delete_link("up-a"),
}


async def test_through_a_life_of_changes(lab: Lab, on_host: Namespace) -> None:
    async with both(lab) as (ours, reference):
        await agree(lab, ours, reference, "203.0.113.255")
        for number, (name, happen) in enumerate(CHAPTERS.items()):
            happen(lab)
            if name in BY_AND_BY:
                await seen(partial(BY_AND_BY[name], lab))
            try:
                await agree(lab, ours, reference, f"203.0.113.{200 + number}")
            except AssertionError as difference:
                raise AssertionError(f"after: {name}") from difference


async def test_beside_a_storm(lab: Lab, on_host: Namespace) -> None:
    """Neither link is told when to look: the changes go on while they read, and dump."""
    flap = ["address add 198.51.100.150/26 dev vpn0", "address delete 198.51.100.150/26 dev vpn0"]
    links = ["link add extra type veth peer name extrap", "link set extra up", "link delete extra"]
    async with both(lab) as (ours, reference):
        with lab.host.popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True) as storm:
            assert storm.stdin is not None
            storm.stdin.write("".join(f"{line}\n" for line in (flap * 20 + links) * 20))
            storm.stdin.close()
            await seen(lambda: storm.poll() is not None)
        assert storm.returncode == 0
        await agree(lab, ours, reference, "203.0.113.255")


# ---------------------------------------------------------------- what the limitations name


async def test_only_our_link_hears_options_of_router_advertisements(lab: Lab, on_host: Namespace) -> None:
    """The kernel passes on a router's name servers; both are there when they come, one can read them."""
    async with reported_by(NetlinkSource()) as ours, reported_by(Pyroute2LinkSource()) as reference:
        lab.set_link("up-a", up=False)
        lab.set_link("up-a", up=True)
        await seen(lambda: any(isinstance(fact, RouterAdvertisement) for fact in ours))
        lab.ip("host", "address add 203.0.113.255/32 dev lo")
        await seen(lambda: any(getattr(fact, "address", None) == ip_address("203.0.113.255") for fact in reference))
    assert not any(isinstance(fact, RouterAdvertisement) for fact in reference)
    assert [fact for fact in reference if isinstance(fact, Limitation)] == list(LIMITATIONS)
    assert not any(isinstance(fact, Limitation) for fact in ours)


@asynccontextmanager
async def reported_by(source: Source) -> AsyncIterator[list[Fact]]:
    facts: list[Fact] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, facts.extend)
        yield facts
        nursery.cancel_scope.cancel()
