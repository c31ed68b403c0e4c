"""What trimif asks of the kernel over rtnetlink: the three tables, and the route to one address.

Nothing here changes the host, and nothing needs a privilege. `sequence` numbers the request; the answers carry it.

Dumps of routes ask for the type RTN_UNICAST. A socket with NETLINK_GET_STRICT_CHK gets only those, and no cached
exceptions; on another one (kernels before 4.20) the request is ignored, and the decoder leaves the rest out.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from trimif._model import Family, IPAddress
from trimif._wire.netlink import AF_INET, AF_INET6, AF_UNSPEC

__all__ = ["dump_addresses", "dump_links", "dump_routes", "get_link", "get_route"]

RTM_GETLINK = 18
RTM_GETADDR = 22
RTM_GETROUTE = 26

NLM_F_REQUEST = 0x001
NLM_F_DUMP = 0x300

IFLA_EXT_MASK = 29
RTEXT_FILTER_SKIP_STATS = 0x08

RTA_DST = 1
RTA_SRC = 2
RTA_OIF = 4
RTM_F_FIB_MATCH = 0x2000
RTN_UNICAST = 1

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")


def dump_links(sequence: int) -> bytes:
    """Ask for all links, without statistics: they are most of a link message otherwise."""
    body = _LINK.pack(AF_UNSPEC, 0, 0, 0, 0) + _attribute(IFLA_EXT_MASK, _number(RTEXT_FILTER_SKIP_STATS))
    return _request(RTM_GETLINK, NLM_F_DUMP, sequence, body)


def dump_addresses(sequence: int) -> bytes:
    """Ask for all addresses of all families."""
    return _request(RTM_GETADDR, NLM_F_DUMP, sequence, _ADDRESS.pack(AF_UNSPEC, 0, 0, 0, 0))


def dump_routes(sequence: int, family: Family) -> bytes:
    """Ask for all unicast routes of one family, in all tables."""
    body = _ROUTE.pack(_number_of(family), 0, 0, 0, 0, 0, 0, RTN_UNICAST, 0)
    return _request(RTM_GETROUTE, NLM_F_DUMP, sequence, body)


def get_link(sequence: int, index: int) -> bytes:
    """Ask for one link."""
    body = _LINK.pack(AF_UNSPEC, 0, index, 0, 0) + _attribute(IFLA_EXT_MASK, _number(RTEXT_FILTER_SKIP_STATS))
    return _request(RTM_GETLINK, 0, sequence, body)


def get_route(sequence: int, index: int, source: IPAddress | None, destination: IPAddress) -> bytes:
    """Ask for the route by which a packet from `source` to `destination` would leave the interface `index`.

    RTM_F_FIB_MATCH asks for the entry of the table itself: without it, and with an output interface, IPv4 invents
    an on-link route where there is none.

    Raises:
        ValueError: the addresses are of two families.
    """
    if source is not None and source.version != destination.version:
        raise ValueError(f"no packet goes from {source} to {destination}")
    family = Family.IPV4 if isinstance(destination, IPv4Address) else Family.IPV6
    source_length = 0 if source is None else source.max_prefixlen
    body = _ROUTE.pack(
        _number_of(family), destination.max_prefixlen, source_length, 0, 0, 0, 0, 0, RTM_F_FIB_MATCH
    ) + _attribute(RTA_DST, destination.packed)
    if source is not None:
        body += _attribute(RTA_SRC, source.packed)
    return _request(RTM_GETROUTE, 0, sequence, body + _attribute(RTA_OIF, _number(index)))


def _number_of(family: Family) -> int:
    return AF_INET if family is Family.IPV4 else AF_INET6


def _number(value: int) -> bytes:
    return struct.pack("=I", value)


def _attribute(kind: int, payload: bytes) -> bytes:
    """One attribute; every payload here is a multiple of 4 octets, so that nothing has to be padded."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload


def _request(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, sequence, 0) + body
