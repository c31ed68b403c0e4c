"""The data of configuration elements: what Get Configuration Data can ask for, and the types of the answers.

An identifier is a typed constant of :class:`Information`; the RFC that defines its datum is named beside it. All
values are frozen, and every time in them is a deadline in seconds on the clock of the program
(:func:`trio.current_time`), ``math.inf`` for ever.
"""

from __future__ import annotations

import math
from ipaddress import IPv6Network
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from attrs import frozen

from trimif._model import InterfaceKind, IPAddress, IPNetwork, Origin, Route, Value

__all__ = [
    "Data",
    "Datum",
    "DelegatedPrefix",
    "DnsServerSelection",
    "EncryptedDnsServer",
    "Information",
    "LeaseTimes",
    "NameServerSaid",
    "PortalInformation",
    "PvdInformation",
    "PvdOption",
    "RawOption",
]

T = TypeVar("T")


@frozen(repr=False, cache_hash=True)
class Information(Generic[T]):
    """A configuration information identifier (draft 3.5.15), typed by the data that it asks for.

    The constants of this class are all there are; ``T`` is the type of ``ConfigurationData.data``.
    """

    name: str

    DNS_SERVERS: ClassVar[Information[tuple[IPAddress, ...]]]
    """The name servers, in the order in which they are to be asked."""
    SEARCH_DOMAINS: ClassVar[Information[tuple[str, ...]]]
    """Domains to try names in, without a trailing dot."""
    SPLIT_DOMAINS: ClassVar[Information[tuple[str, ...]]]
    """Domains whose names are to be asked of these name servers, "routing domains", or a PvD's ``dnsZones``."""
    DNS_SELECTION: ClassVar[Information[tuple[DnsServerSelection, ...]]]
    """Which name server is for which names (RFC 6731)."""
    ENCRYPTED_DNS: ClassVar[Information[tuple[EncryptedDnsServer, ...]]]
    """Name servers that speak DNS over TLS, HTTPS or QUIC, best first (RFC 9463)."""
    ROUTERS: ClassVar[Information[tuple[IPAddress, ...]]]
    """The default routers, best first."""
    ROUTES: ClassVar[Information[tuple[Route, ...]]]
    """All routes, the default routes included."""
    PREFIXES: ClassVar[Information[tuple[IPNetwork, ...]]]
    """The prefixes of the link."""
    DELEGATED_PREFIXES: ClassVar[Information[tuple[DelegatedPrefix, ...]]]
    """Prefixes for networks behind this host (RFC 8415, 6.3)."""
    PREF64: ClassVar[Information[tuple[IPv6Network, ...]]]
    """The prefixes under which a NAT64 shows the IPv4 Internet (RFC 8781)."""
    MTU: ClassVar[Information[int]]
    """The largest packet on the link, in octets."""
    NTP_SERVERS: ClassVar[Information[tuple[IPAddress, ...]]]
    """Time servers."""
    NTP_NAMES: ClassVar[Information[tuple[str, ...]]]
    """Time servers that are told by name (RFC 5908)."""
    CAPTIVE_PORTAL: ClassVar[Information[str]]
    """The URI of the captive portal's API (RFC 8910)."""
    PORTAL: ClassVar[Information[PortalInformation]]
    """What that API says (RFC 8908)."""
    PVD: ClassVar[Information[PvdOption]]
    """How a router names an explicit provisioning domain (RFC 8801, 3.1)."""
    PVD_INFORMATION: ClassVar[Information[PvdInformation]]
    """The additional information of an explicit provisioning domain (RFC 8801, 4.3)."""
    LEASE: ClassVar[Information[LeaseTimes]]
    """The timers of a lease."""
    IPV6_ONLY_WAIT: ClassVar[Information[float]]
    """For how many seconds a host that can do without IPv4 should not ask for it (RFC 8925)."""
    WEB_PROXY: ClassVar[Information[str]]
    """The URL of a proxy auto-configuration file (WPAD, DHCPv4 option 252)."""
    METERED: ClassVar[Information[bool]]
    """Whether traffic costs money."""
    LINK_TYPE: ClassVar[Information[InterfaceKind]]
    """The sort of link that the domain is on."""
    RAW_OPTIONS: ClassVar[Information[tuple[RawOption, ...]]]
    """Options that trimif gives no type, and those whose content is not what their type asks for, as they came."""
    VALID_UNTIL: ClassVar[Information[float]]
    """The deadline of the element itself, such as a lease's end or a router's last lifetime."""

    def __repr__(self) -> str:
        return f"Information.{self.name}"

    @classmethod
    def all(cls) -> tuple[Information[Any], ...]:
        """Every identifier, in a fixed order."""
        return tuple(value for value in vars(cls).values() if isinstance(value, Information))

    @classmethod
    def named(cls, name: str) -> Information[Any]:
        """The identifier of that name, for example ``"DNS_SERVERS"``."""
        value = vars(cls).get(name)
        if not isinstance(value, Information):
            known = ", ".join(each.name for each in cls.all())
            raise ValueError(f"no configuration information is named {name!r}; there are {known}")
        return value


for _name in tuple(Information.__annotations__):
    if _name.isupper():
        setattr(Information, _name, Information(_name))

Data: TypeAlias = tuple[tuple[Information[Any], Any], ...]
"""Data by identifier, each identifier once, in a form that can be compared and hashed."""


