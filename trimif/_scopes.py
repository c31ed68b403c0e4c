"""The ordered scope tree: every task of a MIF, closed leaf first by rank, each awaited before the next.

Nested nurseries promise that children end before their parent, and nothing more: siblings end in any order. So all
tasks of a MIF run in one nursery, each inside a cancel scope of its own that shields it from everything but the tree,
and the tree is a table of those scopes. Closing a node closes its children by rank, then by age, one after the other,
and gives the same order on every trigger:

* the host's news: `Scope.close_soon` on an interface or domain, its parent lives on;
* cancellation from outside, an exception in the body, the body's end: the body leaves `open_scope_tree`, which closes
  the root;
* an exception in a task of the tree: the nursery cancels the body (the tasks are shielded), and then the same.

The closing itself is a task, so that a KeyboardInterrupt that hits the waiting body can't interrupt it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import trio
import trio.lowlevel


class Scope:
    """A node of the tree: a task, or an owner of nodes."""

    def __init__(self, nursery: trio.Nursery, name: str, rank: int, parent: Scope | None = None) -> None:
        self.name = name
        self.rank = rank
        self._closing = False
        self._nursery = nursery
        self._parent = parent
        self._children: dict[Scope, None] = {}
        self._cancel_scope: trio.CancelScope | None = None
        self._ended = trio.Event()

    def __repr__(self) -> str:
        return f"<Scope {self.name}{' closing' if self.closing else ''}>"

    @property
    def closing(self) -> bool:
        """It, or an owner above it, is being closed."""
        return self._closing or (self._parent is not None and self._parent.closing)

    def open_child(self, name: str, rank: int) -> Scope:
        """A new owner below this one; smaller ranks are closed earlier."""
        if self.closing:
            raise RuntimeError(f"{self.name} is closing, {name} can't be opened in it")
        child = Scope(self._nursery, name, rank, self)
        self._children[child] = None
        return child

    def start_soon(self, task: Callable[[], Awaitable[object]], *, name: str, rank: int) -> Scope:
        """Run a task below this owner. Its exception ends the whole tree."""
        child = self.open_child(name, rank)
        child._cancel_scope = trio.CancelScope(shield=True)
        self._nursery.start_soon(child._run, task, name=name)
        return child

    async def start(self, task: Callable[[trio.TaskStatus[None]], Awaitable[object]], *, name: str, rank: int) -> Scope:
        """The same, and wait until the task calls ``started()`` or returns. One that raises cancels the wait."""
        status = _Status()

        async def run() -> None:
            await task(status)
            status.started()  # one that has nothing to do, and ended

        child = self.start_soon(run, name=name, rank=rank)
        await status.event.wait()
        return child

    def close_soon(self, reason: str) -> None:
        """End all that runs below, leaf first, then the node itself; the tree goes on. Does not wait.

        Where an owner above is closing already, it does nothing: this node will have its turn.
        """
        if not self.closing:
            self._closing = True
            self._nursery.start_soon(self._close, reason, name=f"closing {self.name}")

    async def _run(self, task: Callable[[], Awaitable[object]]) -> None:
        assert self._cancel_scope is not None
        try:
            with self._cancel_scope:
                await task()
        finally:
            self._end()

    @trio.lowlevel.enable_ki_protection
    async def _close(self, reason: str) -> None:
        with trio.CancelScope(shield=True):
            for child in sorted(self._children, key=lambda child: child.rank):  # stable: the oldest first
                if not child._closing:
                    child._closing = True
                    await child._close(reason)
                await child._ended.wait()
        if self._cancel_scope is None:
            self._end()
        else:
            self._cancel_scope.cancel(reason)

    def _end(self) -> None:
        if self._parent is not None:
            self._parent._children.pop(self, None)
        self._ended.set()


class _Status:
    """A :class:`trio.TaskStatus` that may be told twice."""

    def __init__(self) -> None:
        self.event = trio.Event()

    def started(self, _value: None = None) -> None:
        self.event.set()


@asynccontextmanager
async def open_scope_tree(name: str) -> AsyncIterator[Scope]:
    """The root of a new tree; it is closed, leaf first, when the block is left, whatever the reason.

    One exception leaves bare, be it the body's or a task's; several leave as a group.
    """
    try:
        async with trio.open_nursery() as nursery:
            root = Scope(nursery, name, 0)
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
