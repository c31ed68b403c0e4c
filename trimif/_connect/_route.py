"""Which way a packet would go: the kernel's own answer (RTM_GETROUTE), asked before a socket is connected.

Law 10 wants a destination that a domain has no route to to fail at once. A socket that is bound to the interface
does not do that by itself: without a route IPv4 takes the destination for a neighbour and asks for it by ARP until
the connect times out. RTM_F_FIB_MATCH makes the kernel answer with the entry of its table, or an error.

IPv6 needs a second question (measured on Linux 6.18). Asked with source and interface it answers with the best route
of any interface, where a socket bound to the device takes the best one of its own; asked without a source it keeps to
the interface, but does not see rules and routes that are for that source only. So the first answer counts if it leads
out of the interface, else the second.
"""

from __future__ import annotations

import itertools
import socket
from ipaddress import IPv6Address

import trio
from attrs import frozen

from trimif._model import IPAddress
from trimif._wire.netlink import NLMSG_ERROR, Message, messages
from trimif._wire.netlink_requests import get_route
from trimif._wire.netlink_routes import RTN_LOCAL, RTN_UNICAST, RouteEntry, route_entry

__all__ = ["RouteAnswer", "find_route"]

ANSWER_OCTETS = 65536


@frozen
class RouteAnswer:
    """How a packet would leave.

    Attributes:
        index: of the interface; for the host's own addresses, the one that has the address.
        gateway: the next hop, None when the destination is on the link, or the host itself.
        local: the destination is one of the host's own addresses.
    """

    index: int
    gateway: IPAddress | None = None
    local: bool = False


async def find_route(index: int, source: IPAddress | None, destination: IPAddress) -> RouteAnswer | None:
    """Ask the kernel how a packet would go from `source` to `destination` out of the interface `index`.

    An IPv4 destination that is the host's own, but on another interface, is not known for `local` when asked for
    by the interface (IPv6 ones are); ask with index 0 to know.

    Needs no privilege. The socket that it uses is closed before it returns, also when cancelled; it belongs to the
    network namespace of the calling thread.

    Args:
        index: 0 for whichever interface the kernel takes.

    Returns:
        None if the interface has no route there: also if the route would lead out of another one, which is what the
        kernel answers for some destinations in spite of the question.

    Raises:
        OSError: the process may not use rtnetlink at all.
        ValueError: `source` and `destination` are of two families.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as opened:
        opened.bind((0, 0))
        asker = _Asker(opened)
        entry = await asker.ask(index, source, destination)
        if source is not None and isinstance(destination, IPv6Address) and _leads_elsewhere(entry, index):
            entry = await asker.ask(index, None, destination)
    return None if entry is None else _interpret(entry, index)


class _Asker:
    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._sequence = itertools.count(1)

    async def ask(self, index: int, source: IPAddress | None, destination: IPAddress) -> RouteEntry | None:
        """The entry of the kernel's table, None if there is none (ENETUNREACH, ENODEV, EINVAL for a foreign source)."""
        sequence = next(self._sequence)
        self._socket.send(get_route(sequence, index, source, destination))
        answer = await self._receive(sequence)
        return None if answer.kind == NLMSG_ERROR else route_entry(answer)

    async def _receive(self, sequence: int) -> Message:
        wanted = (sequence, self._socket.getsockname()[0])
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            datagram, (sender, _groups) = self._socket.recvfrom(ANSWER_OCTETS)
            if sender != 0:
                continue  # a privileged process, not the kernel
            for message in messages(datagram):
                if (message.sequence, message.port) == wanted:
                    return message


def _leads_elsewhere(entry: RouteEntry | None, index: int) -> bool:
    return entry is not None and entry.kind == RTN_UNICAST and all(hop.index != index for hop in entry.next_hops)


def _interpret(entry: RouteEntry, index: int) -> RouteAnswer | None:
    """A multipath route is answered whole; the next hop that is ours is the one that the kernel would take."""
    if entry.kind == RTN_LOCAL:
        return RouteAnswer(entry.next_hops[0].index if entry.next_hops else index, local=True)
    if entry.kind != RTN_UNICAST:
        return None
    ours = (RouteAnswer(hop.index, hop.gateway) for hop in entry.next_hops if index in (0, hop.index))
    return next(ours, None)
