"""One running dhcpcd, seen through its socket: connected to as long as that is there, listened to, and asked once.

The question is what could do harm. dhcpcd 9.4 (Debian 12) limits the descriptors that it may poll to those that it
has when it starts, and one: answering while it also tells its listeners something is one too many, and *it exits*. So
it is asked only when it has had nothing to say for a while, and when it has been there for some seconds: in the first
ones it has much to say, and who listens from the beginning hears most of it anyway.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import trio

from trimif._errors import MalformedInput
from trimif._sources._dhcpcd_socket import ask, listen, manages_something, receive_block

__all__ = ["Audience", "Instance"]

ANSWER_SECONDS = 1.0
ATTEMPTS = 5
"""dhcpcd drops a question that comes while it answers another client; and it answers nobody while its hooks run. Where
it runs as one process, without a user of its own, 9.4 hangs up after each block: then there is no whole answer."""
SETTLED_SECONDS = 5.0
QUIET_SECONDS = 0.1
FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0
"""Between connections, in seconds: a socket exists a moment before it accepts them."""

logger = logging.getLogger(__name__)


class Audience(Protocol):
    """Whom an instance tells. Nothing here blocks."""

    def hear(self, connection: int, blocks: Sequence[bytes], *, news: bool) -> None:
        """These blocks came on a connection: news, or an answer."""
        ...

    def know_all(self, path: Path, connection: int, *, same: bool) -> None:
        """The blocks heard on a connection are all that this dhcpcd knows.

        Args:
            same: it is the one that was there before, so it also knows what became of all that it has said.
        """
        ...

    def miss(self, path: Path, reason: str) -> None:
        """A dhcpcd that is there does not tell all that it knows."""
        ...

    def count_malformed(self, fault: MalformedInput) -> None:
        """Something came that is no block."""
        ...


class Instance:
    """A dhcpcd behind a socket.

    Args:
        path: of the socket.
        connections: gives each connection a number, never twice the same.

    Attributes:
        settled: it has answered, or there is no hope for the moment.
    """

    def __init__(self, path: Path, audience: Audience, connections: Iterator[int]) -> None:
        self.settled = trio.Event()
        self._last_news = -math.inf
        self._identity: tuple[int, int] | None = None
        self._path = path
        self._audience = audience
        self._connections = connections

    async def run(self, changed: Callable[[], trio.Event]) -> None:
        """Connect, again and again, until the socket is gone.

        Args:
            changed: gives an event that is set when the socket's directory changes next.
        """
        pause = FIRST_PAUSE
        while self._is_there():
            change, began = changed(), trio.current_time()
            await self._converse()
            self.settled.set()
            pause = FIRST_PAUSE if trio.current_time() - began > LAST_PAUSE else pause
            with trio.move_on_after(pause) as waiting:
                await change.wait()
            pause = min(4 * pause, LAST_PAUSE) if waiting.cancelled_caught else FIRST_PAUSE

    def _is_there(self) -> bool:
        return os.path.exists(self._path)

    async def _converse(self) -> None:
        """One connection, until dhcpcd ends it."""
        try:
            news = await listen(self._path)
        except OSError as error:
            logger.debug("%s: %s", self._path, error)
            if isinstance(error, PermissionError):
                self._audience.miss(self._path, str(error.strerror))
            return
        connection = next(self._connections)
        self._last_news = trio.current_time()
        async with news, trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, connection)
            await self._hear(news, connection)
            nursery.cancel_scope.cancel()

    async def _hear(self, news: trio.SocketStream, connection: int) -> None:
        try:
            while True:
                block = await receive_block(news)
                self._last_news = trio.current_time()
                self._audience.hear(connection, [block], news=True)
        except MalformedInput as fault:
            self._audience.count_malformed(fault)
        except OSError as error:
            logger.debug("%s: %s", self._path, error)

    async def _ask(self, connection: int) -> None:
        """Ask for all that there is now, when that does no harm, until there is an answer."""
        missing = SETTLED_SECONDS - self._age()
        if missing > 0:
            self.settled.set()
            await trio.sleep(missing)
        for _ in range(ATTEMPTS):
            await self._wait_quiet()
            blocks = await self._answer()
            if blocks is not None:
                self._audience.hear(connection, blocks, news=False)
                self._audience.know_all(self._path, connection, same=self._is_same())
                break
        else:
            self._audience.miss(self._path, "it does not answer")
        self.settled.set()

    def _age(self) -> float:
        """For how many seconds the socket has been there."""
        try:
            return time.time() - self._path.stat().st_mtime
        except OSError:
            return 0.0

    def _is_same(self) -> bool:
        """Whether the socket is the one that was there when this was asked last: each dhcpcd makes its own."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        before, self._identity = self._identity, (status.st_ino, status.st_ctime_ns)
        return before == self._identity

    async def _wait_quiet(self) -> None:
        while True:
            missing = self._last_news + QUIET_SECONDS - trio.current_time()
            if missing <= 0:
                return
            await trio.sleep(missing)

    async def _answer(self) -> list[bytes] | None:
        """The answer to one question; None if there is none in time, or it is no answer."""
        with trio.move_on_after(ANSWER_SECONDS):
            try:
                return await ask(self._path) if manages_something(self._path) else []
            except MalformedInput as fault:
                self._audience.count_malformed(fault)
            except OSError as error:
                logger.debug("%s: %s", self._path, error)
            await trio.sleep(QUIET_SECONDS)
        return None
