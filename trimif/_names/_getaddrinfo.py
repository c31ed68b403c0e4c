"""The answers of :func:`socket.getaddrinfo`, made of addresses that are known: pure, but for the table of services."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from trimif._model import IPAddress
from trimif._name_systems import AddressInfo

__all__ = ["address_infos", "literal", "port_number", "wildcards"]

PROTOCOLS = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}
NAMES = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}


def port_number(port: int | str | bytes | None, protocol: int) -> int:
    """A port as a number: a service is looked up in ``/etc/services``, and None is 0.

    Raises:
        socket.gaierror: there is no such service (EAI_SERVICE).
    """
    if port is None or isinstance(port, int):
        return port or 0
    text = port.decode("ascii", "replace") if isinstance(port, bytes) else port
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return socket.getservbyname(text, *([NAMES[protocol]] if protocol in NAMES else []))
    except OSError:
        raise socket.gaierror(socket.EAI_SERVICE, f"there is no service {text!r}") from None


def wildcards(flags: int) -> tuple[IPAddress, ...]:
    """What no host stands for: any address for who listens (AI_PASSIVE), else the loopback ones (RFC 3493, 6.1)."""
    from ipaddress import ip_address

    texts = ("::", "0.0.0.0") if flags & socket.AI_PASSIVE else ("::1", "127.0.0.1")
    return tuple(map(ip_address, texts))


def literal(host: str) -> IPAddress | None:
    """The address that a text is, with or without a zone; None if it is a name."""
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None


def address_infos(
    addresses: Sequence[IPAddress],
    port: int | str | bytes | None,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    name: str = "",
    index: int = 0,
) -> list[AddressInfo]:
    """One tuple for each address and each sort of socket that was asked for, in the order of the addresses.

    Args:
        family: AF_INET or AF_INET6; 0 for both.
        type: SOCK_STREAM or SOCK_DGRAM; 0 for both.
        proto: IPPROTO_TCP or IPPROTO_UDP; 0 for that of the type.
        name: the canonical name, told with the first tuple only.
        index: of the interface, the zone of link-local addresses that do not name one.

    Raises:
        socket.gaierror: there is no such service (EAI_SERVICE), no address of that family (EAI_ADDRFAMILY), or type
            and protocol do not fit (EAI_SOCKTYPE).
    """
    sorts = [(kind, of_kind) for kind, of_kind in PROTOCOLS.items() if type in (0, kind) and proto in (0, of_kind)]
    if not sorts:
        raise socket.gaierror(socket.EAI_SOCKTYPE, f"no socket has type {type} and protocol {proto}")
    wanted = [each for each in addresses if family in (0, _family(each))]
    if not wanted:
        raise socket.gaierror(socket.EAI_ADDRFAMILY, "there is no address of that family")
    names = iter([name])
    return [
        (_family(each), kind, of_kind, next(names, ""), _socket_address(each, port_number(port, of_kind), index))
        for each, kind, of_kind in _pairs(wanted, sorts)
    ]


def _pairs(
    addresses: Sequence[IPAddress], sorts: Sequence[tuple[socket.SocketKind, int]]
) -> Iterator[tuple[IPAddress, socket.SocketKind, int]]:
    for address in addresses:
        for kind, protocol in sorts:
            yield address, kind, protocol


def _family(address: IPAddress) -> socket.AddressFamily:
    return socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6


def _socket_address(address: IPAddress, port: int, index: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if isinstance(address, IPv4Address):
        return str(address), port
    zone = address.scope_id
    number = index if zone is None else int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return str(address).partition("%")[0], port, 0, number if address.is_link_local else 0
