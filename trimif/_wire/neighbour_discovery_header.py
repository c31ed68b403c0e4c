"""The fixed part of a router advertisement (RFC 4861, 4.2; H: RFC 6275; preference: RFC 4191; P: RFC 4389).

It stands at the beginning of the message, and, if a PvD option says so, a second time inside that (RFC 8801, 3.1).
"""

from __future__ import annotations

import struct

from trimif._errors import MalformedInput
from trimif._facts import RouterHeader
from trimif._wire.neighbour_discovery_fields import PREFERENCE_BITS, PREFERENCE_MASK, PREFERENCES, lifetime, pack

__all__ = ["HEADER_OCTETS", "ROUTER_ADVERTISEMENT", "encode_header", "parse_header"]

ROUTER_ADVERTISEMENT = 134

MANAGED, OTHER_CONFIGURATION, HOME_AGENT, PROXY = 0x80, 0x40, 0x20, 0x04

_HEADER = struct.Struct("!BBHBBHII")
HEADER_OCTETS = _HEADER.size


def parse_header(octets: bytes, now: float) -> RouterHeader:
    """Parse the header that `octets` begin with. Type, code and checksum are the caller's business.

    Raises:
        MalformedInput: it is cut short.
    """
    if len(octets) < HEADER_OCTETS:
        raise MalformedInput(f"a router advertisement of {len(octets)} octets is too short")
    _type, _code, _checksum, hop_limit, flags, seconds, reachable, retransmission = _HEADER.unpack_from(octets)
    return RouterHeader(
        until=now + seconds,
        managed=bool(flags & MANAGED),
        other_configuration=bool(flags & OTHER_CONFIGURATION),
        # RFC 4191, 2.2: the reserved value is medium; with a lifetime of zero the receiver ignores it.
        preference=PREFERENCES.get(flags & PREFERENCE_MASK, 0) if seconds else 0,
        hop_limit=hop_limit,
        home_agent=bool(flags & HOME_AGENT),
        proxy=bool(flags & PROXY),
        reachable_time=reachable / 1000,
        retransmission_time=retransmission / 1000,
    )


def encode_header(header: RouterHeader, now: float) -> bytes:
    """Encode a header, with type 134, code 0, and no checksum.

    Raises:
        ValueError: a number does not fit its field.
    """
    flags = header.managed * MANAGED | header.other_configuration * OTHER_CONFIGURATION
    flags |= header.home_agent * HOME_AGENT | header.proxy * PROXY | PREFERENCE_BITS[header.preference]
    milliseconds = (round(1000 * seconds) for seconds in (header.reachable_time, header.retransmission_time))
    seconds = lifetime(header.until, now)
    return pack(_HEADER, ROUTER_ADVERTISEMENT, 0, 0, header.hop_limit, flags, seconds, *milliseconds)
