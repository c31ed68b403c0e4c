"""The vocabulary: what interfaces, provisioning domains and their data are made of.

Everything here is a value: frozen, comparable, with a readable ``repr``, free of live objects. Times are deadlines
in seconds on the clock of the program (:func:`trio.current_time`), ``math.inf`` for ever. Terms are those of
draft-liu-mif-api-extension-06 (the draft), RFC 7556 and the Linux kernel.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from attrs import field, fields, frozen
from attrs.validators import instance_of

if TYPE_CHECKING:
    from trimif._information import DnsServerSelection, EncryptedDnsServer

__all__ = [
    "DomainId",
    "DomainView",
    "ElementType",
    "Family",
    "InterfaceDetails",
    "InterfaceId",
    "InterfaceKind",
    "IPAddress",
    "IPNetwork",
    "NotConnectedReason",
    "Origin",
    "Route",
    "SourceAddress",
    "TranslationOutcome",
]

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network


class Value:
    """What every value has, written once: methods generated for each class are slow to import.

    Classes of which many are compared or hashed have those two methods generated all the same: theirs are faster.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        said = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(cast(Any, type(self))))
        return f"{type(self).__name__}({said})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        content = _content_of(cast(Hashable, type(self)))
        return bool(content(self) == content(other))

    def __hash__(self) -> int:
        return hash((type(self), _content_of(cast(Hashable, type(self)))(self)))


@cache
def _content_of(kind: Hashable) -> Callable[[Any], object]:
    """Gives the fields that make up a value of the class."""
    names = [each.name for each in fields(cast(Any, kind)) if each.eq]
    return attrgetter(*names) if names else lambda value: None


@frozen(repr=False, cache_hash=True)
class InterfaceId:
    """Identifies an interface while the process lives; never reused (draft 3.5.3, law 9). Opaque: compare it only."""

    token: str = field(validator=instance_of(str))

    def __repr__(self) -> str:
        return f"InterfaceId({self.token!r})"


@frozen(repr=False, cache_hash=True)
class DomainId:
    """Identifies a provisioning domain while the process lives; never reused (draft 3.5.7, law 9). Opaque."""

    token: str = field(validator=instance_of(str))

    def __repr__(self) -> str:
        return f"DomainId({self.token!r})"


class Family(enum.Enum):
    """An address family."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    def __repr__(self) -> str:
        return f"Family.{self.name}"


class ElementType(enum.Enum):
    """The type of a configuration element (draft 3.5.10)."""

    RA = "ra"
    """Router advertisements (RFC 4861)."""
    DHCPV6 = "dhcpv6"
    """A DHCPv6 lease or stateless answer (RFC 8415)."""
    DHCPV4 = "dhcpv4"
    """A DHCPv4 lease (RFC 2131)."""
    STATIC = "static"
    """What no other element claims, such as addresses set by hand, tunnels, the loopback interface."""
    PVD = "pvd"
    """The additional information of an explicit provisioning domain, fetched inside it (RFC 8801, 4)."""
    PORTAL = "portal"
    """What a captive portal's API says, asked inside the domain (RFC 8908)."""

    def __repr__(self) -> str:
        return f"ElementType.{self.name}"


class InterfaceKind(enum.Enum):
    """What sort of link an interface is."""

    LOOPBACK = "loopback"
    ETHERNET = "ethernet"
    WIFI = "wifi"
    CELLULAR = "cellular"
    TUNNEL = "tunnel"
    BRIDGE = "bridge"
    VIRTUAL = "virtual"
    OTHER = "other"

    def __repr__(self) -> str:
        return f"InterfaceKind.{self.name}"


class TranslationOutcome(enum.Enum):
    """How a name translation ended."""

    ANSWERED = "answered"
    """Every question was answered, and at least one address was told."""
    TRUNCATED = "truncated"
    """More addresses than a translation gives (64); the rest was left out."""
    NO_SUCH_NAME = "no such name"
    """The domain's servers say that the name does not exist."""
    NO_DATA = "no data"
    """The name exists in the domain, but has no address."""
    NO_SERVERS = "no servers"
    """No local table has the name, and the domain has no name server."""
    TIMED_OUT = "timed out"
    """No server of the domain answered in time."""
    REFUSED = "refused"
    """Every server that answered refused, or failed, to answer the question."""
    DOMAIN_GONE = "domain gone"
    """The domain ended, or had ended before the request."""

    def __repr__(self) -> str:
        return f"TranslationOutcome.{self.name}"


