"""What systemd-networkd says of itself: the JSON of ``org.freedesktop.network1.Manager.Describe``.

Every address, server, domain and route in it bears its ``ConfigSource``, and with DHCP and router advertisements
(``NDisc``) the ``ConfigProvider``: the server or router. Lifetimes are moments on CLOCK_BOOTTIME, in microseconds.
Up to systemd 252 the timers of leases are missing, and much of what routers said; what later versions add is read
where it is.

networkd listens to routers itself and makes the kernel deaf to them, so this may be all that is known of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

from attrs import evolve, field, frozen

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, LeasedAddress, RouterAdvertisement
from trimif._information import Data, DelegatedPrefix, Information, LeaseTimes
from trimif._model import Origin, Value
from trimif._wire.dhcp_values import uri
from trimif._wire.dhcpv4_options import check_interface_name
from trimif._wire.domain_names import check_domain_name
from trimif._wire.link_dns import LinkDns, NameServer, parse_domains
from trimif._wire.networkd import time_servers
from trimif._wire.networkd_json import (
    Deadline,
    Item,
    address_of,
    collect,
    encrypted_server,
    items_of,
    load,
    moment,
    network_of,
    number_of,
    of_source,
    provider_of,
    text_of,
)
from trimif._wire.networkd_routers import read_routers

__all__ = ["LinkDescription", "parse_description"]

FROM_NETWORK = ("DHCPv4", "DHCPv6", "DHCP-PD", "NDisc", "foreign")
"""Sources of what nobody on this host configured."""


@frozen(repr=False)
class LinkDescription(Value):
    """What networkd says of one link.

    Attributes:
        interface: the interface's name.
        managed: networkd configures the link.
        lease_ends: until when each address of DHCPv4 is valid.
        dhcpv4: what it tells of the DHCPv4 lease that the lease's file doesn't.
        dhcpv6: None if there is neither a lease nor a stateless answer.
        dns: what a person or a program configured.
        data: everything else of that kind.
    """

    index: int
    interface: str
    managed: bool
    lease_ends: tuple[tuple[IPv4Address, float], ...] = ()
    dhcpv4: Data = ()
    dhcpv6: DHCPv6Lease | None = None
    routers: tuple[RouterAdvertisement, ...] = ()
    dns: LinkDns = field(factory=LinkDns)
    data: Data = ()


def parse_description(text: str, deadline: Deadline) -> tuple[LinkDescription, ...]:
    """Read the description of all links; a link that is malformed is left out.

    Raises:
        MalformedInput: it is no JSON object.
    """
    return tuple(collect(lambda link: _link(link, deadline), items_of(load(text), "Interfaces")))


def _link(link: Item, deadline: Deadline) -> LinkDescription:
    index, interface = number_of(link, "Index", least=1, most=2**31 - 1), check_interface_name(text_of(link, "Name"))
    description = LinkDescription(
        index=index,
        interface=interface,
        managed=link.get("AdministrativeState") not in ("pending", "initialized", "unmanaged", None),
        lease_ends=tuple(collect(lambda item: _lease_end(item, deadline), _of(link, "Addresses", "DHCPv4"))),
        dhcpv4=_data({Information.SPLIT_DOMAINS: _domains(_of(link, "RouteDomains", "DHCPv4"))}, link, "DHCPv4"),
        dhcpv6=_dhcpv6(link, interface, deadline),
        routers=read_routers(link, index, deadline),
        dns=_configured_dns(link),
        data=time_servers([*collect(_time_server, _configured(link, "NTP"))]),
    )
    portals = [*collect(_portal, [link])]
    return _with_portal(description, portals[0]) if portals else description


def _portal(link: Item) -> str:
    return uri(text_of(link, "CaptivePortal").encode("utf-8", "surrogatepass"))


def _with_portal(link: LinkDescription, portal: str) -> LinkDescription:
    """Who told it is not told: of several networkd takes DHCPv4's word, then DHCPv6's, then a router's."""
    item = (Information.CAPTIVE_PORTAL, portal)
    if link.lease_ends:
        return evolve(link, dhcpv4=(*link.dhcpv4, item))
    if link.dhcpv6 is not None:
        return evolve(link, dhcpv6=evolve(link.dhcpv6, data=(*link.dhcpv6.data, item)))
    return evolve(link, routers=tuple(evolve(each, captive_portal=portal) for each in link.routers))


def _of(link: Item, name: str, source: str) -> list[Item]:
    return [*of_source(items_of(link, name), source)]


def _domains(items: Iterable[Item]) -> tuple[str, ...]:
    return parse_domains(collect(lambda item: text_of(item, "Domain"), items))


def _data(told: dict[Information[Any], tuple[object, ...]], link: Item, source: str) -> Data:
    encrypted = tuple(sorted(collect(encrypted_server, _of(link, "DNR", source)), key=lambda each: each.priority))
    items = {**told, Information.ENCRYPTED_DNS: encrypted}
    return tuple(item for item in items.items() if item[1])


