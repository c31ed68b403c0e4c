"""Parsers of what the kernel and programs on this host tell, and of recordings that strangers send.

Much of that is what networks told those programs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, Fact, Lease, LinkConfiguration, RouterAdvertisement
from trimif._model import IPAddress
from trimif._names._hosts import parse_hosts
from trimif._sources._files import FILE_OCTETS
from trimif._sources._system_bus_messages import Decoder, Message
from trimif._wire import netlink, networkd, resolvconf, resolved, udhcpc
from trimif._wire import networkmanager_links as links_of
from trimif._wire.dhclient import parse_leases
from trimif._wire.dhcpcd import dhcpv4_lease, parse_statement
from trimif._wire.dhcpcd_dhcpv6 import dhcpv6_lease
from trimif._wire.dhcpcd_routers import router_advertisements
from trimif._wire.environment import MAXIMUM_OCTETS
from trimif._wire.link_dns import LinkDns, NameServer, parse_server
from trimif._wire.netlink_facts import Tables, decode, removes_route, unsaid
from trimif._wire.netlink_routes import RouteEntry, route_entry
from trimif._wire.networkd import LeaseFile, LinkFile
from trimif._wire.networkd_description import LinkDescription, parse_description
from trimif._wire.networkd_routers import withdrawing
from trimif._wire.networkmanager import Texts, dhcp_leases, parse_device
from trimif._wire.pyroute2_lease import parse_lease
from trimif._wire.systemd_files import parse_seconds
from trimif.cli._doctor._picture import ResolverFile
from trimif.cli._doctor._resolver_file import parse_resolver_file
from trimif.testing._capture import Packet, parse_packet
from trimif.testing._lines import Line, dump_line, load_line

from . import seeds
from .checks import is_recorded
from .parser import Parser, Register
from .seeds import INDEX, NOW

DATAGRAM = 65536

PARSERS: list[Parser] = []


def parser(*inputs: bytes, largest: int = FILE_OCTETS, **more: object) -> Register:
    return Parser.register(PARSERS, inputs, largest, **more)


# ---------------------------------------------------------------- the kernel


@parser(*seeds.datagrams(), largest=DATAGRAM, again=lambda said: is_recorded(*said[0]))
def netlink_event(octets: bytes) -> tuple[tuple[Fact, ...], tuple[Tables, ...]]:
    messages = list(netlink.messages(octets))
    facts = tuple(fact for message in messages for fact in decode(message, NOW))
    return facts, tuple(Tables.NONE if removes_route(message) else unsaid(message) for message in messages)


@parser(*seeds.datagrams()[-2:], largest=DATAGRAM)
def netlink_end(octets: bytes) -> tuple[int, ...]:
    return tuple(netlink.error_number(message) for message in netlink.messages(octets))


@parser(*(each for each in seeds.datagrams() if each[4] == 24), largest=DATAGRAM)
def netlink_route(octets: bytes) -> tuple[RouteEntry, ...]:
    return tuple(route_entry(message) for message in netlink.messages(octets))


@parser(*seeds.packets(), largest=DATAGRAM, errors=())
def packet(octets: bytes) -> Packet | None:
    return parse_packet(octets)


# ---------------------------------------------------------------- DHCP clients


@parser(*seeds.files("dhclient"), again=lambda leases: is_recorded(*leases))
def dhclient(octets: bytes) -> tuple[Lease | DHCPv6Lease, ...]:
    return parse_leases(octets.decode("latin-1"), datetime.timestamp)


@parser(*seeds.files("pyroute2"), json=True, again=lambda lease: is_recorded(lease))
def pyroute2(octets: bytes) -> Lease:
    return parse_lease(octets.decode("latin-1"), datetime.timestamp)


@parser(*seeds.blocks(), largest=MAXIMUM_OCTETS, again=lambda said: is_recorded(*filter(None, said[:2]), *said[2]))
def dhcpcd(octets: bytes) -> tuple[Lease | None, DHCPv6Lease | None, tuple[RouterAdvertisement, ...]]:
    said = parse_statement(octets)
    return dhcpv4_lease(said, NOW), dhcpv6_lease(said, NOW), router_advertisements(said, INDEX, NOW)


@parser(*seeds.files("udhcpc"), again=lambda lease: lease is None or is_recorded(lease))
def udhcpc_hook(octets: bytes) -> Lease | None:
    return udhcpc.parse_lease(octets.decode("latin-1"), lambda boottime: boottime - NOW)


# ---------------------------------------------------------------- systemd


@parser(*(seeds.files("networkd.lease", "networkd-more.lease")), again=lambda said: is_recorded(said.ending(NOW)))
def networkd_lease(octets: bytes) -> LeaseFile:
    return networkd.parse_lease(octets, "eth0")


@parser(*seeds.files("networkd.link"))
def networkd_link(octets: bytes) -> LinkFile:
    return networkd.parse_link(octets)


@parser(*seeds.descriptions(), json=True, again=lambda links: _tells_facts(links))
def networkd_description(octets: bytes) -> tuple[LinkDescription, ...]:
    return parse_description(octets.decode("utf-8", "replace"), lambda boottime: boottime - NOW)


def _tells_facts(links: tuple[LinkDescription, ...]) -> bool:
    routers = [router for link in links for router in link.routers]
    ended = [withdrawing(router, None, NOW) for router in routers]
    return is_recorded(*routers, *ended, *(link.dhcpv6 for link in links if link.dhcpv6 is not None))


@parser(b"8min 45s", b"1month 2w", b"525", b"infinity")
def time_span(octets: bytes) -> float:
    return parse_seconds(octets.decode("latin-1"))


@parser(*seeds.files("resolved.link"))
def resolved_link(octets: bytes) -> LinkDns:
    return resolved.parse_link_file(octets)


@parser(*seeds.files("resolved-properties"), json=True)
def resolved_properties(octets: bytes) -> dict[int, LinkDns]:
    return resolved.read_properties(_from_bus(octets))


# ---------------------------------------------------------------- NetworkManager, resolvconf, name servers


@parser(*seeds.files("networkmanager-device"), again=lambda said: is_recorded(*said[1]))
def networkmanager_device(octets: bytes) -> tuple[Texts, list[Lease | DHCPv6Lease]]:
    texts = parse_device(octets.decode("utf-8", "replace"))
    return texts, dhcp_leases("eth0", texts, datetime.timestamp)


@parser(*seeds.files("networkmanager-bus"), json=True, again=lambda said: is_recorded(*said))
def networkmanager_links(octets: bytes) -> tuple[LinkConfiguration, ...]:
    told = _from_bus(octets)
    device, ip4, ip6, dhcp4, dhcp6 = (_mapping(told.get(key)) for key in ("device", "ip4", "ip6", "dhcp4", "dhcp6"))
    links_of.strings_of(device, "Devices")
    texts = Texts(*({str(name): str(text) for name, text in each.items()} for each in (dhcp4, dhcp6)))
    leases = dhcp_leases("up-a", texts, datetime.timestamp)
    links = links_of.dns_by_interface(told.get("configuration"))
    own = links_of.dns_of_device(ip4, ip6) + links.pop("up-a", LinkDns())
    interface = links_of.interface_name(device)
    rest = (links_of.link_configuration(name, None, dns, ()) for name, dns in links.items())
    return (links_of.link_configuration(interface, device, own, leases), *rest)


@parser(*seeds.files("resolvconf"), errors=(), again=lambda dns: is_recorded(_configuration(dns)))
def resolvconf_record(octets: bytes) -> LinkDns:
    return resolvconf.parse_record(octets)


@parser(b"eth0.dhclient", b"eth0.10.ra", b"tun.wg0", b"eth0", largest=255)
def resolvconf_name(octets: bytes) -> str:
    return resolvconf.interface_of_record(octets.decode("latin-1"), lambda name: name == "eth0.10")


@parser(b"198.51.100.1", b"[2001:db8::1]:5353%eth0#dns.example.com", b"fe80::1%eth0")
def name_server(octets: bytes) -> NameServer:
    return parse_server(octets.decode("latin-1"))


def _configuration(dns: LinkDns) -> LinkConfiguration:
    return links_of.link_configuration("eth0", None, dns, ())


@parser(*seeds.files("hosts"), errors=())
def hosts(octets: bytes) -> Mapping[str, tuple[IPAddress, ...]]:
    return parse_hosts(octets)


@parser(*seeds.files("resolv.conf"), errors=())
def resolver_file(octets: bytes) -> ResolverFile:
    return parse_resolver_file(octets.decode("latin-1"), "/etc/resolv.conf")


# ---------------------------------------------------------------- the system bus, recordings


@parser(*seeds.bus_messages())
def system_bus(octets: bytes) -> list[Message | None]:
    return list(Decoder().feed(octets))


@parser(*seeds.recorded_lines(), json=True, strict=False, again=lambda line: load_line(dump_line(line)) == line)
def recorded_line(octets: bytes) -> Line:
    return load_line(octets.decode("utf-8", "replace"))


def _from_bus(octets: bytes) -> Mapping[str, Any]:
    """Values as they come from the bus; in JSON octets are ``{"bytes": "00ff"}``, structures ``{"tuple": […]}``."""
    try:
        text = json.dumps(json.loads(octets, parse_int=_integer), ensure_ascii=False)
        return _mapping(json.loads(text.encode("utf-8"), object_hook=_of_bus))  # no lone surrogates: the bus has none
    except (ValueError, RecursionError):
        raise MalformedInput("no value of the bus") from None


def _integer(digits: str) -> int:
    return max(-(1 << 63), min(int(digits[:30]), (1 << 64) - 1))


def _of_bus(members: dict[str, Any]) -> object:
    match members:
        case {"bytes": str(text)}:
            return bytes.fromhex(text)
        case {"tuple": list(items)}:
            return tuple(items)
    return members


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
