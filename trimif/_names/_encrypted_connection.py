"""One connection to an encrypted server, shared by all who have questions for it.

There is no task that reads: of those who wait for an answer, one reads for all. When it leaves, with its answer or
cancelled, it wakes another of them. Whoever is cancelled leaves the connection whole (`trimif._names._tls`); a
connection that breaks fails all who wait. A late answer, to a question that nobody waits for any more, is dropped.

A server that has gone without a word (a NAT that forgot us, a cable that was moved) can't be told from a slow one at
once. If nothing at all came for `SILENCE_SECONDS` after a question, no more questions go to that connection; those
that are out may still be answered.
"""

from __future__ import annotations

import trio
from attrs import define, field

from trimif._names._encrypted_messages import Conversation, Outcome, Violation
from trimif._names._tls import TlsConnection

SILENCE_SECONDS = 3.0
IDLE_SECONDS = 20.0
"""After which an unused connection is given up. Servers keep them for 10 to 30 seconds, NATs forget some sooner."""
UNUSED = "nobody needs the connection any more"


class ConnectionBroken(ConnectionError):
    """The connection ended before the answer came; another one may do better.

    Attributes:
        retry: the server may just have closed a connection that it thought idle, so that it never saw the question
            (RFC 7766, 6.2.4).
    """

    def __init__(self, why: str, *, retry: bool) -> None:
        super().__init__(why)
        self.retry = retry


@define(eq=False)
class _Waiting:
    """Someone who waits for an answer; woken when it is there, when reading is their turn, or when all is over."""

    outcome: Outcome | None = None
    wake: trio.Event = field(factory=trio.Event)


class EncryptedConnection:
    """A connection after the handshake.

    Attributes:
        room: here wait those for whom the conversation has no room (`has_room`).
    """

    def __init__(self, tls: TlsConnection, conversation: Conversation) -> None:
        self._tls, self._conversation = tls, conversation
        self._waiting: dict[int, _Waiting] = {}
        self._somebody_reads = False
        self._retired = False
        self._failure: str | None = None
        self._answers = self._heard = 0
        self._used_at = trio.current_time()
        self._unheard_since: float | None = None
        self.room = trio.lowlevel.ParkingLot()

    @property
    def has_room(self) -> bool:
        """A question can be asked now."""
        return self._conversation.has_room

    def usable(self, now: float) -> bool:
        """Is it fit for another question? Looks at what has come meanwhile."""
        if not self._somebody_reads:  # else that one's answer could be taken away, and it would wait for more
            self._take_in()
        return self._failure is None and not (self._conversation.ended or self._is_silent(now) or self.is_idle(now))

    def is_idle(self, now: float) -> bool:
        """It has been used for nothing for so long that it is better closed."""
        return not self._waiting and now - self._used_at >= IDLE_SECONDS

    async def ask(self, message: bytes) -> tuple[int, Outcome]:
        """Ask a question; there has to be room for it. Returns the id that an answer has to have, and the outcome.

        Raises:
            ConnectionBroken: before the answer came.
        """
        answers, heard = self._answers, self._heard
        key, identifier = self._begin(message)
        waiting = self._waiting[key] = _Waiting()
        try:
            self._send()
            if self._tls.has_unsent:
                await self._tls.drain()
            outcome = await self._wait(waiting)
        except (OSError, trio.ClosedResourceError) as error:
            self.close(str(error))
            raise self._broken(retry=answers > 0 and heard == self._heard) from error
        finally:
            self._leave(key, waiting)
        return identifier, outcome

    def retire(self) -> None:
        """Close it as soon as nobody waits for an answer."""
        self._retired = True
        self._close_if_done()

    def close(self, why: str, *, goodbye: bool = False) -> None:
        """Close it; who waits gets `ConnectionBroken`. Never blocks. A second call does nothing."""
        if self._failure is not None:
            return
        self._failure = why
        if goodbye:
            self._tls.say_goodbye()
        self._tls.close()
        for waiting in self._waiting.values():
            waiting.wake.set()
        self.room.unpark_all()

    # ---------------------------------------------------------------- asking

    def _begin(self, message: bytes) -> tuple[int, int]:
        try:
            return self._conversation.begin(message)
        except Violation as violation:
            self.close(str(violation))
            raise self._broken(retry=False) from violation

    def _send(self) -> None:
        self._used_at = trio.current_time()
        if self._unheard_since is None:
            self._unheard_since = self._used_at
        self._tls.write(self._conversation.take_outgoing())

    def _broken(self, *, retry: bool) -> ConnectionBroken:
        assert self._failure is not None
        return ConnectionBroken(self._failure, retry=retry)

    def _leave(self, key: int, waiting: _Waiting) -> None:
        """With an answer or without: take back what need not be answered, and let another one read."""
        if waiting.outcome is None:
            del self._waiting[key]
            if self._failure is None:
                self._conversation.abandon(key)
                self._send_what_is_due()
        self.room.unpark_all()
        self._close_if_done()
        if not self._somebody_reads:
            for each in self._waiting.values():
                each.wake.set()
                break

    def _close_if_done(self) -> None:
        if not self._waiting and (self._retired or self._conversation.ended):
            self.close(UNUSED)

    # ---------------------------------------------------------------- listening

    async def _wait(self, waiting: _Waiting) -> Outcome:
        await trio.lowlevel.checkpoint()
        while waiting.outcome is None:
            if self._failure is not None:
                raise ConnectionAbortedError(self._failure)
            if self._somebody_reads:
                await waiting.wake.wait()
                waiting.wake = trio.Event()
            else:
                await self._read_for_all(waiting)
        return waiting.outcome

    async def _read_for_all(self, reader: _Waiting) -> None:
        self._somebody_reads = True
        try:
            while True:
                await self._tls.wait_readable()
                self._take_in()
                if reader.outcome is not None or self._failure is not None:
                    return
        finally:
            self._somebody_reads = False

    def _take_in(self) -> None:
        """Read what has come, and hand it out."""
        if self._failure is not None:
            return
        try:
            octets = self._tls.read()
            if octets:
                self._heard += 1
                self._unheard_since = None
                self._hand_out(octets)
        except OSError as error:
            self.close(str(error))

    def _hand_out(self, octets: bytes) -> None:
        for key, outcome in self._conversation.receive(octets):
            waiting = self._waiting.pop(key, None)  # the key may be given to another before this one runs
            if waiting is not None:
                self._answers += 1
                waiting.outcome = outcome
                waiting.wake.set()
        self._tls.write(self._conversation.take_outgoing())
        self.room.unpark_all()

    def _send_what_is_due(self) -> None:
        try:
            self._tls.write(self._conversation.take_outgoing())
        except OSError as error:
            self.close(str(error))

    def _is_silent(self, now: float) -> bool:
        return self._unheard_since is not None and now - self._unheard_since >= SILENCE_SECONDS
