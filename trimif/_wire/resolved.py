"""Per-link DNS of systemd-resolved: the properties ``DNSEx``, ``DNS`` and ``Domains`` of its bus object
``org.freedesktop.resolve1.Manager``, and the files ``netif/INDEX`` in which it keeps what programs set.

The files are readable for root only, the properties for everybody. In a file a routing domain has a ``~`` before it;
``~.`` and the property's ``"."`` are the root: the link is for all names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from trimif._errors import MalformedInput
from trimif._wire.domain_names import check_domain_name
from trimif._wire.link_dns import LinkDns, NameServer, parse_domains, parse_servers
from trimif._wire.systemd_files import parse_variables

__all__ = ["parse_link_file", "read_properties"]


def parse_link_file(octets: bytes) -> LinkDns:
    """Read a link's file.

    Raises:
        MalformedInput: it is none.
    """
    told = parse_variables(octets)
    domains = told.get("DOMAINS", "").split()
    return LinkDns(
        parse_servers(told.get("SERVERS", "").split()),
        parse_domains(name for name in domains if not name.startswith("~")),
        parse_domains(name[1:] for name in domains if name.startswith("~")),
        {"yes": True, "no": False}.get(told.get("DEFAULT_ROUTE", "")),
    )


def read_properties(properties: Mapping[str, Any]) -> dict[int, LinkDns]:
    """What the manager's properties say, by interface index; what is malformed, or of no link, is left out."""
    parts: dict[int, list[LinkDns]] = {}
    for index, said in (*_servers(properties), *_domains(properties)):
        if index > 0:
            parts.setdefault(index, []).append(said)
    return {index: LinkDns.together(said) for index, said in parts.items()}


def _servers(properties: Mapping[str, Any]) -> Iterator[tuple[int, LinkDns]]:
    """``a(iiayqs)`` is index, family, address, port, name; before systemd 246 there was only ``a(iiay)``."""
    for item in _items(properties.get("DNSEx", properties.get("DNS"))):
        match item:
            case (int(index), int(), bytes(octets)):
                said = octets, 0, ""
            case (int(index), int(), bytes(octets), int(port), str(name)):
                said = octets, port, name
            case _:
                continue
        try:
            yield int(index), LinkDns((_server(*said),))
        except (MalformedInput, ValueError):
            continue


def _server(octets: bytes, port: int, name: str) -> NameServer:
    if not 0 <= port <= 65535:
        raise MalformedInput(f"{port} is no port")
    return NameServer(ip_address(octets), int(port) or None, check_domain_name(name) if name else None)


def _domains(properties: Mapping[str, Any]) -> Iterator[tuple[int, LinkDns]]:
    """``a(isb)``: index, domain, whether it is for routing only."""
    for item in _items(properties.get("Domains")):
        match item:
            case (int(index), str(name), bool(routing_only)):
                names = parse_domains([name])
                yield int(index), LinkDns(routing_domains=names) if routing_only else LinkDns(search_domains=names)


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
