"""May this attempt be made at all? Asked before anything is sent, answered at once.

A provisioning domain leads to a destination if the kernel, asked for that destination *by the domain's interface*,
has a route, and the route's next hop is one of the domain's routers (RFC 7556, 3.3: a host must not use one domain's
address with another domain's next hop).

Destinations on this host need care, for the kernel does not answer for them as for others. Measured on Linux 6.18,
with a socket bound to the device of interface A:

===============================  =====================================================
destination                      what happens
===============================  =====================================================
an own address of A              works, in both families, from each address of A
an own address of B, IPv4        the route lookup says "by A's default router"; the packet leaves and the connect
                                 hangs
an own address of B, IPv6        ENETUNREACH at once
127.0.0.1, ::1                   as B's
0.0.0.0                          connects to this host
===============================  =====================================================

So a host's own address is reached through the domain that owns it, loopback through the loopback interface's
domains, and through any other they are "no route".
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address

from trimif._connect._attempt import Attempt
from trimif._connect._route import RouteAnswer, find_route
from trimif._connect._selection import order_sources
from trimif._connect._sockets import without_scope_id
from trimif._model import DomainView, IPAddress, NotConnectedReason

_LIMITED_BROADCAST = IPv4Address("255.255.255.255")


def possible_attempts(
    view: DomainView, address: IPAddress, port: int, source: IPAddress | None = None
) -> tuple[Attempt, ...]:
    """The attempts that the domain's addresses allow, the preferred first; at least one.

    Args:
        source: only from this address.

    Raises:
        ConnectFailed: NO_SOURCE: the domain has no address of that family, or `source` is none of its addresses;
            NO_ROUTE: no packet may bear that destination, or not on this interface.
    """
    attempt = Attempt(view, without_scope_id(address), port, source)
    _check_destination(attempt, address)
    if source is not None:
        return (_given_source(attempt, without_scope_id(source)),)
    if _is_on_every_link(attempt.address):
        return (attempt,)  # the kernel takes a link-local address of the device: every domain of it may use those
    candidates = order_sources(view.addresses, attempt.address)
    if not candidates:
        raise attempt.no_source(f"the domain has no IPv{address.version} address")
    return tuple(Attempt(view, attempt.address, port, candidate.address) for candidate in candidates)


def _given_source(attempt: Attempt, source: IPAddress) -> Attempt:
    if not _is_own(attempt.view, source):
        raise attempt.no_source("that is no address of the domain")
    if source.version != attempt.address.version:
        raise attempt.no_source("source and peer are of different address families")
    return Attempt(attempt.view, attempt.address, attempt.port, source)


def _check_destination(attempt: Attempt, given: IPAddress) -> None:
    """Refuse what the kernel would take to mean something else, or nothing."""
    address, view = attempt.address, attempt.view
    if address.is_unspecified or address.is_multicast or address == _LIMITED_BROADCAST:
        raise attempt.no_route("that is not the address of one peer")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise attempt.no_route(f"an IPv4-mapped address is on no IPv6 network; use {address.ipv4_mapped}")
    if isinstance(given, IPv6Address) and given.scope_id and _link_index(given.scope_id) != view.index:
        raise attempt.no_route(f"{given} is on another link")
    if address.is_loopback and not view.loopback:
        raise attempt.no_route("loopback addresses are reached through the loopback interface only")
    if view.loopback and not (address.is_loopback or _is_own(view, address)):
        raise attempt.no_route("the loopback interface leads to this host only")


def _link_index(scope_id: str) -> int | None:
    """The interface that a scope id means: its index, or its name (RFC 4007, 11.2)."""
    if scope_id.isdecimal():
        return int(scope_id)
    try:
        return socket.if_nametoindex(scope_id)
    except OSError:
        return None


def _is_own(view: DomainView, address: IPAddress) -> bool:
    return any(own.address.version == address.version and int(own.address) == int(address) for own in view.addresses)


def _is_on_every_link(address: IPAddress) -> bool:
    return isinstance(address, IPv6Address) and address.is_link_local


async def check_path(attempt: Attempt) -> None:
    """Return if the domain has a path to the peer; nothing is sent.

    Raises:
        ConnectFailed: NO_ROUTE, WRONG_ROUTER, or NO_SOURCE for a link-local source that no router would pass on.
    """
    answer = await find_route(attempt.view.index, attempt.source, attempt.address)
    if answer is None:
        raise attempt.no_route("the domain has no route to it")
    if answer.local:
        _check_own_destination(attempt)
    else:
        _check_next_hop(attempt, answer)
        # Asked by the domain's interface, IPv4 sends what is for another interface's address to the router.
        if isinstance(attempt.address, IPv4Address) and await _is_of_this_host(attempt.address):
            raise attempt.no_route("it is an address of this host, but none of this domain")


def _check_own_destination(attempt: Attempt) -> None:
    if not (attempt.view.loopback or _is_on_every_link(attempt.address) or _is_own(attempt.view, attempt.address)):
        raise attempt.no_route("it is an address of this host, but none of this domain")


def _check_next_hop(attempt: Attempt, answer: RouteAnswer) -> None:
    if answer.index != attempt.view.index:
        raise attempt.no_route("the route to it leads out of another interface")
    if answer.gateway is None:
        return
    if answer.gateway not in attempt.view.routers:
        raise attempt.failure(
            NotConnectedReason.WRONG_ROUTER,
            errno.EHOSTUNREACH,
            f"the route leads through {answer.gateway}, which is none of the domain's routers",
        )
    if attempt.source is not None and attempt.source.is_link_local:
        # RFC 4291, 2.5.6 and RFC 3927, 2.6.2: routers must not forward packets with link-local sources.
        raise attempt.no_source("it is behind a router, where no link-local source gets to")


async def _is_of_this_host(address: IPAddress) -> bool:
    answer = await find_route(0, None, address)  # index 0: any interface
    return answer is not None and answer.local
