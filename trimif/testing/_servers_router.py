"""A router that answers solicitations and advertises itself (RFC 4861, 6.2): no forwarding, only the advertisements.

It says whatever `RouterAdvertisement` can say, which no router daemon does: explicit provisioning domains, captive
portals, NAT64 prefixes, encrypted name servers. Several may be on one link, each with a link-local address of its own.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv6Address

import trio

from trimif._facts import RouterAdvertisement
from trimif._wire.neighbour_discovery import ROUTER_SOLICITATION, encode_router_advertisement
from trimif.testing._namespaces import Namespace

__all__ = ["serve_router_advertisements"]

ALL_NODES = "ff02::1"
ALL_ROUTERS = "ff02::2"
HOP_LIMIT = 255  # RFC 4861, 6.1: anything else is not from this link, and is ignored
ICMP6_FILTER = 1
ADDRESS_SECONDS = 0.02
"""How soon to look again whether there is an address to send from."""

_PACKET_INFORMATION = struct.Struct("@16sI")


async def serve_router_advertisements(
    namespace: Namespace,
    device: str,
    *advertisements: RouterAdvertisement,
    source: IPv6Address | None = None,
    interval: float = 30,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Advertise on a device of a namespace until cancelled; started when the socket is open.

    Args:
        advertisements: what to say; their deadlines are lifetimes from now, that is relative to 0, each time afresh.
            For several provisioning domains "a router MUST send multiple RAs" (RFC 8801, 3.2).
        source: the router's address, a link-local one of the device, which is waited for; if not given, the kernel
            chooses.
        interval: seconds between advertisements that nobody asked for; the first are sent at once.
    """
    messages = [encode_router_advertisement(advertisement, 0.0) for advertisement in advertisements]
    with trio.socket.from_stdlib_socket(_open_endpoint(namespace, device)) as endpoint:
        index = _index_of(namespace, device)
        task_status.started()
        while True:
            if not await _advertise(endpoint, messages, source, index):
                await trio.sleep(ADDRESS_SECONDS)
                continue
            # Unicast answers are allowed (RFC 4861, 6.2.6: MAY), but the solicitor may have no address yet.
            with trio.move_on_after(interval):
                await endpoint.recvfrom(1500)


async def _advertise(
    endpoint: trio.socket.SocketType, messages: Sequence[bytes], source: IPv6Address | None, index: int
) -> bool:
    """Send each message; returns whether there was an address to send from."""
    packet_information = _PACKET_INFORMATION.pack(b"" if source is None else source.packed, index)
    ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packet_information)]
    await trio.lowlevel.checkpoint()
    try:
        for octets in messages:
            await endpoint.sendmsg([octets], ancillary, 0, (ALL_NODES, 0, 0, index))
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EINVAL):  # the second if it is the address that we name
            raise
        return False  # the link-local address is still tentative
    return True


def _index_of(namespace: Namespace, device: str) -> int:
    with namespace.entered():
        return socket.if_nametoindex(device)


def _open_endpoint(namespace: Namespace, device: str) -> socket.socket:
    endpoint = namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    try:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        endpoint.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, _solicitations_only())
        group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", _index_of(namespace, device))
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    except BaseException:
        endpoint.close()
        raise
    return endpoint


def _solicitations_only() -> bytes:
    """The filter of RFC 3542, 3.2: a bit for each type; in Linux a set bit blocks."""
    words = [0xFFFFFFFF] * 8
    words[ROUTER_SOLICITATION >> 5] &= ~(1 << (ROUTER_SOLICITATION & 31))
    return struct.pack("=8I", *words)
