"""RTM_NEWADDR and RTM_DELADDR: addresses on interfaces (``linux/if_addr.h``)."""

from __future__ import annotations

import math
import struct
from ipaddress import IPv4Address, IPv6Address

from trimif._errors import MalformedInput
from trimif._facts import AddressFact, AddressGone, AddressProtocol
from trimif._model import IPAddress
from trimif._wire.netlink import AF_INET, AF_INET6, Message, attributes

__all__ = ["address_fact", "address_gone", "has_peer"]

IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_CACHEINFO = 6
IFA_FLAGS = 8
IFA_PROTO = 11

IFA_F_TEMPORARY = 0x01  # of IPv6; the same bit says "secondary" of an IPv4 address
IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40
IFA_F_MANAGETEMPADDR = 0x100

INFINITE = 0xFFFFFFFF

_ADDRESS = struct.Struct("=BBBBi")
_CACHEINFO = struct.Struct("=II")  # preferred and valid seconds; two time stamps follow
_NUMBER = struct.Struct("=I")
_PROTOCOLS = {protocol.value: protocol for protocol in AddressProtocol}

Found = dict[int, bytes]


def address_fact(message: Message, now: float) -> AddressFact | None:
    """What an RTM_NEWADDR message that came at `now` says; None if it is neither IPv4 nor IPv6.

    Raises:
        MalformedInput: it does not follow its format.
    """
    body = message.body
    family, prefix_length, flags, index, found = _read(body)
    address = _address(family, prefix_length, found)
    if address is None:
        return None
    if IFA_FLAGS in found:  # the header has room for the lower eight bits only
        flags = _number(found[IFA_FLAGS])
    valid_until, preferred_until = _deadlines(found, now)
    if flags & IFA_F_DEPRECATED and preferred_until > now:
        preferred_until = now
    return AddressFact(
        index,
        address,
        prefix_length,
        valid_until,
        preferred_until,
        bool(flags & IFA_F_DADFAILED or flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE),
        family == AF_INET6 and bool(flags & IFA_F_TEMPORARY),
        _protocol(family, flags, found),
    )


def address_gone(message: Message) -> AddressGone | None:
    """What an RTM_DELADDR message says; None and errors as in :func:`address_fact`."""
    family, prefix_length, _flags, index, found = _read(message.body)
    address = _address(family, prefix_length, found)
    return None if address is None else AddressGone(index, address, prefix_length)


def has_peer(message: Message) -> bool:
    """Whether an address message is about one end of a point-to-point link, told together with the other end.

    An interface may have one address several times, with several peers, and a fact does not tell them apart.
    """
    found = attributes(message.body, 8)
    return found.get(IFA_LOCAL) not in (None, found.get(IFA_ADDRESS))


def _read(body: bytes) -> tuple[int, int, int, int, Found]:
    if len(body) < 8:
        raise MalformedInput(f"an address message of {len(body)} octets is cut off")
    family, prefix_length, flags, _scope, index = _ADDRESS.unpack_from(body)
    if index <= 0:
        raise MalformedInput(f"an address is on the link {index}")
    return family, prefix_length, flags, index, attributes(body, 8)


def _address(family: int, prefix_length: int, found: Found) -> IPAddress | None:
    """On a point-to-point link IFA_ADDRESS is the peer's, and only IFA_LOCAL the host's own."""
    if family not in (AF_INET, AF_INET6):
        return None
    packed = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS, b"")
    if family == AF_INET and len(packed) == 4 and prefix_length <= 32:
        return IPv4Address(packed)
    if family == AF_INET6 and len(packed) == 16 and prefix_length <= 128:
        return IPv6Address(packed)
    raise MalformedInput(f"an address of family {family} has {len(packed)} octets and a prefix of {prefix_length} bits")


def _deadlines(found: Found, now: float) -> tuple[float, float]:
    cacheinfo = found.get(IFA_CACHEINFO)
    if cacheinfo is None:
        return math.inf, math.inf
    if len(cacheinfo) < 8:
        raise MalformedInput(f"an address's lifetimes have {len(cacheinfo)} octets")
    preferred, valid = _CACHEINFO.unpack_from(cacheinfo)
    return (
        math.inf if valid == INFINITE else now + valid,
        math.inf if preferred == INFINITE else now + preferred,
    )


def _protocol(family: int, flags: int, found: Found) -> AddressProtocol:
    """IFA_PROTO, where there is one.

    Kernels before 5.18 have none, and temporary addresses never bear one (measured on 6.18), but the flags tell as
    much: temporary addresses are made for prefixes that routers advertise, and from the addresses that bear
    IFA_F_MANAGETEMPADDR (RFC 8981).
    """
    protocol = found.get(IFA_PROTO)
    if protocol is not None:
        return _PROTOCOLS.get(protocol[0] if protocol else 0, AddressProtocol.UNSPECIFIED)
    if family == AF_INET6 and flags & (IFA_F_TEMPORARY | IFA_F_MANAGETEMPADDR):
        return AddressProtocol.ROUTER_ADVERTISEMENT
    return AddressProtocol.UNSPECIFIED


def _number(payload: bytes) -> int:
    if len(payload) != 4:
        raise MalformedInput(f"a number has {len(payload)} octets")
    return int(_NUMBER.unpack(payload)[0])
