"""The records of resolvconf: pieces in the form of :manpage:`resolv.conf(5)`, one for each program and interface.

Debian's resolvconf and openresolv name a record after the interface and the program that made it, as in
``eth0.dhclient``, ``eth0.ra``; wg-quick with Debian's says ``tun.wg0``. But a VLAN is an interface ``eth0.10``, and
a record may be named after an interface alone. So a record's name tells only which interfaces may be meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from trimif._errors import MalformedInput
from trimif._wire.dhcpv4_options import check_interface_name
from trimif._wire.link_dns import LinkDns, parse_domains, parse_servers

__all__ = ["interface_of_record", "parse_record"]

COMPONENTS = 8
"""A record's name with more of them names no interface."""

_TEMPORARY = re.compile(r"\..*|.*_new\.[0-9]+", re.DOTALL)  # Debian's writes NAME_new.PID, then renames it


def parse_record(octets: bytes) -> LinkDns:
    """Read the name servers and search domains of a record; lines of other kinds, or malformed, do not count.

    "The domain and search keywords are mutually exclusive. If more than one instance of these keywords is present,
    the last instance wins" (resolv.conf(5)); but here a search list wins over a domain, which DHCP clients write too.
    """
    servers: list[str] = []
    lists: dict[str, list[str]] = {}
    for line in octets.decode("latin-1").splitlines():
        keyword, *words = re.split(r"[#;]", line)[0].split() or [""]
        if keyword == "nameserver":
            servers += words[:1]
        elif keyword in ("search", "domain") and words:
            lists[keyword] = words
    names = lists.get("search") or lists.get("domain", [])
    return LinkDns(parse_servers(servers), parse_domains(name for name in names if name != "."))


def interface_of_record(record: str, exists: Callable[[str], bool]) -> str:
    """The interface that a record is about.

    Args:
        record: its name.
        exists: whether there is an interface of that name. The longest part of the record's name that is one counts,
            and the beginning before the rest. If there is none now, the convention does: all but the last component.

    Raises:
        MalformedInput: the record is a temporary one, or its name has no name of an interface in it.
    """
    components = record.split(".")
    if _TEMPORARY.fullmatch(record) or len(components) > COMPONENTS:
        raise MalformedInput(f"{record!r} is no record's name")
    for start in range(len(components)):
        for end in range(len(components), start, -1):
            name = ".".join(components[start:end])
            if name and exists(name):
                return check_interface_name(name)
    return check_interface_name(".".join(components[:-1]) or record)
