"""Channels that live inside an interface, a domain or the MIF (face 2): each one a subscriber with one request.

They add nothing to the messages but form: a message becomes an item, or none. A channel of an owner that is gone has
ended, and one whose owner goes gives its last words and then ends, so loops over it end by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import trio

from trimif._information import NameServerSaid
from trimif._messages import Announcement, NameTranslation, NameTranslationFinished
from trimif._model import TranslationOutcome
from trimif._subscriber import Subscriber, SubscriberStatistics

__all__ = ["Subscription", "Translation"]

T_co = TypeVar("T_co", covariant=True)


class Subscription(trio.abc.ReceiveChannel[T_co], Generic[T_co]):
    """A channel of what is announced about one owner. Leaving its ``async with`` is its Stop.

    `receive` and `receive_nowait` raise what a `Subscriber` raises; iteration ends when the owner is gone.
    """

    def __init__(self, subscriber: Subscriber, item_of: Callable[[Announcement], T_co | None]) -> None:
        self._subscriber = subscriber
        self._item_of = item_of
        self._next: list[T_co] = []  # an item that `check` has come across

    def receive_nowait(self) -> T_co:
        """The next item.

        Raises:
            trio.WouldBlock: there is none.
            trio.EndOfChannel: the owner is gone.
            trio.ClosedResourceError: the subscription is closed.
        """
        self._subscriber.check_open()
        if self._next:
            return self._next.pop()
        while (item := self._item_of(self._subscriber.receive_nowait())) is None:
            pass
        return item

    async def receive(self) -> T_co:
        """The next item, as soon as there is one. Cancelled, it has taken nothing.

        Raises:
            trio.BusyResourceError: another task is receiving already.
            trio.EndOfChannel: the owner is gone.
            trio.ClosedResourceError: the subscription is closed, perhaps while this waited.
        """
        if self._next:
            await trio.lowlevel.checkpoint()
            return self.receive_nowait()
        while (item := self._item_of(await self._subscriber.receive())) is None:
            pass
        return item

    def check_nowait(self) -> None:
        """CHECK MESSAGE as a probe: return if an item waits, or the channel has ended.

        Raises:
            trio.WouldBlock: there is none.
            trio.ClosedResourceError: the subscription is closed.
        """
        with suppress(trio.EndOfChannel):
            self._next.append(self.receive_nowait())

    async def check(self) -> None:
        """CHECK MESSAGE: wait until `receive` won't."""
        await trio.lowlevel.checkpoint()
        while not self._is_ready():
            await self._subscriber.check()

    def _is_ready(self) -> bool:
        try:
            self.check_nowait()
        except trio.WouldBlock:
            return False
        return True

    def statistics(self) -> SubscriberStatistics:
        """How many messages wait, were received and were skipped."""
        return self._subscriber.statistics()

    def close(self) -> None:
        """Close it: the same as leaving its ``async with``. Again: does nothing."""
        self._subscriber.close()

    async def aclose(self) -> None:
        """The same, and a checkpoint."""
        await self._subscriber.aclose()


class Translation(Subscription[NameTranslation]):
    """The addresses of a name, as they come (draft 3.5.16). It ends when the translation does; then see `outcome`."""

    def __init__(self, subscriber: Subscriber, name: str) -> None:
        super().__init__(subscriber, self._answer)
        self.name = name
        self._outcome: TranslationOutcome | None = None
        self._said: tuple[NameServerSaid, ...] = ()

    @property
    def said(self) -> tuple[NameServerSaid, ...]:
        """Who was asked, and what each of them said; nothing while it goes on."""
        return self._said

    @property
    def outcome(self) -> TranslationOutcome | None:
        """How the translation ended, None while it goes on."""
        return self._outcome

    def _answer(self, message: Announcement) -> NameTranslation | None:
        if isinstance(message, NameTranslationFinished):
            self._outcome, self._said = message.outcome, message.said
            self._subscriber.end()
        return message if isinstance(message, NameTranslation) else None
