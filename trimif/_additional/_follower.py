"""What the followers of one domain have in common: they ask when it is time, and start over when something changes.

A follower is told of changes by `look`, at once and without a checkpoint, and acts in `run`, a task that ends with the
domain. One question at a time is asked, in a task below that one: what was told is taken back in time also while a slow
server answers. A question that has become pointless is cancelled.
"""

from __future__ import annotations

import abc
import ssl
from collections.abc import Awaitable, Callable

import trio
from attrs import frozen

from trimif._additional._failures import FetchFailed
from trimif._additional._telling import Teller
from trimif._errors import MalformedInput
from trimif._model import DomainView
from trimif._owners import ProvisioningDomain

__all__ = ["Follower", "Tools"]


@frozen(eq=False)
class Tools:
    """What all followers of a MIF use.

    Attributes:
        random: gives numbers from 0 up to 1, uniformly.
    """

    teller: Teller
    ssl_context: ssl.SSLContext
    random: Callable[[], float]


class Follower(abc.ABC):
    """Follows one thing that is asked for inside one domain."""

    def __init__(self, domain: ProvisioningDomain, index: int, tools: Tools) -> None:
        self._domain = domain
        self._index = index
        self._tools = tools
        self._asking: trio.CancelScope | None = None
        self._changed = trio.lowlevel.ParkingLot()

    def look(self) -> None:
        """Something about the domain may have changed.

        Raises:
            DomainGone: it is gone.
        """
        if self._learn(trio.current_time()) and self._asking is not None:
            self._asking.cancel("what was asked for has changed")
        self.wake()

    def wake(self) -> None:
        """What it may do may have changed."""
        self._changed.unpark_all()

    async def run(self) -> None:
        """Ask and tell, until cancelled, or `DomainGone` is raised."""
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                due, changes = self._plan(now)
                if self._asking is None and due <= now:
                    self._asking = trio.CancelScope()
                    nursery.start_soon(self._carry_out, self._begin(now), self._asking)
                with trio.move_on_at(changes if self._asking is not None else min(due, changes)):
                    await self._changed.park()

    async def _carry_out(self, question: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            await question()
        self._asking = None
        self.wake()
        await trio.lowlevel.checkpoint()

    @abc.abstractmethod
    def _learn(self, now: float) -> bool:
        """Read what the domain's elements say; return whether a question that is being asked is pointless now."""

    @abc.abstractmethod
    def _plan(self, now: float) -> tuple[float, float]:
        """Tell what is so now. When is it time to ask, and when to tell something else?"""

    @abc.abstractmethod
    def _begin(self, now: float) -> Callable[[], Awaitable[None]]:
        """Note that it is asked now; return what asks."""

    def _view(self) -> DomainView | None:
        return self._domain._registry.view_of(self._domain.id)

    def _is_ready(self, *, names: bool) -> bool:
        """Whether asking has a chance: "it may therefore be necessary to wait for an address" (RFC 8801, 4.1)."""
        view = self._view()
        return view is not None and bool(view.addresses) and bool(view.dns_servers or not names)

    def _explain(self, what: str, failure: FetchFailed | MalformedInput) -> str:
        return f"{what} on {self._domain.interface.name}: {failure}"
