"""The kernel's own account of links, addresses, routes and router advertisements: rtnetlink, the default link.

One socket hears events, another one asks for dumps, and a task waits at each. Events are reported as they come, a
drained batch at a time, whether or not a dump is being read. A dump is asked for at the start, after an overrun
(ENOBUFS: the kernel had no room for some events), and after events that are the sign of changes which the kernel does
not announce; `netlink_facts.unsaid` lists those. It is read while events come in, `_netlink_dump` makes it true, and
then it is reported as one step.

The source keeps no copy of the host. It remembers until when the routes with a lifetime last, though: a router
advertisement that renews a route is not always announced, so the routes are dumped again shortly before the first of
them expires, and every few seconds while one that has expired is still there.
"""

from __future__ import annotations

import errno
import logging
import math
import socket
from collections.abc import Iterable, Sequence

import trio

from trimif._errors import MalformedInput
from trimif._facts import AddressFact, Fact, LinkFact, LinkGone, RouteFact, RouterAdvertisement
from trimif._sources._netlink_dump import Dump, Dumper
from trimif._sources._netlink_kinds import LinkKinds
from trimif._sources._netlink_socket import open_socket, receive_nowait, subscribe
from trimif._sources._source import Report, SourceStatistics
from trimif._wire.netlink import messages
from trimif._wire.netlink_facts import Tables, decode, removes_route, unsaid

__all__ = ["NetlinkSource"]

RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024
BATCH_DATAGRAMS = 256
ATTEMPTS = 3
"""Dumps in a row that may be interrupted or overrun before what they showed is reported without withdrawing."""
PAUSE_SECONDS = 0.05
"""From one resynchronisation to the next, so that a storm of events costs few dumps."""
AHEAD_SECONDS = 1.0
"""How long before a route expires the kernel is asked whether it was renewed."""
AGAIN_SECONDS = 5.0
"""How often the kernel is asked whether it has removed, or revived, a route that has expired."""

_log = logging.getLogger("trimif.netlink")


