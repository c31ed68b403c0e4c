"""Pictures of a host for ``trimif doctor``: a healthy one with three networks, and how to make one thing wrong.

``up-a`` has IPv4 by DHCP and IPv6 by a router, ``up-b`` has IPv4 by DHCP, ``vpn0`` was set by hand and leads to a
company's network alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from attrs import evolve

from trimif import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    DomainId,
    DomainSnapshot,
    ElementSnapshot,
    ElementType,
    Family,
    Information,
    InterfaceAnnouncement,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    InterfaceSnapshot,
    IPAddress,
    Origin,
    ProvisioningDomainAnnouncement,
    Route,
    Snapshot,
)
from trimif.cli._doctor._picture import (
    HostAddress,
    HostLease,
    HostRoute,
    NextHop,
    Picture,
    ResolverFile,
    Settings,
    Way,
)

FINE = Settings(rp_filter=0, arp_ignore=0, accept_ra=1, forwarding=0, disable_ipv6=0)
ELSEWHERE = {4: ip_address("203.0.113.1"), 6: ip_address("2001:db8:ffff::1")}


def addresses(*texts: str) -> tuple[IPAddress, ...]:
    return tuple(map(ip_address, texts))


def element(domain: str, kind: ElementType, **data: Any) -> ElementSnapshot:
    """Data by the names of `Information` in lower case."""
    typed = {Information.named(name.upper()): value for name, value in data.items()}
    return ElementSnapshot(ConfigurationElementAnnouncement(DomainId(domain), kind, Origin("kernel")), typed, {})


def domain(interface: str, family: Family, address: str, *elements: ElementSnapshot) -> DomainSnapshot:
    name = f"{interface}/{family.value}"
    announcement = ProvisioningDomainAnnouncement(InterfaceId(interface), DomainId(name), name, frozenset({family}))
    held, _slash, length = address.partition("/")
    told = AddressAnnouncement(DomainId(name), ip_address(held), int(length))
    return DomainSnapshot(announcement, elements, (told,))


def interface(name: str, kind: InterfaceKind, *domains: DomainSnapshot) -> InterfaceSnapshot:
    details = InterfaceDetails(kind, 1500, up=True, carrier=True)
    return InterfaceSnapshot(InterfaceAnnouncement(InterfaceId(name), name, details), domains)


def lease(uplink: str, address: str, router: str) -> DomainSnapshot:
    told = element(
        f"{uplink}/ipv4",
        ElementType.DHCPV4,
        dns_servers=addresses(router),
        routers=addresses(router),
        routes=(Route(ip_network("0.0.0.0/0"), ip_address(router)),),
    )
    return domain(uplink, Family.IPV4, address, told)


def advertised(uplink: str) -> DomainSnapshot:
    told = element(
        f"{uplink}/ipv6",
        ElementType.RA,
        dns_servers=addresses("2001:db8:a::1"),
        routers=addresses("fe80::a:1"),
        routes=(Route(ip_network("::/0"), ip_address("fe80::a:1")),),
    )
    return domain(uplink, Family.IPV6, "2001:db8:a::10/64", told)


def company() -> DomainSnapshot:
    told = element(
        "vpn0/ipv4",
        ElementType.STATIC,
        dns_servers=addresses("203.0.113.130"),
        routes=(Route(ip_network("203.0.113.128/25"), ip_address("198.51.100.129")),),
    )
    return domain("vpn0", Family.IPV4, "198.51.100.130/26", told)


def route(uplink: str, destination: str, gateway: str | None = None, metric: int = 0) -> HostRoute:
    return HostRoute(uplink, ip_network(destination), ip_address(gateway) if gateway else None, metric)


def way(name: str, source: str, bound: tuple[str, str] | None, unbound: tuple[str, str] | None) -> Way:
    """To somewhere on the Internet; how is told as an interface and a router."""
    return Way(DomainId(name), ip_address(source), ELSEWHERE[ip_address(source).version], hop(bound), hop(unbound))


def hop(told: tuple[str, str] | None) -> NextHop | None:
    return None if told is None else NextHop(told[0], ip_address(told[1]))


def server_way(name: str, source: str | None, server: str, bound: NextHop | None) -> Way:
    return Way(DomainId(name), ip_address(source) if source else None, ip_address(server), bound)


A4, A6, B4 = ("up-a", "198.51.100.1"), ("up-a", "fe80::a:1"), ("up-b", "198.51.100.65")

HEALTHY = Picture(
    Snapshot(
        (
            interface("lo", InterfaceKind.LOOPBACK, domain("lo", Family.IPV4, "127.0.0.1/8")),
            interface("up-a", InterfaceKind.ETHERNET, lease("up-a", "198.51.100.10/26", A4[1]), advertised("up-a")),
            interface("up-b", InterfaceKind.WIFI, lease("up-b", "198.51.100.70/26", B4[1])),
            interface("vpn0", InterfaceKind.TUNNEL, company()),
        )
    ),
    settings=dict.fromkeys(("all", "lo", "up-a", "up-b", "vpn0"), FINE),
    default_ways=(
        way("up-a/ipv4", "198.51.100.10", A4, A4),
        way("up-a/ipv6", "2001:db8:a::10", A6, A6),
        way("up-b/ipv4", "198.51.100.70", B4, A4),
        way("vpn0/ipv4", "198.51.100.130", None, A4),
    ),
    server_ways=(
        server_way("up-a/ipv4", "198.51.100.10", "198.51.100.1", NextHop("up-a")),
        server_way("up-a/ipv6", "2001:db8:a::10", "2001:db8:a::1", NextHop("up-a")),
        server_way("up-b/ipv4", "198.51.100.70", "198.51.100.65", NextHop("up-b")),
        server_way("vpn0/ipv4", "198.51.100.130", "203.0.113.130", hop(("vpn0", "198.51.100.129"))),
    ),
    addresses=(
        HostAddress("lo", ip_address("127.0.0.1"), 8),
        HostAddress("up-a", ip_address("198.51.100.10"), 26),
        HostAddress("up-a", ip_address("2001:db8:a::10"), 64),
        HostAddress("up-a", ip_address("fe80::1"), 64),
        HostAddress("up-b", ip_address("198.51.100.70"), 26),
        HostAddress("up-b", ip_address("fe80::1"), 64),  # on every link anew
        HostAddress("vpn0", ip_address("198.51.100.130"), 26),
    ),
    routes=(
        route("up-a", "0.0.0.0/0", A4[1], 100),
        route("up-a", "198.51.100.0/26"),
        route("up-a", "::/0", A6[1], 1024),
        route("up-a", "2001:db8:a::/64", metric=256),
        route("up-b", "0.0.0.0/0", B4[1], 200),
        route("up-b", "198.51.100.64/26"),
        route("vpn0", "198.51.100.128/26"),
        route("vpn0", "203.0.113.128/25", "198.51.100.129"),
    ),
    leases=(
        HostLease("up-a", "dhclient", ip_address("198.51.100.10")),
        HostLease("up-b", "dhclient", ip_address("198.51.100.70")),
    ),
    resolver_file=ResolverFile("/run/systemd/resolve/stub-resolv.conf", addresses("127.0.0.53")),
)


# ---------------------------------------------------------------- making one thing wrong


def with_settings(picture: Picture, name: str, **settings: int) -> Picture:
    return evolve(picture, settings={**picture.settings, name: evolve(picture.settings[name], **settings)})


def with_interface(picture: Picture, name: str, **details: Any) -> Picture:
    """The interface's details are others."""

    def change(each: InterfaceSnapshot) -> InterfaceSnapshot:
        announcement = each.announcement
        return evolve(each, announcement=evolve(announcement, details=evolve(announcement.details, **details)))

    return _change_interface(picture, name, change)


