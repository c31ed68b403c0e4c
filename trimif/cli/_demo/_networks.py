"""Figure 2's host and the networks around it, made of namespaces, veth pairs and small servers in this one program.

::

    host            wire            network "cable": DHCPv4, RA, DNS, host.example.com
      eth0 ---- host0  net0 ---- lan    198.51.100.0/24, 2001:db8:1::/64
    host            wire            network "mobile": RA, DNS, host.example.com
      wa0  ---- host0  net0 ---- lan    2001:db8:2::/64

The host is the real thing: its kernel takes the advertisements, a DHCP client takes the lease, and trimif finds out.
The wires have lengths, so that the race has a course, and are where a network is cut off.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

from trimif._facts import AdvertisedPrefix, RouterAdvertisement, RouterHeader
from trimif._model import IPAddress
from trimif.cli._demo._bubble import NotPossible
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_dhcpv4 import DHCPv4Offer, serve_dhcpv4
from trimif.testing._servers_dns import Zone, serve_dns
from trimif.testing._servers_router import serve_router_advertisements
from trimif.testing._servers_tcp import serve_greeting
from trimif.testing._servers_wire import Delay, carries_tcp, is_ipv4, run_wire

__all__ = ["DOMAINS", "HOST_NAME", "PORT", "open_networks"]

HOST_NAME = "host.example.com"
PORT = 80
ROUTER = IPv6Address("fe80::1")
LIFETIME = 1800.0  # seconds
IFA_F_NODAD = 0x02

IPV4_SERVER = IPv4Address("203.0.113.80")
IPV6_SERVER = IPv6Address("2001:db8:ff::80")


@frozen
class Side:
    """One address family of a network: what becomes a provisioning domain on the host.

    Attributes:
        network: the link's prefix.
        router: its address on the link.
        dns_server: which the network tells its hosts to ask.
        zone: what that answers.
        seconds: how long a packet takes, one way.
    """

    network: IPv4Network | IPv6Network
    router: IPAddress
    dns_server: IPAddress
    zone: Zone
    seconds: float


@frozen
class Network:
    """A network behind an interface of the host."""

    name: str
    device: str
    ipv6: Side
    ipv4: Side | None = None

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.ipv6,) if self.ipv4 is None else (self.ipv4, self.ipv6)


CABLE = Network(
    name="cable",
    device="eth0",
    # As in figure 2, the box at the end of the cable claims the name for itself.
    ipv4=Side(
        network=IPv4Network("198.51.100.0/24"),
        router=IPv4Address("198.51.100.1"),
        dns_server=IPv4Address("198.51.100.1"),
        zone={HOST_NAME: [IPv4Address("198.51.100.1")]},
        seconds=0.010,
    ),
    ipv6=Side(
        network=IPv6Network("2001:db8:1::/64"),
        router=IPv6Address("2001:db8:1::1"),
        dns_server=IPv6Address("2001:db8:a::53"),
        zone={HOST_NAME: [IPV4_SERVER, IPV6_SERVER]},
        seconds=0.020,
    ),
)
MOBILE = Network(
    name="mobile",
    device="wa0",
    ipv6=Side(
        network=IPv6Network("2001:db8:2::/64"),
        router=IPv6Address("2001:db8:2::1"),
        dns_server=IPv6Address("2001:db8:b::53"),
        zone={HOST_NAME: [IPV6_SERVER]},
        seconds=0.035,
    ),
)

DOMAINS = ("eth0/ipv4", "eth0/ipv6", "wa0/ipv6")
"""The names of the three provisioning domains that the host will have."""


@asynccontextmanager
async def open_networks(broken: frozenset[str], leases: Path) -> AsyncGenerator[None]:
    """Build everything, start the servers and the DHCP client, and put this thread into the host.

    Args:
        broken: the domains whose TCP packets get lost on the wire.
        leases: where the DHCP client shall keep its lease; not its own to tidy up.

    Raises:
        NotPossible: the kernel lacks something that the networks are made of.
    """
    with ExitStack() as stack:
        host = stack.enter_context(_namespace("host"))
        stack.enter_context(host.entered())
        _hurry(host)
        async with trio.open_nursery() as nursery:
            for network in (CABLE, MOBILE):
                wire, beyond = (stack.enter_context(_namespace(name)) for name in ("wire", network.name))
                _build(network, host, wire, beyond)
                await nursery.start(run_wire, wire, "host0", "net0", _course(network, broken))
                await _start_servers(network, beyond, nursery)
            _set_up(host, "lo", *(network.device for network in (CABLE, MOBILE)))
            with _dhcp_client(CABLE.device, leases):
                yield
            nursery.cancel_scope.cancel()


@contextmanager
def _namespace(name: str) -> Iterator[Namespace]:
    namespace = Namespace(name)
    try:
        yield namespace
    finally:
        namespace.close()


def _hurry(namespace: Namespace) -> None:
    """Nobody else is on these links: don't wait a second for objections to each new IPv6 address."""
    for key in ("accept_dad", "router_solicitation_delay"):
        namespace.write_sysctl(f"net/ipv6/conf/default/{key}", 0)


