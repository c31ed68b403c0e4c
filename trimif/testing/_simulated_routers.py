"""The routers of a simulated host, and what it is told because of them: of explicit domains, of captive portals.

A simulated host has no HTTPS. What a server would have answered is set by the test, as if it had been fetched inside
the domain.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_network

import trio
from attrs import evolve

from trimif._facts import (
    AdditionalInformation,
    AddressFact,
    AddressGone,
    AddressProtocol,
    AdvertisedDomain,
    AdvertisedPrefix,
    AdvertisedRoute,
    Fact,
    PortalStatus,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import EncryptedDnsServer, PortalInformation, PvdInformation, PvdOption
from trimif.testing._simulated_kernel import SimulatedKernel, deadline_in

__all__ = ["SimulatedRouters"]


class SimulatedRouters(SimulatedKernel):
    """The verbs of router advertisements and of what is fetched inside a domain."""

    # ---------------------------------------------------------------- router advertisements

    def advertise(
        self,
        interface: str,
        prefix: str | None = None,
        *,
        address: str | None = None,
        seconds: float = math.inf,
        router: str = "fe80::1",
        domain: str | PvdOption | None = None,
        dns_servers: Sequence[str] = (),
        search_domains: Sequence[str] = (),
        encrypted_dns: Sequence[EncryptedDnsServer] = (),
        routes: Sequence[str] = (),
        pref64: Sequence[str] = (),
        mtu: int | None = None,
        captive_portal: str | None = None,
        preference: int = 0,
        managed: bool = False,
        other_configuration: bool = False,
    ) -> None:
        """A router advertises a prefix on the link, and the host makes itself an address of it (RFC 4862).

        What it said before and does not say now stays as it was (RFC 4861, 6.3.4).

        Args:
            prefix: for example ``"2001:db8:2::/64"``.
            address: the one that the host makes, without prefix length; the prefix's sixteenth if left out.
            seconds: the lifetime of everything in it: router, prefix, servers, search domains; 0 takes it back.
            router: link-local.
            domain: the explicit provisioning domain that all of it is for (RFC 8801): the id, or a `trimif.PvdOption`
                with its flags. A router may speak for several.
            routes: prefixes that the router leads to, besides the default route.
            captive_portal: the URI of the portal's API; see `set_portal`.
            preference: of the router: 1 high, 0 medium, -1 low (RFC 4191).
            managed: addresses come by DHCPv6, those in the prefix to this domain; see `add_dhcpv6_lease`.
            other_configuration: what DHCPv6 says without addresses is for this domain.
        """
        index, sender, until = self._tables.link(interface).index, IPv6Address(router), deadline_in(seconds)
        network = None if prefix is None else IPv6Network(prefix)
        facts: list[Fact] = [
            RouterAdvertisement(
                index,
                sender,
                RouterHeader(until, managed, other_configuration, preference),
                mtu,
                () if network is None else (AdvertisedPrefix(network, True, True, until, until),),
                tuple(AdvertisedRoute(IPv6Network(each), 0, until) for each in routes),
                tuple((IPv6Address(each), until) for each in dns_servers),
                tuple((each, until) for each in search_domains),
                captive_portal,
                tuple((IPv6Network(each), until) for each in pref64),
                tuple((each, until) for each in encrypted_dns),
                _advertised(index, sender, domain),
            )
        ]
        if network is not None:
            own = IPv6Address(address) if address else network[16]
            protocol = AddressProtocol.ROUTER_ADVERTISEMENT
            facts.append(AddressFact(index, own, network.prefixlen, until, until, protocol=protocol))
        self.report(*facts)

    def stop_advertising(self, interface: str, *, router: str = "fe80::1", domain: str | None = None) -> None:
        """The router says goodbye with a lifetime of 0 (RFC 4861, 6.2.5). All else keeps its lifetimes.

        Args:
            domain: the id of the explicit domain that it no longer leads to, None for the implicit one.
        """
        said = self._said_by(interface, router, domain)
        goodbye = RouterHeader(trio.current_time())
        self.report(RouterAdvertisement(said.index, said.router, goodbye, domain=said.domain))

    def remove_router(self, interface: str, *, router: str = "fe80::1", domain: str | None = None) -> None:
        """The router takes back all that it has said, and the addresses that the host made of it are gone.

        Args:
            domain: the id of the explicit domain that it said it of, None for the implicit one.
        """
        said, link = self._said_by(interface, router, domain), self._tables.link(interface)
        others = (each for each in self._tables.routers_of(link).values() if each != said)
        kept = {prefix.prefix for other in others for prefix in other.prefixes}
        gone = [each.prefix for each in said.prefixes if each.prefix not in kept]
        addresses = (
            each for each in self._tables.addresses_of(link) if any(each.address in network for network in gone)
        )
        made = (each for each in addresses if each.protocol is AddressProtocol.ROUTER_ADVERTISEMENT)
        taken = [AddressGone(link.index, each.address, each.prefix_length) for each in made]
        self.report(_taken_back(said, trio.current_time()), *taken)

    def _said_by(self, interface: str, router: str, domain: str | None) -> RouterAdvertisement:
        told = self._tables.routers_of(self._tables.link(interface))
        said = told.get((IPv6Address(router), None if domain is None else _canonical(domain)))
        if said is None:
            for_domain = "" if domain is None else f" for the domain {domain!r}"
            raise ValueError(f"no router {router} has advertised on {interface!r} of the simulated host{for_domain}")
        return said

    # ---------------------------------------------------------------- what was fetched

    def add_pvd_information(
        self,
        interface: str,
        domain: str,
        *,
        seconds: float = math.inf,
        prefixes: Sequence[str] = (),
        dns_zones: Sequence[str] = (),
        no_internet: bool = False,
        metered: bool | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        """The additional information of an explicit domain was fetched, for the first time or afresh (RFC 8801, 4).

        It is in the element PVD of the domain while there is that domain, until it expires, is removed, or the
        interface is down.

        Args:
            domain: the id.
            seconds: until it expires.
            dns_zones: names in them are to be asked inside this domain.
            more: members of the JSON object that have no argument here.
        """
        information = PvdInformation(
            _canonical(domain),
            deadline_in(seconds),
            tuple(map(ip_network, prefixes)),
            tuple(dns_zones),
            no_internet,
            metered,
            json.dumps(dict(more or {})),
        )
        index = self._tables.link(interface).index
        self.report(AdditionalInformation(index, information.identifier, information))

    def remove_pvd_information(self, interface: str, domain: str) -> None:
        """The additional information no longer counts: the server failed, or its certificate was not the domain's."""
        link, identifier = self._tables.link(interface), _canonical(domain)
        if identifier not in self._tables.fetched_for(link):
            raise ValueError(f"{interface!r} of the simulated host has no information about the domain {domain!r}")
        self.report(AdditionalInformation(link.index, identifier, None))

    def set_portal(
        self,
        interface: str,
        uri: str,
        *,
        captive: bool,
        seconds: float | None = None,
        user_portal_url: str | None = None,
        venue_info_url: str | None = None,
        can_extend_session: bool | None = None,
        octets_remaining: int | None = None,
    ) -> None:
        """The API of a captive portal was asked, and this is what it says now (RFC 8908).

        It is in the element PORTAL of the domains that are told the URI: see ``captive_portal`` of `advertise`,
        `add_lease` and `add_dhcpv6_lease`.

        Args:
            captive: it does not let traffic through yet.
            seconds: until the session ends.
            user_portal_url: the page for a person to act on.
        """
        information = PortalInformation(
            captive,
            user_portal_url,
            venue_info_url,
            can_extend_session,
            None if seconds is None else deadline_in(seconds),
            octets_remaining,
        )
        self.report(PortalStatus(self._tables.link(interface).index, uri, information))

    def remove_portal(self, interface: str, uri: str) -> None:
        """The portal's API does not answer any more."""
        link = self._tables.link(interface)
        if uri not in self._tables.fetched_for(link):
            raise ValueError(f"{interface!r} of the simulated host has no portal {uri!r}")
        self.report(PortalStatus(link.index, uri, None))


def _advertised(index: int, router: IPv6Address, domain: str | PvdOption | None) -> AdvertisedDomain | None:
    """Nothing is nested in the option: for a host that knows it, all of the advertisement is the domain's."""
    if domain is None:
        return None
    option = PvdOption(domain) if isinstance(domain, str) else domain
    option = evolve(option, identifier=_canonical(option.identifier))
    return AdvertisedDomain(option, RouterAdvertisement(index, router))


def _taken_back(said: RouterAdvertisement, now: float) -> RouterAdvertisement:
    return evolve(
        said,
        header=RouterHeader(now),
        prefixes=tuple(evolve(each, valid_until=now, preferred_until=now) for each in said.prefixes),
        routes=tuple(evolve(each, until=now) for each in said.routes),
        dns_servers=tuple((each, now) for each, _ in said.dns_servers),
        search_domains=tuple((each, now) for each, _ in said.search_domains),
        pref64=tuple((each, now) for each, _ in said.pref64),
        encrypted_dns=tuple((each, now) for each, _ in said.encrypted_dns),
    )


def _canonical(domain: str) -> str:
    """An id as trimif tells it."""
    return domain.lower().removesuffix(".")
