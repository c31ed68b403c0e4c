"""One moment's picture of the host: everything that the checks look at, and nothing that they could change."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import TypeVar

from attrs import field, frozen

from trimif import (
    DomainId,
    DomainSnapshot,
    Family,
    Information,
    InterfaceKind,
    InterfaceSnapshot,
    IPAddress,
    IPNetwork,
    Limitation,
    Snapshot,
)

__all__ = [
    "Configurator",
    "HostAddress",
    "HostLease",
    "HostRoute",
    "NextHop",
    "Picture",
    "ResolverFile",
    "Settings",
    "Topic",
    "Unseen",
    "Way",
    "family_of",
    "told",
]

T = TypeVar("T")


class Topic(enum.Enum):
    """A part of the picture that may be missing, because this host does not show it."""

    SETTINGS = "kernel parameters"
    TABLES = "the kernel's tables"
    PROCESSES = "running programs"
    RESOLVER_FILE = "/etc/resolv.conf"


@frozen
class Unseen:
    """A part that could not be looked at, and why."""

    topic: Topic
    why: str


@frozen
class Settings:
    """Kernel parameters of one interface, or of ``all``; None for those that can't be read.

    Attributes:
        rp_filter: reverse path filter: 0 off, 1 strict, 2 loose (RFC 3704).
        arp_ignore: 0: answer ARP for any address of the host, on any interface.
        accept_ra: 0: never, 1: unless forwarding, 2: always.
        forwarding: of IPv6: the interface is a router's.
        disable_ipv6: not 0: no IPv6 here.
    """

    rp_filter: int | None = None
    arp_ignore: int | None = None
    accept_ra: int | None = None
    forwarding: int | None = None
    disable_ipv6: int | None = None


@frozen
class NextHop:
    """How a packet would leave: out of which interface, to which router; None if its destination is on the link."""

    interface: str
    gateway: IPAddress | None = None


@frozen
class Way:
    """The kernel's answers to: which way would a packet of this domain go?

    Attributes:
        source: an address of the domain, None if it has none of that family.
        bound: of a socket that is bound to the domain's interface, as trimif's are; None: it has no route.
        unbound: of a socket that only has the source address; the reverse path filter asks the same. None as above.
    """

    domain: DomainId
    source: IPAddress | None
    destination: IPAddress
    bound: NextHop | None
    unbound: NextHop | None = None


@frozen
class HostAddress:
    """An address in the kernel's table, link-local ones and those that can't be used included.

    Attributes:
        duplicate: duplicate address detection found that somebody else has it (RFC 4862, 5.4).
    """

    interface: str
    address: IPAddress
    prefix_length: int
    duplicate: bool = False


@frozen
class HostRoute:
    """A unicast route in the kernel's tables."""

    interface: str
    destination: IPNetwork
    gateway: IPAddress | None = None
    metric: int = 0


@frozen
class HostLease:
    """A lease that a client on this host wrote down.

    Attributes:
        source: the client, as in `trimif.Origin`.
        expired: its time is over.
    """

    interface: str
    source: str
    address: IPAddress
    expired: bool = False


@frozen
class Configurator:
    """A running program that gives interfaces addresses and routes.

    Attributes:
        interfaces: those that it takes care of; None if that can't be known.
        manager: it takes care of many interfaces, and can be told to leave one alone.
    """

    program: str
    process: int
    interfaces: frozenset[str] | None
    families: frozenset[Family] = frozenset(Family)
    manager: bool = False


@frozen
class ResolverFile:
    """What programs get that ask the system's resolver (:manpage:`resolv.conf(5)`).

    Attributes:
        path: the file itself, symbolic links followed.
    """

    path: str
    servers: tuple[IPAddress, ...] = ()


@frozen
class Picture:
    """The host at one moment.

    Attributes:
        settings: by interface name, and of ``all``.
        default_ways: for each domain and each family of its addresses, to somewhere on the Internet.
        server_ways: to each name server of each domain; ``bound`` only.
        raw_sockets: this process may open raw sockets, so it hears router advertisements itself.
    """

    snapshot: Snapshot
    limitations: tuple[Limitation, ...] = ()
    settings: Mapping[str, Settings] = field(factory=dict)
    default_ways: tuple[Way, ...] = ()
    server_ways: tuple[Way, ...] = ()
    addresses: tuple[HostAddress, ...] = ()
    routes: tuple[HostRoute, ...] = ()
    leases: tuple[HostLease, ...] = ()
    configurators: tuple[Configurator, ...] = ()
    resolver_file: ResolverFile | None = None
    raw_sockets: bool = True
    unseen: tuple[Unseen, ...] = ()

    def interfaces(self) -> Iterator[InterfaceSnapshot]:
        """All but loopback."""
        for interface in self.snapshot.interfaces:
            if interface.announcement.details.kind is not InterfaceKind.LOOPBACK:
                yield interface

    def working_interfaces(self) -> Iterator[InterfaceSnapshot]:
        """Those that are up, with carrier."""
        for interface in self.interfaces():
            if interface.announcement.details.up and interface.announcement.details.carrier:
                yield interface

    def domains(self) -> Iterator[tuple[str, DomainSnapshot]]:
        """All but those of loopback, each with its interface's name."""
        for interface in self.interfaces():
            for domain in interface.domains:
                yield interface.announcement.name, domain

    def setting(self, interface: str) -> Settings:
        """The parameters of an interface or of ``all``; unknown ones if they could not be read."""
        return self.settings.get(interface, Settings())


def family_of(address: IPAddress) -> Family:
    """The address family of an address."""
    return Family.IPV4 if isinstance(address, IPv4Address) else Family.IPV6


def told(domain: DomainSnapshot, information: Information[tuple[T, ...]]) -> tuple[T, ...]:
    """What all elements of a domain say of that kind, each item once, in their order."""
    items = (item for element in domain.elements for item in element.data.get(information, ()))
    return tuple(dict.fromkeys(items))
