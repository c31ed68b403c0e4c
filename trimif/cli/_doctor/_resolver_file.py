"""What /etc/resolv.conf says, whoever wrote it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from trimif.cli._doctor._picture import ResolverFile

__all__ = ["PATH", "parse_resolver_file", "read_resolver_file"]

PATH = Path("/etc/resolv.conf")
OCTETS = 65536
"""Nobody's is longer, and the rest is not read."""


def read_resolver_file(path: Path = PATH) -> ResolverFile | None:
    """Read it; None if there is none: the system's resolver asks 127.0.0.1 then.

    Raises:
        OSError: it is there, but can't be read.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(OCTETS)
    except FileNotFoundError:
        return None
    return parse_resolver_file(octets.decode("latin-1"), str(path.resolve()))


def parse_resolver_file(text: str, path: str) -> ResolverFile:
    """The servers in their order, each once; lines that are none of :manpage:`resolv.conf(5)`'s are passed over."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            servers.append(ip_address(words[1].partition("%")[0]))
        except ValueError:
            continue
    return ResolverFile(path, tuple(dict.fromkeys(servers)))
