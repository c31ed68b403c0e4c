"""Dumps of the kernel's tables, and how events that were read meanwhile are replayed over them.

A dump is no snapshot: it is read piece by piece while the tables change. Two things make it true. Every event that
was read since it was asked for is replayed over it, so that it neither withdraws what came meanwhile nor brings back
what went. And where entries may be missing that nothing happened to, the dump must not withdraw anything:
NLM_F_DUMP_INTR tells so for links and addresses; for routes, which never bear it, `netlink_facts.removes_route` does.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
from collections.abc import Iterable, Sequence

import trio
from attrs import Factory, define

from trimif._errors import MalformedInput
from trimif._facts import (
    AddressFact,
    AddressGone,
    AllAddresses,
    AllLinks,
    AllRoutes,
    Fact,
    LinkFact,
    LinkGone,
    RouteFact,
    RouteGone,
)
from trimif._model import Family, IPAddress
from trimif._sources._netlink_socket import receive_datagram
from trimif._wire.netlink import NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, Message, error_number, messages
from trimif._wire.netlink_facts import Tables, decode
from trimif._wire.netlink_requests import dump_addresses, dump_links, dump_routes, get_link

__all__ = ["Dump", "Dumper"]

LOOPBACK_INDEX = 1


@define
class Dump:
    """The tables as dumped so far.

    Attributes:
        tables: those that were asked for.
        in_pieces: a table came in more than one datagram, so that it could change in between.
        interrupted: a table changed while it was dumped, and entries may be missing.
        malformed: messages that did not follow their format, and were left out.
    """

    tables: Tables
    links: list[LinkFact] = Factory(list)
    addresses: list[AddressFact] = Factory(list)
    routes: list[RouteFact] = Factory(list)
    in_pieces: bool = False
    interrupted: bool = False
    malformed: int = 0

    def enter(self, fact: Fact) -> None:
        """Add one dumped fact."""
        if isinstance(fact, RouteFact):
            self.routes.append(fact)
        elif isinstance(fact, AddressFact):
            self.addresses.append(fact)
        elif isinstance(fact, LinkFact):
            self.links.append(fact)

    def replay(self, events: Sequence[Fact]) -> None:
        """Apply the events that were read since the dump was asked for, in their order."""
        if not events:
            return
        links = {fact.index: fact for fact in self.links}
        addresses = {_key(fact): fact for fact in self.addresses}
        routes = {fact: fact for fact in self.routes}
        for fact in events:
            match fact:
                case LinkFact(index=index):
                    links[index] = fact
                case AddressFact():
                    addresses[_key(fact)] = fact
                case AddressGone():
                    addresses.pop(_key(fact), None)
                case RouteFact():
                    routes.pop(fact, None)  # an equal key would stay, with the old expiry in it
                    routes[fact] = fact
                case RouteGone(route=route):
                    routes.pop(route, None)
                case LinkGone(index=index):
                    links.pop(index, None)
                    addresses = {key: kept for key, kept in addresses.items() if kept.index != index}
                    routes = {kept: kept for kept in routes.values() if kept.index != index}
        self.links, self.addresses, self.routes = list(links.values()), list(addresses.values()), list(routes.values())

    def facts(self) -> list[Fact]:
        """What to report: the whole tables, or, if entries may be missing from them, only what is in them."""
        if self.interrupted:
            return [*self.links, *self.addresses, *self.routes]
        facts: list[Fact] = []
        if Tables.LINKS in self.tables:
            facts.append(AllLinks(tuple(self.links)))
        if Tables.ADDRESSES in self.tables:
            facts.append(AllAddresses(tuple(self.addresses)))
        if Tables.ROUTES in self.tables:
            facts.append(AllRoutes(tuple(self.routes)))
        return facts


class Dumper:
    """Asks for dumps on one socket, one at a time. A cancelled dump leaves the socket fit for nothing but closing."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._port: int = opened.getsockname()[0]
        self._sequence = itertools.count(1)

    async def dump(self, tables: Tables) -> Dump:
        """Dump the tables, one after the other: links, addresses, routes.

        Raises:
            OSError: the kernel refused a dump.
        """
        await self._wait_for_writers()
        dump = Dump(tables)
        for request in self._requests(tables):
            await self._read_dump(request, dump)
        return dump

    async def _wait_for_writers(self) -> None:
        """Wait until the change that is being made now is finished.

        "Link down" and "address deleted" are announced *before* the kernel flushes the routes that go with them, and
        dumps of routes wait for nobody: one that is asked for on hearing of the event would still show them. A request
        for a link is answered under the lock (RTNL) that such a change holds from its beginning to its end.
        """
        sequence = next(self._sequence)
        self._socket.send(get_link(sequence, LOOPBACK_INDEX))
        await self._read_answers(sequence)

    def _requests(self, tables: Tables) -> Iterable[tuple[int, bytes]]:
        if Tables.LINKS in tables:
            yield (sequence := next(self._sequence)), dump_links(sequence)
        if Tables.ADDRESSES in tables:
            yield (sequence := next(self._sequence)), dump_addresses(sequence)
        if Tables.ROUTES in tables:
            for family in Family:
                yield (sequence := next(self._sequence)), dump_routes(sequence, family)

    async def _read_dump(self, request: tuple[int, bytes], dump: Dump) -> None:
        sequence, octets = request
        self._socket.send(octets)
        pieces = 0
        while True:
            answers = await self._read_answers(sequence)
            pieces += answers[0].kind not in (NLMSG_DONE, NLMSG_ERROR)
            dump.in_pieces |= pieces > 1
            if _enter_answers(answers, dump):
                return

    async def _read_answers(self, sequence: int) -> list[Message]:
        """The messages of the next datagram that answer the request: the sequence number alone could be another's."""
        wanted = (sequence, self._port)
        while True:
            datagram = await receive_datagram(self._socket)
            answers = [message for message in messages(datagram) if (message.sequence, message.port) == wanted]
            if answers:
                return answers


def _enter_answers(answers: Iterable[Message], dump: Dump) -> bool:
    """Add the answers to the dump; whether they ended it."""
    now = trio.current_time()
    for message in answers:
        if message.flags & NLM_F_DUMP_INTR:
            dump.interrupted = True
        if message.kind in (NLMSG_DONE, NLMSG_ERROR):
            _check(error_number(message))
            return True
        try:
            for fact in decode(message, now):
                dump.enter(fact)
        except MalformedInput:
            dump.malformed += 1
    return False


def _check(number: int) -> None:
    if number == errno.EOPNOTSUPP:
        return  # a kernel without that family: its table is empty
    if number:
        raise OSError(number, f"the kernel refuses to dump its tables: {os.strerror(number)}")


def _key(fact: AddressFact | AddressGone) -> tuple[int, IPAddress, int]:
    return fact.index, fact.address, fact.prefix_length
