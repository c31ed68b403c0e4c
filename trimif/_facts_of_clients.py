"""Facts of the programs that configure the host: leases of DHCP clients, what managers and people set.

Deadlines are those of :mod:`trimif._facts`: seconds on the program's clock, ``math.inf`` for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from attrs import field, frozen
from attrs.validators import instance_of

from trimif._information import Data
from trimif._model import IPAddress, Origin, Route, Value
from trimif._validation import to_address

__all__ = [
    "AllLeases",
    "AllLinkConfigurations",
    "DHCPv6Lease",
    "Lease",
    "LeasedAddress",
    "LinkConfiguration",
    "StaticConfiguration",
]


@frozen(repr=False, eq=False)
class Lease(Value):
    """A DHCPv4 lease as the client on the host wrote it down (RFC 2131).

    Attributes:
        interface: the interface's name, as the client knew it.
        origin: the client (``dhclient``, ``pyroute2``) and the server.
        prefix_length: from the subnet mask (option 1), in bits.
        valid_until: when the lease ends (option 51).
        mtu: option 26 in octets, None if not told.
        routers: option 3.
        routes: option 121 (RFC 3442); where it is there, option 3 does not count.
        search_domains: option 119, else option 15; without trailing dot.
        data: what else it says, by identifier: ``Information.LEASE``, ``Information.CAPTIVE_PORTAL`` and so on.
    """

    interface: str
    origin: Origin
    address: IPv4Address
    prefix_length: int
    valid_until: float
    routers: tuple[IPv4Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dns_servers: tuple[IPv4Address, ...] = ()
    search_domains: tuple[str, ...] = ()
    ntp_servers: tuple[IPv4Address, ...] = ()
    mtu: int | None = None
    data: Data = ()


@frozen(repr=False, eq=False)
class LeasedAddress(Value):
    """A non-temporary address of a DHCPv6 lease (RFC 8415, 21.6)."""

    address: IPv6Address
    valid_until: float
    preferred_until: float


@frozen(repr=False, eq=False)
class DHCPv6Lease(Value):
    """What a DHCPv6 client on the host has: a lease, or configuration without addresses (RFC 8415).

    Attributes:
        interface: the interface's name, as the client knew it.
        origin: the client and the server.
        valid_until: when the last of its addresses and prefixes expires; of one that has none, when its refresh is
            overdue (option 32), ``math.inf`` if that is not told.
        addresses: IA_NA. None of them: stateless.
        data: what it says, by identifier: ``Information.DNS_SERVERS``, ``Information.DELEGATED_PREFIXES`` and so on.
    """

    interface: str
    origin: Origin
    valid_until: float
    addresses: tuple[LeasedAddress, ...] = ()
    data: Data = ()


@frozen(repr=False, eq=False)
class AllLeases(Value):
    """All current leases that one origin knows: those it told before and does not list are gone.

    Attributes:
        source: the origin's name, as in `trimif.Origin`.
    """

    source: str
    leases: tuple[Lease | DHCPv6Lease, ...]


@frozen(repr=False, eq=False)
class LinkConfiguration(Value):
    """What a manager on the host was told about a link by a person, a VPN or a modem: its DNS, whether it is metered.

    DNS, routes and the like belong to the STATIC element of the interface's domains. ``Information.METERED`` and
    ``Information.LINK_TYPE`` are said of the interface.

    Attributes:
        interface: the interface's name.
        origin: the manager: ``resolved``, ``resolvconf``, ``networkd``, ``NetworkManager``.
        data: what it says, by identifier.
    """

    interface: str
    origin: Origin
    data: Data = ()


@frozen(repr=False, eq=False)
class AllLinkConfigurations(Value):
    """All configurations of links that one manager knows: those it told before and does not list are gone."""

    source: str
    configurations: tuple[LinkConfiguration, ...]


def _addresses(values: Iterable[IPAddress | str]) -> tuple[IPAddress, ...]:
    if isinstance(values, str):
        raise TypeError(f"{values!r} is one string; give a sequence of addresses")
    return tuple(map(to_address, values))


def _names(values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"{values!r} is one string; give a sequence of domain names")
    return tuple(name.removesuffix(".") for name in values)


@frozen(repr=False, eq=False)
class StaticConfiguration(Value):
    """What a person knows about an interface that nobody on the network says: a VPN's name servers, mostly.

    It belongs to the STATIC element of the interface's domains, each server to the domain of its family.

    Attributes:
        interface: the interface's name.
        dns_servers: in the order in which they are to be asked; text is converted.
        search_domains: a trailing dot is dropped.
        split_domains: names in them are asked of these servers, and nowhere else; a trailing dot is dropped.
    """

    interface: str = field(validator=instance_of(str))
    dns_servers: tuple[IPAddress, ...] = field(default=(), converter=_addresses)
    search_domains: tuple[str, ...] = field(default=(), converter=_names)
    split_domains: tuple[str, ...] = field(default=(), converter=_names)
