"""Checks of the ways out: does each domain have one, and do the answers get back in?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, ip_interface

from trimif import DomainSnapshot, ElementType, Information, IPAddress
from trimif.cli._doctor._finding import Finding, Severity, command, set_parameter
from trimif.cli._doctor._picture import HostRoute, NextHop, Picture, Way, family_of, told

__all__ = ["domain_routers", "find_no_default_route", "find_no_route", "find_strict_filters", "find_wrong_routers"]

STRICT = 1


def find_strict_filters(picture: Picture) -> Iterator[Finding]:
    """Strict reverse path filters that drop the answers of a network that is not the preferred one (RFC 3704).

    The filter asks the kernel which way it would send to the packet's source, from the packet's destination: so
    from-source rules make it pass. It takes the larger one of the interface's parameter and that of ``all``.
    """
    general = picture.setting("all").rp_filter or 0
    for interface, domain, way in _default_ways(picture):
        effective = max(general, picture.setting(interface).rp_filter or 0)
        if effective != STRICT or not isinstance(way.source, IPv4Address) or way.bound is None:
            continue
        if way.unbound is None or way.unbound.interface != interface:
            other = "nowhere" if way.unbound is None else f"by {way.unbound.interface}"
            yield Finding(
                Severity.PROBLEM,
                domain.announcement.name,
                f"answers are dropped: the reverse path filter of {interface} is strict (rp_filter=1), and from "
                f"{way.source} the routing table leads {other}",
                "Connects through this network time out, although their packets leave by the right interface.",
                set_parameter("ipv4", interface, "rp_filter", 2),
            )


def find_no_default_route(picture: Picture) -> Iterator[Finding]:
    """Domains that know a router, or have a lease, but no default route (a second DHCP client's is often missing)."""
    for interface, domain, way in _default_ways(picture):
        if way.bound is not None:
            continue
        routers = [each for each in told(domain, Information.ROUTERS) if each.version == way.destination.version]
        if any(each.interface == interface for each in _default_routes(picture, way)):
            yield Finding(
                Severity.PROBLEM,
                domain.announcement.name,
                f"has a default route, but the kernel does not use it for packets from {way.source}",
                "A rule leads them to another table, or forbids them: nothing beyond the link can be reached.",
                command("ip", f"-{way.destination.version}", "rule", "show"),
            )
        elif routers:
            yield Finding(
                Severity.PROBLEM,
                domain.announcement.name,
                f"has no default route, although its router is {routers[0]}",
                "Nothing beyond its link can be reached through this network.",
                _add_default_route(picture, interface, routers[0], way),
            )
        elif any(element.announcement.element is ElementType.DHCPV4 for element in domain.elements):
            yield Finding(
                Severity.NOTE,
                domain.announcement.name,
                "has a lease without a router, and no default route",
                "Only what its other routes lead to can be reached through this network; that may be intended.",
                f"at the DHCP server of {interface}, set option 3 (router) or option 121 (classless static routes)",
            )


def _default_routes(picture: Picture, way: Way) -> list[HostRoute]:
    """Those of the way's family, of all interfaces."""
    version = way.destination.version
    return [each for each in picture.routes if not each.destination.prefixlen and each.destination.version == version]


def _add_default_route(picture: Picture, interface: str, router: IPAddress, way: Way) -> str:
    """With a metric of its own, as the kernel has only one default route of each metric in IPv4; the last choice."""
    metric = max((each.metric for each in _default_routes(picture, way)), default=0) + 100
    return command("ip", "route", "add", "default", "via", router, "dev", interface, "metric", metric)


def find_no_route(picture: Picture) -> Iterator[Finding]:
    """Domains with addresses, but without any route out of their interface (``noprefixroute``, a lone /32)."""
    routed = {
        (each.interface, each.destination.version) for each in picture.routes if not each.destination.is_link_local
    }
    for interface, domain in picture.domains():
        for version in sorted({each.address.version for each in domain.addresses}):
            own = next(each for each in domain.addresses if each.address.version == version)
            if (interface, version) not in routed and not own.address.is_link_local:
                yield Finding(
                    Severity.PROBLEM,
                    domain.announcement.name,
                    f"has the address {own.address}/{own.prefix_length}, but no route at all leads out of {interface}",
                    "Nothing can be reached through this network, not even its own link.",
                    _restore_route(domain, interface, own.address, own.prefix_length),
                )


def _restore_route(domain: DomainSnapshot, interface: str, address: IPAddress, prefix_length: int) -> str:
    if prefix_length < address.max_prefixlen:
        network = ip_interface((address, prefix_length)).network
        source = ("src", address) if isinstance(address, IPv4Address) else ()
        return command("ip", "route", "add", network, "dev", interface, *source)
    router = next((each for each in domain_routers(domain) if each.version == address.version), None)
    if router is None:
        family = () if isinstance(address, IPv4Address) else ("-6",)
        return command("ip", *family, "route", "add", "default", "dev", interface)
    return command("ip", "route", "add", "default", "via", router, "dev", interface, "onlink")


def find_wrong_routers(picture: Picture) -> Iterator[Finding]:
    """Default routes through somebody whom none of the domain's elements told (RFC 7556, 3.3)."""
    for interface, domain, way in _default_ways(picture):
        routers = domain_routers(domain)
        if way.bound is None or way.bound.gateway is None or not routers or way.bound.gateway in routers:
            continue
        right = next((each for each in routers if family_of(each) is family_of(way.destination)), None)
        if right is not None:
            yield Finding(
                Severity.PROBLEM,
                domain.announcement.name,
                f"the default route leads through {way.bound.gateway}, which is none of its routers",
                "trimif refuses to connect there (WRONG_ROUTER): one domain's address must not be used with another's "
                "router.",
                command("ip", "route", "replace", "default", "via", right, "dev", interface, *_metric(picture, way)),
            )


def _metric(picture: Picture, way: Way) -> tuple[object, ...]:
    """That of the default route there is: with another one the new would not take its place."""
    hops = ((NextHop(each.interface, each.gateway), each.metric) for each in _default_routes(picture, way))
    metric = next((metric for hop, metric in hops if hop == way.bound), 0)
    return ("metric", metric) if metric else ()


def domain_routers(domain: DomainSnapshot) -> tuple[IPAddress, ...]:
    """Every next hop that the domain's elements told: no other may be used."""
    gateways = (route.gateway for route in told(domain, Information.ROUTES) if route.gateway is not None)
    return tuple(dict.fromkeys([*told(domain, Information.ROUTERS), *gateways]))


def _default_ways(picture: Picture) -> Iterator[tuple[str, DomainSnapshot, Way]]:
    for interface, domain in picture.domains():
        for way in picture.default_ways:
            if way.domain == domain.announcement.domain:
                yield interface, domain, way