def _build(network: Network, host: Namespace, wire: Namespace, beyond: Namespace) -> None:
    """Make the two veth pairs, and the network's addresses; everything up but the host's end."""
    # What runs along the wire is the host's and the network's, not the wire's own.
    wire.write_sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    # Who does not forward says in its neighbour advertisements that it is no router, and the host, as it must
    # (RFC 4861, 7.2.5), forgets the default route that the router advertisement gave it.
    beyond.write_sysctl("net/ipv6/conf/all/forwarding", 1)
    _hurry(beyond)

    def add_cables(netlink: Any) -> None:
        for end, peer, place in (("host0", network.device, host), ("net0", "lan", beyond)):
            netlink.link("add", ifname=end, kind="veth", peer={"ifname": peer, "net_ns_fd": place.fileno()})

    _change(wire, add_cables)
    _set_up(wire, "host0", "net0")
    _set_up(beyond, "lo", "lan")
    _add_addresses(network, beyond)


def _add_addresses(network: Network, beyond: Namespace) -> None:
    """The router's on the link; those of the servers behind it on its loopback interface."""

    def add_all(netlink: Any) -> None:
        (lan,), (loopback,) = netlink.link_lookup(ifname="lan"), netlink.link_lookup(ifname="lo")

        def add(index: int, address: IPAddress, prefix_length: int) -> None:
            # Without the flag an IPv6 address is tentative, and not to be bound, until the kernel gets round to it.
            flags = IFA_F_NODAD if address.version == 6 else 0
            netlink.addr("add", index=index, address=str(address), prefixlen=prefix_length, flags=flags)

        add(lan, ROUTER, 64)
        for side in network.sides:
            add(lan, side.router, side.network.prefixlen)
            for server in {side.dns_server, *_served(side)} - {side.router}:
                add(loopback, server, server.max_prefixlen)

    _change(beyond, add_all)


def _served(side: Side) -> list[IPAddress]:
    """The addresses at which `HOST_NAME` really is: those of the side's own family."""
    return [address for address in side.zone[HOST_NAME] if address.version == side.router.version]


def _set_up(namespace: Namespace, *devices: str) -> None:
    def set_up(netlink: Any) -> None:
        for device in devices:
            netlink.link("set", index=netlink.link_lookup(ifname=device)[0], state="up")

    _change(namespace, set_up)


def _change(namespace: Namespace, what: Callable[[Any], None]) -> None:
    from pyroute2 import NetlinkError

    try:
        namespace.change(what)
    except NetlinkError as error:
        raise NotPossible(f"this kernel does not build the demo's networks (veth, IPv4, IPv6): {error}") from None


def _course(network: Network, broken: frozenset[str]) -> Delay:
    def delay(frame: bytes) -> float | None:
        side, family = (network.ipv4, "ipv4") if is_ipv4(frame) else (network.ipv6, "ipv6")
        if side is None or (f"{network.device}/{family}" in broken and carries_tcp(frame)):
            return None
        return side.seconds

    return delay


async def _start_servers(network: Network, beyond: Namespace, nursery: trio.Nursery) -> None:
    if network.ipv4 is not None:
        await nursery.start(serve_dhcpv4, beyond, "lan", _offer(network.ipv4))
    await nursery.start(serve_router_advertisements, beyond, "lan", _advertisement(network.ipv6))
    text = f"{HOST_NAME}, as the {network.name} network reaches it"
    for side in network.sides:
        await nursery.start(serve_dns, beyond, side.dns_server, side.zone)
        for server in _served(side):
            await nursery.start(serve_greeting, beyond, server, PORT, text)


def _offer(side: Side) -> DHCPv4Offer:
    assert isinstance(side.network, IPv4Network)
    assert isinstance(side.router, IPv4Address)
    assert isinstance(side.dns_server, IPv4Address)
    return DHCPv4Offer(
        address=side.network[10],
        network=side.network,
        server=side.router,
        routers=(side.router,),
        dns_servers=(side.dns_server,),
        search_domain="example.com",
        mtu=1500,
    )


def _advertisement(side: Side) -> RouterAdvertisement:
    assert isinstance(side.network, IPv6Network)
    assert isinstance(side.dns_server, IPv6Address)
    prefix = AdvertisedPrefix(side.network, True, True, valid_until=2 * LIFETIME, preferred_until=LIFETIME)
    return RouterAdvertisement(
        index=0,
        router=ROUTER,
        header=RouterHeader(until=LIFETIME, hop_limit=64),
        mtu=1500,
        prefixes=(prefix,),
        dns_servers=((side.dns_server, LIFETIME),),
        search_domains=(("example.com", LIFETIME),),
    )


@contextmanager
def _dhcp_client(device: str, leases: Path) -> Iterator[None]:
    """Run the DHCP client in the host, where this thread is, away from the terminal and its Ctrl-C."""
    command = [sys.executable, "-m", "trimif.cli._demo._dhcp_client", device, str(leases)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        try:
            yield
        finally:
            process.kill()
