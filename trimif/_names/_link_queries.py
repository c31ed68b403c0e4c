"""One-shot questions to every host on a domain's link, and the collecting of what they answer.

The question goes to a multicast group from a socket of its own with a random port, in each address family of the
domain; whoever bears the name answers that port directly. It is repeated, as datagrams get lost. Several hosts may
answer: each address is told at once, and when it is over is a matter of the protocol (`LinkProtocol`). Conflicts
between hosts are not ours to solve.

What keeps it inside the domain (law 10): the socket is bound to the interface and to a source address, the multicast
groups have link scope, and only answers from a sender on the link count (RFC 6762, 11). A copy of the question comes
back in by the same interface, which is how the host's own responder hears it.

Who is on the link: whoever has a link-local address or one in a prefix of the domain. The domain does not know every
prefix (a DHCPv6 address comes without), and some responders answer from an address of theirs that is not link-local
though the question was, so for others the kernel is asked whether they are behind a router.

The source: in IPv4 the domain's address. In IPv6 the interface's link-local address, which every host on the link
knows for a neighbour's whatever prefixes it has itself (responders ignore questions that are not from an on-link
prefix), and which RFC 6724 prefers (5, rule 2); on links without such, the domain's best address.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import trio
from attrs import define, field, frozen

from trimif._connect import open_socket, order_sources, socket_address
from trimif._connect._route import find_route
from trimif._errors import MalformedInput
from trimif._model import DomainView, Family, IPAddress, TranslationOutcome
from trimif._names._link_messages import MOST_OCTETS, LinkQuestion, LinkReply, ask_link_for, link_name, read_link_reply

MOST_ADDRESSES = 64
MOST_DATAGRAMS = 256  # that one socket takes; more is an attempt to keep us busy
HOP_LIMIT = 255  # RFC 6762, 11; RFC 4795, 2.5

_log = logging.getLogger("trimif.names")


@frozen
class LinkProtocol:
    """How hosts on a link are asked.

    Attributes:
        port: where they listen, and answer from.
        groups: the multicast groups, IPv4 and IPv6.
        messages: the families asked for in each message.
        interval: seconds until the question is repeated, and to wait after the last time.
        times: how often it is asked.
        collect: seconds to wait for other hosts' answers after the first one.
        marks_conflicts: a host says whether others may bear its name; if none may, there is nothing to wait for.
    """

    name: str
    port: int
    groups: tuple[IPv4Address, IPv6Address]
    messages: tuple[tuple[Family, ...], ...]
    interval: float
    times: int
    collect: float
    marks_conflicts: bool


async def ask_link(
    view: DomainView,
    protocol: LinkProtocol,
    name: str,
    tell: Callable[[IPAddress], None],
    note_malformed: Callable[[MalformedInput], None],
) -> TranslationOutcome:
    """Ask every host on the domain's link for the addresses of a name; see `ask_mdns` and `ask_llmnr`."""
    await trio.lowlevel.checkpoint()
    asked = link_name(name)
    if asked is None or view.loopback:
        return TranslationOutcome.NO_SERVERS
    questions = [ask_link_for(asked, families) for families in protocol.messages]
    asking = _Asking(view, protocol, questions, tell, note_malformed)
    with ExitStack() as closing:
        for group in protocol.groups:
            await asking.open(group, closing)
        await asking.run()
    return asking.outcome()


@frozen(eq=False)
class _Channel:
    """A socket to ask from in one family."""

    socket: trio.socket.SocketType
    group: IPAddress


