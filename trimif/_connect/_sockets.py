"""Sockets that can leave by one interface only (law 10).

A socket is bound to the device first and to the source address second, both before it is connected: of all
unprivileged ways the one that sends every packet by the right uplink whatever the routing table prefers. The device
is given by its index (SO_BINDTOIFINDEX), because a name can move to another device meanwhile. If a step fails, the
socket is closed and the error raised; there is no second try without it.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

import trio

from trimif._model import DomainView, IPAddress

SO_BINDTOIFINDEX = 62  # asm-generic/socket.h; the socket module has no name for it
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


def open_socket(
    view: DomainView, kind: socket.SocketKind, destination: IPAddress, source: IPAddress | None
) -> trio.socket.SocketType:
    """Open a socket that sends through the domain's interface only. It is not connected; the caller closes it.

    Args:
        kind: :data:`socket.SOCK_STREAM` or :data:`socket.SOCK_DGRAM`.
        destination: what it will be connected to; decides the address family.
        source: the address it sends from; None leaves the choice to the kernel, among the addresses of the device.

    Raises:
        OSError: EADDRNOTAVAIL: the source address is gone. (A gone interface shows when the socket is connected, as
            ENODEV or ENETUNREACH: unlike SO_BINDTODEVICE the kernel takes any index.)
    """
    family = socket.AF_INET if isinstance(destination, IPv4Address) else socket.AF_INET6
    plain = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        _bind(plain, view.index, source)
        return trio.socket.from_stdlib_socket(plain)
    except BaseException:
        plain.close()
        raise


def _bind(plain: socket.socket, index: int, source: IPAddress | None) -> None:
    plain.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, index)
    if plain.family == socket.AF_INET6:
        # An IPv4-mapped destination would leave as IPv4, from an address that is none of the domain's.
        plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if source is None:
        return
    if plain.type == socket.SOCK_STREAM:
        # The port is chosen at connect, where it must be unique for this peer only: 28,000 connections to each
        # peer instead of 28,000 in all. (A datagram socket has its port at once, a random one.)
        plain.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    plain.bind(socket_address(source, 0, index))


def socket_address(address: IPAddress, port: int, index: int) -> SocketAddress:
    """An address as the socket calls want it: link-local IPv6 addresses bear the index of their link (RFC 4007)."""
    if isinstance(address, IPv6Address):
        return without_scope_id(address).compressed, port, 0, index if address.is_link_local else 0
    return str(address), port


def without_scope_id(address: IPAddress) -> IPAddress:
    """The bare address: ``fe80::1`` of ``fe80::1%eth0``."""
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) and address.scope_id else address
