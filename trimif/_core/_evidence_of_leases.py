"""Contributions of DHCP: a lease counts while it is valid and one of its addresses is on the interface."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from attrs import evolve

from trimif._core._evidence import DEFAULT, Contribution, Scene, frozen_data, put_in
from trimif._core._host import AnyLease, Received
from trimif._facts import AddressFact, DHCPv6Lease, Lease
from trimif._information import Data, Datum, Information
from trimif._model import ElementType, Family, IPAddress, Route


def contributions_of_leases(scene: Scene) -> Iterator[Contribution]:
    """DHCPv6 first, as the draft lists them; one for each lease."""
    if not any(scene.host.leases.values()):
        return
    valid = [held for held in _leases(scene) if scene.clock.running(held.fact.valid_until)]
    for held in valid:
        if isinstance(held.fact, DHCPv6Lease):
            yield _of_dhcpv6(scene, held.fact, held.received)
    for held in valid:
        if isinstance(held.fact, Lease):
            yield _of_dhcpv4(held.fact, held.received)


def _leases(scene: Scene) -> Iterator[Received[AnyLease]]:
    present = {each.fact.address for each in scene.held}
    for told in scene.host.leases.values():
        for held in told:
            addresses = _addresses(held.fact)
            stateless = not addresses and held.fact.interface == scene.name
            if stateless or (not present.isdisjoint(addresses) and _is_leased_here(scene, held.fact)):
                yield held


def _addresses(lease: AnyLease) -> set[IPAddress]:
    return {lease.address} if isinstance(lease, Lease) else {each.address for each in lease.addresses}


def _is_leased_here(scene: Scene, lease: AnyLease) -> bool:
    """A lease names its interface as the client knew it. After a rename only the address still tells."""
    if scene.name == lease.interface:
        return True
    addresses, host = _addresses(lease), scene.host
    return not any(
        link.name == lease.interface and any(address in addresses for address, _ in host.addresses.get(link.index, {}))
        for link in host.links.values()
    )


# ---------------------------------------------------------------- DHCPv6


def _of_dhcpv6(scene: Scene, lease: DHCPv6Lease, received: float) -> Contribution:
    like = Datum(None, lease.origin, received, lease.valid_until)
    data: dict[Information[Any], list[Datum[Any]]] = {}
    put_in(data, (*lease.data, (Information.VALID_UNTIL, lease.valid_until)), like)
    present = {each.fact.address for each in scene.held}
    claims = frozenset[IPAddress](each.address for each in lease.addresses if each.address in present)
    return Contribution(ElementType.DHCPV6, Family.IPV6, lease.origin, frozen_data(data), claims)


# ---------------------------------------------------------------- DHCPv4


def _of_dhcpv4(lease: Lease, received: float) -> Contribution:
    like = Datum(None, lease.origin, received, lease.valid_until)
    data: dict[Information[Any], list[Datum[Any]]] = {}
    put_in(data, _said(lease), like)
    put_in(data, ((information, value) for information, value in lease.data if information not in data), like)
    return Contribution(
        ElementType.DHCPV4, Family.IPV4, lease.origin, frozen_data(data), frozenset[IPAddress]({lease.address})
    )


def _said(lease: Lease) -> Data:
    routes = _routes(lease)
    routers = tuple(each.gateway for each in routes if each.destination.prefixlen == 0 and each.gateway is not None)
    mtu = () if lease.mtu is None else ((Information.MTU, lease.mtu),)
    return (
        (Information.DNS_SERVERS, lease.dns_servers),
        (Information.SEARCH_DOMAINS, lease.search_domains),
        (Information.ROUTERS, routers),
        (Information.ROUTES, routes),
        (Information.PREFIXES, (ip_network((lease.address, lease.prefix_length), strict=False),)),
        *mtu,
        (Information.NTP_SERVERS, lease.ntp_servers),
        (Information.VALID_UNTIL, lease.valid_until),
    )


def _routes(lease: Lease) -> tuple[Route, ...]:
    """RFC 3442: "If the DHCP server returns both a Classless Static Routes option and a Router option, the DHCP
    client MUST ignore the Router option."
    """
    return lease.routes or tuple(Route(DEFAULT[Family.IPV4], router) for router in lease.routers)


# ---------------------------------------------------------------- lifetimes


def leased_addresses(scene: Scene) -> dict[IPAddress, tuple[float, float]]:
    """Until when each leased address is valid and preferred, by its leases: the first to end counts."""
    ends: dict[IPAddress, tuple[float, float]] = {}
    for held in _leases(scene):
        lease = held.fact
        if not scene.clock.running(lease.valid_until):
            continue
        for address, valid, preferred in _lifetimes(lease):
            before = ends.get(address, (valid, preferred))
            ends[address] = min(before[0], valid), min(before[1], preferred)
    return ends


def _lifetimes(lease: AnyLease) -> Iterator[tuple[IPAddress, float, float]]:
    if isinstance(lease, Lease):
        yield lease.address, lease.valid_until, lease.valid_until
    else:
        yield from ((each.address, each.valid_until, each.preferred_until) for each in lease.addresses)


def no_longer_than_leased(fact: AddressFact, ends: dict[IPAddress, tuple[float, float]]) -> AddressFact:
    """Some clients set a leased address for ever; it is the lease that says how long it is valid."""
    if fact.address not in ends:
        return fact
    valid, preferred = ends[fact.address]
    if valid >= fact.valid_until and preferred >= fact.preferred_until:
        return fact
    return evolve(fact, valid_until=min(valid, fact.valid_until), preferred_until=min(preferred, fact.preferred_until))
