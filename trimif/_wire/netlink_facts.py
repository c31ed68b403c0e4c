"""What a message of rtnetlink says about the host, and what it leaves unsaid.

:func:`decode` turns a message into facts. Not everything that happens to the kernel's tables is announced, though;
:func:`unsaid` knows which messages are the sign of changes that are not, so that a table must be dumped to see them.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from ipaddress import IPv6Address

from trimif._errors import MalformedInput
from trimif._facts import Fact, RouteGone, RouterAdvertisement
from trimif._wire.neighbour_discovery import ROUTER_ADVERTISEMENT, parse_kernel_options
from trimif._wire.netlink import AF_INET, AF_INET6, Message, attributes
from trimif._wire.netlink_addresses import address_fact, address_gone, has_peer
from trimif._wire.netlink_links import link_fact, link_gone
from trimif._wire.netlink_routes import RT_TABLE_LOCAL, route_facts

__all__ = ["Tables", "decode", "removes_route", "unsaid"]

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_NEWNDUSEROPT = 68

NLM_F_REPLACE = 0x100

IFA_F_PERMANENT = 0x80

NDUSEROPT_SRCADDR = 1

_USER_OPTION = struct.Struct("=BxHiBB6x")


class Tables(enum.Flag):
    """The kernel's tables that trimif keeps itself informed about."""

    NONE = 0
    LINKS = 1
    ADDRESSES = 2
    ROUTES = 4
    ALL = LINKS | ADDRESSES | ROUTES


def decode(message: Message, now: float) -> tuple[Fact, ...]:
    """The facts in a message that came at `now`, on the clock of the deadlines; none if it is about something else.

    Raises:
        MalformedInput: the message does not follow its format; nothing of it is to be applied.
    """
    decoder = _DECODERS.get(message.kind)
    return () if decoder is None else decoder(message, now)


def unsaid(message: Message) -> Tables:
    """The tables that may have changed with the event `message` in ways that no event tells.

    Raises:
        MalformedInput: the message does not follow its format.
    """
    sign = _SIGNS.get(message.kind)
    return Tables.NONE if sign is None else sign(message)


def removes_route(message: Message) -> bool:
    """Whether the event takes an entry out of a routing table that is dumped, be it a unicast route or not.

    When a route was added while IPv6 dumped a table, the dump begins again, and skips as many routes as it has told.
    If one of those was removed, it skips one too many, which nothing happened to and no event tells of; nor does
    NLM_F_DUMP_INTR (measured on Linux 6.18).
    """
    return message.kind == RTM_DELROUTE and message.body[4:5] != bytes([RT_TABLE_LOCAL])


# ---------------------------------------------------------------- decoders


def _new_link(message: Message, _now: float) -> tuple[Fact, ...]:
    fact = link_fact(message)
    return () if fact is None else (fact,)


def _deleted_link(message: Message, _now: float) -> tuple[Fact, ...]:
    fact = link_gone(message)
    return () if fact is None else (fact,)


def _new_address(message: Message, now: float) -> tuple[Fact, ...]:
    fact = address_fact(message, now)
    return () if fact is None else (fact,)


def _deleted_address(message: Message, _now: float) -> tuple[Fact, ...]:
    fact = address_gone(message)
    return () if fact is None else (fact,)


def _deleted_route(message: Message, now: float) -> tuple[Fact, ...]:
    return tuple([RouteGone(route) for route in route_facts(message, now)])


def _user_option(message: Message, now: float) -> tuple[Fact, ...]:
    """An option of a router advertisement; the kernel passes on each by itself, and some that we don't read."""
    body = message.body
    if len(body) < _USER_OPTION.size:
        raise MalformedInput(f"a neighbour discovery option of {len(body)} octets is cut off")
    family, length, index, kind, code = _USER_OPTION.unpack_from(body)
    if family != AF_INET6 or (kind, code) != (ROUTER_ADVERTISEMENT, 0):
        return ()
    end = _USER_OPTION.size + length
    packed = attributes(body, (end + 3) & ~3).get(NDUSEROPT_SRCADDR, b"")
    if len(packed) != 16 or end > len(body) or index <= 0:
        raise MalformedInput("a neighbour discovery option is cut off, or comes from nobody or nowhere")
    router = IPv6Address(packed)
    advertisement = parse_kernel_options(index, router, body[_USER_OPTION.size : end], now)
    return () if advertisement == RouterAdvertisement(index, router) else (advertisement,)


_DECODERS: dict[int, Callable[[Message, float], tuple[Fact, ...]]] = {
    RTM_NEWLINK: _new_link,
    RTM_DELLINK: _deleted_link,
    RTM_NEWADDR: _new_address,
    RTM_DELADDR: _deleted_address,
    RTM_NEWROUTE: route_facts,
    RTM_DELROUTE: _deleted_route,
    RTM_NEWNDUSEROPT: _user_option,
}


# ---------------------------------------------------------------- signs of what is not announced


def _after_link(message: Message) -> Tables:
    """A link that goes down or is deleted takes its IPv4 routes along without a word."""
    return Tables.ROUTES if message.body[:1] == b"\0" else Tables.NONE


def _after_new_address(message: Message) -> Tables:
    """The lifetime of an IPv6 address is also that of the route to its prefix, which changes without a word."""
    body = message.body
    limited = len(body) > 2 and body[0] == AF_INET6 and not body[2] & IFA_F_PERMANENT
    return Tables.ROUTES if limited else Tables.NONE


def _after_deleted_address(message: Message) -> Tables:
    """So does the last IPv4 address of a link."""
    if message.body[:1] != bytes([AF_INET]):
        return Tables.NONE
    return Tables.ROUTES | Tables.ADDRESSES if has_peer(message) else Tables.ROUTES


def _after_new_route(message: Message) -> Tables:
    """``ip route replace`` announces what is new, and not what it replaced."""
    return Tables.ROUTES if message.flags & NLM_F_REPLACE else Tables.NONE


def _after_deleted_route(message: Message) -> Tables:
    """Routes that differ only in their source prefix or type of service are one fact; another may be left."""
    return Tables.ROUTES if message.body[2:4] not in (b"\0\0", b"") else Tables.NONE


def _after_user_option(_message: Message) -> Tables:
    """A router advertisement gives the routes that are there already new lifetimes without a word."""
    return Tables.ROUTES


_SIGNS: dict[int, Callable[[Message], Tables]] = {
    RTM_NEWLINK: _after_link,
    RTM_DELLINK: _after_link,
    RTM_NEWADDR: _after_new_address,
    RTM_DELADDR: _after_deleted_address,
    RTM_NEWROUTE: _after_new_route,
    RTM_DELROUTE: _after_deleted_route,
    RTM_NEWNDUSEROPT: _after_user_option,
}
