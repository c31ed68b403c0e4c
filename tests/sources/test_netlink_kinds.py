"""Kinds of links that rtnetlink does not tell, from sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimif._facts import LinkFact
from trimif._model import InterfaceKind
from trimif._sources._netlink_kinds import LinkKinds


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("DEVTYPE=wlan\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.WIFI),
        ("DEVTYPE=wwan\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.CELLULAR),
        ("INTERFACE=x0\nIFINDEX=3\n", InterfaceKind.ETHERNET),
        ("DEVTYPE=wlan\nINTERFACE=x0\nIFINDEX=4\n", InterfaceKind.ETHERNET),  # of another network namespace
        (None, InterfaceKind.ETHERNET),
    ],
)
def test_kinds_from_sysfs(tmp_path: Path, text: str | None, kind: InterfaceKind) -> None:
    if text is not None:
        (tmp_path / "x0").mkdir()
        (tmp_path / "x0" / "uevent").write_text(text)
    kinds = LinkKinds(tmp_path)
    link = LinkFact(3, "x0", InterfaceKind.ETHERNET, 1500, up=True, carrier=True)
    assert kinds.refine(link).kind is kind


def test_kinds_are_read_once_for_each_link(tmp_path: Path) -> None:
    (tmp_path / "x0").mkdir()
    file = tmp_path / "x0" / "uevent"
    file.write_text("DEVTYPE=wlan\nIFINDEX=3\n")
    kinds = LinkKinds(tmp_path)
    link = LinkFact(3, "x0", InterfaceKind.ETHERNET, 1500, up=True, carrier=True)
    assert kinds.refine(link).kind is InterfaceKind.WIFI
    file.write_text("IFINDEX=3\n")
    assert kinds.refine(link).kind is InterfaceKind.WIFI
    kinds.forget(3)
    assert kinds.refine(link).kind is InterfaceKind.ETHERNET