def _lease_end(item: Item, deadline: Deadline) -> tuple[IPv4Address, float]:
    address = address_of(item, "Address")
    if not isinstance(address, IPv4Address):
        raise MalformedInput(f"{address} is none of DHCPv4")
    return address, moment(item, "ValidLifetimeUsec", deadline)


# ---------------------------------------------------------------- DHCPv6


def _dhcpv6(link: Item, interface: str, deadline: Deadline) -> DHCPv6Lease | None:
    addresses = tuple(collect(lambda item: _leased(item, deadline), _of(link, "Addresses", "DHCPv6")))
    prefixes = tuple(collect(lambda item: _delegated(item, deadline), items_of(link, "DHCPv6Client", "Prefixes")))
    servers = _of(link, "DNS", "DHCPv6")
    data = _data(
        {
            Information.DNS_SERVERS: tuple(collect(lambda item: address_of(item, "Address"), servers)),
            Information.SEARCH_DOMAINS: _domains(_of(link, "SearchDomains", "DHCPv6")),
            Information.SPLIT_DOMAINS: _domains(_of(link, "RouteDomains", "DHCPv6")),
            Information.DELEGATED_PREFIXES: prefixes,
            **dict(time_servers([*collect(_time_server, _of(link, "NTP", "DHCPv6"))])),
        },
        link,
        "DHCPv6",
    )
    if not (addresses or data):
        return None
    ends = [*(each.valid_until for each in addresses), *(each.valid_until for each in prefixes)]
    valid_until = max(ends, default=math.inf)
    origin = Origin("networkd", _provider(link))
    return DHCPv6Lease(interface, origin, valid_until, addresses, data + _times(link, valid_until, deadline))


def _provider(link: Item) -> IPv6Address | None:
    """The server: whoever gave anything of it."""
    items = (item for name in ("Addresses", "DNS", "NTP", "SearchDomains") for item in _of(link, name, "DHCPv6"))
    return next((each for each in collect(provider_of, items) if isinstance(each, IPv6Address)), None)


def _leased(item: Item, deadline: Deadline) -> LeasedAddress:
    address = address_of(item, "Address")
    if not isinstance(address, IPv6Address):
        raise MalformedInput(f"{address} is none of DHCPv6")
    valid, preferred = (moment(item, f"{each}LifetimeUsec", deadline) for each in ("Valid", "Preferred"))
    return LeasedAddress(address, valid, preferred)


def _delegated(item: Item, deadline: Deadline) -> DelegatedPrefix:
    prefix = network_of(item, "Prefix", "PrefixLength")
    if not isinstance(prefix, IPv6Network):
        raise MalformedInput(f"{prefix} is none of DHCPv6")
    valid, preferred = (moment(item, f"{each}LifetimeUSec", deadline) for each in ("Valid", "Preferred"))
    return DelegatedPrefix(prefix, valid, preferred)


def _times(link: Item, valid_until: float, deadline: Deadline) -> Data:
    """The lease's timers, which are told by systemd 254 and later."""
    client = link.get("DHCPv6Client")
    lease = client.get("Lease") if isinstance(client, dict) else None
    if not isinstance(lease, dict):
        return ()
    timers = [*collect(lambda key: moment(lease, f"{key['']}USec", deadline), ({"": "Timeout1"}, {"": "Timeout2"}))]
    if len(timers) < 2:
        return ()
    renew_at, rebind_at = (None if math.isinf(timer) else timer for timer in timers)
    return ((Information.LEASE, LeaseTimes(renew_at, rebind_at, valid_until)),)


# ---------------------------------------------------------------- what was configured


def _configured(link: Item, name: str) -> list[Item]:
    """What came from no network. Time servers of a ``.network`` file bear "runtime", other things of it "static"."""
    return [item for item in items_of(link, name) if item.get("ConfigSource") not in FROM_NETWORK]


def _configured_dns(link: Item) -> LinkDns:
    routes = [item["DNSDefaultRoute"] for item in items_of(link, "DNSSettings") if "DNSDefaultRoute" in item]
    return LinkDns(
        tuple(dict.fromkeys(collect(_name_server, _configured(link, "DNS")))),
        _domains(_configured(link, "SearchDomains")),
        _domains(_configured(link, "RouteDomains")),
        routes[0] if routes and isinstance(routes[0], bool) else None,
    )


def _name_server(item: Item) -> NameServer:
    port = number_of(item, "Port", least=1, most=65535) if "Port" in item else None
    name = check_domain_name(text_of(item, "ServerName")) if "ServerName" in item else None
    return NameServer(address_of(item, "Address"), port, name)


def _time_server(item: Item) -> str:
    return text_of(item, "Server") if "Server" in item else str(address_of(item, "Address"))
