"""The messages of the MIF API: requests to it, announcements from it (draft 3.5, figure 2).

All are values: frozen, comparable, with a readable ``repr``; they hold ids and data, no live objects
(`Connected.stream` apart), so they can be logged, replayed and sent over a socket. An ill-formed value raises
where the message is built, and the error names the value. Additions to the draft are marked *(trimif)*.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from attrs import field, frozen
from attrs.validators import instance_of

from trimif._information import Datum, Information, NameServerSaid
from trimif._model import (
    DomainId,
    ElementType,
    Family,
    InterfaceDetails,
    InterfaceId,
    IPAddress,
    NotConnectedReason,
    Origin,
    TranslationOutcome,
    Value,
)
from trimif._validation import check_identifier, check_name, to_address, to_port, to_systems

if TYPE_CHECKING:
    import trio

T = TypeVar("T")


# ---------------------------------------------------------------- from the subscriber


@frozen(repr=False, eq=False)
class AnnounceInterfaces(Value):
    """Asks for an `InterfaceAnnouncement` of each interface, then on every change (draft 3.5.1)."""


@frozen(repr=False, eq=False)
class StopAnnouncingInterfaces(Value):
    """Asks for no more of them (draft 3.5.2). What was told is forgotten."""


@frozen(repr=False, eq=False)
class AnnounceProvisioningDomain(Value):
    """Asks for a `ProvisioningDomainAnnouncement` of each domain of an interface, then on change (draft 3.5.5)."""

    interface: InterfaceId = field(validator=instance_of(InterfaceId))


@frozen(repr=False, eq=False)
class StopAnnouncingProvisioningDomains(Value):
    """Asks for no more of them (draft 3.5.6)."""

    interface: InterfaceId = field(validator=instance_of(InterfaceId))


@frozen(repr=False, eq=False)
class AnnounceConfigurationElement(Value):
    """Asks for a `ConfigurationElementAnnouncement` of each element of a domain, then on change (draft 3.5.9)."""

    domain: DomainId = field(validator=instance_of(DomainId))


@frozen(repr=False, eq=False)
class StopAnnouncingConfigurationElement(Value):
    """Asks for no more of them *(trimif; draft-ietf-mif-api-extension-05 has it too)*."""

    domain: DomainId = field(validator=instance_of(DomainId))


@frozen(repr=False, eq=False)
class AnnounceAddress(Value):
    """Asks for an `AddressAnnouncement` of each address of a domain, then on change (draft 3.5.12).

    Attributes:
        lifetimes: announce an address again also when only its lifetimes were extended *(trimif)*.
    """

    domain: DomainId = field(validator=instance_of(DomainId))
    lifetimes: bool = field(default=False, validator=instance_of(bool))


@frozen(repr=False, eq=False)
class StopAnnouncingAddress(Value):
    """Asks for no more of them *(trimif; draft-ietf-mif-api-extension-05 has it too)*."""

    domain: DomainId = field(validator=instance_of(DomainId))


@frozen(repr=False, eq=False)
class GetConfigurationData(Value, Generic[T]):
    """Asks once for data of a configuration element (draft 3.5.15).

    Answered by `ConfigurationData` or `NoConfigurationData`.
    """

    domain: DomainId = field(validator=instance_of(DomainId))
    element: ElementType = field(validator=instance_of(ElementType))
    information: Information[T] = field(validator=instance_of(Information))


@frozen(repr=False, eq=False)
class TranslateName(Value):
    """Asks for the addresses of a name as the domain's own name service tells them (draft 3.5.16).

    Answered by a `NameTranslation` for each address as it comes, then one `NameTranslationFinished`.

    Attributes:
        name: the name of a network node, as text (UTF-8 in the draft).
        translation_id: the subscriber's own, any hashable value, unique among its outstanding translations.
        systems: the name systems to ask, in this order, for example ``("hosts", "dns")``; None for those of the MIF.
    """

    domain: DomainId = field(validator=instance_of(DomainId))
    name: str = field(validator=check_name)
    translation_id: Hashable = field(validator=check_identifier)
    systems: tuple[str, ...] | None = field(default=None, converter=to_systems)


@frozen(repr=False, eq=False)
class StopTranslatingName(Value):
    """Ends a translation; nothing more of it is received (draft 3.5.17)."""

    translation_id: Hashable = field(validator=check_identifier)


@frozen(repr=False, eq=False)
class ConnectToAddress(Value):
    """Asks for a TCP connection through a domain, from each valid source address in turn (draft 3.5.19).

    Answered by `Connected` or `NotConnected`.

    Attributes:
        address: the peer's; text is converted.
        port: the peer's TCP port *(trimif: the draft has none)*.
        connection_id: the subscriber's own, any hashable value, unique among its outstanding connects.
    """

    domain: DomainId = field(validator=instance_of(DomainId))
    address: IPAddress = field(converter=to_address)
    port: int = field(converter=to_port)
    connection_id: Hashable = field(validator=check_identifier)


@frozen(repr=False, eq=False)
class ConnectToAddressFromAddress(Value):
    """The same from one given source address of the domain (draft 3.5.20)."""

    domain: DomainId = field(validator=instance_of(DomainId))
    source: IPAddress = field(converter=to_address)
    address: IPAddress = field(converter=to_address)
    port: int = field(converter=to_port)
    connection_id: Hashable = field(validator=check_identifier)


@frozen(repr=False, eq=False)
class StopConnecting(Value):
    """Ends a connect *(trimif)*; a connection that nobody received is closed."""

    connection_id: Hashable = field(validator=check_identifier)


# ---------------------------------------------------------------- to the subscriber


@frozen(repr=False)
class InterfaceAnnouncement(Value):
    """There is an interface, or what it is has changed (draft 3.5.3).

    Attributes:
        name: the display name, ``eth0``; it can change while the id stays.
    """

    interface: InterfaceId
    name: str
    details: InterfaceDetails


@frozen(repr=False, cache_hash=True)
class NoInterfaceAnnouncement(Value):
    """An announced interface is gone (draft 3.5.4). Its domains were withdrawn before."""

    interface: InterfaceId


@frozen(repr=False)
class ProvisioningDomainAnnouncement(Value):
    """There is a provisioning domain on an interface, or what it is has changed (draft 3.5.7).

    Attributes:
        name: for people, the command line and policies, ``eth0/ipv4``; it follows a rename of the interface.
        families: the address families that the domain gives.
        explicit_id: the domain name that identifies an explicit provisioning domain (RFC 8801), else None.
    """

    interface: InterfaceId
    domain: DomainId
    name: str
    families: frozenset[Family]
    explicit_id: str | None = None


@frozen(repr=False, cache_hash=True)
class NoProvisioningDomainAnnouncement(Value):
    """An announced domain is gone (draft 3.5.8). Its addresses and elements were withdrawn before."""

    interface: InterfaceId
    domain: DomainId


@frozen(repr=False)
class ConfigurationElementAnnouncement(Value):
    """A domain has a configuration element, or the element's content has changed (draft 3.5.10).

    Attributes:
        origin: where it came from.
        revision: 1 at first, one more each time the content changed; new lifetimes alone are no change.
    """

    domain: DomainId
    element: ElementType
    origin: Origin
    revision: int = 1


@frozen(repr=False, cache_hash=True)
class NoConfigurationElementAnnouncement(Value):
    """An announced element is no longer valid (draft 3.5.11)."""

    domain: DomainId
    element: ElementType


@frozen(repr=False)
class AddressAnnouncement(Value):
    """A domain has an address, or its lifetimes have changed (draft 3.5.13).

    Attributes:
        prefix_length: of the address on its link, in bits.
        valid_until: the deadline in seconds on Trio's clock, ``math.inf`` for ever.
        preferred_until: the deadline after which new connections should use another address.
    """

    domain: DomainId
    address: IPAddress
    prefix_length: int
    valid_until: float = math.inf
    preferred_until: float = math.inf


@frozen(repr=False, cache_hash=True)
class NoAddressAnnouncement(Value):
    """An announced address is no longer valid (draft 3.5.14)."""

    domain: DomainId
    address: IPAddress


@frozen(repr=False, eq=False)
class ConfigurationData(Value, Generic[T]):
    """Answers `GetConfigurationData` (draft 3.5.15).

    Attributes:
        provenance: where each item came from, when, and until when it is valid: for data that is a tuple one for each
            item, in its order (several, if several said it: the one that is valid longest), else one.
    """

    domain: DomainId
    element: ElementType
    information: Information[T]
    data: T
    provenance: tuple[Datum[Any], ...] = ()


@frozen(repr=False, eq=False)
class NoConfigurationData(Value):
    """Answers `GetConfigurationData` when there is none: the reason is a sentence for people (draft 3.5.15)."""

    domain: DomainId
    element: ElementType
    information: Information[Any]
    reason: str


@frozen(repr=False, eq=False)
class NameTranslation(Value):
    """One address of a name that is being translated (draft 3.5.18)."""

    translation_id: Hashable
    address: IPAddress


@frozen(repr=False, eq=False)
class NameTranslationFinished(Value):
    """Ends every translation that was not stopped *(trimif)*.

    Attributes:
        said: who was asked, and what each of them said, in the order in which they were done. It is commentary: it does
            not count when messages are compared.
    """

    translation_id: Hashable
    outcome: TranslationOutcome
    said: tuple[NameServerSaid, ...] = field(default=(), eq=False)


@frozen(repr=False, eq=False)
class Connected(Value):
    """A connect succeeded (draft 3.5.21).

    Attributes:
        stream: a :class:`trio.SocketStream`, the draft's token for the communications API. It belongs to the
            receiver of this message, who closes it; trimif never does after.
    """

    connection_id: Hashable
    stream: trio.SocketStream = field(eq=False)


@frozen(repr=False, eq=False)
class NotConnected(Value):
    """A connect failed (draft 3.5.22; "Connection Failed" of 3.5.20 is the same).

    Attributes:
        errno: the operating system's error number, 0 where the failure is none of its own.
        text: a sentence for people.
    """

    connection_id: Hashable
    reason: NotConnectedReason
    errno: int = 0
    text: str = ""


SubscriptionRequest: TypeAlias = (
    AnnounceInterfaces
    | StopAnnouncingInterfaces
    | AnnounceProvisioningDomain
    | StopAnnouncingProvisioningDomains
    | AnnounceConfigurationElement
    | StopAnnouncingConfigurationElement
    | AnnounceAddress
    | StopAnnouncingAddress
)
Request: TypeAlias = (
    SubscriptionRequest
    | GetConfigurationData[Any]
    | TranslateName
    | StopTranslatingName
    | ConnectToAddress
    | ConnectToAddressFromAddress
    | StopConnecting
)
"""Every message that a subscriber can post."""

News: TypeAlias = (
    InterfaceAnnouncement | ProvisioningDomainAnnouncement | ConfigurationElementAnnouncement | AddressAnnouncement
)
"""An announcement of something that is there."""

Withdrawal: TypeAlias = (
    NoInterfaceAnnouncement
    | NoProvisioningDomainAnnouncement
    | NoConfigurationElementAnnouncement
    | NoAddressAnnouncement
)
"""An announcement that something is gone."""

Answer: TypeAlias = (
    ConfigurationData[Any] | NoConfigurationData | NameTranslation | NameTranslationFinished | Connected | NotConnected
)
"""An answer to a subscriber's own request."""

Announcement: TypeAlias = News | Withdrawal | Answer
"""Every message that a subscriber can receive."""
