"""The MIF API element of figure 1 at work: sources report to the core, the core tells subscribers and starts work.

Everything runs in one scope tree: MIF > interface > domain > its lookups and connects. The core decides what begins
and what ends; this module only carries its effects out. Delivery is one step without a checkpoint: facts in, messages
in the mailboxes, tasks started or closed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import trio
import trio.lowlevel
from attrs import frozen

from trimif._core import Abandon, Begin, Core, Discard, Effect, Ended, Mailbox, Pending, Snapshot, post
from trimif._errors import ConnectFailed, MalformedInput
from trimif._facts import Fact, Limitation
from trimif._guests import Guests
from trimif._information import NameServerSaid
from trimif._interrupts import protected_async
from trimif._messages import (
    Connected,
    ConnectToAddressFromAddress,
    NameTranslation,
    NameTranslationFinished,
    NotConnected,
    Request,
    TranslateName,
)
from trimif._model import DomainId, InterfaceId, IPAddress, Value
from trimif._scopes import Rank, Scope, open_scope_tree, raise_lone
from trimif._sources import Observer, Source, SourceStatistics
from trimif._subscriber import Subscriber
from trimif._workers import Connect, Names

__all__ = ["MifElement", "MifStatistics", "Record", "run_element"]

Record: TypeAlias = Callable[[float, Sequence[Fact]], None]
"""Is called with the time and the facts of each step before the core applies them; without a fact, time passed."""


_log = logging.getLogger("trimif")
INTERFACE, TIMER, SOURCE = 0, 1, 2  # ranks below the MIF
DOMAIN, HANDLER, BODY = 0, 1, 2  # below an interface: its domains, then handlers of it, then users' blocks tied to it
LOOKUP, CONNECT, DOMAIN_HANDLER, DOMAIN_BODY = 0, 1, 2, 3  # below a domain


@frozen(repr=False, eq=False)
class MifStatistics(Value):
    """The state of a MIF.

    Attributes:
        subscribers: how many are open.
        sources: what each origin of facts has done.
        malformed_answers: what came from name servers and was no DNS message.
        limitations: what can't be seen on this host, why, and what a person can do about it.
    """

    subscribers: int
    sources: tuple[SourceStatistics, ...]
    malformed_answers: int
    limitations: tuple[Limitation, ...]


class MifElement:
    """Face 1: subscribers, and the work that their messages ask for. `run_element` brings it to life."""

    _root: Scope

    def __init__(
        self,
        core: Core,
        sources: Sequence[Source],
        record: Record | None = None,
        *,
        names: Names,
        connect: Connect,
    ) -> None:
        self._core = core
        self._names = names
        self._connect_through = connect
        self._sources = sources
        self._observers = [source for source in sources if isinstance(source, Observer)]
        self._record = record
        self._scopes: dict[InterfaceId | DomainId, Scope] = {}
        self._guests = Guests()
        self._tied: dict[InterfaceId | DomainId, dict[Subscriber, None]] = {}
        self._work: dict[Pending, Scope] = {}
        self._subscribers: dict[Subscriber, None] = {}
        self._changed = trio.lowlevel.ParkingLot()  # whoever waits for any change of the host
        self._timer = trio.CancelScope()
        self._malformed_answers = 0
        self._closed = False

    # ---------------------------------------------------------------- face 1: messages

    @protected_async
    @asynccontextmanager
    async def open_subscriber(
        self, *, max_buffer_size: int = 1000, max_outstanding: int = 1000
    ) -> AsyncIterator[Subscriber]:
        """A new subscriber of the MIF API; it is closed when the block is left.

        Args:
            max_buffer_size: how many single news wait for a slow reader; past it they collapse to the present state.
            max_outstanding: how many requests may wait for their last answer to be received.

        Raises:
            ValueError: a size is not positive.
            trio.ClosedResourceError: the MIF is closed.
        """
        _check_size("max_buffer_size", max_buffer_size)
        _check_size("max_outstanding", max_outstanding)
        await trio.lowlevel.checkpoint()
        self._check_open("open a subscriber")
        open_mailbox = partial(self._core.open_mailbox, max_buffer_size, max_outstanding)
        subscriber = Subscriber(open_mailbox, self._post, self._core.presence, self._close_subscriber)
        self._subscribers[subscriber] = None
        try:
            yield subscriber
        finally:
            subscriber.close()  # and no checkpoint: a caller that is cancelled here would lose what it received

    def snapshot(self) -> Snapshot:
        """All interfaces, domains, elements and addresses, as they are now."""
        return self._core.snapshot()

    def statistics(self) -> MifStatistics:
        """What the MIF has done, and what it can't see on this host."""
        return MifStatistics(
            subscribers=len(self._subscribers),
            sources=tuple(source.statistics() for source in self._sources),
            malformed_answers=self._malformed_answers,
            limitations=self._core.limitations,
        )

    # ---------------------------------------------------------------- facts in, effects out

    @trio.lowlevel.enable_ki_protection
    def _report(self, facts: Sequence[Fact]) -> None:
        now = trio.current_time()
        if self._record is not None and facts:
            self._record(now, facts)
        self._carry_out(self._core.apply(facts, now))
        if self._timer.deadline != self._core.next_deadline:  # setting it costs more, and it seldom changes
            self._timer.deadline = self._core.next_deadline
        self._changed.unpark_all()
        for observer in self._observers:
            observer.observe(facts)

    async def _keep_time(self) -> None:
        while True:
            self._timer = trio.CancelScope(deadline=self._core.next_deadline)
            with self._timer:
                await trio.sleep_forever()
            self._report_time()

    @trio.lowlevel.enable_ki_protection
    def _report_time(self) -> None:
        now = trio.current_time()
        if self._record is not None:  # facts may come at this very instant: which was first can't be told afterwards
            self._record(now, ())
        self._carry_out(self._core.advance(now))
        self._changed.unpark_all()

    @trio.lowlevel.enable_ki_protection
    def _post(self, mailbox: Mailbox, request: Request) -> None:
        if isinstance(request, TranslateName) and request.systems is not None:
            self._names.check_systems(request.systems)
        self._carry_out(post(self._core, mailbox, request))

    @trio.lowlevel.enable_ki_protection
    def _close_subscriber(self, subscriber: Subscriber, mailbox: Mailbox) -> None:
        del self._subscribers[subscriber]
        self._carry_out(self._core.close_mailbox(mailbox))

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Begin(pending=pending):
                    self._begin(pending)
                case Abandon(pending=pending):
                    if pending in self._work:
                        self._work[pending].close_soon("nobody wants its answers any more")
                case Discard(connected=connected):
                    connected.stream.socket.close()
                case Ended(owner=owner, reason=reason):
                    self._end(owner, reason)
        ended = {each.owner: each.reason for each in effects if isinstance(each, Ended) and each.owner in self._scopes}
        self._root.close_below_soon({self._scopes.pop(owner): reason for owner, reason in ended.items()})

    def _end(self, owner: InterfaceId | DomainId, reason: str) -> None:
        """Its last words are in the mailboxes: its channels end. What runs for it is closed next."""
        self._note_end(owner, reason)
        if isinstance(owner, DomainId):
            self._names.forget(owner)
        for subscriber in self._tied.pop(owner, ()):
            subscriber.end()

    def _note_end(self, owner: InterfaceId | DomainId, reason: str) -> None:
        """An interface or domain is gone: for faces that know it as an object."""

    @trio.lowlevel.enable_ki_protection
    def _cancel(self, owner: InterfaceId | DomainId, reason: str) -> None:
        """End an interface or domain for this MIF, exactly as if it had gone."""
        self._carry_out(self._core.cancel(owner, reason, trio.current_time()))
        self._timer.deadline = self._core.next_deadline
        self._changed.unpark_all()

    @trio.lowlevel.enable_ki_protection
    def readmit(self, name: str) -> None:
        """Let an interface or domain in again that was cancelled, by its name; it gets a new id.

        Raises:
            ValueError: nothing of that name was cancelled.
        """
        self._carry_out(self._core.readmit(name, trio.current_time()))
        self._timer.deadline = self._core.next_deadline
        self._changed.unpark_all()

    # ---------------------------------------------------------------- what is tied to an interface or domain

    def _is_there(self, owner: InterfaceId | DomainId) -> bool:
        if isinstance(owner, InterfaceId):
            return bool(self._core.presence(owner))
        return self._core.domain(owner) is not None

    def _tie(self, subscriber: Subscriber, owner: InterfaceId | DomainId) -> None:
        """Have the subscriber end with the owner."""
        if self._is_there(owner) and not self._closed:
            self._tied.setdefault(owner, {})[subscriber] = None
        else:
            subscriber.end()

    def _untie(self, subscriber: Subscriber, owner: InterfaceId | DomainId) -> None:
        """Undo `tie`."""
        tied = self._tied.get(owner, {})
        tied.pop(subscriber, None)
        if not tied:
            self._tied.pop(owner, None)

    def _admit(
        self,
        owner: InterfaceId | DomainId,
        cancel_scope: trio.CancelScope,
        what: str,
        *,
        handler: bool,
        also_of: Sequence[Scope] = (),
    ) -> Scope:
        """Tie a block of code in somebody's task to the owner; the block calls `leave` at its end."""
        if not self._is_there(owner) or self._closed:
            return self._root.turn_away(cancel_scope, what, f"{what} is gone")
        if isinstance(owner, InterfaceId):
            rank: Rank = (HANDLER if handler else BODY, self._core.order_of(owner), 0)
        else:
            rank = (self._core.order_of(owner), DOMAIN_HANDLER if handler else DOMAIN_BODY)
        return self._scope_of(owner).admit(cancel_scope, name=what, rank=rank, also_of=also_of)

    def _scope_of(self, owner: InterfaceId | DomainId) -> Scope:
        if owner not in self._scopes:
            order = self._core.order_of(owner)
            if isinstance(owner, InterfaceId):
                self._scopes[owner] = self._root.open_child(repr(owner), (INTERFACE, order))
            else:
                interface = self._core.interface_of(owner)
                assert interface is not None, "only domains that are there have a scope"
                self._scopes[owner] = self._scope_of(interface).open_child(repr(owner), (DOMAIN, order, 0))
        return self._scopes[owner]

    # ---------------------------------------------------------------- work inside a domain

    def _begin(self, pending: Pending) -> None:
        request, scope = pending.request, self._scope_of(pending.request.domain)
        if isinstance(request, TranslateName):
            work, kind = partial(self._translate, pending, request), LOOKUP
        else:
            source = request.source if isinstance(request, ConnectToAddressFromAddress) else None
            work = partial(self._connect, pending, source, request.address, request.port, request.connection_id)
            kind = CONNECT
        rank = (self._core.order_of(request.domain), kind)
        self._work[pending] = scope.start_soon(
            partial(self._do, pending, work), name=repr(request), rank=rank, also_of=self._guests.handlers_here()[:1]
        )

    async def _do(self, pending: Pending, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            del self._work[pending]

    async def _translate(self, pending: Pending, request: TranslateName) -> None:
        def tell(address: IPAddress) -> None:
            self._core.answer(pending, NameTranslation(request.translation_id, address))

        said: list[NameServerSaid] = []
        view = self._core.view(request.domain, trio.current_time())
        if view is not None:  # a domain that is gone has answered already
            translate = partial(self._names.translate, view, request.name, tell, systems=request.systems)
            outcome = await translate(note=said.append, note_malformed=self._note_malformed)
            self._core.answer(pending, NameTranslationFinished(request.translation_id, outcome, tuple(said)))

    def _note_malformed(self, malformed: MalformedInput) -> None:
        self._malformed_answers += 1
        _log.debug("an answer of a name server is passed over: %s", malformed)

    async def _connect(
        self, pending: Pending, source: IPAddress | None, address: IPAddress, port: int, connection_id: Hashable
    ) -> None:
        view = self._core.view(pending.request.domain, trio.current_time())
        if view is None:
            return
        try:
            stream = await self._connect_through(view, address, port, source=source)
        except ConnectFailed as failure:
            text = failure.strerror or str(failure)
            self._core.answer(pending, NotConnected(connection_id, failure.reason, failure.errno or 0, text))
        else:
            if not self._core.answer(pending, Connected(connection_id, stream)):
                stream.socket.close()

    # ---------------------------------------------------------------- beginning and end

    async def _start(self, root: Scope) -> None:
        """Leases first, then the kernel: by the time that addresses are known, so is who leased them."""
        self._root = root
        for source in self._sources:
            await self._start_source(source.name, partial(_run, source, self._report))
        self._root.start_soon(self._keep_time, name="timer", rank=(TIMER,))

    async def _start_source(self, name: str, run: Callable[..., Awaitable[None]]) -> None:
        await self._root.start(run, name=name, rank=(SOURCE,))

    @trio.lowlevel.enable_ki_protection
    def _close(self) -> None:
        self._closed = True
        for subscriber in list(self._subscribers):
            subscriber.end()
        self._changed.unpark_all()

    def _check_open(self, what: str) -> None:
        if self._closed:
            raise trio.ClosedResourceError(f"can't {what}: the MIF is closed")


async def _run(source: Source, report: Callable[[Sequence[Fact]], None], task_status: trio.TaskStatus[None]) -> None:
    """A source may have a nursery of its own; a lone exception leaves it bare."""
    try:
        await source.run(report, task_status=task_status)
    except BaseExceptionGroup as group:
        raise_lone(group)


def _check_size(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it has to be a positive integer")


@protected_async
@asynccontextmanager
async def run_element(element: MifElement) -> AsyncIterator[None]:
    """Run a MIF for the length of the block. Leaving it ends everything, leaf first; a lone exception leaves bare."""
    try:
        async with open_scope_tree("trimif") as root:
            try:
                await element._start(root)
                yield
            finally:
                element._close()
    finally:
        element._names.forget_all()  # only now: no lookup runs any more that could open a connection
