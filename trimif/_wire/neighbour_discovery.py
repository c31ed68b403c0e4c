"""Router advertisements and solicitations: the octets of RFC 4861, with all options that configure a host.

Two things can be wrong with an advertisement. When its *frame* is (too short, an option of length zero, an option
that overruns the message), the whole message is dropped: "all included options have a length that is greater than
zero" is a condition of validity in RFC 4861, 6.1.2. When the *content* of an option is, that option alone is
discarded, whole, as RFC 4862 5.5.3, RFC 4191 2.3 and RFC 8106 5.3.1 ("the host MUST discard the options") say;
who wants to count those passes `discarded`. So nothing is ever half applied, and a router that gets a novel option
wrong does not lose its host the rest. What was discarded, and what is not known, is kept as it came.

Lifetimes on the wire are seconds from now; in facts they are deadlines: 0 becomes `now` itself, which withdraws,
and ffffffff becomes ``math.inf``. :func:`encode_router_advertisement` is the way back, exactly.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

from trimif._errors import MalformedInput
from trimif._facts import RouterAdvertisement
from trimif._wire.neighbour_discovery_encoder import encode_options
from trimif._wire.neighbour_discovery_header import HEADER_OCTETS, ROUTER_ADVERTISEMENT, encode_header, parse_header
from trimif._wire.neighbour_discovery_options import Discarded, collect_options, ignore

__all__ = [
    "ROUTER_ADVERTISEMENT",
    "ROUTER_SOLICITATION",
    "encode_options",
    "encode_router_advertisement",
    "parse_kernel_options",
    "parse_router_advertisement",
    "router_solicitation",
]

ROUTER_SOLICITATION = 133


def parse_router_advertisement(
    index: int, router: IPv6Address, octets: bytes, now: float, discarded: Discarded = ignore
) -> RouterAdvertisement:
    """Parse a router advertisement, from the ICMPv6 type on (RFC 4861, 4.2).

    The conditions of RFC 4861, 6.1.2 that the octets do not show are the caller's: hop limit 255, a link-local
    source, and the checksum, which the kernel verifies.

    Args:
        index: of the interface on which it came.
        router: its source address.
        now: when it came, in seconds on the clock of the deadlines.
        discarded: told of each option that was left out because of its own content.

    Raises:
        MalformedInput: the message is to be dropped.
    """
    if octets[:2] != bytes([ROUTER_ADVERTISEMENT, 0]):
        raise MalformedInput(f"ICMPv6 type and code {octets[:2].hex()} are not those of a router advertisement")
    return collect_options(index, router, parse_header(octets, now), octets[HEADER_OCTETS:], now, discarded)


def parse_kernel_options(
    index: int, router: IPv6Address, octets: bytes, now: float, discarded: Discarded = ignore
) -> RouterAdvertisement:
    """Parse bare options of a router advertisement, as RTM_NEWNDUSEROPT carries them; the header is None.

    Arguments and errors are those of :func:`parse_router_advertisement`.
    """
    return collect_options(index, router, None, octets, now, discarded)


def router_solicitation() -> bytes:
    """Build a router solicitation (RFC 4861, 4.1), without options; the kernel fills in the checksum."""
    return struct.pack("!BBHI", ROUTER_SOLICITATION, 0, 0, 0)


def encode_router_advertisement(advertisement: RouterAdvertisement, now: float = 0.0) -> bytes:
    """Encode a router advertisement: what :func:`parse_router_advertisement` makes of it is equal to what went in.

    Every lifetime on the wire is the deadline less `now`, in whole seconds, none below zero. With the default `now`
    the fields called "until" are therefore plain lifetimes in seconds: a router writes
    ``RouterHeader(until=1800)``. `index` and `router` are not on the wire. The kernel fills in the checksum.

    Raises:
        ValueError: the header is missing, a domain name is none, or something does not fit its field or option.
    """
    if advertisement.header is None:
        raise ValueError("a router advertisement has a header")
    return encode_header(advertisement.header, now) + encode_options(advertisement, now)
