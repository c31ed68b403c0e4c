"""The ordered scope tree: every task of a MIF, closed leaf first by rank, each awaited before the next.

Nested nurseries promise that children end before their parent, and nothing more: siblings end in any order. So all
tasks of a MIF run in one nursery, each inside a cancel scope of its own that shields it from everything but the tree,
and the tree is a table of those scopes. Closing a node closes its children by rank, then by age, one after the other,
and gives the same order on every trigger:

* the host's news: `Scope.close_soon` on an interface or domain, its parent lives on;
* cancellation from outside, an exception in the body, the body's end: the body leaves `open_scope_tree`, which closes
  the root;
* an exception in a task of the tree: the nursery cancels the body (the tasks are shielded), and then the same.

The closing itself is a task, so that a KeyboardInterrupt that hits the waiting body can't interrupt it. Nor can one
hit between a node's entry into the table and the start of its task, or between its end and its leaving: the tree would
wait for it for ever. That is what all the protection here is for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn, TypeAlias

import trio
import trio.lowlevel

from trimif._interrupts import protected_async

Rank: TypeAlias = tuple[int, ...]
"""Among the children of one owner smaller ranks are closed first, equal ones by age."""


class Scope:
    """A node of the tree: a task, a guest, or an owner of nodes.

    A node has one owner, and may have others: a lookup that a handler asked for ends with its domain and with the
    handler, whichever comes first.
    """

    def __init__(self, nursery: trio.Nursery, name: str, rank: Rank, owners: tuple[Scope, ...] = ()) -> None:
        self.name = name
        self.rank = rank
        self._closing = False
        self.nursery = nursery
        self._owners = owners
        self._children: dict[Scope, None] = {}
        self._cancel_scope: trio.CancelScope | None = None
        self._ended = trio.Event()
        self._turns: trio.lowlevel.ParkingLot = owners[0]._turns if owners else trio.lowlevel.ParkingLot()
        self.had_turn: bool = False
        for owner in owners:
            owner._children[self] = None

    def __repr__(self) -> str:
        return f"<Scope {self.name}{' closing' if self.closing else ''}>"

    @property
    def closing(self) -> bool:
        """It, or an owner above it, is being closed. An owner that has ended by itself, before it, has no say."""
        return self._closing or any(owner.closing for owner in self._owners if not owner._ended.is_set())

    def open_child(self, name: str, rank: Rank, *, also_of: Iterable[Scope] = ()) -> Scope:
        """A new node below this one, and below those of `also_of` that still wait for what is below them."""
        if self.closing:
            raise RuntimeError(f"{self.name} is closing, {name} can't be opened in it")
        others = (each for each in also_of if not each.had_turn and not each._ended.is_set())
        return Scope(self.nursery, name, rank, (self, *others))

    @trio.lowlevel.enable_ki_protection
    def start_soon(
        self, task: Callable[[], Awaitable[object]], *, name: str, rank: Rank, also_of: Iterable[Scope] = ()
    ) -> Scope:
        """Run a task below this owner. Its exception ends the whole tree."""
        child = self.open_child(name, rank, also_of=also_of)
        child._cancel_scope = trio.CancelScope(shield=True)
        self.nursery.start_soon(child._run, task, name=name)
        return child

    @trio.lowlevel.enable_ki_protection
    def admit(self, cancel_scope: trio.CancelScope, *, name: str, rank: Rank, also_of: Sequence[Scope] = ()) -> Scope:
        """Have a guest: code that runs in somebody else's task, inside `cancel_scope`; it calls `leave` at its end.

        Where the owner, or one of `also_of`, is closing already, the guest is cancelled at once.
        """
        if self.closing or any(each._closing for each in also_of):
            return self.turn_away(cancel_scope, name, f"{self.name} is closing")
        child = self.open_child(name, rank, also_of=also_of)
        child._cancel_scope = cancel_scope
        return child

    def turn_away(self, cancel_scope: trio.CancelScope, name: str, reason: str) -> Scope:
        """A node for a guest that came too late. The guest is cancelled, and the tree knows nothing of it."""
        node = Scope(self.nursery, name, ())
        node._closing = node.had_turn = True
        node._cancel_scope = cancel_scope
        cancel_scope.cancel(reason)
        return node

    async def start(
        self, task: Callable[[trio.TaskStatus[None]], Awaitable[object]], *, name: str, rank: Rank
    ) -> Scope:
        """Run a task, and wait until it calls ``started()`` or returns. One that raises cancels the wait."""
        status = _Status()

        async def run() -> None:
            await task(status)
            status.started()  # one that has nothing to do, and ended

        child = self.start_soon(run, name=name, rank=rank)
        await status.event.wait()
        return child

    @trio.lowlevel.enable_ki_protection
    def close_soon(self, reason: str) -> None:
        """End all that runs below, leaf first, then the node itself; the tree goes on. Does not wait.

        Where an owner above is closing already, it does nothing: this node will have its turn.
        """
        if not self.closing:
            self._closing = True
            self.nursery.start_soon(self._close, reason, name=f"closing {self.name}")

    @trio.lowlevel.enable_ki_protection
    def close_below_soon(self, reasons: Mapping[Scope, str]) -> None:
        """`close_soon` for nodes of this tree: its children each by itself, siblings below one after the other."""
        families: dict[Scope, dict[Scope, str]] = {}
        for node, reason in reasons.items():
            if self in node._owners:
                node.close_soon(reason)
            else:
                families.setdefault(node._owners[0], {})[node] = reason
        for family in families.values():
            due = {node: reason for node, reason in family.items() if not node.closing}
            for node in due:
                node._closing = True
            if due:
                self.nursery.start_soon(_close_each, due, name="closing siblings")

    async def close(self, reason: str) -> None:
        """The same, and wait until it has ended, also when it was closing already. Not to be interrupted."""
        self.close_soon(reason)
        with trio.CancelScope(shield=True):
            await self._ended.wait()

    async def wait_for_turns(self) -> None:
        """Wait until the turn to be cancelled has come to some node of the tree; then see `had_turn`."""
        await self._turns.park()

    @trio.lowlevel.enable_ki_protection
    def leave(self) -> None:
        """The guest, or task, is at its end."""
        for owner in self._owners:
            owner._children.pop(self, None)
        self._ended.set()

    @trio.lowlevel.enable_ki_protection
    async def _run(self, task: Callable[[], Awaitable[object]]) -> None:
        assert self._cancel_scope is not None
        try:
            with self._cancel_scope:
                await task()
        finally:
            self.leave()

    @trio.lowlevel.enable_ki_protection
    async def _close(self, reason: str) -> None:
        with trio.CancelScope(shield=True):
            while self._children:  # a guest that is on its way out may still bring something in
                for child in sorted(self._children, key=lambda child: child.rank):  # stable: the oldest first
                    if not child._closing:
                        child._closing = True
                        await child._close(reason)
                    await child._ended.wait()
        self.had_turn = True
        if self._cancel_scope is None:
            self.leave()
        else:
            self._cancel_scope.cancel(reason)
        self._turns.unpark_all()


@trio.lowlevel.enable_ki_protection
async def _close_each(reasons: Mapping[Scope, str]) -> None:
    for node, reason in reasons.items():
        await node._close(reason)


class _Status:
    """A :class:`trio.TaskStatus` that may be told twice."""

    def __init__(self) -> None:
        self.event = trio.Event()

    def started(self, _value: None = None) -> None:
        self.event.set()


@protected_async
@asynccontextmanager
async def open_scope_tree(name: str) -> AsyncIterator[Scope]:
    """The root of a new tree; it is closed, leaf first, when the block is left, whatever the reason.

    One exception leaves bare, be it the body's or a task's; several leave as a group.
    """
    try:
        async with trio.open_nursery() as nursery:
            root = Scope(nursery, name, ())
            try:
                yield root
            finally:
                root.close_soon(f"{name} is closing")
    except BaseExceptionGroup as group:
        raise_lone(group)


def raise_lone(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the only exception of a nursery's group, or the group. Cancellation does not count as one."""
    lone = [each for each in group.exceptions if not isinstance(each, trio.Cancelled)] or [group.exceptions[0]]
    interrupts = [each for each in lone if isinstance(each, KeyboardInterrupt | SystemExit)]
    if len(lone) > 1 and interrupts:
        raise type(interrupts[0])(*interrupts[0].args) from group
    if len(lone) > 1:
        raise group
    context = lone[0].__context__
    try:
        raise lone[0]
    finally:
        lone[0].__context__ = context
        del lone, group  # break the cycle of traceback and frame
