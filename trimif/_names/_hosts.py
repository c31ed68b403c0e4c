"""The local host table, ``/etc/hosts`` (RFC 952's heir; :manpage:`hosts(5)`), and the names that need no table.

The file is read again only when :func:`os.stat` says that it is another one. What can't be understood in it is
skipped: it is edited by hand and by programs, and one bad line must not take the others away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import TypeAlias

from trimif._model import IPAddress

HOSTS_PATH = "/etc/hosts"
HOSTS_OCTETS = 64 * 1024 * 1024  # lists that block advertisements reach some megabytes; what is past this is left out

LOCALHOST = (IPv4Address("127.0.0.1"), IPv6Address("::1"))

HostTable: TypeAlias = MappingProxyType[str, tuple[IPAddress, ...]]


def local_addresses(name: str, path: str = HOSTS_PATH) -> tuple[IPAddress, ...]:
    """What the host itself knows about a name, without asking anyone; empty if nothing.

    An address literal is its own translation (RFC 1123, 2.1), and ``localhost`` and everything below it is loopback
    also where the table lacks it (RFC 6761, 6.3).
    """
    literal = _as_literal(name)
    if literal is not None:
        return (literal,)
    key = _key(name)
    found = read_hosts(path).get(key, ())
    if not found and (key == "localhost" or key.endswith(".localhost")):
        return LOCALHOST
    return found


def _as_literal(name: str) -> IPAddress | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def read_hosts(path: str) -> HostTable:
    """The table of a hosts file, afresh if it has changed; empty if it can't be read."""
    try:
        status = os.stat(path)
        return _read(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    except OSError:
        return MappingProxyType({})


@lru_cache(maxsize=4)  # a few paths, each in its latest state: tests and containers have files of their own
def _read(path: str, _stamp: tuple[int, ...]) -> HostTable:
    with open(path, "rb") as file:
        return parse_hosts(file.read(HOSTS_OCTETS))


def parse_hosts(octets: bytes) -> HostTable:
    """Read a hosts file: names in lower case without trailing dot, each with its addresses in the file's order.

    Any octets will do; lines that are not ``address name [alias …]`` are skipped.
    """
    table: dict[str, dict[IPAddress, None]] = {}
    for address, names in _lines(octets.decode("utf-8", errors="replace")):
        for name in names:
            table.setdefault(_key(name), {})[address] = None
    return MappingProxyType({name: tuple(addresses) for name, addresses in table.items()})


def _lines(text: str) -> Iterator[tuple[IPAddress, list[str]]]:
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        address = _as_literal(fields[0]) if fields else None
        if address is not None:
            yield address, fields[1:]


def _key(name: str) -> str:
    """Names compare without regard to case (RFC 4343) and with or without the root's dot."""
    return name.removesuffix(".").lower()