@define
class _Asking:
    """One name that is being asked for: what was asked, what was heard, and when it is over."""

    view: DomainView
    protocol: LinkProtocol
    questions: Sequence[LinkQuestion]
    tell: Callable[[IPAddress], None]
    note_malformed: Callable[[MalformedInput], None]
    _channels: list[_Channel] = field(factory=list)
    _answered: set[tuple[_Channel, LinkQuestion]] = field(factory=set)
    _found: set[LinkQuestion] = field(factory=set)
    _told: set[IPAddress] = field(factory=set)
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _truncated: bool = False
    _conflict: bool = False

    async def open(self, group: IPAddress, closing: ExitStack) -> None:
        """Get ready to ask in one family, if the domain has it."""
        await trio.lowlevel.checkpoint()
        candidates = order_sources(self.view.addresses, group)
        if not candidates:
            return
        source = candidates[0].address
        try:
            if isinstance(group, IPv6Address):
                source = await _link_local_source(self.view, group) or source
            opened = closing.enter_context(open_socket(self.view, socket.SOCK_DGRAM, group, source))
            _keep_on_link(opened, self.view.index)
            self._channels.append(_Channel(opened, group))
        except OSError as error:
            self._pass_over(group, error)

    def _pass_over(self, group: IPAddress, error: OSError) -> None:
        _log.debug("%s: %s can't be asked by %s: %s", self.view.name, group, self.protocol.name, error)

    async def run(self) -> None:
        """Ask and listen until it is over."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                for channel in self._channels:
                    nursery.start_soon(self._listen, channel)
                for _ in range(self.protocol.times):
                    await self._send()
                    if not self._channels:
                        break
                    await trio.sleep(self.protocol.interval)
                nursery.cancel_scope.cancel()

    async def _send(self) -> None:
        """Put what is not answered yet; a family in which that fails is given up."""
        await trio.lowlevel.checkpoint()
        for channel in list(self._channels):
            address = _group_address(channel.group, self.protocol.port, self.view.index)
            try:
                for question in self.questions:
                    if (channel, question) not in self._answered:
                        await channel.socket.sendto(question.octets, address)
            except OSError as error:
                self._channels.remove(channel)
                self._pass_over(channel.group, error)

    async def _listen(self, channel: _Channel) -> None:
        await trio.lowlevel.checkpoint()
        for _ in range(MOST_DATAGRAMS):
            octets, (sender, port, *_) = await channel.socket.recvfrom(MOST_OCTETS)
            if port != self.protocol.port:
                continue  # RFC 6762, 6: to be ignored
            address = ip_address(sender)
            if _has_address_of_link(self.view, address) or await _is_on_link(self.view, address):
                self._hear(channel, octets)

    def _hear(self, channel: _Channel, octets: bytes) -> None:
        try:
            for question in self.questions:
                reply = read_link_reply(octets, question)
                if reply is not None:
                    self._take(channel, question, reply)
        except MalformedInput as malformed:
            self.note_malformed(malformed)

    def _take(self, channel: _Channel, question: LinkQuestion, reply: LinkReply) -> None:
        if self.protocol.marks_conflicts and reply.tentative:
            return  # RFC 4795, 2.1.1: to be discarded in silence
        self._answered.add((channel, question))
        self._conflict = self._conflict or reply.conflict
        self._truncated = self._truncated or reply.cut
        for address in reply.addresses:
            self._found.add(question)
            self._tell_once(address)
        self._end_if_answered()

    def _tell_once(self, address: IPAddress) -> None:
        usable = _with_scope(address, self.view.index)
        if usable is None or usable in self._told:
            return
        if len(self._told) == MOST_ADDRESSES:
            self._truncated = True
            self._scope.cancel()
            return
        self._told.add(usable)
        self.tell(usable)

    def _end_if_answered(self) -> None:
        if len({question for _, question in self._answered}) < len(self.questions):
            return
        if self.protocol.marks_conflicts and not self._conflict and self._is_complete():
            self._scope.cancel()
        else:
            self._scope.deadline = min(self._scope.deadline, trio.current_time() + self.protocol.collect)

    def _is_complete(self) -> bool:
        """No host has more to say. Some have only addresses of the family that they are asked in."""
        return all(
            question in self._found or all((channel, question) in self._answered for channel in self._channels)
            for question in self.questions
        )

    def outcome(self) -> TranslationOutcome:
        """What it amounts to."""
        if self._told:
            return TranslationOutcome.TRUNCATED if self._truncated else TranslationOutcome.ANSWERED
        if self._answered:
            return TranslationOutcome.NO_DATA
        return TranslationOutcome.TIMED_OUT if self._channels else TranslationOutcome.NO_SERVERS


async def _link_local_source(view: DomainView, group: IPv6Address) -> IPv6Address | None:
    """The link-local address of the domain's interface, if it has one.

    Raises:
        OSError: the interface is gone, or down.
    """
    with open_socket(view, socket.SOCK_DGRAM, group, None) as probe:
        # Connecting a datagram socket sends nothing; the kernel only chooses a source (RFC 6724).
        await probe.connect(_group_address(group, 9, view.index))
        chosen = IPv6Address(probe.getsockname()[0])
    return chosen if chosen.is_link_local else None


def _keep_on_link(opened: trio.socket.SocketType, index: int) -> None:
    if opened.family == socket.AF_INET:
        interface = struct.pack("@4s4si", b"", b"", index)  # struct ip_mreqn of ip(7)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOP_LIMIT)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)


def _group_address(group: IPAddress, port: int, index: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if isinstance(group, IPv6Address):
        return str(group), port, 0, index
    return socket_address(group, port, index)


def _has_address_of_link(view: DomainView, sender: IPAddress) -> bool:
    """Link-local, or in a prefix of the domain (RFC 6762, 11)."""
    return sender.is_link_local or any(
        sender in ip_network((own.address, own.prefix_length), strict=False) for own in view.addresses
    )


async def _is_on_link(view: DomainView, sender: IPAddress) -> bool:
    """The kernel sends to it without a router."""
    route = await find_route(view.index, None, sender)
    return route is not None and route.gateway is None


def _with_scope(address: IPAddress, index: int) -> IPAddress | None:
    """The address as it can be used: a link-local IPv6 address means nothing without its link (RFC 4007)."""
    if not (isinstance(address, IPv6Address) and address.is_link_local):
        return address
    try:
        return IPv6Address(f"{address}%{socket.if_indextoname(index)}")
    except (OSError, ValueError):  # the interface is gone, or has a name that can't be a scope id
        return None