class NotConnectedReason(enum.Enum):
    """Why a connect failed; `NotConnected.errno` has the operating system's number."""

    NO_ROUTE = "no route"
    """The domain has no route to the address (said at once, without sending anything)."""
    WRONG_ROUTER = "wrong router"
    """The kernel would send through a router that is none of the domain's (RFC 7556)."""
    NO_SOURCE = "no source address"
    """The domain has no address of that family, or the source asked for is none of its addresses."""
    REFUSED = "refused"
    """The peer reset the connection attempt."""
    UNREACHABLE = "unreachable"
    """A router or host on the way said that the peer can't be reached."""
    TIMED_OUT = "timed out"
    """Nobody answered."""
    DOMAIN_GONE = "domain gone"
    """The domain ended, or had ended before the request."""
    FAILED = "failed"
    """Anything else; the errno tells."""

    def __repr__(self) -> str:
        return f"NotConnectedReason.{self.name}"


@frozen(repr=False)
class InterfaceDetails(Value):
    """What an interface is, besides its name.

    Attributes:
        kind: the sort of link.
        mtu: the largest packet, in octets.
        up: administratively up.
        carrier: the link is there (a cable is plugged in, a radio is associated).
        metered: whether traffic costs money, None if nobody on the host says.
    """

    kind: InterfaceKind
    mtu: int
    up: bool
    carrier: bool
    metered: bool | None = None


@frozen(repr=False)
class Origin(Value):
    """Where configuration came from.

    Attributes:
        source: who told trimif: ``"kernel"``, ``"router advertisement"``, ``"dhclient"``, ``"dhcpcd"``, ``"networkd"``,
            ``"NetworkManager"``, ``"udhcpc"``, ``"pyroute2"``, ``"resolved"``, ``"resolvconf"``, ``"dhcp"`` (trimif
            asked the network itself), ``"pvd"``, ``"portal"``, ``"static"``.
        server: the DHCP server or router that said it, None where there is none or it is not known.
    """

    source: str
    server: IPAddress | None = None

    def __str__(self) -> str:
        return self.source if self.server is None else f"{self.source} from {self.server}"


@frozen(repr=False)
class Route(Value):
    """A route of a provisioning domain.

    Attributes:
        destination: the addresses it leads to; ``0.0.0.0/0`` or ``::/0`` for the default route.
        gateway: the next hop, None when the destination is on the link.
    """

    destination: IPNetwork
    gateway: IPAddress | None = None

    def __str__(self) -> str:
        return f"{self.destination}" if self.gateway is None else f"{self.destination} via {self.gateway}"


@frozen(repr=False)
class SourceAddress(Value):
    """An address of a domain, as address selection sees it (RFC 6724).

    Attributes:
        prefix_length: in bits.
        deprecated: its preferred lifetime has run out.
        temporary: a privacy address (RFC 8981).
    """

    address: IPAddress
    prefix_length: int
    deprecated: bool = False
    temporary: bool = False


@frozen(repr=False)
class DomainView(Value):
    """What a lookup or a connect must know of its domain: one moment's picture, made by the core.

    Attributes:
        index: the kernel's index of the interface: what sockets are bound to (law 10).
        loopback: the interface is the loopback interface.
        addresses: the domain's usable addresses, in the order in which they were announced.
        dns_servers: in the order in which they are to be asked.
        search_domains: without trailing dot.
        routers: every next hop that the domain's elements told (RFC 7556: no other may be used).
        default_route: it has one, through a router or, as a tunnel's, without.
        split_domains: names in them are for these servers.
        dns_selection: which server is for which names (RFC 6731).
        encrypted_dns: servers that speak an encrypted transport, best first (RFC 9463).
        pref64: the prefixes of a NAT64, best first (RFC 8781).
    """

    domain: DomainId
    name: str
    index: int
    loopback: bool = False
    addresses: tuple[SourceAddress, ...] = ()
    dns_servers: tuple[IPAddress, ...] = ()
    search_domains: tuple[str, ...] = ()
    routers: frozenset[IPAddress] = frozenset()
    default_route: bool = False
    split_domains: tuple[str, ...] = ()
    dns_selection: tuple[DnsServerSelection, ...] = ()
    encrypted_dns: tuple[EncryptedDnsServer, ...] = ()
    pref64: tuple[IPv6Network, ...] = ()
