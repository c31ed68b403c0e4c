"""A host that answers multicast questions on its link: multicast DNS (RFC 6762) or LLMNR (RFC 4795), IPv4 and IPv6.

It answers one-shot questions only, directly to who asked; it announces nothing and defends no name. What it answers is
up to a function, so that it can also be wrong, late, too much, or somebody else.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import trio
from attrs import frozen

from trimif._model import IPAddress
from trimif._names._link_queries import LinkProtocol
from trimif.testing._namespaces import Namespace

__all__ = ["LinkAnswer", "LinkAsked", "LinkResponder", "answer_link", "link_host"]

IP_RECVTTL = 12  # linux/in.h; the socket module has no name for it


@frozen
class LinkAnswer:
    """One answer: which octets, after how many seconds, from which address and port if not from the usual ones.

    An answer from an address is given only to questions of that address family.
    """

    octets: bytes
    delay: float = 0.0
    source: IPAddress | None = None
    port: int | None = None


@frozen
class LinkAsked:
    """A question as it arrived, and the hop limit (the time to live) that its packet still had."""

    octets: bytes
    hop_limit: int


Behaviour: TypeAlias = Callable[[bytes], Sequence[LinkAnswer]]
"""What to answer to the octets of a question."""


def answer_link(octets: bytes, addresses: Sequence[IPAddress]) -> Any:
    """The answer of a host with these addresses to a question for its name, as a message that can still be changed."""
    import dns.message
    import dns.rdatatype
    import dns.rrset

    response = dns.message.make_response(dns.message.from_wire(octets))
    for each in response.question:
        version = 4 if each.rdtype == dns.rdatatype.A else 6
        texts = [str(address) for address in addresses if address.version == version]
        if texts:
            response.answer.append(dns.rrset.from_text(each.name, 10, "IN", dns.rdatatype.to_text(each.rdtype), *texts))
    return response


def link_host(hosts: Mapping[str, Sequence[IPAddress]]) -> Behaviour:
    """A well-behaved host, or several: the addresses of each name; silence about others."""

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        import dns.message

        name = dns.message.from_wire(octets).question[0].name.to_text(omit_final_dot=True).lower()
        return [LinkAnswer(answer_link(octets, hosts[name]).to_wire())] if name in hosts else []

    return behave


class LinkResponder:
    """Answers on one interface of a namespace, while `run` runs. `asked` has every question so far."""

    def __init__(self, namespace: Namespace, interface: str, protocol: LinkProtocol, behave: Behaviour) -> None:
        self._namespace = namespace
        self._protocol = protocol
        self._behave = behave
        self.asked: list[LinkAsked] = []
        with namespace.entered():
            self._index = socket.if_nametoindex(interface)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer until cancelled, then close everything."""
        with ExitStack() as closing:
            listening = [closing.enter_context(self._listen(group)) for group in self._protocol.groups]
            async with trio.open_nursery() as nursery:
                for each in listening:
                    nursery.start_soon(self._serve, each, nursery)
                task_status.started()

    def _listen(self, group: IPAddress) -> trio.socket.SocketType:
        plain = self._open(group.version, "", self._protocol.port)
        if group.version == 4:
            membership = struct.pack("@4s4si", group.packed, b"", self._index)
            plain.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            plain.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        else:
            membership = struct.pack("@16sI", group.packed, self._index)
            plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
            plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        return trio.socket.from_stdlib_socket(plain)

    def _open(self, version: int, address: str, port: int) -> socket.socket:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        plain = self._namespace.socket(family, socket.SOCK_DGRAM)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if version == 6:
                plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            plain.bind((address, port))
        except BaseException:
            plain.close()
            raise
        return plain

    async def _serve(self, listening: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            octets, ((_, _, hop_limit), *_), _flags, client = await listening.recvmsg(9000, 256)
            self.asked.append(LinkAsked(octets, int.from_bytes(hop_limit, sys.byteorder)))
            nursery.start_soon(self._answer, listening, self._behave(octets), client)

    async def _answer(self, listening: trio.socket.SocketType, answers: Sequence[LinkAnswer], client: Any) -> None:
        await trio.lowlevel.checkpoint()
        for each in answers:
            await trio.sleep(each.delay)
            if each.source is None and each.port is None:
                await listening.sendto(each.octets, client)
            else:
                self._send_as(each, client)

    def _send_as(self, answer: LinkAnswer, client: Any) -> None:
        version = 6 if ":" in client[0] else 4
        if answer.source is not None and answer.source.version != version:
            return
        source = "" if answer.source is None else str(answer.source)
        with self._open(version, source, self._protocol.port if answer.port is None else answer.port) as other:
            other.sendto(answer.octets, client)