def with_domains(picture: Picture, name: str, *domains: DomainSnapshot) -> Picture:
    """The interface has these domains instead."""
    return _change_interface(picture, name, lambda each: evolve(each, domains=domains))


def with_data(picture: Picture, name: str, data: Mapping[Information[Any], Any]) -> Picture:
    """The first element of the domain says something else, too; nothing for an empty datum."""

    def change(each: InterfaceSnapshot) -> InterfaceSnapshot:
        return evolve(each, domains=tuple(_with_data(one, name, data) for one in each.domains))

    return _change_interface(picture, name.partition("/")[0], change)


def _with_data(one: DomainSnapshot, name: str, data: Mapping[Information[Any], Any]) -> DomainSnapshot:
    if one.announcement.name != name:
        return one
    first, *others = one.elements
    return evolve(one, elements=(evolve(first, data={**first.data, **data}), *others))


def _change_interface(picture: Picture, name: str, change: Callable[[InterfaceSnapshot], InterfaceSnapshot]) -> Picture:
    interfaces = [change(each) if each.announcement.name == name else each for each in picture.snapshot.interfaces]
    return evolve(picture, snapshot=Snapshot(tuple(interfaces)))


def with_way(picture: Picture, changed: Way) -> Picture:
    """Another answer of the kernel's for the same domain."""
    ways = [changed if each.domain == changed.domain else each for each in picture.default_ways]
    return evolve(picture, default_ways=tuple(ways))


def with_server_way(picture: Picture, changed: Way) -> Picture:
    ways = [changed if each.domain == changed.domain else each for each in picture.server_ways]
    return evolve(picture, server_ways=tuple(ways))


def with_address(picture: Picture, name: str, address: str, **more: bool) -> Picture:
    held, _slash, length = address.partition("/")
    return evolve(picture, addresses=(*picture.addresses, HostAddress(name, ip_address(held), int(length), **more)))


def without_routes(picture: Picture, name: str) -> Picture:
    return evolve(picture, routes=tuple(each for each in picture.routes if each.interface != name))


def without_default_route(picture: Picture, name: str, version: int) -> Picture:
    def is_it(each: HostRoute) -> bool:
        return each.interface == name and each.destination.version == version and not each.destination.prefixlen

    return evolve(picture, routes=tuple(each for each in picture.routes if not is_it(each)))


def with_resolver(picture: Picture, *servers: str) -> Picture:
    return evolve(picture, resolver_file=ResolverFile("/etc/resolv.conf", addresses(*servers)))
