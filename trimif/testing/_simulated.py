"""A host that exists only in a test: it has the interfaces, leases, routers, name servers and peers that you give it.

It is a source of facts like those that listen to the kernel, and stands in for name servers and peers. Everything in
between is the real MIF with the real core: what a program sees on a simulated host is what it sees on a real one to
which the same happens. With :class:`trio.testing.MockClock` a day of leases takes a millisecond.

The verbs (`add_link`, `add_lease`, …) report what the kernel and the DHCP client would report; `report` takes the
facts themselves, for what the verbs can't say.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network

import trio
from attrs import evolve

from trimif import Mif
from trimif._core import Core, Grouping, grouping_named
from trimif._facts import (
    AddressFact,
    AddressGone,
    AddressProtocol,
    AdvertisedPrefix,
    AllLeases,
    Fact,
    Lease,
    LinkFact,
    LinkGone,
    RouteFact,
    RouteGone,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._interrupts import protected_async
from trimif._mif import Record, run_element
from trimif._model import InterfaceKind, Origin
from trimif._sources import Report, SourceStatistics
from trimif.testing._lines import FactsLine, Line
from trimif.testing._peer import Peer
from trimif.testing._simulated_networks import SimulatedNetworks
from trimif.testing._simulated_tables import Tables

__all__ = ["SimulatedHost", "open_simulated_mif"]

_CLIENT = "dhclient"


class SimulatedHost(SimulatedNetworks):
    """A host for `open_simulated_mif`; what is set up before that, a MIF finds when it opens.

    Its methods are synchronous: what happens, happens at once, at Trio's present time. Lifetimes are in seconds from
    then, ``math.inf`` for ever, and need a running Trio otherwise.

    Attributes:
        name: what the host is called in the MIF's statistics.
        dialled: each attempt to connect: when, through which domain, to which address.
        streams: the program's ends of all connections made.
        unwound: which lookups and connects have ended, in their order.

    Args:
        initial: facts that the first MIF is told as they are, before what the verbs have set up.
        names: by domain and name, the addresses in their order, each with the seconds that it takes after the one
            before; a name without addresses does not exist. See `add_name`.
        peers: by domain and address, on any port. See `add_peer`.
    """

    def __init__(
        self,
        *,
        initial: Iterable[Fact] = (),
        names: Mapping[tuple[str, str], Sequence[tuple[float, str]]] | None = None,
        peers: Mapping[tuple[str, str], Peer] | None = None,
    ) -> None:
        super().__init__(names, peers)
        self.name = "simulated"
        self._initial = tuple(initial)
        self._tables = Tables()
        self._listeners: list[Report] = []
        self._mifs = 0
        self._last_index = 1
        self._follow(self._initial)

    # ---------------------------------------------------------------- interfaces

    def add_link(
        self,
        interface: str,
        *,
        kind: InterfaceKind = InterfaceKind.ETHERNET,
        mtu: int = 1500,
        up: bool = True,
        carrier: bool = True,
    ) -> int:
        """A new interface; ``"lo"`` is the loopback interface, with its addresses.

        Returns:
            The kernel's index of it, for facts; never used again.
        """
        if any(link.name == interface for link in self._tables.links()):
            raise ValueError(f"the simulated host has an interface {interface!r} already")
        if interface == "lo":
            self.report(LinkFact(1, "lo", InterfaceKind.LOOPBACK, 65536, up, carrier))
            self.report(AddressFact(1, ip_address("127.0.0.1"), 8), AddressFact(1, ip_address("::1"), 128))
            return 1
        index = self._last_index + 1
        self.report(LinkFact(index, interface, kind, mtu, up, carrier))
        return index

    def remove_link(self, interface: str) -> None:
        """The interface is gone, with its addresses, leases and routes."""
        link = self._tables.link(interface)
        self.report(LinkGone(link.index), *self._without_lease(interface))

    def rename(self, interface: str, name: str) -> None:
        """The interface has another name, and so have its domains, as far as names and peers are known by them."""
        link = self._tables.link(interface)
        leases = [evolve(each, interface=name) for each in self._leases() if each.interface == interface]
        self.report(evolve(link, name=name), *self._without_lease(interface, *leases))
        self._rename_domains(interface, name)

    def set_carrier(self, interface: str, carrier: bool) -> None:
        """The cable is plugged in or out. Domains outlive a loss of carrier by five seconds."""
        self.report(evolve(self._tables.link(interface), carrier=carrier))

    def set_up(self, interface: str, up: bool) -> None:
        """Administratively up or down; down, it loses its routes and IPv6 addresses, as Linux takes them away."""
        link = self._tables.link(interface)
        if up:
            self.report(evolve(link, up=True, carrier=True))
            return
        addresses = [each for each in self._tables.addresses_of(link) if each.address.version == 6]
        gone = (AddressGone(link.index, each.address, each.prefix_length) for each in addresses)
        self.report(evolve(link, up=False, carrier=False), *gone, *map(RouteGone, self._tables.routes_of(link)))

    # ---------------------------------------------------------------- addresses

    def add_address(
        self, interface: str, address: str, *, seconds: float = math.inf, preferred_seconds: float | None = None
    ) -> None:
        """An address with its prefix length, for example ``"198.51.100.7/24"``: by hand, or its lifetimes again.

        Without a lease or a router advertisement that claims it, it is in the element STATIC: at once if it is for
        ever and the MIF finds it when it opens, else after two seconds.
        """
        parsed = ip_interface(address)
        preferred = seconds if preferred_seconds is None else preferred_seconds
        index = self._tables.link(interface).index
        self.report(AddressFact(index, parsed.ip, parsed.network.prefixlen, _deadline(seconds), _deadline(preferred)))

    def remove_address(self, interface: str, address: str) -> None:
        """The address is gone; the prefix length may be left out."""
        link, wanted = self._tables.link(interface), ip_interface(address).ip
        found = [each for each in self._tables.addresses_of(link) if each.address == wanted]
        if not found:
            raise ValueError(f"{interface!r} of the simulated host has no address {address!r}")
        self.report(*(AddressGone(link.index, each.address, each.prefix_length) for each in found))

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
    ) -> None:
        """A DHCPv4 lease with its address and default route; for the same address again, it is renewed.

        Args:
            address: with its prefix length, for example ``"198.51.100.7/24"``.
            seconds: how long it is valid.
            router: the first address of the network if left out.
            dns_servers: the router if left out.
        """
        own, index = IPv4Interface(address), self._tables.link(interface).index
        via = IPv4Address(router) if router else own.network[1]
        lease = Lease(
            interface,
            Origin(_CLIENT, via),
            own.ip,
            own.network.prefixlen,
            _deadline(seconds),
            routers=(via,),
            dns_servers=(via,) if dns_servers is None else tuple(map(IPv4Address, dns_servers)),
            search_domains=tuple(search_domains),
        )
        before = [each for each in self._leases() if each.interface == interface and each.address != own.ip]
        for each in before:
            self.remove_lease(each.interface)
        self.report(
            *self._without_lease(interface, lease),
            AddressFact(index, own.ip, own.network.prefixlen, lease.valid_until, lease.valid_until),
            RouteFact(index, ip_network("0.0.0.0/0"), via, protocol=RouteProtocol.DHCP),
        )

    def remove_lease(self, interface: str) -> None:
        """The lease is released: it is gone, with its address and routes."""
        link = self._tables.link(interface)
        leases = [each for each in self._leases() if each.interface == interface]
        if not leases:
            raise ValueError(f"{interface!r} of the simulated host has no lease")
        routes = [each for each in self._tables.routes_of(link) if each.protocol == RouteProtocol.DHCP]
        gone = (AddressGone(link.index, each.address, each.prefix_length) for each in leases)
        self.report(*self._without_lease(interface), *map(RouteGone, routes), *gone)

    def _leases(self) -> tuple[Lease, ...]:
        return self._tables.leases_of(_CLIENT)

    def _without_lease(self, interface: str, *instead: Lease) -> Sequence[Fact]:
        before = self._leases()
        after = (*(each for each in before if each.interface != interface), *instead)
        return () if after == before else (AllLeases(_CLIENT, after),)

    # ---------------------------------------------------------------- router advertisements

    def advertise(
        self,
        interface: str,
        prefix: str,
        *,
        address: str | None = None,
        seconds: float = math.inf,
        router: str = "fe80::1",
        dns_servers: Sequence[str] = (),
        search_domains: Sequence[str] = (),
        mtu: int | None = None,
    ) -> None:
        """A router advertises a prefix on the link, and the host makes itself an address of it (RFC 4862).

        Args:
            prefix: for example ``"2001:db8:2::/64"``.
            address: the one that the host makes, without prefix length; the prefix's sixteenth if left out.
            seconds: the lifetime of everything in it: router, prefix, servers, search domains.
            router: link-local.
        """
        index, network, until = self._tables.link(interface).index, IPv6Network(prefix), _deadline(seconds)
        advertisement = RouterAdvertisement(
            index,
            IPv6Address(router),
            RouterHeader(until),
            mtu,
            prefixes=(AdvertisedPrefix(network, True, True, until, until),),
            dns_servers=tuple((IPv6Address(each), until) for each in dns_servers),
            search_domains=tuple((each, until) for each in search_domains),
        )
        own = IPv6Address(address) if address else network[16]
        protocol = AddressProtocol.ROUTER_ADVERTISEMENT
        self.report(advertisement, AddressFact(index, own, network.prefixlen, until, until, protocol=protocol))

    def stop_advertising(self, interface: str, *, router: str = "fe80::1") -> None:
        """The router says goodbye with a lifetime of 0 (RFC 4861, 6.2.5). The addresses keep their lifetimes."""
        now = trio.current_time()
        self.report(RouterAdvertisement(self._tables.link(interface).index, IPv6Address(router), RouterHeader(now)))

    # ---------------------------------------------------------------- facts

    def report(self, *facts: Fact) -> None:
        """These facts become true in one step, and every MIF on the host is told."""
        self._follow(facts)
        for listener in list(self._listeners):
            listener(facts)

    async def play(self, lines: Iterable[Line]) -> None:
        """Report recorded facts, each at its recorded time on Trio's clock, which a mock clock takes no time for.

        ``trimif watch --json`` records them; `load_line` reads a line. Messages among the lines are passed over.
        """
        await trio.lowlevel.checkpoint()
        for line in lines:
            if isinstance(line, FactsLine):
                await trio.sleep_until(line.time)
                self.report(*line.facts)

    def _follow(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._tables.follow(fact, _now())
        self._last_index = max([self._last_index, *(link.index for link in self._tables.links())])

    # ---------------------------------------------------------------- a source of facts

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell a MIF what there is, then whatever happens; `open_simulated_mif` calls it."""
        initial, self._initial = self._initial, ()
        report((*initial, *self._tables.present(trio.current_time())))
        self._listeners.append(report)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self._listeners.remove(report)
            self.unwound.append("source")

    def statistics(self) -> SourceStatistics:
        """None worth telling."""
        return SourceStatistics(self.name)

    def _next_mif_name(self) -> str:
        """Ids begin with it; the first MIF's are the same in each run of a test."""
        self._mifs += 1
        return "sim" if self._mifs == 1 else f"sim{self._mifs}"


def _deadline(seconds: float) -> float:
    return math.inf if seconds == math.inf else trio.current_time() + seconds


def _now() -> float:
    """Before Trio runs there is no time; nothing of then can have expired."""
    return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0


@protected_async
@asynccontextmanager
async def open_simulated_mif(
    host: SimulatedHost, *, grouping: str | Grouping = "family", record: Record | None = None
) -> AsyncIterator[Mif]:
    """As `trimif.open_mif`, on a simulated host; several MIFs may be open on one host.

    Leaving the block closes the connections that no peer accepted. Those that were belong to whoever has them.

    Args:
        grouping: as for `trimif.open_mif`.
        record: as for `trimif.open_mif`.
    """
    core = Core(host._next_mif_name(), grouping_named(grouping))
    mif = Mif(core, [host], record, translate=host.translate, connect=host.connect)
    try:
        async with run_element(mif):
            yield mif
    finally:
        host.drop_backlogs()
