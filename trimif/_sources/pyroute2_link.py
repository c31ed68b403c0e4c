"""The reference link: the kernel's links, addresses and routes by way of pyroute2, behind the same interface.

It is there so that the default, `trimif._sources.netlink`, can be held against something that other people wrote, on
every kernel; and it shows how asyncio code of others is met from Trio. So it shares neither sockets nor decoding with
the default, and none of its knowledge of what the kernel leaves unsaid: events are reported as they come, and after
each burst of them *everything* is dumped again. Only a dump during which no event was heard withdraws what it does not
show; what was heard during another one is replayed over it, and then there is one more. Routes with a lifetime may be
renewed without an event, so while there are any, everything is dumped every few seconds.

An event costs it some 25 times what it costs the default, and there are things that it can't do; see `LIMITATIONS`.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterable, Iterator, Sequence

import trio

from trimif._errors import MalformedInput
from trimif._facts import Fact, Limitation, LinkFact, LinkGone, RouteFact
from trimif._sources._netlink_dump import Dump
from trimif._sources._netlink_kinds import LinkKinds
from trimif._sources._pyroute2_facts import Pyroute2Message, facts_of
from trimif._sources._pyroute2_sockets import Pyroute2Sockets, open_sockets
from trimif._sources._source import Report, SourceStatistics
from trimif._wire.netlink_facts import Tables

__all__ = ["LIMITATIONS", "Pyroute2LinkSource"]

NAME = "pyroute2 link"
RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024
PAUSE_SECONDS = 0.05
"""From the first event of a burst to the dump that follows it."""
AGAIN_SECONDS = 5.0
"""How often everything is dumped while there are routes that expire."""

LIMITATIONS = (
    Limitation(
        NAME,
        "what the kernel had no room for: pyroute2 can't go on after an overrun, so that the MIF ends with an OSError",
        'open_mif(link="netlink"), the default, reads everything afresh and goes on',
    ),
    Limitation(
        NAME,
        "the options of router advertisements that the kernel passes on, name servers for example: pyroute2 does not "
        "decode them",
        "with CAP_NET_RAW trimif listens to router advertisements itself; the default link decodes them",
    ),
    Limitation(
        NAME,
        "whether a table changed while it was dumped (NLM_F_DUMP_INTR): pyroute2 does not look at it, so that while "
        "changes go on, only their events withdraw",
        'open_mif(link="netlink"), the default, looks at it',
    ),
)


class Pyroute2LinkSource:
    """Reports what rtnetlink says according to pyroute2, for as long as :meth:`run` runs; needs no privilege.

    Args:
        receive_buffer: for events, in octets; the kernel grants ``net.core.rmem_max`` at most.
    """

    name = NAME

    def __init__(self, receive_buffer: int = RECEIVE_BUFFER_OCTETS) -> None:
        self._receive_buffer = receive_buffer
        self._kinds = LinkKinds()
        self._heard: list[Fact] = []  # since the latest dump was asked for
        self._stale = trio.Event()
        self._again_at = math.inf
        self._facts = self._malformed = self._overruns = self._resynchronisations = 0

    def statistics(self) -> SourceStatistics:
        """What it has done so far. Each dump counts as a resynchronisation; after an overrun there is nothing more."""
        return SourceStatistics(
            self.name,
            facts=self._facts,
            malformed=self._malformed,
            overruns=self._overruns,
            resynchronisations=self._resynchronisations,
        )

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report facts until cancelled; see `Source.run`. Its sockets are in the caller's network namespace.

        Raises:
            ImportError: trio-asyncio is not there, or not for this Python; the text tells the remedy.
            OSError: with ENOBUFS, the kernel had no room for an event; else the process may not use rtnetlink.
        """
        try:
            async with open_sockets(self._receive_buffer) as sockets, trio.open_nursery() as nursery:
                self._report(LIMITATIONS, report)
                nursery.start_soon(self._follow, sockets, report)
                await self._resynchronise(sockets, report)
                task_status.started()
                await self._resynchronise_after_events(sockets, report)
        except BaseExceptionGroup as group:
            fault = _lone(group)
            raise fault from fault.__cause__  # with its cause, and without the groups

    async def _follow(self, sockets: Pyroute2Sockets, report: Report) -> None:
        while True:
            try:
                messages = await sockets.hear()
            except OSError as fault:
                self._overruns += fault.errno == errno.ENOBUFS
                raise
            facts = list(self._read(messages))
            self._heard += facts
            self._stale.set()  # also by events that say nothing here: routers' options come with new lifetimes
            if self._resynchronisations:  # before the first dump, events are only part of it
                self._report([self._examine(fact) for fact in facts], report)

    async def _resynchronise_after_events(self, sockets: Pyroute2Sockets, report: Report) -> None:
        while True:
            with trio.move_on_at(self._again_at):
                await self._stale.wait()
            await trio.sleep(PAUSE_SECONDS)
            await self._resynchronise(sockets, report)

    async def _resynchronise(self, sockets: Pyroute2Sockets, report: Report) -> None:
        self._stale, self._heard = trio.Event(), []
        dump = Dump(Tables.ALL)
        for fact in self._read(await sockets.dump()):
            dump.enter(fact)
        dump.interrupted = bool(self._heard)
        dump.replay(self._heard)
        self._kinds.forget_all()
        dump.links = [self._kinds.refine(link) for link in dump.links]
        self._resynchronisations += 1
        self._again_at = trio.current_time() + AGAIN_SECONDS if _any_expires(dump.routes) else math.inf
        self._report(dump.facts(), report)

    def _read(self, messages: Iterable[Pyroute2Message]) -> Iterator[Fact]:
        now = trio.current_time()
        for message in messages:
            try:
                yield from facts_of(message, now)
            except MalformedInput:
                self._malformed += 1

    def _examine(self, fact: Fact) -> Fact:
        if isinstance(fact, LinkGone):
            self._kinds.forget(fact.index)
        return self._kinds.refine(fact) if isinstance(fact, LinkFact) else fact

    def _report(self, facts: Sequence[Fact], report: Report) -> None:
        if facts:
            self._facts += len(facts)
            report(facts)


def _any_expires(routes: Iterable[RouteFact]) -> bool:
    return any(route.expires < math.inf for route in routes)


def _lone(fault: BaseException) -> BaseException:
    """The only exception in groups in groups, or the group that has several."""
    while isinstance(fault, BaseExceptionGroup) and len(fault.exceptions) == 1:
        fault = fault.exceptions[0]
    return fault
