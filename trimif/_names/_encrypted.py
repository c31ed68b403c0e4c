"""Questions to one encrypted name server of a domain, by DNS over TLS or DNS over HTTPS (RFC 7858, 8484, 9463).

A session opens a connection with the first question, and all questions share it until it breaks or has been idle for
long; then the next question opens another. Connections are bound to the domain (law 10) and the server has to prove
that it has the name that the domain, or the user, told: "the client MUST authenticate" it. There is no falling back to
anything less: what can't be asked so fails, and what else to do is the caller's matter.

::

    EncryptedSession      who opens, how often, at which address                       this file
    EncryptedConnection   who reads, who waits, when it is of no use any more          _encrypted_connection.py
    Conversation          which octets: DoT, HTTP/2, HTTP/1.1; no I/O                  _encrypted_messages.py, _http*.py
    TlsConnection         the socket                                                   _tls.py
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable, Sequence

import trio
from attrs import define, evolve, field

from trimif._connect import connect
from trimif._errors import MalformedInput
from trimif._model import DomainView, IPAddress
from trimif._names._doh import offered_protocols, start_conversation
from trimif._names._encrypted_choice import EncryptedProtocol, EncryptedWay
from trimif._names._encrypted_connection import ConnectionBroken, EncryptedConnection
from trimif._names._encrypted_messages import DotConversation, Outcome, pad
from trimif._names._question import Question, Reply, ServerFailed, Truncated, read_reply
from trimif._names._tls import TlsConnection, check_context

CONNECT_SECONDS = 3.0
"""For one address of the server, TCP and TLS: a retransmission of the SYN, and a far server."""


@define(eq=False)
class _Opening:
    """One attempt to connect, on which many wait. Without a failure it succeeded, or was cancelled."""

    scope: trio.CancelScope = field(factory=trio.CancelScope)
    done: trio.Event = field(factory=trio.Event)
    failure: OSError | None = None


class EncryptedSession:
    """One server, asked in one way. Close it when the domain, or the server, is no more.

    Args:
        way: `trimif._names._encrypted_choice.choose` gives them.
        addresses: where the server is, if it does not tell that itself (or there is better knowledge).
        context: checks certificates; None for the system's trust store. It is told what to offer by ALPN, each time
            a connection is made.

    Raises:
        ValueError: there is no address, or the context does not authenticate servers.
    """

    def __init__(
        self,
        view: DomainView,
        way: EncryptedWay,
        addresses: Sequence[IPAddress] = (),
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._view, self._way, self._context = view, way, context
        self._addresses = tuple(addresses) or way.server.addresses
        if not self._addresses:
            raise ValueError(f"it is not known where {way.server.name} is")
        if context is not None:
            check_context(context)
        self._connection: EncryptedConnection | None = None
        self._opening: _Opening | None = None
        self._closed = False

    async def ask(self, question: Question, note_malformed: Callable[[MalformedInput], None]) -> Reply:
        """Put a question to the server; never `Truncated`. How long to wait is a matter for the caller's cancel scope.

        If cancelled, the connection stays, for others.

        Raises:
            OSError: the server can't be reached from the domain, is not who it should be, broke off, or the session
                is closed. Ask another one; the next question to this one tries afresh.
        """
        octets = pad(question.octets)
        try:
            identifier, outcome = await (await self._ready()).ask(octets)
        except ConnectionBroken as broken:
            if not broken.retry:
                raise
            identifier, outcome = await (await self._ready()).ask(octets)
        return _read(outcome, evolve(question, identifier=identifier), note_malformed)

    def close_if_idle(self, now: float) -> None:
        """Close the connection if it has not been used for a while; a question later on opens another."""
        if self._connection is not None and self._connection.is_idle(now):
            self._connection.close("it was idle", goodbye=True)
            self._connection = None

    def close(self) -> None:
        """Close everything at once, without a word to the server; what is asked fails. Never blocks."""
        self._closed = True
        if self._opening is not None:
            self._opening.scope.cancel()
        if self._connection is not None:
            self._connection.close("the session is closed")

    async def aclose(self) -> None:
        """Close everything, in TLS's good manners as far as they don't take time."""
        if self._connection is not None:
            self._connection.close("the session is closed", goodbye=True)
        self.close()
        await trio.lowlevel.checkpoint()

    # ---------------------------------------------------------------- opening

    async def _ready(self) -> EncryptedConnection:
        """A connection that takes a question now; it has to be used before the next checkpoint."""
        await trio.lowlevel.checkpoint()
        while (connection := self._current()) is None or not connection.has_room:
            if connection is None:
                await self._open_or_wait()
            else:
                await connection.room.park()
        return connection

    def _current(self) -> EncryptedConnection | None:
        if self._closed:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the session is closed")
        if self._connection is not None and not self._connection.usable(trio.current_time()):
            self._connection.retire()
            self._connection = None
        return self._connection

    async def _open_or_wait(self) -> None:
        """If whoever opens is cancelled, one of those who wait takes over."""
        opening = self._opening
        if opening is None:
            await self._open()
            return
        await opening.done.wait()
        if opening.failure is not None:
            raise ConnectionAbortedError(opening.failure.errno, str(opening.failure)) from opening.failure

    async def _open(self) -> None:
        opening = self._opening = _Opening()
        try:
            with opening.scope:
                self._connection = await self._connect()
        except OSError as error:
            opening.failure = error
            raise
        finally:
            self._opening = None
            opening.done.set()
            if self._closed and self._connection is not None:  # closed in the very moment
                self._connection.close("the session is closed")

    async def _connect(self) -> EncryptedConnection:
        """To the first of the addresses that is the server."""
        failure: OSError | None = None
        await trio.lowlevel.checkpoint_if_cancelled()
        for address in self._addresses:
            try:
                with trio.move_on_after(CONNECT_SECONDS):
                    return await self._connect_to(address)
                error: OSError = TimeoutError(errno.ETIMEDOUT, f"{self._way} at {address}: no TLS in time")
            except OSError as caught:
                error = caught
            failure = failure or error
        assert failure is not None  # there is at least one address
        raise failure

    async def _connect_to(self, address: IPAddress) -> EncryptedConnection:
        dot = self._way.protocol is EncryptedProtocol.DOT
        if self._context is None:
            self._context = ssl.create_default_context()
        stream = await connect(self._view, address, self._way.port)
        offered = ("dot",) if dot else offered_protocols()
        tls = TlsConnection(stream, self._context, self._way.server.name.removesuffix("."), offered)
        try:
            await tls.handshake()
            conversation = DotConversation() if dot else start_conversation(self._way, tls.protocol)
            connection = EncryptedConnection(tls, conversation)
            if not connection.usable(trio.current_time()):
                raise ConnectionAbortedError(errno.ECONNABORTED, f"{self._way} at {address} takes no questions")
            return connection
        except BaseException:
            tls.close()
            raise


def _read(outcome: Outcome, question: Question, note_malformed: Callable[[MalformedInput], None]) -> Reply:
    """By TLS the server has one chance: no other answer will come."""
    if isinstance(outcome, ServerFailed):
        return outcome
    try:
        reply = read_reply(outcome, question)
    except MalformedInput as malformed:
        note_malformed(malformed)
        reply = None
    return ServerFailed("no answer to the question") if reply is None or isinstance(reply, Truncated) else reply
