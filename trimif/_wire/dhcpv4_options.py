"""What the options of a DHCPv4 message say: as octets, and as the texts that lease files give of them.

One rule for all formats: what identifies a lease (interface, address, end) must be right, or there is no lease; an
option whose content is wrong is left out, whole, as a client that can't use it would. A server that sends a domain
name with a blank in it does not take the lease away from its client.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any, TypeVar

from attrs import frozen

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import Data, Information, LeaseTimes, RawOption
from trimif._model import Origin, Route, Value
from trimif._wire import dhcpv4_decoders as codes
from trimif._wire.dhcp_values import INFINITE, split_counted
from trimif._wire.dhcpv4_decoders import DECODERS, classless_routes, interface_mtu, prefix_length_of
from trimif._wire.domain_names import check_domain_name

__all__ = [
    "INFINITE",
    "DHCPv4Options",
    "address",
    "addresses",
    "check_interface_name",
    "classless_routes",
    "deadline_after",
    "interface_mtu",
    "lease_of",
    "optional",
    "prefix_length",
    "read_options",
    "search_domains",
    "split_options",
]

PAD = 0
END = 255


_FIELDS = {
    "prefix_length": codes.SUBNET_MASK,
    "routers": codes.ROUTERS,
    "routes": codes.CLASSLESS_ROUTES,
    "dns_servers": codes.DNS_SERVERS,
    "ntp_servers": codes.NTP_SERVERS,
    "mtu": codes.INTERFACE_MTU,
    "server": codes.SERVER,
    "lease_seconds": codes.LEASE_SECONDS,
    "renewal_seconds": codes.RENEWAL_SECONDS,
    "rebinding_seconds": codes.REBINDING_SECONDS,
}
_DATA = (
    (Information.DNS_SELECTION, codes.DNS_SELECTION),
    (Information.ENCRYPTED_DNS, codes.ENCRYPTED_DNS),
    (Information.CAPTIVE_PORTAL, codes.CAPTIVE_PORTAL),
    (Information.IPV6_ONLY_WAIT, codes.IPV6_ONLY_PREFERRED),
    (Information.WEB_PROXY, codes.WEB_PROXY),
    (Information.METERED, codes.VENDOR_SPECIFIC),
)
_PLUMBING = frozenset({PAD, codes.SUBNET_MASK, 50, codes.LEASE_SECONDS, 52, 53, codes.SERVER, 55, 57, 61, 80, END})
"""What makes up the message itself: pad, mask, address, time, overload, type, ids, rapid commit, end."""

_INTERFACE_NAME = re.compile(r"[!-.0-9;-~]{1,15}")  # printable, neither "/" nor ":" (the kernel's dev_valid_name)

T = TypeVar("T")
D = TypeVar("D")
V = TypeVar("V")


# ---------------------------------------------------------------- options as octets


@frozen(repr=False)
class DHCPv4Options(Value):
    """What the options of a message say.

    Attributes:
        prefix_length: option 1, in bits.
        routers: option 3.
        routes: option 121.
        search_domains: option 119, else option 15; without trailing dot.
        mtu: option 26, in octets.
        server: option 54.
        lease_seconds: option 51; `INFINITE` for ever.
        renewal_seconds: option 58 (T1), likewise.
        rebinding_seconds: option 59 (T2), likewise.
        data: everything else, as in `Lease.data`, but for `Information.LEASE`.
    """

    prefix_length: int | None = None
    routers: tuple[IPv4Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dns_servers: tuple[IPv4Address, ...] = ()
    search_domains: tuple[str, ...] = ()
    ntp_servers: tuple[IPv4Address, ...] = ()
    mtu: int | None = None
    server: IPv4Address | None = None
    lease_seconds: int | None = None
    renewal_seconds: int | None = None
    rebinding_seconds: int | None = None
    data: Data = ()


def read_options(options: Mapping[int, bytes]) -> DHCPv4Options:
    """Give options their types. Never fails: what has no type, or wrong content, is in `Information.RAW_OPTIONS`.

    Args:
        options: content by code, of those that came in several pieces all of it (RFC 3396). What makes up the
            message itself, its type for example, may be there too.
    """
    values = {code: _decoded(code, octets) for code, octets in options.items()}
    told = {code: value for code, value in values.items() if value is not None}
    fields: dict[str, Any] = {name: told[code] for name, code in _FIELDS.items() if code in told}
    fields["search_domains"] = told.get(codes.DOMAIN_SEARCH) or told.get(codes.DOMAIN_NAME, ())
    data: list[tuple[Information[Any], Any]] = [(what, told[code]) for what, code in _DATA if code in told]
    if raw := tuple(RawOption(code, options[code]) for code in sorted(options) if _is_raw(code, options[code], told)):
        data.append((Information.RAW_OPTIONS, raw))
    return DHCPv4Options(**fields, data=tuple(data))


def split_options(octets: bytes) -> list[tuple[int, bytes]]:
    """Split a row of options, up to its end option; what comes in several pieces is put together (RFC 3396, 7).

    Raises:
        MalformedInput: the last one is cut short.
    """
    pieces: dict[int, list[bytes]] = {}
    offset = 0
    while offset < len(octets) and octets[offset] != END:
        if octets[offset] == PAD:
            offset += 1
            continue
        content, _rest = split_counted(octets[offset + 1 : offset + 257], 1)
        pieces.setdefault(octets[offset], []).append(content)
        offset += 2 + len(content)
    return [(code, b"".join(contents)) for code, contents in pieces.items()]


def _decoded(code: int, octets: bytes) -> Any:
    decode = DECODERS.get(code)
    return None if decode is None else optional(decode, octets, None)


def _is_raw(code: int, octets: bytes, told: Mapping[int, object]) -> bool:
    """Whether its type does not say all of an option; a vendor may say more than that the network is metered."""
    if code == codes.VENDOR_SPECIFIC:
        return octets != codes.ANDROID_METERED
    return code not in told and code not in _PLUMBING


def lease_of(interface: str, source: str, address: IPv4Address, options: DHCPv4Options, received: float) -> Lease:
    """Make a lease of a DHCPACK.

    Args:
        interface: its name.
        source: as in `Origin.source`.
        address: the message's ``yiaddr``.
        received: when the client sent the request that was acknowledged, or, if nobody knows, when the answer came.
    """
    valid_until = deadline_after(received, options.lease_seconds)
    renew_at = None if options.renewal_seconds is None else deadline_after(received, options.renewal_seconds)
    rebind_at = None if options.rebinding_seconds is None else deadline_after(received, options.rebinding_seconds)
    return Lease(
        interface=interface,
        origin=Origin(source, options.server),
        address=address,
        # RFC 2132 lets the mask be missing; clients then set the bare address.
        prefix_length=32 if options.prefix_length is None else options.prefix_length,
        valid_until=valid_until,
        routers=options.routers,
        routes=options.routes,
        dns_servers=options.dns_servers,
        search_domains=options.search_domains,
        ntp_servers=options.ntp_servers,
        mtu=options.mtu,
        data=((Information.LEASE, LeaseTimes(renew_at, rebind_at, valid_until)), *options.data),
    )


def deadline_after(received: float, seconds: int | None) -> float:
    """The time so many seconds later; `math.inf` where they are `INFINITE`, or not told."""
    return math.inf if seconds is None or seconds == INFINITE else received + seconds


# ---------------------------------------------------------------- options as text


def optional(read: Callable[[V], T], value: V | None, default: D) -> T | D:
    """What `read` makes of an option's value; `default` where the option is missing, or its content is wrong."""
    if value is None:
        return default
    try:
        return read(value)
    except MalformedInput:
        return default


