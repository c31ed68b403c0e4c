"""The sorts of links: as the kernel's drivers and hardware types tell them, from sysfs, and on a real kernel."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from trimif._facts import AllLinks, Fact, LinkFact
from trimif._model import InterfaceKind
from trimif._sources._netlink_kinds import LinkKinds
from trimif._sources.netlink import NetlinkSource
from trimif._wire.netlink_links import link_kind
from trimif.testing._namespaces import Namespace

from .netlink_host import configure

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI = 0x1, 0x2, 0x1000


def link(kind: InterfaceKind = InterfaceKind.ETHERNET, name: str = "x0") -> LinkFact:
    return LinkFact(3, name, kind, 1500, up=True, carrier=True)


def make(directory: Path, text: str, *entries: str) -> LinkKinds:
    """Sysfs with the link x0, whose uevent file says this."""
    (directory / "x0").mkdir()
    (directory / "x0" / "uevent").write_text(text)
    for name in entries:
        (directory / "x0" / name).mkdir()
    return LinkKinds(directory)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("DEVTYPE=wlan\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.WIFI),
        ("DEVTYPE=wwan\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.CELLULAR),
        ("DEVTYPE=l2tpeth\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.TUNNEL),
        ("INTERFACE=x0\nIFINDEX=3\n", InterfaceKind.ETHERNET),
        ("DEVTYPE=wlan\nINTERFACE=x0\nIFINDEX=4\n", InterfaceKind.ETHERNET),  # of another network namespace
    ],
)
def test_kinds_from_sysfs(tmp_path: Path, text: str, kind: InterfaceKind) -> None:
    assert make(tmp_path, text).refine(link()).kind is kind


@pytest.mark.parametrize("entry", ["phy80211", "wireless"])
def test_wireless_drivers_that_register_no_device_type(tmp_path: Path, entry: str) -> None:
    assert make(tmp_path, "IFINDEX=3\n", entry).refine(link()).kind is InterfaceKind.WIFI


def test_a_modem_that_has_no_link_layer(tmp_path: Path) -> None:
    """As with qmi_wwan: ARPHRD_NONE, and no driver that rtnetlink would name."""
    kinds = make(tmp_path, "DEVTYPE=wwan\nIFINDEX=3\n")
    assert kinds.refine(link(link_kind(65534, None))).kind is InterfaceKind.CELLULAR


def test_without_sysfs_the_kind_is_what_rtnetlink_says(tmp_path: Path) -> None:
    assert LinkKinds(tmp_path).refine(link()).kind is InterfaceKind.ETHERNET


def test_kinds_are_read_once_for_each_link(tmp_path: Path) -> None:
    kinds = make(tmp_path, "DEVTYPE=wlan\nIFINDEX=3\n")
    assert kinds.refine(link()).kind is InterfaceKind.WIFI
    (tmp_path / "x0" / "uevent").write_text("IFINDEX=3\n")
    assert kinds.refine(link()).kind is InterfaceKind.WIFI
    kinds.forget(3)
    assert kinds.refine(link()).kind is InterfaceKind.ETHERNET


def test_a_link_renamed_before_it_was_looked_at(tmp_path: Path) -> None:
    kinds = make(tmp_path, "DEVTYPE=wlan\nIFINDEX=3\n")
    assert kinds.refine(link(name="wlan0")).kind is InterfaceKind.ETHERNET
    assert kinds.refine(link(name="x0")).kind is InterfaceKind.WIFI


@pytest.mark.parametrize(
    ("hardware", "driver", "kind"),
    [
        (1, None, InterfaceKind.ETHERNET),
        (1, b"dsa", InterfaceKind.ETHERNET),
        (772, None, InterfaceKind.LOOPBACK),
        (803, None, InterfaceKind.WIFI),
        (1, b"virt_wifi", InterfaceKind.WIFI),
        (65534, b"wwan", InterfaceKind.CELLULAR),
        (519, None, InterfaceKind.CELLULAR),
        (65534, b"wireguard", InterfaceKind.TUNNEL),
        (65534, b"ovpn", InterfaceKind.TUNNEL),
        (512, b"ppp", InterfaceKind.TUNNEL),
        (768, b"ipip", InterfaceKind.TUNNEL),
        (776, b"sit", InterfaceKind.TUNNEL),
        (778, b"gre", InterfaceKind.TUNNEL),
        (1, b"gretap", InterfaceKind.TUNNEL),
        (1, b"erspan", InterfaceKind.TUNNEL),
        (768, b"vti", InterfaceKind.TUNNEL),
        (65534, b"xfrm", InterfaceKind.TUNNEL),
        (1, b"openvswitch", InterfaceKind.BRIDGE),
        (1, b"vlan", InterfaceKind.VIRTUAL),
        (1, b"bond", InterfaceKind.VIRTUAL),
        (1, b"dummy", InterfaceKind.VIRTUAL),
        (32, b"ipoib", InterfaceKind.OTHER),
        (280, b"can", InterfaceKind.OTHER),
        (0xFFFF, None, InterfaceKind.OTHER),
    ],
)
def test_kinds_by_hardware_and_driver(hardware: int, driver: bytes | None, kind: InterfaceKind) -> None:
    assert link_kind(hardware, driver) is kind


# ---------------------------------------------------------------- a real kernel


@contextmanager
def attached(name: str, flags: int) -> Iterator[None]:
    """A tun or tap device, which is there as long as it is open."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags | IFF_NO_PI))
        yield
    finally:
        os.close(descriptor)


async def kinds_now() -> dict[str, InterfaceKind]:
    found: dict[str, InterfaceKind] = {}

    def report(facts: Sequence[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, AllLinks):
                found.update((each.name, each.kind) for each in fact.links)

    async with trio.open_nursery() as nursery:
        await nursery.start(NetlinkSource().run, report)
        nursery.cancel_scope.cancel()
    return found


@pytest.mark.lab
async def test_kinds_on_a_real_kernel(host: Namespace) -> None:
    """Those that any kernel with the lab's drivers can make. Sysfs shows the machine's own links, and says nothing."""
    configure(
        host,
        "link add bridge0 type bridge",
        "link add link eth0 name macvlan0 type macvlan",
        "link add vxlan0 type vxlan id 7 remote 198.51.100.9 dstport 4789",
    )
    with attached("tun0", IFF_TUN), attached("tap0", IFF_TAP):
        kinds = await kinds_now()
    expected = {
        "lo": InterfaceKind.LOOPBACK,
        "eth0": InterfaceKind.VIRTUAL,
        "bridge0": InterfaceKind.BRIDGE,
        "macvlan0": InterfaceKind.VIRTUAL,
        "vxlan0": InterfaceKind.TUNNEL,
        "tun0": InterfaceKind.TUNNEL,
        "tap0": InterfaceKind.TUNNEL,
    }
    assert {name: kinds[name] for name in expected} == expected
