"""A source that follows a program on the host, at work, and what it reports: for tests of sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from trimif._facts import (
    AllLeases,
    AllLinkConfigurations,
    DHCPv6Lease,
    Fact,
    Lease,
    Limitation,
    RouterAdvertisement,
)
from trimif._information import Information
from trimif._sources._source import Source

T = TypeVar("T")
SECONDS = 20.0
"""How long a test waits at most for something that should happen."""


class Running:
    """Keeps what the source reported."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.facts: list[Fact] = []
        self._news = trio.Event()

    def report(self, facts: Sequence[Fact]) -> None:
        self.facts += facts
        self._news.set()
        self._news = trio.Event()

    async def when(self, condition: Callable[[], T | None]) -> T:
        """Wait until the condition holds of what was reported; returns what it returned."""
        with trio.move_on_after(SECONDS):
            await trio.lowlevel.checkpoint()
            while not (found := condition()):
                await self._news.wait()
            return found
        raise AssertionError(f"{condition} did not come true in {SECONDS:g} s; reported was {self.facts}")

    def _last(self, kind: type[T]) -> T | None:
        return next((each for each in reversed(self.facts) if isinstance(each, kind)), None)

    def configurations(self) -> dict[str, dict[Information[Any], Any]]:
        """What is configured now, by interface."""
        fact = self._last(AllLinkConfigurations)
        assert fact is None or fact.source == self.source.name
        assert fact is None or {each.origin.source for each in fact.configurations} <= {self.source.name}
        return {each.interface: dict(each.data) for each in fact.configurations} if fact is not None else {}

    def leases(self) -> dict[str, Lease]:
        """The DHCPv4 leases that there are now, by interface."""
        fact = self._last(AllLeases)
        return {each.interface: each for each in fact.leases if isinstance(each, Lease)} if fact is not None else {}

    def leases6(self) -> dict[str, DHCPv6Lease]:
        """The DHCPv6 leases that there are now, by interface."""
        fact = self._last(AllLeases)
        found = fact.leases if fact is not None else ()
        return {each.interface: each for each in found if isinstance(each, DHCPv6Lease)}

    def routers(self) -> list[RouterAdvertisement]:
        """All that was reported of routers."""
        return [each for each in self.facts if isinstance(each, RouterAdvertisement)]

    def limitations(self) -> list[Limitation]:
        """All that the source said it can't see."""
        return [each for each in self.facts if isinstance(each, Limitation)]


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Running]:
    """Run the source until the block ends."""
    keeper = Running(source)
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, keeper.report)
        yield keeper
        nursery.cancel_scope.cancel()
