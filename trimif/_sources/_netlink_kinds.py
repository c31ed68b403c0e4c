"""What sysfs knows about a network interface and rtnetlink does not tell: that it is wireless, a modem, or L2TP.

It costs one small file for each link that may be something else than it seems, and nothing for those whose driver tells
(veth, bridge, VLAN, …), which are those that a host may have a thousand of. Sysfs does not touch a disk or the device.
"""

from __future__ import annotations

import os
from pathlib import Path

from attrs import evolve

from trimif._facts import LinkFact
from trimif._model import InterfaceKind

__all__ = ["LinkKinds"]

NETWORK_CLASS = Path("/sys/class/net")

_KIND_BY_DEVICE_TYPE = {
    "DEVTYPE=wlan": InterfaceKind.WIFI,
    "DEVTYPE=wwan": InterfaceKind.CELLULAR,
    "DEVTYPE=l2tpeth": InterfaceKind.TUNNEL,
}
_WIRELESS = ("phy80211", "wireless")
"""Drivers that register no device type have one of these all the same: cfg80211's, or the wireless extensions'."""
_UNCERTAIN = (InterfaceKind.ETHERNET, InterfaceKind.TUNNEL, InterfaceKind.OTHER)
"""Wireless interfaces call themselves Ethernet, and modems Ethernet, point-to-point or nothing at all."""


class LinkKinds:
    """Refines the kinds of links, reading one small file of sysfs once per link."""

    def __init__(self, directory: Path = NETWORK_CLASS) -> None:
        self._directory = directory
        self._kinds: dict[int, InterfaceKind] = {}

    def refine(self, link: LinkFact) -> LinkFact:
        """The link with its real kind."""
        if link.kind not in _UNCERTAIN:
            return link
        kind = self._kinds.get(link.index)
        if kind is None:
            kind = self._read(link)
            # A new link is renamed at once by udev: then it is not there under the name that it was announced with,
            # but the next announcement has the right one.
            if kind is None:
                return link
            self._kinds[link.index] = kind
        return link if kind is link.kind else evolve(link, kind=kind)

    def forget(self, index: int) -> None:
        """The link is gone; another one may get its index."""
        self._kinds.pop(index, None)

    def forget_all(self) -> None:
        """Any link may be gone."""
        self._kinds.clear()

    def _read(self, link: LinkFact) -> InterfaceKind | None:
        """None where sysfs lacks it. It may show another network namespace: that has another link by the name."""
        directory = f"{self._directory}/{link.name}"
        try:
            lines = Path(directory, "uevent").read_text("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return None
        if f"IFINDEX={link.index}" not in lines:
            return None
        for line in lines:
            if line in _KIND_BY_DEVICE_TYPE:
                return _KIND_BY_DEVICE_TYPE[line]
        if link.kind is InterfaceKind.ETHERNET and any(os.path.exists(f"{directory}/{name}") for name in _WIRELESS):
            return InterfaceKind.WIFI
        return link.kind
