"""RTM_NEWROUTE and RTM_DELROUTE: unicast routes (``linux/rtnetlink.h``), one value for each next hop.

Left out are the routes of table 255, "local" (they say which addresses are the host's own, and the address facts say
that), those of other types than unicast, cached ones (RTM_F_CLONED), and next hops that the kernel considers dead.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from attrs import frozen

from trimif._errors import MalformedInput
from trimif._facts import RouteFact
from trimif._model import IPAddress, IPNetwork
from trimif._wire.netlink import AF_INET, AF_INET6, Message, attributes

__all__ = ["NextHop", "RouteEntry", "route_entry", "route_facts"]

RTA_DST = 1
RTA_OIF = 4
RTA_GATEWAY = 5
RTA_PRIORITY = 6
RTA_MULTIPATH = 9
RTA_CACHEINFO = 12
RTA_TABLE = 15
RTA_VIA = 18

RTN_UNICAST = 1
RTN_LOCAL = 2
RTM_F_CLONED = 0x200
RTNH_F_DEAD = 0x1
RT_TABLE_LOCAL = 255

USER_HZ = 100
"""The kernel tells `rta_expires` in clock ticks; their rate is part of its interface, and the same on every Linux
architecture but the long gone Alpha and IA-64."""

_ROUTE = struct.Struct("=BBBBBBBBI")
_NEXT_HOP = struct.Struct("=HBBi")
_NUMBER = struct.Struct("=I")
_EXPIRES = struct.Struct("=8xi")
_EVERYWHERE: dict[int, IPNetwork] = {AF_INET: IPv4Network("0.0.0.0/0"), AF_INET6: IPv6Network("::/0")}

Found = dict[int, bytes]


@frozen
class NextHop:
    """Out of which interface, and to whom: None if the destination is on the link."""

    index: int
    gateway: IPAddress | None


@frozen
class RouteEntry:
    """An entry of a routing table, as RTM_GETROUTE with RTM_F_FIB_MATCH answers.

    Attributes:
        kind: RTN_UNICAST, RTN_LOCAL (the destination is the host itself) or another of the kernel's.
    """

    kind: int
    next_hops: tuple[NextHop, ...]


def route_facts(message: Message, now: float) -> tuple[RouteFact, ...]:
    """The routes that an RTM_NEWROUTE or RTM_DELROUTE message that came at `now` is about.

    Raises:
        MalformedInput: it does not follow its format.
    """
    family, length, table, protocol, kind, flags = _head(message.body)
    if kind != RTN_UNICAST or table == RT_TABLE_LOCAL or flags & RTM_F_CLONED or family not in _EVERYWHERE:
        return ()
    found = attributes(message.body, 12)
    if RTA_TABLE in found:  # the header has room for the lower eight bits only
        table = _number(found[RTA_TABLE])
    if table == RT_TABLE_LOCAL:
        return ()
    destination = _destination(family, length, found.get(RTA_DST))
    metric = _number(found[RTA_PRIORITY]) if RTA_PRIORITY in found else 0
    expires = _expires(found.get(RTA_CACHEINFO), now)
    return tuple(
        [
            RouteFact(index, destination, gateway, metric, table, protocol, expires)
            for index, gateway in _next_hops(family, flags, found)
        ]
    )


def route_entry(message: Message) -> RouteEntry:
    """The answer to a question for one route.

    Raises:
        MalformedInput: it does not follow its format.
    """
    family, _length, _table, _protocol, kind, flags = _head(message.body)
    found = attributes(message.body, 12)
    return RouteEntry(kind, tuple(NextHop(index, gateway) for index, gateway in _next_hops(family, flags, found)))


def _head(body: bytes) -> tuple[int, int, int, int, int, int]:
    if len(body) < 12:
        raise MalformedInput(f"a route message of {len(body)} octets is cut off")
    family, length, _source_length, _service, table, protocol, _scope, kind, flags = _ROUTE.unpack_from(body)
    return family, length, table, protocol, kind, flags


def _destination(family: int, length: int, packed: bytes | None) -> IPNetwork:
    if packed is None and not length:
        return _EVERYWHERE[family]
    if packed is not None:
        if family == AF_INET and len(packed) == 4 and length <= 32:
            return IPv4Network((packed, length), strict=False)
        if family == AF_INET6 and len(packed) == 16 and length <= 128:
            return IPv6Network((packed, length), strict=False)
    raise MalformedInput(f"a route of family {family} leads to {length} bits of {packed!r}")


def _next_hops(family: int, flags: int, found: Found) -> Iterator[tuple[int, IPAddress | None]]:
    if RTA_OIF in found and not flags & RTNH_F_DEAD:
        yield _index(_number(found[RTA_OIF])), _gateway(family, found)
    paths = found.get(RTA_MULTIPATH, b"")
    offset = 0
    while offset + 8 <= len(paths):
        length, hop_flags, _weight, index = _NEXT_HOP.unpack_from(paths, offset)
        if length < 8 or offset + length > len(paths):
            raise MalformedInput(f"a next hop of {length} octets is in {len(paths) - offset}")
        if not hop_flags & RTNH_F_DEAD:
            yield _index(index), _gateway(family, attributes(paths[offset : offset + length], 8))
        offset += (length + 3) & ~3


def _gateway(family: int, found: Found) -> IPAddress | None:
    """RTA_VIA is a gateway of another family, its number before it: IPv4 by way of an IPv6 router (RFC 5549)."""
    packed = found.get(RTA_GATEWAY)
    if packed is None and RTA_VIA in found:
        via = found[RTA_VIA]
        family, packed = int.from_bytes(via[:2], "little" if _NUMBER.pack(1)[0] else "big"), via[2:]
    if packed is None:
        return None
    if family == AF_INET and len(packed) == 4:
        return IPv4Address(packed)
    if family == AF_INET6 and len(packed) == 16:
        return IPv6Address(packed)
    raise MalformedInput(f"a gateway of family {family} has {len(packed)} octets")


def _expires(cacheinfo: bytes | None, now: float) -> float:
    """0 is for ever; a route that has expired and was not collected yet has a negative number."""
    if cacheinfo is None:
        return math.inf
    if len(cacheinfo) < 12:
        raise MalformedInput(f"a route's cache information has {len(cacheinfo)} octets")
    (ticks,) = _EXPIRES.unpack_from(cacheinfo)
    return now + ticks / USER_HZ if ticks else math.inf


def _index(number: int) -> int:
    if not 0 < number < 0x80000000:
        raise MalformedInput(f"a route leads out of the link {number}")
    return number


def _number(payload: bytes) -> int:
    if len(payload) != 4:
        raise MalformedInput(f"a number has {len(payload)} octets")
    return int(_NUMBER.unpack(payload)[0])