@frozen(repr=False, eq=False)
class Datum(Value, Generic[T]):
    """One item of configuration, and where it came from.

    Attributes:
        value: of identifiers whose data is a tuple, one item of it.
        received: when trimif was told.
        valid_until: when it expires, unless it is told again.
    """

    value: T
    origin: Origin
    received: float
    valid_until: float = math.inf


@frozen(repr=False, eq=False)
class NameServerSaid(Value):
    """What one server, or a system without servers, said during a name translation.

    Attributes:
        system: ``"hosts"``, ``"dns"``, ``"mdns"``, ``"llmnr"``, or a program's own.
        server: who was asked; None where there is no server.
        question: the absolute name, and what was asked for: ``"www.example.org. AAAA"``.
        said: ``"answered"``, ``"no such name"``, ``"no data"``, ``"timed out"``, or what went wrong.
        seconds: from asking to that.
    """

    system: str
    server: IPAddress | None
    question: str
    said: str
    seconds: float


@frozen(repr=False, eq=False)
class RawOption(Value):
    """An option as it came: of a router advertisement, DHCPv6 or DHCPv4, as its element says.

    Attributes:
        code: the option's number.
        octets: its content, without code and length. DHCPv4 options in several pieces are one (RFC 3396).
    """

    code: int
    octets: bytes


@frozen(repr=False, eq=False)
class EncryptedDnsServer(Value):
    """A name server that speaks an encrypted transport (RFC 9463).

    Attributes:
        priority: the service priority; smaller is better.
        name: the authentication domain name, which its certificate has to bear; without trailing dot.
        addresses: where it is, in order of preference; none if the name has to be looked up.
        alpn: the protocols it offers, ``"dot"``, ``"h2"``, ``"doq"``.
        port: None for the protocol's own.
        doh_path: the URI template's path for DNS over HTTPS (RFC 9461), None if not told.
        parameters: all service parameters as they came, by key (RFC 9460, 2.2); those above included.
    """

    priority: int
    name: str
    addresses: tuple[IPAddress, ...] = ()
    alpn: tuple[str, ...] = ()
    port: int | None = None
    doh_path: str | None = None
    parameters: tuple[tuple[int, bytes], ...] = ()


@frozen(repr=False, eq=False)
class DnsServerSelection(Value):
    """Which names a name server is for (RFC 6731, 4.2 and 4.3).

    Attributes:
        server: one DHCPv4 option has up to two, which are told as two.
        preference: 1 high, 0 medium, -1 low.
        domains: and all below them, without trailing dot; the root, ``"."``, says that it may be the default server.
    """

    server: IPAddress
    preference: int
    domains: tuple[str, ...] = ()


@frozen(repr=False, eq=False)
class DelegatedPrefix(Value):
    """A prefix that was delegated to this host (RFC 8415, 21.22)."""

    prefix: IPv6Network
    valid_until: float
    preferred_until: float


@frozen(repr=False, eq=False)
class LeaseTimes(Value):
    """When a DHCP client acts on its lease (RFC 2131, 4.4.5; RFC 8415, 21.4).

    Attributes:
        renew_at: it asks the same server (T1); None if not known.
        rebind_at: it asks any server (T2); None if not known.
        valid_until: it stops using the lease.
    """

    renew_at: float | None
    rebind_at: float | None
    valid_until: float


@frozen(repr=False, eq=False)
class PvdOption(Value):
    """How a router names an explicit provisioning domain, and what it says of it (RFC 8801, 3.1).

    Attributes:
        identifier: the PvD id, a fully qualified domain name, in lower case and without trailing dot.
        http: additional information can be fetched (H).
        legacy: the domain has IPv4 too, what DHCPv4 said (L).
        delay: additional information is fetched after a random delay of up to 2 ** (10 + delay) milliseconds.
        sequence: of the additional information; another number says that it has changed.
    """

    identifier: str
    http: bool = False
    legacy: bool = False
    delay: int = 0
    sequence: int = 0


@frozen(repr=False, eq=False)
class PvdInformation(Value):
    """The additional information of an explicit provisioning domain (RFC 8801, 4.3).

    Attributes:
        identifier: the PvD id.
        expires: a deadline.
        prefixes: those of the domain.
        dns_zones: names in them are to be asked inside this domain (``dnsZones``); without trailing dot.
        no_internet: the domain does not reach the Internet (``noInternet``).
        metered: traffic costs money; None if not told.
        text: the whole JSON object, for keys that trimif does not know.
    """

    identifier: str
    expires: float
    prefixes: tuple[IPNetwork, ...] = ()
    dns_zones: tuple[str, ...] = ()
    no_internet: bool = False
    metered: bool | None = None
    text: str = "{}"


@frozen(repr=False, eq=False)
class PortalInformation(Value):
    """What a captive portal's API says (RFC 8908, 5).

    Attributes:
        captive: the portal does not let traffic through yet.
        user_portal_url: the page for a person to act on.
        venue_info_url: a page about the place.
        can_extend_session: a person can prolong the session there.
        session_until: when the session ends, a deadline; None if not told.
        octets_remaining: how much may still be transferred (``bytes-remaining``); None if not told.
    """

    captive: bool
    user_portal_url: str | None = None
    venue_info_url: str | None = None
    can_extend_session: bool | None = None
    session_until: float | None = None
    octets_remaining: int | None = None
