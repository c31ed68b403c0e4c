"""A host that exists only in a test: it has the interfaces, leases, routers, name servers and peers that you give it.

It is a source of facts like those that listen to the kernel, and stands in for name servers and peers. Everything in
between is the real MIF with the real core: what a program sees on a simulated host is what it sees on a real one to
which the same happens. With :class:`trio.testing.MockClock` a day of leases takes a millisecond.

The verbs (`add_link`, `add_lease`, …) report what the kernel and the programs beside it would report, each family of
them in a class of its own; `report` takes the facts themselves, for what the verbs can't say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from trimif import Mif
from trimif._core import Core, Grouping, grouping_named
from trimif._facts import Fact
from trimif._interrupts import protected_async
from trimif._mif import Record, run_element
from trimif._sources import Report, SourceStatistics
from trimif.testing._lines import FactsLine, Line
from trimif.testing._peer import Peer
from trimif.testing._simulated_clients import SimulatedClients
from trimif.testing._simulated_routers import SimulatedRouters

__all__ = ["SimulatedHost", "open_simulated_mif"]


class SimulatedHost(SimulatedClients, SimulatedRouters):
    """A host for `open_simulated_mif`; what is set up before that, a MIF finds when it opens.

    Its methods are synchronous: what happens, happens at once, at Trio's present time. Lifetimes are in seconds from
    then, ``math.inf`` for ever, and need a running Trio otherwise.

    Attributes:
        name: what the host is called in the MIF's statistics.
        dialled: each attempt to connect: when, through which domain, to which address.
        streams: the program's ends of all connections made.
        unwound: which lookups and connects have ended, in their order.

    Args:
        initial: facts that the first MIF is told as they are, before what the verbs have set up.
        names: by domain and name, the addresses in their order, each with the seconds that it takes after the one
            before; a name without addresses does not exist. See `add_name`.
        peers: by domain and address, on any port. See `add_peer`.
    """

    def __init__(
        self,
        *,
        initial: Iterable[Fact] = (),
        names: Mapping[tuple[str, str], Sequence[tuple[float, str]]] | None = None,
        peers: Mapping[tuple[str, str], Peer] | None = None,
    ) -> None:
        super().__init__(names, peers)
        self.name = "simulated"
        self._initial = tuple(initial)
        self._mifs = 0
        self._follow(self._initial)

    async def play(self, lines: Iterable[Line]) -> None:
        """Report recorded facts, each at its recorded time on Trio's clock, which a mock clock takes no time for.

        ``trimif watch --json`` records them; `load_line` reads a line. Messages among the lines are passed over.
        """
        await trio.lowlevel.checkpoint()
        for line in lines:
            if isinstance(line, FactsLine) and line.facts:  # those without say that time passed, as it does here
                await trio.sleep_until(line.time)
                self.report(*line.facts)

    # ---------------------------------------------------------------- a source of facts

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell a MIF what there is, then whatever happens; `open_simulated_mif` calls it."""
        initial, self._initial = self._initial, ()
        report((*initial, *self._tables.present(trio.current_time())))
        self._listeners.append(report)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self._listeners.remove(report)
            self.unwound.append("source")

    def statistics(self) -> SourceStatistics:
        """None worth telling."""
        return SourceStatistics(self.name)

    def _next_mif_name(self) -> str:
        """Ids begin with it; the first MIF's are the same in each run of a test."""
        self._mifs += 1
        return "sim" if self._mifs == 1 else f"sim{self._mifs}"


@protected_async
@asynccontextmanager
async def open_simulated_mif(
    host: SimulatedHost, *, grouping: str | Grouping = "family", record: Record | None = None
) -> AsyncIterator[Mif]:
    """As `trimif.open_mif`, on a simulated host; several MIFs may be open on one host.

    Leaving the block closes the connections that no peer accepted. Those that were belong to whoever has them.

    Args:
        grouping: as for `trimif.open_mif`.
        record: as for `trimif.open_mif`.
    """
    core = Core(host._next_mif_name(), grouping_named(grouping))
    mif = Mif(core, [host], record, names=host, connect=host.connect)
    try:
        async with run_element(mif):
            yield mif
    finally:
        host.drop_backlogs()
