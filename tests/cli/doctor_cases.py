"""Pictures with one fault each, and the finding that ``trimif doctor`` has to give."""

from __future__ import annotations

from ipaddress import ip_address

from attrs import evolve, frozen

from trimif import ElementType, Family, Information, Limitation, PortalInformation, Snapshot
from trimif.cli._doctor._finding import Severity
from trimif.cli._doctor._picture import Configurator, HostLease, NextHop, Picture

from .doctor_pictures import (
    A4,
    B4,
    HEALTHY,
    addresses,
    domain,
    element,
    route,
    server_way,
    way,
    with_address,
    with_data,
    with_domains,
    with_interface,
    with_resolver,
    with_server_way,
    with_settings,
    with_way,
    without_default_route,
    without_routes,
)


@frozen
class Case:
    """A picture with one fault, and the one finding that it has to give: texts are parts of its sentences."""

    check: str
    severity: Severity
    subject: str
    what: str
    remedy: str
    picture: Picture


PROBLEM, WARNING, NOTE = Severity
STRICT_B = with_way(with_settings(HEALTHY, "up-b", rp_filter=1), way("up-b/ipv4", "198.51.100.70", B4, A4))
NO_DEFAULT_B = with_way(without_default_route(HEALTHY, "up-b", 4), way("up-b/ipv4", "198.51.100.70", None, A4))
SAME_SUBNET = with_address(with_settings(HEALTHY, "all", arp_ignore=1), "up-b", "198.51.100.20/26")
ONLY_LOOPBACK = Picture(Snapshot(HEALTHY.snapshot.interfaces[:1]), settings=HEALTHY.settings)
UNPLUGGED = evolve(
    HEALTHY, snapshot=Snapshot(with_interface(with_domains(HEALTHY, "up-a"), "up-a", up=False).snapshot.interfaces[:2])
)
UNPRIVILEGED = evolve(HEALTHY, raw_sockets=False)
IPV6_ONLY = {Information.IPV6_ONLY_WAIT: 1800.0}
STATELESS = domain("up-b", Family.IPV6, "2001:db8:b::1/64", element("up-b/ipv6", ElementType.DHCPV6))
BARE = domain(
    "up-b", Family.IPV4, "198.51.100.70/26", element("up-b/ipv4", ElementType.DHCPV4, dns_servers=addresses(B4[1]))
)

