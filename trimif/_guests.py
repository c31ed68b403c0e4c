"""Whose code is running: the guests of a scope tree that the present task is in, handlers and users' blocks.

A context variable would not do. Tasks inherit it from whoever started them, and so a task that a handler starts in a
nursery of somebody else would carry the handler's for ever. Being inside is a matter of nurseries: a task is inside a
guest if its own nursery, or the nursery of a task above it, was opened within the guest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from attrs import frozen

from trimif._scopes import Scope


@frozen(eq=False)
class _Stay:
    """A guest in its task. `around` are the task's nurseries that were opened before the guest came."""

    node: Scope
    handler: bool
    around: tuple[trio.Nursery, ...]


class Guests:
    """The guests of one MIF that are at work, by their tasks."""

    def __init__(self) -> None:
        self._stays: dict[trio.lowlevel.Task, list[_Stay]] = {}

    @contextmanager
    def staying(self, node: Scope, *, handler: bool) -> Iterator[None]:
        """What the present task does in this block, it does inside the guest."""
        task = trio.lowlevel.current_task()
        stay = _Stay(node, handler, tuple(task.child_nurseries))
        stays = self._stays.setdefault(task, [])
        stays.append(stay)
        try:
            yield
        finally:
            stays.remove(stay)
            if not stays:
                del self._stays[task]

    def here(self) -> tuple[Scope, ...]:
        """The guests that the present task is in, from the innermost one outwards."""
        return tuple(stay.node for stay in self._here())

    def handlers_here(self) -> tuple[Scope, ...]:
        """Those of them that are handlers."""
        return tuple(stay.node for stay in self._here() if stay.handler)

    def _here(self) -> Iterator[_Stay]:
        if not self._stays:
            return
        task, via = trio.lowlevel.current_task(), None
        while True:
            for stay in reversed(self._stays.get(task, ())):
                if via is None or via not in stay.around:
                    yield stay
            via = task.parent_nursery
            if via is None:
                return
            task = via.parent_task

    async def await_turn(self) -> None:
        """In a handler whose owner is gone: wait to be cancelled, so that handlers end in their order and not in the
        order in which they notice. Where a shield keeps the cancellation out, the wait ends all the same.
        """
        await trio.lowlevel.checkpoint()
        guests = self.here()
        while any(each.closing for each in self.handlers_here()) and not any(each.had_turn for each in guests):
            await guests[0].wait_for_turns()
