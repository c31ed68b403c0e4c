"""Small files of the kernel: parameters under /proc/sys, and addresses that failed duplicate address detection.

Both show the network namespace of the calling thread, if it is the thread that looks: ``/proc/self`` would be the
first thread's.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address
from pathlib import Path

from trimif.cli._doctor._picture import Settings

__all__ = ["read_duplicates", "read_settings"]

PARAMETERS = Path("/proc/sys/net")
IPV6_ADDRESSES = Path("/proc/thread-self/net/if_inet6")
IFA_F_DADFAILED = 0x08


def read_settings(interfaces: Iterable[str], directory: Path = PARAMETERS) -> dict[str, Settings]:
    """The parameters of the interfaces, and of ``all``. Where IPv6 is not built in, its parameters are None."""
    return {name: _settings(name, directory) for name in ("all", *interfaces)}


def _settings(interface: str, directory: Path) -> Settings:
    ipv4, ipv6 = (directory / family / "conf" / interface for family in ("ipv4", "ipv6"))
    return Settings(
        rp_filter=_read_number(ipv4 / "rp_filter"),
        arp_ignore=_read_number(ipv4 / "arp_ignore"),
        accept_ra=_read_number(ipv6 / "accept_ra"),
        forwarding=_read_number(ipv6 / "forwarding"),
        disable_ipv6=_read_number(ipv6 / "disable_ipv6"),
    )


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def read_duplicates(path: Path = IPV6_ADDRESSES) -> frozenset[tuple[str, IPv6Address]]:
    """Interface and address of those that somebody else on the link has.

    Raises:
        OSError: the file can't be read; where IPv6 is not built in, there is none, and that is no error.
    """
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return frozenset()
    found = set()
    for line in lines:
        digits, _index, _prefix_length, _scope, flags, interface = line.split(None, 5)
        if int(flags, 16) & IFA_F_DADFAILED:
            found.add((interface, IPv6Address(int(digits, 16))))
    return frozenset(found)