CASES = [
    Case("networks", PROBLEM, "this host", "no provisioning domain besides", "plug in", ONLY_LOOPBACK),
    Case(
        "networks",
        PROBLEM,
        "this host",
        "no provisioning domain besides",
        "ip link set up-a up",
        UNPLUGGED,
    ),
    Case(
        "captive portals",
        WARNING,
        "up-b/ipv4",
        "does not let this host through yet",
        "open https://portal.example/login in a browser",
        with_data(HEALTHY, "up-b/ipv4", {Information.PORTAL: PortalInformation(True, "https://portal.example/login")}),
    ),
    Case("loopback", PROBLEM, "lo", "is down", "ip link set lo up", with_interface(HEALTHY, "lo", up=False)),
    Case(
        "routes",
        PROBLEM,
        "up-b/ipv4",
        "198.51.100.70/26, but no route at all leads out of up-b",
        "ip route add 198.51.100.64/26 dev up-b src 198.51.100.70",
        without_routes(HEALTHY, "up-b"),
    ),
    Case(
        "default routes",
        PROBLEM,
        "up-b/ipv4",
        "no default route, although its router is 198.51.100.65",
        "ip route add default via 198.51.100.65 dev up-b metric 200",
        NO_DEFAULT_B,
    ),
    Case(
        "default routes",
        PROBLEM,
        "up-a/ipv6",
        "no default route, although its router is fe80::a:1",
        "ip route add default via fe80::a:1 dev up-a metric 100",
        with_way(without_default_route(HEALTHY, "up-a", 6), way("up-a/ipv6", "2001:db8:a::10", None, None)),
    ),
    Case(
        "default routes",
        PROBLEM,
        "up-b/ipv4",
        "has a default route, but the kernel does not use it for packets from 198.51.100.70",
        "ip -4 rule show",
        with_way(HEALTHY, way("up-b/ipv4", "198.51.100.70", None, A4)),
    ),
    Case(
        "default routes",
        NOTE,
        "up-b/ipv4",
        "has a lease without a router",
        "option 3",
        with_domains(NO_DEFAULT_B, "up-b", BARE),
    ),
    Case(
        "routers",
        PROBLEM,
        "up-b/ipv4",
        "leads through 198.51.100.99, which is none of its routers",
        "ip route replace default via 198.51.100.65 dev up-b metric 200",
        evolve(
            with_way(HEALTHY, way("up-b/ipv4", "198.51.100.70", ("up-b", "198.51.100.99"), A4)),
            routes=(*HEALTHY.routes, route("up-b", "0.0.0.0/0", "198.51.100.99", 200)),
        ),
    ),
    Case(
        "reverse path filters",
        PROBLEM,
        "up-b/ipv4",
        "filter of up-b is strict (rp_filter=1), and from 198.51.100.70 the routing table leads by up-a",
        "sysctl -w net/ipv4/conf/up-b/rp_filter=2",
        STRICT_B,
    ),
    Case(
        "reverse path filters",
        PROBLEM,
        "up-b/ipv4",
        "the routing table leads nowhere",
        "rp_filter=2",
        with_way(with_settings(HEALTHY, "all", rp_filter=1), way("up-b/ipv4", "198.51.100.70", B4, None)),
    ),
    Case(
        "name servers",
        WARNING,
        "up-b/ipv4",
        "has no name servers",
        """trimif.open_mif(static=[trimif.StaticConfiguration('up-b', dns_servers=["ADDRESS"])])""",
        with_data(HEALTHY, "up-b/ipv4", {Information.DNS_SERVERS: ()}),
    ),
    Case(
        "name servers",
        WARNING,
        "up-a/ipv6",
        "has no name servers",
        """StaticConfiguration('up-a', dns_servers=["198.51.100.1"])""",
        with_data(HEALTHY, "up-a/ipv6", {Information.DNS_SERVERS: ()}),
    ),
    Case(
        "name servers",
        NOTE,
        "vpn0/ipv4",
        "has no name servers",
        "StaticConfiguration('vpn0'",
        with_data(HEALTHY, "vpn0/ipv4", {Information.DNS_SERVERS: ()}),
    ),
    Case(
        "ways to name servers",
        PROBLEM,
        "up-b/ipv4",
        "its name server 203.0.113.53 can't be reached inside it: no route leads there",
        "ip route replace 203.0.113.53/32 via 198.51.100.65 dev up-b",
        with_server_way(HEALTHY, server_way("up-b/ipv4", "198.51.100.70", "203.0.113.53", None)),
    ),
    Case(
        "ways to name servers",
        PROBLEM,
        "up-b/ipv4",
        "the route leads through 198.51.100.99",
        "ip route replace 203.0.113.53/32 via 198.51.100.65",
        with_server_way(
            HEALTHY,
            server_way("up-b/ipv4", "198.51.100.70", "203.0.113.53", NextHop("up-b", ip_address("198.51.100.99"))),
        ),
    ),
    Case(
        "ways to name servers",
        PROBLEM,
        "up-b/ipv4",
        "the domain has no IPv6 address",
        "name a server that its hosts can reach",
        with_server_way(HEALTHY, server_way("up-b/ipv4", None, "2001:db8::53", None)),
    ),
    Case(
        "leaking names",
        WARNING,
        "/etc/resolv.conf",
        "lists the servers of several networks: up-a, up-b, vpn0",
        "stub-resolv.conf",
        with_resolver(HEALTHY, "198.51.100.1", "198.51.100.65", "203.0.113.130"),
    ),
    Case(
        "leaking names",
        WARNING,
        "/etc/resolv.conf",
        "sends all names to the servers of up-a alone, also those for up-b, vpn0",
        "stub-resolv.conf",
        with_resolver(HEALTHY, "198.51.100.1", "2001:db8:a::1"),
    ),
    Case(
        "stale name servers",
        WARNING,
        "/etc/resolv.conf",
        "lists the name server 203.0.113.9, which no provisioning domain has",
        r"sed -i '/^nameserver[[:space:]]*203\.0\.113\.9/d' /etc/resolv.conf",
        with_resolver(HEALTHY, "127.0.0.1", "203.0.113.9"),
    ),
    Case("stale name servers", WARNING, "/etc/resolv.conf", "lists no name server", "stub", with_resolver(HEALTHY)),
    Case(
        "overlapping subnets",
        WARNING,
        "up-a, up-b",
        "198.51.100.10/26 and 198.51.100.20/26",
        "ip -4 rule add from 198.51.100.20 table 1",
        SAME_SUBNET,
    ),
    Case(
        "overlapping subnets",
        WARNING,
        "up-a, up-b",
        "2001:db8:a::10/64 and 2001:db8:a:0:8000::1/80",
        "ip -6 rule add from 2001:db8:a:0:8000::1",
        with_address(HEALTHY, "up-b", "2001:db8:a:0:8000::1/80"),
    ),
    Case(
        "the same address twice",
        PROBLEM,
        "up-a, up-b",
        "have the same address 198.51.100.10",
        "ip address del 198.51.100.10/32 dev up-b",
        with_address(HEALTHY, "up-b", "198.51.100.10/32"),
    ),
    Case(
        "duplicate addresses",
        PROBLEM,
        "up-b",
        "2001:db8:b::7 is a duplicate",
        "ip address del 2001:db8:b::7/64 dev up-b",
        with_address(HEALTHY, "up-b", "2001:db8:b::7/64", duplicate=True),
    ),
    Case(
        "expired leases",
        PROBLEM,
        "up-b",
        "still has the address 198.51.100.70, whose lease by dhclient has expired",
        "ip address del 198.51.100.70/26 dev up-b",
        evolve(HEALTHY, leases=(HostLease("up-b", "dhclient", ip_address("198.51.100.70"), expired=True),)),
    ),
    Case(
        "disabled IPv6",
        NOTE,
        "up-b",
        "has IPv6 disabled",
        "sysctl -w net/ipv6/conf/up-b/disable_ipv6=0",
        with_settings(HEALTHY, "up-b", disable_ipv6=1),
    ),
    Case(
        "disabled IPv6",
        WARNING,
        "up-b",
        "its network has it: its DHCP server prefers hosts without IPv4",
        "disable_ipv6=0",
        with_data(with_settings(HEALTHY, "up-b", disable_ipv6=1), "up-b/ipv4", IPV6_ONLY),
    ),
    Case(
        "small MTU",
        WARNING,
        "up-b",
        "an MTU of 1279, and IPv6 needs 1280",
        "ip link set up-b mtu 1280",
        with_interface(HEALTHY, "up-b", mtu=1279),
    ),
    Case(
        "refused routers",
        WARNING,
        "up-a",
        "(forwarding=1), and then accept_ra=1 means no",
        "sysctl -w net/ipv6/conf/up-a/accept_ra=2",
        with_settings(HEALTHY, "up-a", forwarding=1),
    ),
    Case(
        "unheard routers",
        WARNING,
        "up-a",
        "the kernel was told not to listen to routers (accept_ra=0), and trimif may not listen itself",
        "CAP_NET_RAW",
        with_settings(UNPRIVILEGED, "up-a", accept_ra=0),
    ),
    Case(
        "unheard routers",
        WARNING,
        "up-a",
        "networkd has told the kernel not to listen",
        "CAP_NET_RAW",
        evolve(
            with_settings(UNPRIVILEGED, "up-a", accept_ra=0),
            configurators=(Configurator("networkd", 7, frozenset({"up-a"}), manager=True),),
        ),
    ),
    Case(
        "two leases",
        WARNING,
        "up-a",
        "198.51.100.10 by dhclient and 198.51.100.11 by networkd",
        "stop networkd on up-a",
        evolve(
            with_address(HEALTHY, "up-a", "198.51.100.11/26"),
            leases=(*HEALTHY.leases, HostLease("up-a", "networkd", ip_address("198.51.100.11"))),
        ),
    ),
    Case(
        "privileges",
        NOTE,
        "router advertisements",
        "not seen: those on the wire",
        "run it as root",
        evolve(HEALTHY, limitations=(Limitation("router advertisements", "those on the wire", "run it as root"),)),
    ),
]
