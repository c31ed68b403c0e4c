"""The programs that configure a simulated host: its DHCP client, and managers that know what a network does not say.

A lease is one step: what the client wrote down, and the addresses and routes that it set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, ip_address
from typing import Any, TypeVar

from trimif._facts import (
    AddressFact,
    AddressGone,
    AllLeases,
    AllLinkConfigurations,
    DHCPv6Lease,
    Fact,
    Lease,
    LeasedAddress,
    LinkConfiguration,
    LinkFact,
    RouteFact,
    RouteGone,
    RouteProtocol,
)
from trimif._information import Data, Information, LeaseTimes
from trimif._model import InterfaceKind, IPAddress, Origin
from trimif.testing._simulated_kernel import SimulatedKernel, deadline_in

__all__ = ["SimulatedClients"]

_CLIENT = "dhclient"
_DEFAULT = IPv4Network("0.0.0.0/0")
MoreData = Mapping[Information[Any], Any]
AnyLease = TypeVar("AnyLease", Lease, DHCPv6Lease)


class SimulatedClients(SimulatedKernel):
    """The verbs of DHCPv4, DHCPv6 and managers."""

    # ---------------------------------------------------------------- DHCPv4

    def add_lease(
        self,
        interface: str,
        address: str,
        *,
        seconds: float = math.inf,
        router: str | None = None,
        dns_servers: Sequence[str] | None = None,
        search_domains: Sequence[str] = (),
        ntp_servers: Sequence[str] = (),
        mtu: int | None = None,
        captive_portal: str | None = None,
        data: MoreData | None = None,
    ) -> None:
        """A DHCPv4 lease with its address and default route; for the same address again, it is renewed.

        Args:
            address: with its prefix length, for example ``"198.51.100.7/24"``.
            seconds: how long it is valid. Half of that, it is to be renewed.
            router: the first address of the network if left out.
            dns_servers: the router if left out.
            captive_portal: the URI of the portal's API; see `set_portal`.
            data: what else it says, by identifier, for example ``{Information.METERED: True}``.
        """
        own, index = IPv4Interface(address), self._tables.link(interface).index
        via = IPv4Address(router) if router else own.network[1]
        told: MoreData = {
            Information.LEASE: _times(seconds, seconds, 0.875),
            Information.CAPTIVE_PORTAL: captive_portal,
        }
        lease = Lease(
            interface,
            Origin(_CLIENT, via),
            own.ip,
            own.network.prefixlen,
            deadline_in(seconds),
            routers=(via,),
            dns_servers=(via,) if dns_servers is None else tuple(map(IPv4Address, dns_servers)),
            search_domains=tuple(search_domains),
            ntp_servers=tuple(map(IPv4Address, ntp_servers)),
            mtu=mtu,
            data=_data(told, data),
        )
        if any(each.address != own.ip for each in self._leases_of(interface, Lease)):
            self.remove_lease(interface)
        self.report(
            self._with_lease(interface, Lease, lease),
            AddressFact(index, own.ip, own.network.prefixlen, lease.valid_until, lease.valid_until),
            RouteFact(index, _DEFAULT, via, protocol=RouteProtocol.DHCP),
        )

    def remove_lease(self, interface: str) -> None:
        """The DHCPv4 lease is released: it is gone, with its address and routes."""
        link = self._tables.link(interface)
        leases = self._leases_of(interface, Lease)
        if not leases:
            raise ValueError(f"{interface!r} of the simulated host has no lease")
        routes = [each for each in self._tables.routes_of(link) if each.protocol == RouteProtocol.DHCP]
        gone = (AddressGone(link.index, each.address, each.prefix_length) for each in leases)
        self.report(self._with_lease(interface, Lease), *map(RouteGone, routes), *gone)

    # ---------------------------------------------------------------- DHCPv6

    def add_dhcpv6_lease(
        self,
        interface: str,
        *addresses: str,
        seconds: float = math.inf,
        preferred_seconds: float | None = None,
        server: str = "fe80::1",
        dns_servers: Sequence[str] = (),
        search_domains: Sequence[str] = (),
        captive_portal: str | None = None,
        data: MoreData | None = None,
    ) -> None:
        """A DHCPv6 lease with its addresses; without addresses the answer to an Information-request (stateless).

        Said again it is renewed, and addresses that it had and has no more are gone. The routes to the Internet are
        told by routers: see `advertise`, whose flags also say which explicit domain the lease belongs to.

        Args:
            addresses: without prefix length, for example ``"2001:db8:2::99"``.
            seconds: how long it is valid; the preferred lifetime is the same if left out.
            captive_portal: the URI of the portal's API; see `set_portal`.
            data: what else it says, by identifier, for example ``{Information.NTP_NAMES: ("time.example",)}``.
        """
        link, own = self._tables.link(interface), [IPv6Interface(each) for each in addresses]
        shorter = seconds if preferred_seconds is None else preferred_seconds
        until, preferred = deadline_in(seconds), deadline_in(shorter)
        told: MoreData = {
            Information.LEASE: _times(seconds, shorter, 0.8) if own else None,
            Information.DNS_SERVERS: tuple(map(ip_address, dns_servers)),
            Information.SEARCH_DOMAINS: tuple(search_domains),
            Information.CAPTIVE_PORTAL: captive_portal,
        }
        leased = tuple(LeasedAddress(each.ip, until, preferred) for each in own)
        lease = DHCPv6Lease(interface, Origin(_CLIENT, ip_address(server)), until, leased, _data(told, data))
        gone = self._leased_addresses(link, {each.ip for each in own})
        held = (AddressFact(link.index, each.ip, each.network.prefixlen, until, preferred) for each in own)
        self.report(self._with_lease(interface, DHCPv6Lease, lease), *gone, *held)

    def remove_dhcpv6_lease(self, interface: str) -> None:
        """The DHCPv6 lease is released: it is gone, with its addresses."""
        link = self._tables.link(interface)
        if not self._leases_of(interface, DHCPv6Lease):
            raise ValueError(f"{interface!r} of the simulated host has no DHCPv6 lease")
        gone = list(self._leased_addresses(link, set()))
        self.report(self._with_lease(interface, DHCPv6Lease), *gone)

    def _leased_addresses(self, link: LinkFact, kept: set[IPAddress]) -> Iterator[AddressGone]:
        """What its DHCPv6 lease has set on the link, less what is kept, is gone."""
        leased = {each.address for lease in self._leases_of(link.name, DHCPv6Lease) for each in lease.addresses}
        for each in self._tables.addresses_of(link):
            if each.address in leased - kept:
                yield AddressGone(link.index, each.address, each.prefix_length)

    def _leases_of(self, interface: str, kind: type[AnyLease]) -> list[AnyLease]:
        leases = self._tables.leases_of(_CLIENT)
        return [each for each in leases if isinstance(each, kind) and each.interface == interface]

    def _with_lease(self, interface: str, kind: type[Lease | DHCPv6Lease], *instead: Lease | DHCPv6Lease) -> AllLeases:
        leases = self._tables.leases_of(_CLIENT)
        others = (each for each in leases if each.interface != interface or not isinstance(each, kind))
        return AllLeases(_CLIENT, (*others, *instead))

    # ---------------------------------------------------------------- managers

    def configure(
        self,
        interface: str,
        *,
        dns_servers: Sequence[str] = (),
        search_domains: Sequence[str] = (),
        split_domains: Sequence[str] = (),
        metered: bool | None = None,
        kind: InterfaceKind | None = None,
        data: MoreData | None = None,
        manager: str = "NetworkManager",
    ) -> None:
        """What a manager was told of a link by a person, a VPN or a modem, instead of what it was told before.

        Name servers and domains belong to the element STATIC, which a VPN's tunnel has: see `add_address`. Whether
        traffic costs money and the kind are said of the interface.

        Args:
            split_domains: names in them are to be asked of these servers.
            kind: counts where the kernel can't tell more than ``ETHERNET`` or ``OTHER``.
            data: what else it knows, by identifier.
            manager: each that is named so says what it was told, ``"resolved"`` for example.
        """
        self._tables.link(interface)
        told: MoreData = {
            Information.DNS_SERVERS: tuple(map(ip_address, dns_servers)),
            Information.SEARCH_DOMAINS: tuple(search_domains),
            Information.SPLIT_DOMAINS: tuple(split_domains),
            Information.METERED: metered,
            Information.LINK_TYPE: kind,
        }
        configuration = LinkConfiguration(interface, Origin(manager), _data(told, data))
        others = [each for each in self._tables.configurations_of(manager) if each.interface != interface]
        news: Fact = AllLinkConfigurations(manager, (*others, configuration) if configuration.data else tuple(others))
        self.report(news)


def _times(seconds: float, preferred_seconds: float, rebinding: float) -> LeaseTimes:
    """T1 and T2 as they are if nobody says otherwise (RFC 2131, 4.4.5; RFC 8415, 21.4)."""
    if preferred_seconds == math.inf:
        return LeaseTimes(None, None, math.inf)
    renew_at, rebind_at = deadline_in(0.5 * preferred_seconds), deadline_in(rebinding * preferred_seconds)
    return LeaseTimes(renew_at, rebind_at, deadline_in(seconds))


def _data(told: MoreData, more: MoreData | None) -> Data:
    """Without what is not told, an empty list for example."""
    return tuple((each, value) for each, value in ({**told, **(more or {})}).items() if value not in (None, ()))
