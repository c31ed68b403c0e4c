"""What the options of a DHCPv6 message say (RFC 8415, 21; RFC 3646, 4075, 5908, 6731, 8910, 9463).

An option is a code and a length, two octets each, and its content, which may hold options again: an identity
association (IA) has the addresses or prefixes that it assigns. An option whose content is wrong is left out, whole.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import Any, Final, TypeAlias, TypeVar

from attrs import define, field, frozen

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, LeasedAddress
from trimif._information import (
    Data,
    DelegatedPrefix,
    DnsServerSelection,
    EncryptedDnsServer,
    Information,
    LeaseTimes,
    RawOption,
)
from trimif._model import IPAddress, Origin, Value
from trimif._wire.dhcp_values import INFINITE, encrypted_dns_server, expect, ipv6_addresses, number, selections, uri
from trimif._wire.domain_names import decode_names

__all__ = ["DHCPv6Options", "Option", "lease_of", "read_options", "split_options"]

Option: TypeAlias = tuple[int, bytes]
"""Code and content."""

CLIENT_ID: Final = 1
SERVER_ID: Final = 2
IA_NA: Final = 3
IA_ADDRESS: Final = 5
STATUS_CODE: Final = 13
DNS_SERVERS: Final = 23
DOMAIN_LIST: Final = 24
IA_PD: Final = 25
IA_PREFIX: Final = 26
SNTP_SERVERS: Final = 31
INFORMATION_REFRESH: Final = 32
NTP_SERVER: Final = 56
DNS_SELECTION: Final = 74
CAPTIVE_PORTAL: Final = 103
ENCRYPTED_DNS: Final = 144

NTP_ADDRESS = 1  # sub-options of option 56 (RFC 5908, 4)
NTP_MULTICAST = 2
NTP_NAME = 3

MINIMUM_REFRESH = 600  # IRT_MINIMUM, seconds (RFC 8415, 7.6)
NAMES_OCTETS = 4096
_PLUMBING = frozenset({CLIENT_ID, SERVER_ID, 6, 7, 8, 9, 11, STATUS_CODE, 14, 19, 20, INFORMATION_REFRESH})
"""What makes up the message itself: ids, requested options, preference, elapsed time, relay, authentication, …"""

T = TypeVar("T")

_HEADER = struct.Struct("!HH")
_IA = struct.Struct("!4sII")  # IAID, T1, T2
_ADDRESS = struct.Struct("!16sII")  # address, preferred and valid lifetime
_PREFIX = struct.Struct("!IIB16s")  # preferred and valid lifetime, prefix length, prefix


@frozen(repr=False)
class DHCPv6Options(Value):
    """What the options of a Reply say.

    Attributes:
        server_duid: option 2; empty if not told.
        addresses: of all IA_NA; those that expire at once are not there.
        times: of the earliest IA; None without addresses and delegated prefixes.
        valid_until: as in `DHCPv6Lease`.
        data: everything else, `Information.LEASE` included, as in `DHCPv6Lease.data`.
    """

    server_duid: bytes = b""
    addresses: tuple[LeasedAddress, ...] = ()
    times: LeaseTimes | None = None
    valid_until: float = math.inf
    data: Data = ()


def split_options(octets: bytes) -> list[Option]:
    """Split a row of options.

    Raises:
        MalformedInput: the last one is cut short.
    """
    options = []
    offset = 0
    while offset < len(octets):
        expect(offset + _HEADER.size <= len(octets), "an option's header is cut short")
        code, length = _HEADER.unpack_from(octets, offset)
        offset += _HEADER.size + length
        expect(offset <= len(octets), f"option {code} is cut short")
        options.append((code, octets[offset - length : offset]))
    return options


def read_options(options: Iterable[Option], received: float) -> DHCPv6Options:
    """Give options their types. Never fails: what has no type, or wrong content, is in `Information.RAW_OPTIONS`.

    Where the server says that it failed (option 13), as a whole or for one IA, that holds no address or prefix.

    Args:
        options: those of a message. Its ids, requested options and so on may be there too.
        received: when it came.
    """
    told = _Told(received)
    for code, octets in options:
        try:
            _DECODERS[code](told, octets)
        except (KeyError, MalformedInput):
            if code not in _PLUMBING:
                told.raw.append(RawOption(code, octets))
    return told.options()


def lease_of(interface: str, source: str, options: DHCPv6Options, server: IPAddress | None = None) -> DHCPv6Lease:
    """Make a lease, or configuration without addresses, of a Reply.

    Args:
        interface: its name.
        source: as in `Origin.source`.
        server: the link-local address that the Reply came from, where it is known.
    """
    return DHCPv6Lease(interface, Origin(source, server), options.valid_until, options.addresses, options.data)


@define
class _Told:
    """What the options say, so far."""

    received: float
    server_duid: bytes = b""
    failed: bool = False
    refresh: int | None = None
    addresses: dict[IPv6Address, LeasedAddress] = field(factory=dict)
    prefixes: dict[IPv6Network, DelegatedPrefix] = field(factory=dict)
    renewals: list[int] = field(factory=list)
    rebindings: list[int] = field(factory=list)
    dns_servers: list[IPv6Address] = field(factory=list)
    search_domains: list[str] = field(factory=list)
    ntp_servers: list[IPv6Address] = field(factory=list)
    sntp_servers: list[IPv6Address] = field(factory=list)
    ntp_names: list[str] = field(factory=list)
    selections: list[DnsServerSelection] = field(factory=list)
    encrypted_dns: list[EncryptedDnsServer] = field(factory=list)
    portal: str = ""
    raw: list[RawOption] = field(factory=list)

    def deadline(self, seconds: int) -> float:
        return math.inf if seconds == INFINITE else self.received + seconds

    def act(self, renew: int, rebind: int) -> None:
        """An IA has these times; one of 0 leaves the choice to the client (RFC 8415, 14.2)."""
        self.renewals += [renew] if renew else []
        self.rebindings += [rebind] if rebind else []

    def options(self) -> DHCPv6Options:
        if self.failed:
            self.addresses, self.prefixes = {}, {}
        times = self.times()
        return DHCPv6Options(
            server_duid=self.server_duid,
            addresses=tuple(self.addresses.values()),
            times=times,
            valid_until=self.refresh_at() if times is None else times.valid_until,
            data=self.data(times),
        )

    def times(self) -> LeaseTimes | None:
        leased: list[LeasedAddress | DelegatedPrefix] = [*self.addresses.values(), *self.prefixes.values()]
        ends = [each.valid_until for each in leased]
        if not ends:
            return None
        renew_at = min(map(self.deadline, self.renewals), default=None)
        return LeaseTimes(renew_at, min(map(self.deadline, self.rebindings), default=None), max(ends))

    def refresh_at(self) -> float:
        """RFC 8415, 21.23: "the client MUST use" a minimum of ten minutes."""
        return math.inf if self.refresh is None else self.deadline(max(MINIMUM_REFRESH, self.refresh))

    def data(self, times: LeaseTimes | None) -> Data:
        encrypted = sorted(self.encrypted_dns, key=lambda server: server.priority)
        found: tuple[tuple[Information[Any], Any], ...] = (
            (Information.LEASE, times),
            (Information.DNS_SERVERS, _once(self.dns_servers)),
            (Information.SEARCH_DOMAINS, _once(self.search_domains)),
            (Information.NTP_SERVERS, _once([*self.ntp_servers, *self.sntp_servers])),
            (Information.NTP_NAMES, _once(self.ntp_names)),
            (Information.DELEGATED_PREFIXES, tuple(self.prefixes.values())),
            (Information.DNS_SELECTION, tuple(self.selections)),
            (Information.ENCRYPTED_DNS, tuple(encrypted)),
            (Information.CAPTIVE_PORTAL, self.portal),
            (Information.RAW_OPTIONS, tuple(self.raw)),
        )
        return tuple((information, value) for information, value in found if value)


def _once(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


# ---------------------------------------------------------------- addresses and prefixes


def _decode_server_id(told: _Told, octets: bytes) -> None:
    told.server_duid = octets


def _decode_status(told: _Told, octets: bytes) -> None:
    told.failed = _is_failure(octets)


def _is_failure(octets: bytes) -> bool:
    return number(octets[:2], 2) != 0  # Success; text for people follows


def _failed(options: Iterable[Option]) -> bool:
    return any(code == STATUS_CODE and _is_failure(octets) for code, octets in options)


def _associated(octets: bytes, wanted: int) -> tuple[int, int, list[bytes]]:
    """Split an IA: T1, T2, and its addresses or prefixes, none if the server says that it failed.

    "If a client receives an IA_NA with T1 greater than T2 and both T1 and T2 are greater than 0, the client discards
    the IA_NA option" (RFC 8415, 21.4).
    """
    expect(len(octets) >= _IA.size, "an identity association is cut short")
    _identifier, renew, rebind = _IA.unpack_from(octets)
    expect(not renew > rebind > 0, "an identity association is renewed after it is rebound")
    options = split_options(octets[_IA.size :])
    contents = [content for code, content in options if code == wanted]
    return renew, rebind, [] if _failed(options) else contents


def _decode_ia_na(told: _Told, octets: bytes) -> None:
    renew, rebind, contents = _associated(octets, IA_ADDRESS)
    if leased := [address for content in contents for address in _leased_address(told, content)]:
        told.addresses.update((each.address, each) for each in leased)
        told.act(renew, rebind)


def _leased_address(told: _Told, octets: bytes) -> Iterator[LeasedAddress]:
    expect(len(octets) >= _ADDRESS.size, "a leased address is cut short")
    packed, preferred, valid = _ADDRESS.unpack_from(octets)
    if _is_leased(preferred, valid, octets[_ADDRESS.size :]):
        yield LeasedAddress(IPv6Address(packed), told.deadline(valid), told.deadline(preferred))


def _decode_ia_pd(told: _Told, octets: bytes) -> None:
    renew, rebind, contents = _associated(octets, IA_PREFIX)
    if delegated := [prefix for content in contents for prefix in _delegated_prefix(told, content)]:
        told.prefixes.update((each.prefix, each) for each in delegated)
        told.act(renew, rebind)


def _delegated_prefix(told: _Told, octets: bytes) -> Iterator[DelegatedPrefix]:
    expect(len(octets) >= _PREFIX.size, "a delegated prefix is cut short")
    preferred, valid, length, packed = _PREFIX.unpack_from(octets)
    expect(length <= 128, f"a prefix has {length} bits")
    if _is_leased(preferred, valid, octets[_PREFIX.size :]):
        prefix = IPv6Network((packed, length), strict=False)
        yield DelegatedPrefix(prefix, told.deadline(valid), told.deadline(preferred))


def _is_leased(preferred: int, valid: int, options: bytes) -> bool:
    """ "The client MUST discard any addresses for which the preferred lifetime is greater than the valid lifetime"
    (RFC 8415, 21.6; prefixes likewise, 21.22); a valid lifetime of 0 takes it away.
    """
    return 0 < valid >= preferred and not _failed(split_options(options))


# ---------------------------------------------------------------- configuration


def _names(octets: bytes) -> tuple[str, ...]:
    expect(len(octets) <= NAMES_OCTETS, f"{len(octets)} octets of domain names are too many")
    names = decode_names(octets)
    expect(bool(names), "there is no domain name")
    return names


def _decode_dns_servers(told: _Told, octets: bytes) -> None:
    told.dns_servers += ipv6_addresses(octets)


def _decode_domain_list(told: _Told, octets: bytes) -> None:
    told.search_domains += _names(octets)


def _decode_sntp(told: _Told, octets: bytes) -> None:
    told.sntp_servers += ipv6_addresses(octets)


def _decode_ntp(told: _Told, octets: bytes) -> None:
    """Only unicast servers have a type here: a multicast group is none to send questions to (RFC 5908, 4.2)."""
    options = split_options(octets)
    addresses = [only for code, content in options if code == NTP_ADDRESS for only in ipv6_addresses(content)]
    names = [only for code, content in options if code == NTP_NAME for only in _names(content)]
    expect(bool(addresses or names), "no time server is told")
    told.ntp_servers += addresses
    told.ntp_names += names


def _decode_refresh(told: _Told, octets: bytes) -> None:
    told.refresh = number(octets, 4)


def _decode_selection(told: _Told, octets: bytes) -> None:
    expect(len(octets) > 17, "a selection of name servers is cut short")
    told.selections += selections(octets[16], ipv6_addresses(octets[:16]), octets[17:])


def _decode_encrypted_dns(told: _Told, octets: bytes) -> None:
    told.encrypted_dns.append(encrypted_dns_server(octets, 16))


def _decode_portal(told: _Told, octets: bytes) -> None:
    told.portal = uri(octets)


_DECODERS: dict[int, Callable[[_Told, bytes], None]] = {
    SERVER_ID: _decode_server_id,
    IA_NA: _decode_ia_na,
    STATUS_CODE: _decode_status,
    DNS_SERVERS: _decode_dns_servers,
    DOMAIN_LIST: _decode_domain_list,
    IA_PD: _decode_ia_pd,
    SNTP_SERVERS: _decode_sntp,
    INFORMATION_REFRESH: _decode_refresh,
    NTP_SERVER: _decode_ntp,
    DNS_SELECTION: _decode_selection,
    CAPTIVE_PORTAL: _decode_portal,
    ENCRYPTED_DNS: _decode_encrypted_dns,
}
