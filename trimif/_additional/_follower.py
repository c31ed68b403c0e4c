"""What the followers of one domain have in common: they ask when it is time, and start over when something changes.

A follower is told of changes by `look`, at once and without a checkpoint, and acts in `run`, a task that ends with the
domain. A question that has become pointless in the meantime is cancelled.
"""

from __future__ import annotations

import abc
import ssl
from collections.abc import Callable

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
        self._asking = trio.CancelScope()
        self._changed = trio.lowlevel.ParkingLot()

    def look(self) -> None:
        """Something about the domain may have changed.

        Raises:
            DomainGone: it is gone.
        """
        if self._learn(trio.current_time()):
            self._asking.cancel()
        self.wake()

    def wake(self) -> None:
        """What it may do may have changed."""
        self._changed.unpark_all()

    async def run(self) -> None:
        """Ask and tell, until cancelled, or `DomainGone` is raised."""
        while True:
            now = trio.current_time()
            due, changes = self._plan(now)
            if due <= now:
                with trio.CancelScope() as self._asking:
                    await self._ask()
            else:
                with trio.move_on_at(min(due, changes)):
                    await self._changed.park()

    @abc.abstractmethod
    def _learn(self, now: float) -> bool:
        """Read what the domain's elements say; return whether a question that is being asked is pointless now."""

    @abc.abstractmethod
    def _plan(self, now: float) -> tuple[float, float]:
        """Tell what is so now. When is it time to ask, and when to tell something else?"""

    @abc.abstractmethod
    async def _ask(self) -> None: ...

    def _view(self) -> DomainView | None:
        return self._domain._registry.view_of(self._domain.id)

    def _is_ready(self, *, names: bool) -> bool:
        """Whether asking has a chance: "it may therefore be necessary to wait for an address" (RFC 8801, 4.1)."""
        view = self._view()
        return view is not None and bool(view.addresses) and bool(view.dns_servers or not names)

    def _explain(self, what: str, failure: FetchFailed | MalformedInput) -> str:
        return f"{what} on {self._domain.interface.name}: {failure}"
