"""Handlers for what comes and goes (face 3): the library owns the tasks, and ends them leaf first, with a reason.

Each handler runs in a task that is a guest of the scope tree, below its interface or domain: when that goes, what the
handler asked for ends, then the handler, then its owner's other guests. It is also below the guests that it is served
in, as a handler may serve others: those end before it is its turn, or each would wait for the other. When serving
itself ends, the handlers that still run are closed in that same order, each awaited, before it returns.

The tree waits for its guests, so one that has been admitted has to leave, whatever happens: between the two there is
no moment at which a KeyboardInterrupt could come in, but for the handler itself. (CPython lets one in between the call
of ``__aexit__`` and its first step, too. So all that has an ``async with`` here is protected.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from trimif._errors import DomainGone, InterfaceGone
from trimif._interrupts import protected
from trimif._scopes import Scope, raise_lone
from trimif._subscriptions import Subscription

if TYPE_CHECKING:
    from trimif._owners import Interface, ProvisioningDomain

OwnerT = TypeVar("OwnerT", "Interface", "ProvisioningDomain")
T = TypeVar("T")


class Guest:
    """One handler and its place in the scope tree, which it has from the moment that it is to be started.

    Args:
        running: where it is listed while it runs; None if it runs in a nursery that was lent, whose owner ends it.
    """

    def __init__(self, owner: Interface | ProvisioningDomain, running: dict[Scope, tuple[int, ...]] | None) -> None:
        self._owner = owner
        self._scope = trio.CancelScope(shield=running is not None)
        self._running = running if running is not None else {}
        self.node = owner.admit_handler(self._scope, owner.guests.here() if running is not None else ())
        self._running[self.node] = owner.position

    @trio.lowlevel.enable_ki_protection
    async def run(self, handler: Callable[..., Awaitable[object]], at_end: Callable[[], object]) -> None:
        """Run the handler, until it returns or its owner goes. That its owner is gone may be what it raises, too."""
        try:
            with self._scope, self._owner.guests.staying(self.node, handler=True):
                await _interruptible(handler, self._owner)
        except (DomainGone, InterfaceGone, ExceptionGroup) as error:
            if not self._owner.gone or not _says_only_gone(error):
                raise
        finally:
            self.leave()
            at_end()

    def leave(self) -> None:
        """It has ended."""
        self._running.pop(self.node, None)
        self.node.leave()


@trio.lowlevel.disable_ki_protection
async def _interruptible(handler: Callable[..., Awaitable[object]], owner: Interface | ProvisioningDomain) -> None:
    await handler(owner)


@trio.lowlevel.enable_ki_protection
def start(
    nursery: trio.Nursery,
    owner: OwnerT,
    handler: Callable[[OwnerT], Awaitable[object]],
    running: dict[Scope, tuple[int, ...]] | None,
    at_end: Callable[[], object] = lambda: None,
) -> Guest:
    """Start a task that runs the handler as a guest of its owner.

    Raises:
        RuntimeError: the nursery, which was lent, is closed by now.
    """
    guest = Guest(owner, running)
    try:
        nursery.start_soon(guest.run, handler, at_end, name=f"handler of {owner.name}")
    except BaseException:
        guest.leave()
        raise
    return guest


@trio.lowlevel.enable_ki_protection
async def serve(
    channel: AbstractAsyncContextManager[Subscription[OwnerT]],
    handler: Callable[[OwnerT], Awaitable[object]],
    *,
    handler_nursery: trio.Nursery | None,
    task_status: trio.TaskStatus[None],
) -> None:
    """Run `handler` for each item of the channel until that ends; see `trimif.Mif.serve_domains`."""
    running: dict[Scope, tuple[int, ...]] = {}
    try:
        async with trio.open_nursery() as nursery:
            with closing_in_order(nursery, running):
                async with channel as items:
                    task_status.started()
                    async for item in items:
                        if handler_nursery is None:
                            start(nursery, item, handler, running)
                        else:
                            start(handler_nursery, item, handler, None)
    except BaseExceptionGroup as group:
        raise_lone(group)


@protected
@contextmanager
def closing_in_order(nursery: trio.Nursery, running: dict[Scope, tuple[int, ...]]) -> Iterator[None]:
    """When the block is left by an exception, handlers are closed; the nursery waits for it."""
    try:
        yield
    except BaseException:
        nursery.start_soon(_close_in_order, running)
        raise


@trio.lowlevel.enable_ki_protection
async def _close_in_order(running: dict[Scope, tuple[int, ...]]) -> None:
    """Close handlers one after the other, in the order in which their owners were announced."""
    for node in sorted(running, key=lambda node: running[node]):
        await node.close("serving has ended")


@trio.lowlevel.enable_ki_protection
async def run_on(
    domain: ProvisioningDomain,
    handler: Callable[[ProvisioningDomain], Awaitable[T]],
    is_best: Callable[[], bool],
    wait_for_change: Callable[[], Awaitable[None]],
) -> list[T]:
    """Run the handler on one domain until it returns, the domain goes, or is no longer the best.

    Returns:
        What the handler returned, in a list; an empty one if it was cancelled.
    """
    results: list[T] = []
    running: dict[Scope, tuple[int, ...]] = {}

    async def call(domain: ProvisioningDomain) -> None:
        results.append(await handler(domain))

    try:
        async with trio.open_nursery() as nursery:
            with closing_in_order(nursery, running):
                guest = start(nursery, domain, call, running, lambda: nursery.cancel_scope.cancel("it has ended"))
                while is_best():
                    await wait_for_change()
                await guest.node.close("a better domain has come")
    except BaseExceptionGroup as group:
        raise_lone(group)
    return results


def _says_only_gone(error: Exception) -> bool:
    rest = error.split((DomainGone, InterfaceGone))[1] if isinstance(error, ExceptionGroup) else None
    return rest is None
