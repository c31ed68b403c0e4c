"""Router advertisements, heard by a raw ICMPv6 socket of trimif's own, and solicited (RFC 4861, 6.3.7).

The kernel passes on only some options of an advertisement, and none at all where a network manager has switched
``accept_ra`` off; this source hears everything. It needs CAP_NET_RAW. Every interface that is up is a member of
the all-nodes group ff02::1, so nothing has to be joined. The kernel verifies the checksum; what else RFC 4861,
6.1.2 demands (hop limit 255: sent on this link; a link-local source: a router; a well-formed message) is checked
here and by the parser.

One task listens, one solicits. The second keeps a schedule of interfaces, and sends each up to three solicitations
four seconds apart, until a default router has advertised itself there. The random delay before the first is left
out: it is there for hosts that all see their link come up at one moment, and what starts us then is the end of
duplicate address detection, which was delayed at random itself.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address
from pathlib import Path

import trio
from attrs import frozen

from trimif._errors import MalformedInput
from trimif._facts import Limitation, RouterAdvertisement
from trimif._sources._source import Report, SourceStatistics
from trimif._wire.neighbour_discovery import ROUTER_ADVERTISEMENT, parse_router_advertisement, router_solicitation

__all__ = ["RouterAdvertisementSource"]

MAX_RTR_SOLICITATIONS = 3  # RFC 4861, 10
RTR_SOLICITATION_INTERVAL = 4.0
ALL_ROUTERS = "ff02::2"
HOP_LIMIT = 255
BATCH = 64
"""Not more datagrams than this are read in one wake-up: a flood must not starve the other tasks."""

ICMP6_FILTER = 1  # <netinet/icmp6.h>; the constants below are of <net/if.h> and <linux/sockios.h>
SIOCGIFFLAGS = 0x8913
IFF_UP, IFF_LOOPBACK, IFF_MULTICAST = 0x1, 0x8, 0x1000
LINK_SCOPE = 0x20
TENTATIVE_OR_DUPLICATE = 0x40 | 0x08  # IFA_F_TENTATIVE, IFA_F_DADFAILED of <linux/if_addr.h>

NOT_READY = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL, errno.ENETUNREACH})

_PACKET_INFORMATION = struct.Struct("@16sI")
_HOP_LIMIT = struct.Struct("@i")
_INTERFACE_FLAGS = struct.Struct("@16sH14x")
_DATAGRAM_OCTETS = 65536
_ANCILLARY_OCTETS = socket.CMSG_SPACE(_PACKET_INFORMATION.size) + socket.CMSG_SPACE(_HOP_LIMIT.size)

logger = logging.getLogger(__name__)


@frozen
class _Datagram:
    """What was received; `index` and `hop_limit` are -1 if the kernel did not tell."""

    octets: bytes
    router: IPv6Address
    index: int = -1
    hop_limit: int = -1


@frozen
class _Turn:
    """How often an interface is yet to be solicited, and when next (on Trio's clock)."""

    left: int
    at: float


class RouterAdvertisementSource:
    """Reports each router advertisement that comes, whole, as a `RouterAdvertisement`."""

    def __init__(self) -> None:
        self._schedule: dict[int, _Turn] = {}
        self._scheduled = trio.Event()
        self._listening = False
        self._facts = 0
        self._malformed = 0

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        return "router advertisements"

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        return SourceStatistics(self.name, facts=self._facts, malformed=self._malformed)

    def solicit(self, index: int) -> None:
        """Ask the routers on an interface to advertise themselves now, up to three times, until one does.

        To be called when an interface gets a usable link-local address; those that have one when the source starts
        are solicited without asking. Does nothing where soliciting is under way already, and while the source does
        not run. Never blocks.
        """
        if self._listening and index not in self._schedule:
            self._schedule[index] = _Turn(MAX_RTR_SOLICITATIONS, trio.current_time())
            self._scheduled.set()

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. It has started when it listens; that no router has spoken yet is no reason to wait.

        Without the privilege, or without IPv6, that is reported as a `Limitation`, and the source returns.
        """
        try:
            listener = _open_socket()
        except OSError as error:
            missing = f"router advertisements other than what the kernel passes on: {error.strerror}"
            self._facts += 1
            report([Limitation(self.name, missing, "give the program CAP_NET_RAW, or run it as root")])
            task_status.started()
            await trio.lowlevel.checkpoint()
            return
        with listener, self._accepting_requests():
            task_status.started()
            for index in _ready_interfaces(listener):
                self.solicit(index)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._solicit_forever, listener)
                await self._listen(listener, report)

    @contextmanager
    def _accepting_requests(self) -> Iterator[None]:
        self._listening = True
        try:
            yield
        finally:
            self._listening = False
            self._schedule.clear()

    # ------------------------------------------------------------ listening

    async def _listen(self, listener: socket.socket, report: Report) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            now = trio.current_time()
            facts = [fact for datagram in _receive(listener) for fact in self._parse(datagram, now)]
            if facts:
                self._facts += len(facts)
                report(facts)

    def _parse(self, datagram: _Datagram, now: float) -> Iterator[RouterAdvertisement]:
        """The advertisement in a datagram, if it is valid (RFC 4861, 6.1.2)."""
        try:
            if datagram.hop_limit != HOP_LIMIT:
                raise MalformedInput(f"the hop limit is {datagram.hop_limit}: it may have been forwarded")
            if not datagram.router.is_link_local or datagram.index < 0:
                raise MalformedInput("its source is not a link-local address")
            advertisement = parse_router_advertisement(
                datagram.index, datagram.router, datagram.octets, now, self._count_malformed
            )
        except MalformedInput as fault:
            self._count_malformed(fault)
            return
        # RFC 4861, 6.3.7: who "receives a valid Router Advertisement with a non-zero Router Lifetime … MUST desist
        # from sending additional solicitations on that interface".
        if advertisement.header is not None and advertisement.header.until > now:
            self._schedule.pop(datagram.index, None)
        yield advertisement

    def _count_malformed(self, fault: MalformedInput) -> None:
        self._malformed += 1
        logger.debug("router advertisement, or an option of one, dropped: %s", fault)

    # ------------------------------------------------------------ soliciting

    async def _solicit_forever(self, sender: socket.socket) -> None:
        while True:
            self._solicit_due(sender)
            self._scheduled = trio.Event()
            with trio.move_on_at(min((turn.at for turn in self._schedule.values()), default=math.inf)):
                await self._scheduled.wait()

    def _solicit_due(self, sender: socket.socket) -> None:
        now = trio.current_time()
        for index, turn in list(self._schedule.items()):
            if turn.at > now:
                continue
            if turn.left == 0:  # the last one has had its four seconds, too
                del self._schedule[index]
                continue
            self._schedule[index] = _Turn(turn.left - 1, now + RTR_SOLICITATION_INTERVAL)
            if not _send_solicitation(sender, index):
                del self._schedule[index]


# ---------------------------------------------------------------- the socket


def _open_socket() -> socket.socket:
    """A raw ICMPv6 socket that hears router advertisements only, and sends with hop limit 255."""
    listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    try:
        blocked = [0xFFFFFFFF] * 8
        blocked[ROUTER_ADVERTISEMENT // 32] &= ~(1 << ROUTER_ADVERTISEMENT % 32)
        listener.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("@8I", *blocked))
        for option in (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVPKTINFO):
            listener.setsockopt(socket.IPPROTO_IPV6, option, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _receive(listener: socket.socket) -> Iterator[_Datagram]:
    """The router advertisements that wait, at most a batch of them."""
    for _ in range(BATCH):
        try:
            octets, ancillary, flags, sender = listener.recvmsg(_DATAGRAM_OCTETS, _ANCILLARY_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        # Before the filter was set, something else may have come in.
        if octets[:1] == bytes([ROUTER_ADVERTISEMENT]) and not flags & socket.MSG_TRUNC:
            yield _datagram(octets, ancillary, IPv6Address(sender[0].partition("%")[0]))


def _datagram(octets: bytes, ancillary: Sequence[tuple[int, int, bytes]], router: IPv6Address) -> _Datagram:
    index = hop_limit = -1
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_HOPLIMIT:
            (hop_limit,) = _HOP_LIMIT.unpack(data)
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            _destination, index = _PACKET_INFORMATION.unpack(data)
    return _Datagram(octets, router, index, hop_limit)


def _send_solicitation(sender: socket.socket, index: int) -> bool:
    """Send one solicitation by the interface; the kernel takes its link-local address as the source.

    Returns:
        Whether trying again makes sense: not where the interface is down, gone, or without a usable address, which
        is everyday life; when it is ready again, somebody calls `RouterAdvertisementSource.solicit`.
    """
    leave_by = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PACKET_INFORMATION.pack(bytes(16), index))
    try:
        sender.sendmsg([router_solicitation()], [leave_by], 0, (ALL_ROUTERS, 0, 0, index))
    except OSError as error:
        logger.debug("no router solicitation by interface %d: %s", index, error)
        return error.errno not in NOT_READY
    return True


def _ready_interfaces(any_socket: socket.socket) -> set[int]:
    """Interfaces that are up, can multicast, are not the loopback interface, and have a usable link-local address.

    Of the calling thread's network namespace: where the socket was opened just now.
    """
    indices = set()
    with suppress(OSError):  # no /proc: the MIF asks for each interface that it sees
        for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines():
            *numbers, name = line.split(maxsplit=5)
            index, _length, scope, flags = (int(number, 16) for number in numbers[1:])
            if scope == LINK_SCOPE and not flags & TENTATIVE_OR_DUPLICATE and _can_solicit(any_socket, name):
                indices.add(index)
    return indices


def _can_solicit(any_socket: socket.socket, name: str) -> bool:
    request = _INTERFACE_FLAGS.pack(name.encode(), 0)
    try:
        _name, flags = _INTERFACE_FLAGS.unpack_from(fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
    except OSError:  # gone meanwhile
        return False
    return bool(flags & (IFF_UP | IFF_MULTICAST | IFF_LOOPBACK) == IFF_UP | IFF_MULTICAST)