class NetlinkSource:
    """Reports what rtnetlink says, for as long as :meth:`run` runs; needs no privilege.

    Args:
        receive_buffer: for events, in octets. Without CAP_NET_ADMIN the kernel grants ``net.core.rmem_max`` at most.
    """

    name = "netlink"

    def __init__(self, receive_buffer: int = RECEIVE_BUFFER_OCTETS) -> None:
        self._receive_buffer = receive_buffer
        self._kinds = LinkKinds()
        self._stale = Tables.ALL
        self._woken = trio.Event()
        self._ask_again_at = math.inf
        self._first_reported = False
        self._congested = False  # there was an overrun, and not everything has been read since
        self._heard: list[Fact] | None = None  # since the dump that is being read was asked for, if there is one
        self._removed_routes = 0
        self._facts = self._malformed = self._overruns = self._resynchronisations = 0

    def statistics(self) -> SourceStatistics:
        """What it has done so far. The dump at the start counts as a resynchronisation."""
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
            OSError: the process may not use rtnetlink at all.
        """
        with subscribe(self._receive_buffer) as events, open_socket() as dumps:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow, events, report)
                dumper = Dumper(dumps)
                await self._resynchronise(events, dumper, report)
                task_status.started()
                await self._resynchronise_when_stale(events, dumper, report)

    # ---------------------------------------------------------------- events

    async def _follow(self, events: socket.socket, report: Report) -> None:
        while True:
            await trio.lowlevel.wait_readable(events)
            self._read_batch(events, report)

    def _read_batch(self, events: socket.socket, report: Report) -> bool:
        """Read what is there, up to a bound, and report it; whether there may be more."""
        now = trio.current_time()
        facts: list[Fact] = []
        more = True
        for _ in range(BATCH_DATAGRAMS):
            try:
                datagram = receive_nowait(events)
            except OSError as error:
                self._note_overrun(error)
                continue
            if datagram is None:
                more = self._congested = False
                break
            facts += self._read_datagram(datagram, now)
        if facts:
            self._hear([fact if isinstance(fact, AddressFact) else self._examine(fact) for fact in facts], report)
        return more

    def _hear(self, facts: list[Fact], report: Report) -> None:
        """Before the first dump has been reported, events are only part of it."""
        if self._heard is not None:
            self._heard += facts
        if self._first_reported:
            self._report(facts, report)

    def _examine(self, fact: Fact) -> Fact:
        """Take notice of what the source itself has to know."""
        match fact:
            case LinkFact():
                return self._kinds.refine(fact)
            case LinkGone(index=index):
                self._kinds.forget(index)
            case RouteFact(expires=expires) if expires < self._ask_again_at:
                self._mark_stale(Tables.ROUTES)
        return fact

    def _note_overrun(self, error: OSError) -> None:
        if error.errno != errno.ENOBUFS:
            raise error
        self._overruns += 1
        self._congested = True
        self._mark_stale(Tables.ALL)

    def _read_datagram(self, datagram: bytes, now: float) -> list[Fact]:
        """The facts of one datagram; a message that does not follow its format is skipped, and only that."""
        facts: list[Fact] = []
        try:
            for message in messages(datagram):
                try:
                    decoded = decode(message, now)
                    stale = unsaid(message)
                except MalformedInput as fault:
                    self._note_malformed(fault)
                    continue
                facts += decoded
                self._removed_routes += removes_route(message)
                if stale is not Tables.NONE:
                    self._mark_stale(stale)
        except MalformedInput as fault:
            self._note_malformed(fault)
        return facts

    def _note_malformed(self, fault: MalformedInput) -> None:
        self._malformed += 1
        _log.debug("skipped: %s", fault)

    def _mark_stale(self, tables: Tables) -> None:
        self._stale |= tables
        self._woken.set()

    # ---------------------------------------------------------------- dumps

    async def _resynchronise_when_stale(self, events: socket.socket, dumper: Dumper, report: Report) -> None:
        while True:
            await trio.sleep(PAUSE_SECONDS)
            with trio.move_on_at(self._ask_again_at):
                await self._woken.wait()
            await self._resynchronise(events, dumper, report)

    async def _resynchronise(self, events: socket.socket, dumper: Dumper, report: Report) -> None:
        """Dump what is stale, until it can be done without an interruption or overrun, and report it."""
        tables, attempts = Tables.NONE, 0
        while True:
            # After an overrun the kernel keeps what had fitted, and drops all that comes until that has been read (it
            # calls the socket congested). Replayed over a younger dump, it would bring back what was before the gap.
            if self._congested:
                await self._drain(events, report)
            tables |= self._take_stale()
            dump = await self._dump(tables, events, dumper, report)
            attempts += 1
            if not dump.interrupted or attempts == ATTEMPTS:
                break
            await trio.sleep(PAUSE_SECONDS)
        if dump.interrupted:
            self._mark_stale(tables)
        self._report_dump(dump, report)

    async def _dump(self, tables: Tables, events: socket.socket, dumper: Dumper, report: Report) -> Dump:
        """Dump, then read every event of what happened before the dump ended, so that it can be replayed."""
        overruns, removed_routes = self._overruns, self._removed_routes
        dump = await dumper.dump(tables)
        await self._drain(events, report)
        dump.interrupted |= self._overruns != overruns
        dump.interrupted |= dump.in_pieces and self._removed_routes != removed_routes
        return dump

    async def _drain(self, events: socket.socket, report: Report) -> None:
        """Read every event that waits."""
        while True:
            await trio.lowlevel.checkpoint()
            if not self._read_batch(events, report):
                break

    def _take_stale(self) -> Tables:
        """What to dump now. Events that are read from now on are replayed over it."""
        stale, self._stale = self._stale, Tables.NONE
        self._woken = trio.Event()
        self._heard = []
        return stale if stale is not Tables.NONE else Tables.ROUTES

    def _report_dump(self, dump: Dump, report: Report) -> None:
        heard, self._heard = self._heard or [], None
        dump.replay(heard)
        if Tables.LINKS in dump.tables:
            self._kinds.forget_all()
            dump.links = [self._kinds.refine(link) for link in dump.links]
        facts = dump.facts()
        if not self._first_reported:  # advertisements are in no dump, and were not reported when they came
            facts += [fact for fact in heard if isinstance(fact, RouterAdvertisement)]
            self._first_reported = True
        self._malformed += dump.malformed
        self._resynchronisations += 1
        self._ask_again_at = _when_to_ask_again(dump.routes, trio.current_time())
        self._report(facts, report)

    def _report(self, facts: Sequence[Fact], report: Report) -> None:
        self._facts += len(facts)
        report(facts)


def _when_to_ask_again(routes: Iterable[RouteFact], now: float) -> float:
    """When the kernel may have renewed, revived or removed one of these routes without telling."""
    first = min((route.expires for route in routes), default=math.inf)
    return first - AHEAD_SECONDS if first - AHEAD_SECONDS > now else now + AGAIN_SECONDS
