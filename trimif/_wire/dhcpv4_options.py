"""Values of DHCPv4 options that more than one lease format carries (RFC 2132, RFC 3397, RFC 3442).

One rule for all lease formats: what identifies a lease (interface, address, end) must be right, or there is no
lease; an option whose content is wrong is left out, whole, as a client that can't use it would. A server that
sends a domain name with a blank in it does not take the lease away from its client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from trimif._errors import MalformedInput
from trimif._model import Route
from trimif._wire.domain_names import check_domain_name

__all__ = [
    "address",
    "addresses",
    "check_interface_name",
    "classless_routes",
    "interface_mtu",
    "optional",
    "prefix_length",
    "search_domains",
]

MINIMUM_MTU = 68  # RFC 2132, 5.1
MAXIMUM_MTU = 65535

_INTERFACE_NAME = re.compile(r"[!-.0-9;-~]{1,15}")  # printable, neither "/" nor ":" (the kernel's dev_valid_name)

T = TypeVar("T")
D = TypeVar("D")
V = TypeVar("V")


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
    bits = int(address(mask))
    length = bits.bit_count()
    if bits != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise MalformedInput(f"{mask!r} is not a subnet mask")
    return length


def interface_mtu(number: int) -> int:
    """Check an MTU in octets, option 26: "the minimum legal value for the MTU is 68" (RFC 2132, 5.1).

    Raises:
        MalformedInput: it is less, or too much for IPv4.
    """
    if not MINIMUM_MTU <= number <= MAXIMUM_MTU:
        raise MalformedInput(f"{number} is not an MTU")
    return number


def search_domains(names: Iterable[str]) -> tuple[str, ...]:
    """Check domain names, option 119 (RFC 3397) or 15; they come back without trailing dot.

    Raises:
        MalformedInput: one of them is none.
    """
    return tuple(check_domain_name(name) for name in names)


def classless_routes(octets: bytes) -> tuple[Route, ...]:
    """Decode classless static routes, option 121 (RFC 3442): width, significant octets of the subnet, router.

    A router of 0.0.0.0 says that the subnet is on the link: the route has no gateway. Bits after the width are
    masked, as RFC 3442 demands.

    Raises:
        MalformedInput: a width is more than 32 bits, or the last route is cut short.
    """
    routes = []
    offset = 0
    while offset < len(octets):
        width = octets[offset]
        end = offset + 1 + (width + 7) // 8
        gateway = octets[end : end + 4]
        if width > 32 or len(gateway) < 4:
            raise MalformedInput(f"the route at octet {offset} is {width} bits wide, or cut short")
        subnet = octets[offset + 1 : end].ljust(4, b"\0")
        routes.append(
            Route(
                IPv4Network((subnet, width), strict=False),
                IPv4Address(gateway) if any(gateway) else None,
            )
        )
        offset = end + 4
    return tuple(routes)