def check_interface_name(name: str) -> str:
    """Return the name of a network interface.

    Raises:
        MalformedInput: Linux would not allow it.
    """
    if not _INTERFACE_NAME.fullmatch(name) or name in (".", ".."):
        raise MalformedInput(f"{name!r} is not the name of a network interface")
    return name


def address(text: object) -> IPv4Address:
    """Read an address in dotted decimal form.

    Raises:
        MalformedInput: it is none.
    """
    try:
        return IPv4Address(text if isinstance(text, str) else "")
    except ValueError:
        raise MalformedInput(f"{text!r} is not an IPv4 address") from None


def addresses(texts: Iterable[object]) -> tuple[IPv4Address, ...]:
    """Read a list of addresses, options 3, 6 and 42 (RFC 2132, 3.5, 3.8, 8.3).

    Raises:
        MalformedInput: one of them is none.
    """
    return tuple(address(text) for text in texts)


def prefix_length(mask: object) -> int:
    """Read a subnet mask, option 1 (RFC 2132, 3.3), as its length in bits.

    Raises:
        MalformedInput: it is no address, or its bits are not contiguous.
    """
    return prefix_length_of(address(mask))


def search_domains(names: Iterable[str]) -> tuple[str, ...]:
    """Check domain names, option 119 (RFC 3397) or 15; they come back without trailing dot.

    Raises:
        MalformedInput: one of them is none.
    """
    return tuple(check_domain_name(name) for name in names)
