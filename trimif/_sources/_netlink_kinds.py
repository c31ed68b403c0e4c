"""What sysfs knows about a network interface and rtnetlink does not tell: that it is wireless, or a modem."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from trimif._facts import LinkFact
from trimif._model import InterfaceKind

__all__ = ["LinkKinds"]

NETWORK_CLASS = Path("/sys/class/net")

_KIND_BY_DEVICE_TYPE = {"DEVTYPE=wlan": InterfaceKind.WIFI, "DEVTYPE=wwan": InterfaceKind.CELLULAR}
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
            kind = self._kinds[link.index] = self._read(link)
        return link if kind is link.kind else evolve(link, kind=kind)

    def forget(self, index: int) -> None:
        """The link is gone; another one may get its index."""
        self._kinds.pop(index, None)

    def forget_all(self) -> None:
        """Any link may be gone."""
        self._kinds.clear()

    def _read(self, link: LinkFact) -> InterfaceKind:
        """Sysfs may show another network namespace than ours: then it has another link, or none, by that name."""
        try:
            lines = (self._directory / link.name / "uevent").read_text("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return link.kind
        if f"IFINDEX={link.index}" not in lines:
            return link.kind
        return next((_KIND_BY_DEVICE_TYPE[line] for line in lines if line in _KIND_BY_DEVICE_TYPE), link.kind)
