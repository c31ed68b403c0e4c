"""Handlers for what comes and goes (face 3): the library owns the tasks, and ends them leaf first, with a reason.

Each handler runs in a task that is a guest of the scope tree, below its interface or domain: when that goes, what the
handler asked for ends, then the handler, then its owner's other guests. When serving itself ends, the handlers that
still run are closed in that same order, each awaited, before it returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar

import trio

from trimif._errors import DomainGone, InterfaceGone
from trimif._mif import current_handler
from trimif._scopes import Scope, raise_lone
from trimif._subscriptions import Subscription

if TYPE_CHECKING:
    from trimif._owners import Interface, ProvisioningDomain

OwnerT = TypeVar("OwnerT", "Interface", "ProvisioningDomain")
T = TypeVar("T")


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
            try:
                async with channel as items:
                    task_status.started()
                    async for item in items:
                        lent = handler_nursery is not None
                        guest = Guest(item, shield=not lent, running=None if lent else running)
                        guest.start(handler_nursery or nursery, handler)
            except BaseException:
                nursery.start_soon(close_in_order, running)
                raise
    except BaseExceptionGroup as group:
        raise_lone(group)


class Guest:
    """One handler and its place in the scope tree, which it has from the moment that it is to be started."""

    def __init__(
        self, owner: Interface | ProvisioningDomain, *, shield: bool, running: dict[Scope, tuple[int, ...]] | None
    ) -> None:
        self._owner = owner
        self._scope = trio.CancelScope(shield=shield)
        self._running = running if running is not None else {}
        self.node = owner.admit_handler(self._scope)
        self._running[self.node] = owner.position

    def start(self, nursery: trio.Nursery, handler: Callable[..., Awaitable[object]]) -> None:
        """Start a task that runs the handler."""
        try:
            nursery.start_soon(self.run, handler, name=f"handler of {self._owner.name}")
        except RuntimeError:  # a nursery that was lent, and is closed by now
            self._leave()
            raise

    def _leave(self) -> None:
        self._running.pop(self.node, None)
        self.node.leave()

    async def run(self, handler: Callable[..., Awaitable[object]]) -> None:
        """Run the handler, until it returns or its owner goes. That its owner is gone may be what it raises, too."""
        token = current_handler.set(self.node)
        try:
            with self._scope:
                await handler(self._owner)
        except (DomainGone, InterfaceGone, ExceptionGroup) as error:
            if not self._owner.gone or not _says_only_gone(error):
                raise
        finally:
            current_handler.reset(token)
            self._leave()


def _says_only_gone(error: Exception) -> bool:
    rest = error.split((DomainGone, InterfaceGone))[1] if isinstance(error, ExceptionGroup) else None
    return rest is None


@trio.lowlevel.enable_ki_protection
async def close_in_order(running: dict[Scope, tuple[int, ...]]) -> None:
    """Close handlers one after the other, in the order in which their owners were announced."""
    for node in sorted(running, key=lambda node: running[node]):
        await node.close("serving has ended")


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
    guest = Guest(domain, shield=True, running=running)

    async def run() -> None:
        async def call(domain: ProvisioningDomain) -> None:
            results.append(await handler(domain))

        await guest.run(call)
        nursery.cancel_scope.cancel("the handler has ended")

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, name=f"handler of {domain.name}")
            try:
                while is_best():
                    await wait_for_change()
                await guest.node.close("a better domain has come")
            except BaseException:
                nursery.start_soon(close_in_order, running)
                raise
    except BaseExceptionGroup as group:
        raise_lone(group)
    return results
