"""POST, CHECK and GET MESSAGE (draft 3.4): the Trio side of a mailbox, and CHECK over any sources.

A reader waits in a parking lot, and takes its message from the mailbox in the step in which it returns. So a message
is never on its way to a reader that has not woken, and a Stop posted in between holds (law 5); a cancelled reader has
taken nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
import trio.lowlevel
from attrs import frozen

from trimif._messages import Announcement
from trimif._model import Value

if TYPE_CHECKING:
    from trimif._core import Mailbox
    from trimif._core._difference import Table
    from trimif._messages import Request
    from trimif._model import InterfaceId

__all__ = ["Subscriber", "SubscriberStatistics"]

BATCH_MESSAGES = 256


@frozen(repr=False, eq=False)
class SubscriberStatistics(Value):
    """The state of a subscriber.

    Attributes:
        queued: messages that wait to be received.
        received: messages that were.
        skipped: single news that were not queued because the buffer was full; the present state was told instead.
        outstanding: requests whose last answer has not been received.
        max_buffer_size: how many single news are queued at most.
    """

    queued: int
    received: int
    skipped: int
    outstanding: int
    max_buffer_size: int


class Subscriber(trio.abc.ReceiveChannel[Announcement]):
    """A subscriber of the MIF API: posts requests, receives announcements, all in one total order.

    Made by `Mif.open_subscriber`, which closes it. Iteration ends when the MIF closes.
    """

    def __init__(
        self,
        open_mailbox: Callable[[Callable[[], None]], Mailbox],
        post: Callable[[Mailbox, Request], None],
        presence: Callable[[InterfaceId], Table],
        close: Callable[[Subscriber, Mailbox], None],
    ) -> None:
        self._readers = trio.lowlevel.ParkingLot()
        self._mailbox = open_mailbox(self._wake)
        self._post = post
        self._presence = presence
        self._on_close = close
        self._closed = False
        self._ended = False
        self._receiving = False

    def _wake(self) -> None:
        self._readers.unpark_all()

    def post(self, request: Request) -> None:
        """POST MESSAGE (draft 3.4.1): hand a request to the MIF API. Never blocks; answers come by `receive`.

        Raises:
            ValueError: an id in it was never issued by this MIF, or is in use by another outstanding request.
            TypeError: it is not a request.
            TooManyRequests: too many requests are outstanding.
            trio.ClosedResourceError: the subscriber, or its MIF, is closed.
        """
        if self._closed or self._ended:
            raise trio.ClosedResourceError(f"a closed subscriber can't post {request!r}")
        self._post(self._mailbox, request)

    @trio.lowlevel.enable_ki_protection
    def receive_nowait(self) -> Announcement:
        """GET MESSAGE (draft 3.4.3): the next message.

        Raises:
            trio.WouldBlock: there is none.
            trio.EndOfChannel: the MIF is closed, and all messages were received.
            trio.ClosedResourceError: the subscriber is closed.
        """
        self.check_open()
        message = self._mailbox.take(self._presence)
        if message is not None:
            return message
        raise trio.EndOfChannel if self._ended else trio.WouldBlock

    @trio.lowlevel.enable_ki_protection
    async def receive(self) -> Announcement:
        """The next message, as soon as there is one. Cancelled, it has taken nothing.

        Raises:
            trio.BusyResourceError: another task is receiving already.
            trio.EndOfChannel: the MIF is closed, and all messages were received.
            trio.ClosedResourceError: the subscriber is closed, perhaps while this waited.
        """
        await self._wait()
        return self.receive_nowait()

    @trio.lowlevel.enable_ki_protection
    async def receive_batch(self) -> list[Announcement]:
        """All messages that wait, up to a bound, as soon as there is one: for busy hosts, where news come in batches.

        It has one checkpoint for all of them, which is most of what `receive` costs. What is in the list has been
        received: a Stop that is posted while the list is gone through does not take it back. Cancelled, it has taken
        nothing. Raises as `receive` does.
        """
        await self._wait()
        return self._take_batch()

    async def _wait(self) -> None:
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this subscriber")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while not self._is_ready():
                await self._readers.park()
        finally:
            self._receiving = False

    @trio.lowlevel.enable_ki_protection
    def _take_batch(self) -> list[Announcement]:
        batch = [self.receive_nowait()]
        while len(batch) < BATCH_MESSAGES and (message := self._mailbox.take(self._presence)) is not None:
            batch.append(message)
        return batch

    def check_nowait(self) -> None:
        """CHECK MESSAGE as a probe (draft 3.4.2): return if a message waits. Nothing is consumed.

        Raises:
            trio.WouldBlock: there is none.
            trio.ClosedResourceError: the subscriber is closed.
        """
        self.check_open()
        if not self._is_ready():
            raise trio.WouldBlock

    @trio.lowlevel.enable_ki_protection
    async def check(self) -> None:
        """CHECK MESSAGE: wait until `receive` won't. For a limit put it into a cancel scope. Nothing is consumed."""
        await trio.lowlevel.checkpoint()
        while not self._is_ready():
            await self._readers.park()
        self.check_open()

    def statistics(self) -> SubscriberStatistics:
        """How many messages wait, were received and were skipped."""
        mailbox = self._mailbox
        return SubscriberStatistics(
            queued=mailbox.queued,
            received=mailbox.received,
            skipped=mailbox.skipped,
            outstanding=len(mailbox.outstanding),
            max_buffer_size=mailbox.max_buffer_size,
        )

    @trio.lowlevel.enable_ki_protection
    def close(self) -> None:
        """Close it: requests are abandoned, connections that were not received are closed. Again: does nothing."""
        if not self._closed:
            self._closed = True
            self._on_close(self, self._mailbox)
            self._wake()

    async def aclose(self) -> None:
        """The same, and a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def end(self) -> None:
        """What is queued can still be received, then the channel ends. For those who made the subscriber."""
        self._ended = True
        self._wake()

    def _is_ready(self) -> bool:
        return self._closed or self._ended or self._mailbox.ready(self._presence)

    def check_open(self) -> None:
        """Raise :exc:`trio.ClosedResourceError` if it is closed."""
        if self._closed:
            raise trio.ClosedResourceError("this subscriber is closed")
