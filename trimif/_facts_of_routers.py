"""Facts of routers: what they advertise on a link, and what was fetched because of it.

Deadlines are those of :mod:`trimif._facts`: seconds on the program's clock, ``math.inf`` for ever. One that is not
later than the arrival withdraws.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from attrs import frozen

from trimif._information import EncryptedDnsServer, PortalInformation, PvdInformation, PvdOption, RawOption
from trimif._model import Value

__all__ = [
    "AdditionalInformation",
    "AdvertisedDomain",
    "AdvertisedPrefix",
    "AdvertisedRoute",
    "PortalStatus",
    "RouterAdvertisement",
    "RouterHeader",
]


@frozen(repr=False, eq=False)
class AdvertisedPrefix(Value):
    """A prefix information option (RFC 4861, 4.6.2).

    Attributes:
        router_address: the prefix's address is one of the router's own (RFC 6275, 7.2).
    """

    prefix: IPv6Network
    on_link: bool
    autonomous: bool
    valid_until: float
    preferred_until: float
    router_address: bool = False


@frozen(repr=False, eq=False)
class AdvertisedRoute(Value):
    """A route information option (RFC 4191), or a router's default route.

    Attributes:
        preference: 1 high, 0 medium, -1 low.
        until: the deadline; one that has passed withdraws the route.
    """

    prefix: IPv6Network
    preference: int
    until: float


@frozen(repr=False, eq=False)
class RouterHeader(Value):
    """The fixed part of a router advertisement (RFC 4861, 4.2).

    Attributes:
        until: until when the router is a default router; its lifetime was 0 if that is not later than the arrival.
        managed: the M flag: addresses come by DHCPv6.
        other_configuration: the O flag: other configuration comes by DHCPv6.
        preference: 1 high, 0 medium, -1 low (RFC 4191).
        hop_limit: 0 for unspecified.
        home_agent: the H flag (RFC 6275).
        proxy: the P flag (RFC 4389).
        reachable_time: of neighbours, in seconds; 0 for unspecified.
        retransmission_time: of neighbour solicitations, in seconds; 0 for unspecified.
    """

    until: float
    managed: bool = False
    other_configuration: bool = False
    preference: int = 0
    hop_limit: int = 0
    home_agent: bool = False
    proxy: bool = False
    reachable_time: float = 0.0
    retransmission_time: float = 0.0


@frozen(repr=False, eq=False)
class RouterAdvertisement(Value):
    """A router said this on a link: all of an RA (trimif's own listener), or the part that the kernel passes on.

    What it does not mention stays as it was (RFC 4861, 6.3.4); a deadline not later than its arrival withdraws.

    Attributes:
        index: of the interface on which it came.
        router: the link-local address of its sender.
        header: None where only options are known (RTM_NEWNDUSEROPT).
        mtu: of the link in octets, None if not told.
        dns_servers: addresses and their deadlines (RFC 8106).
        search_domains: without trailing dot, and their deadlines (RFC 8106).
        captive_portal: the URI of a portal's API (RFC 8910), None if not told.
        pref64: prefixes of a NAT64 and their deadlines (RFC 8781).
        encrypted_dns: servers and their deadlines (RFC 9463).
        domain: the explicit provisioning domain that the whole advertisement is for (RFC 8801), None for the implicit.
        raw_options: options that are not known, or whose content is not what it has to be, as they came.
    """

    index: int
    router: IPv6Address
    header: RouterHeader | None = None
    mtu: int | None = None
    prefixes: tuple[AdvertisedPrefix, ...] = ()
    routes: tuple[AdvertisedRoute, ...] = ()
    dns_servers: tuple[tuple[IPv6Address, float], ...] = ()
    search_domains: tuple[tuple[str, float], ...] = ()
    captive_portal: str | None = None
    pref64: tuple[tuple[IPv6Network, float], ...] = ()
    encrypted_dns: tuple[tuple[EncryptedDnsServer, float], ...] = ()
    domain: AdvertisedDomain | None = None
    raw_options: tuple[RawOption, ...] = ()


@frozen(repr=False, eq=False)
class AdvertisedDomain(Value):
    """A PvD option (RFC 8801, 3.1): the advertisement it is in is that of an explicit provisioning domain.

    Attributes:
        option: the domain's id, flags, and the state of its additional information.
        content: what is nested in the option, of the same interface and router. Its header is None if it has none (R);
            one that is there replaces the outer one.
    """

    option: PvdOption
    content: RouterAdvertisement


@frozen(repr=False, eq=False)
class AdditionalInformation(Value):
    """What was fetched about an explicit provisioning domain, inside it (RFC 8801, 4).

    Attributes:
        index: of the interface.
        identifier: the PvD id, in lower case and without trailing dot.
        information: None takes back what was told.
    """

    index: int
    identifier: str
    information: PvdInformation | None


@frozen(repr=False, eq=False)
class PortalStatus(Value):
    """What a captive portal's API answered, asked inside a domain that was told its URI (RFC 8908).

    Attributes:
        index: of the interface.
        uri: of the API, as it was told.
        information: None takes back what was told.
    """

    index: int
    uri: str
    information: PortalInformation | None
