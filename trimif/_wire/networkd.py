"""The state files of systemd-networkd: ``leases/INDEX``, a DHCPv4 lease, and ``links/INDEX``, what it does with a link.

They begin with "This is private data. Do not parse.", and are all that an unprivileged program has without a bus.
A lease file tells times as spans, since a moment that it doesn't tell: a renewal that changes nothing does not
rewrite it. So no end of the lease can be had from it, and none is made up. networkd gives the leased address the
lease's lifetime: the kernel says when it ends.

A link file mixes the name servers that a person configured with those of DHCP and of routers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_address

from attrs import evolve, field, frozen

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import Data, Information, LeaseTimes
from trimif._model import IPAddress, Origin, Route, Value
from trimif._wire import dhcpv4_options as dhcpv4
from trimif._wire.link_dns import LinkDns, parse_domains, parse_servers
from trimif._wire.systemd_files import parse_seconds, parse_variables

__all__ = ["LeaseFile", "LinkFile", "parse_lease", "parse_link", "time_servers"]

NOT_MANAGED = ("", "pending", "initialized", "unmanaged")
"""Administrative states in which networkd has not configured a link, and leaves it to others (resolved's rule)."""
VENDOR_SPECIFIC = 43


@frozen(repr=False)
class LeaseFile(Value):
    """A lease file.

    Attributes:
        lease: valid for ever, as far as the file tells.
        lifetime: all times in seconds, since the lease was obtained or renewed.
    """

    lease: Lease
    lifetime: float
    renewal: float | None = None
    rebinding: float | None = None

    def ending(self, valid_until: float) -> Lease:
        """The lease, when somebody else says when it ends: then its other timers are known, too."""
        if math.isinf(valid_until) or math.isinf(self.lifetime):
            return self.lease
        began = valid_until - self.lifetime
        renew_at, rebind_at = (None if span is None else began + span for span in (self.renewal, self.rebinding))
        times = (Information.LEASE, LeaseTimes(renew_at, rebind_at, valid_until))
        return evolve(self.lease, valid_until=valid_until, data=(*self.lease.data, times))


@frozen(repr=False)
class LinkFile(Value):
    """A link file.

    Attributes:
        managed: networkd configures the link. Otherwise the rest is empty.
        data: the time servers.
    """

    managed: bool
    dns: LinkDns = field(factory=LinkDns)
    data: Data = ()


def parse_lease(octets: bytes, interface: str) -> LeaseFile:
    """Read a lease file.

    Raises:
        MalformedInput: it is none, or lacks the address or the lease time.
    """
    told = parse_variables(octets)
    if "ADDRESS" not in told or "LIFETIME" not in told:
        raise MalformedInput("a lease lacks its address or its time")
    options = dhcpv4.read_options(_octets(told))
    lease = Lease(
        interface=dhcpv4.check_interface_name(interface),
        origin=Origin("networkd", dhcpv4.optional(dhcpv4.address, told.get("SERVER_ADDRESS"), None)),
        address=dhcpv4.address(told["ADDRESS"]),
        prefix_length=dhcpv4.optional(dhcpv4.prefix_length, told.get("NETMASK"), 32),
        valid_until=math.inf,
        routers=dhcpv4.optional(dhcpv4.addresses, _words(told, "ROUTER"), ()),
        routes=dhcpv4.optional(_routes, told.get("CLASSLESS_ROUTES", told.get("ROUTES")), ()),
        dns_servers=dhcpv4.optional(dhcpv4.addresses, _words(told, "DNS"), ()),
        search_domains=parse_domains(_words(told, "DOMAIN_SEARCH_LIST") or _words(told, "DOMAINNAME")),
        ntp_servers=dhcpv4.optional(dhcpv4.addresses, _words(told, "NTP"), ()),
        mtu=dhcpv4.optional(_mtu, told.get("MTU"), None),
        data=options.data,
    )
    spans = (dhcpv4.optional(parse_seconds, told.get(key), None) for key in ("T1", "T2"))
    return LeaseFile(lease, parse_seconds(told["LIFETIME"]), *spans)


def parse_link(octets: bytes) -> LinkFile:
    """Read a link file.

    Raises:
        MalformedInput: it is none.
    """
    told = parse_variables(octets)
    if told.get("ADMIN_STATE", "") in NOT_MANAGED:
        return LinkFile(managed=False)
    dns = LinkDns(
        parse_servers(_words(told, "DNS")),
        parse_domains(_words(told, "DOMAINS")),
        parse_domains(_words(told, "ROUTE_DOMAINS")),
        {"yes": True, "no": False}.get(told.get("DNS_DEFAULT_ROUTE", "")),
    )
    return LinkFile(managed=True, dns=dns, data=time_servers(_words(told, "NTP")))


def time_servers(words: list[str]) -> Data:
    """Time servers, by address and by name."""
    addresses: dict[IPAddress, None] = {}
    names = []
    for word in words:
        try:
            addresses[ip_address(word)] = None
        except ValueError:
            names.append(word)
    items = ((Information.NTP_SERVERS, tuple(addresses)), (Information.NTP_NAMES, parse_domains(names)))
    return tuple(item for item in items if item[1])


def _words(told: Mapping[str, str], key: str) -> list[str]:
    return told.get(key, "").split()


def _mtu(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise MalformedInput(f"{text[:80]!r} is not an MTU")
    return dhcpv4.interface_mtu(int(text))


def _routes(text: str) -> tuple[Route, ...]:
    """``DESTINATION/LENGTH,ROUTER``; the router 0.0.0.0 says that it is on the link (RFC 3442)."""
    routes = []
    for word in text.split():
        destination, _, router = word.partition(",")
        try:
            network = IPv4Network(destination, strict=False)
        except ValueError:
            raise MalformedInput(f"{word[:80]!r} is not a route") from None
        gateway = dhcpv4.address(router)
        routes.append(Route(network, None if gateway.is_unspecified else gateway))
    return tuple(routes)


def _octets(told: Mapping[str, str]) -> dict[int, bytes]:
    """The options that are kept as octets: the vendor's, and private ones (224 to 254)."""
    options = {}
    for key, value in told.items():
        code = str(VENDOR_SPECIFIC) if key == "VENDOR_SPECIFIC" else key.removeprefix("OPTION_")
        if code.isdigit() and key != code and int(code) < 255:
            try:
                options[int(code)] = bytes.fromhex(value)
            except ValueError:
                continue
    return options
