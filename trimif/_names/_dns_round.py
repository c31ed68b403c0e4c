"""One question in a round of attempts: `_servers` says which server is asked when, this asks, and listens to all."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import trio
from attrs import define, field

from trimif._information import NameServerSaid
from trimif._model import IPAddress
from trimif._names._encrypted_choice import EncryptedWay
from trimif._names._question import Addresses, Alias, NoSuchName, Reply, ServerFailed
from trimif._names._servers import Attempt, Round, ServerOrder

__all__ = ["Server", "ask_in_round"]

Server: TypeAlias = IPAddress | EncryptedWay
Exchange: TypeAlias = Callable[[Attempt[Server]], Awaitable[Reply]]
UNANSWERED = "timed out"

_log = logging.getLogger("trimif.names")


async def ask_in_round(
    order: ServerOrder[Server],
    servers: Sequence[Server],
    exchange: Exchange,
    question: str,
    note: Callable[[NameServerSaid], None],
) -> Reply | None:
    """The first useful reply, else the last server's failure, else None: nobody answered in time.

    Args:
        exchange: asks one server; may raise OSError.
        question: for people, ``"www.example.org. AAAA"``.
    """
    asking = _Asking(order.begin(servers, trio.current_time()), exchange, question, note)
    return await asking.run()


@define(eq=False)
class _Asking:
    _round: Round[Server]
    _exchange: Exchange
    _question: str
    _note: Callable[[NameServerSaid], None]
    _reply: Reply | None = None
    _failure: Reply | None = None
    _changed: trio.Event = field(factory=trio.Event)

    async def run(self) -> Reply | None:
        """Begin what is due, until there is an answer or nobody is left to ask."""
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            while not self._round.is_over(trio.current_time()):
                while (attempt := self._round.start(trio.current_time())) is not None:
                    nursery.start_soon(self._try, attempt)
                self._changed = trio.Event()
                with trio.move_on_at(self._round.wake_at):
                    await self._changed.wait()
            nursery.cancel_scope.cancel("the question is answered, or given up")
        return self._reply or self._failure

    async def _try(self, attempt: Attempt[Server]) -> None:
        said = UNANSWERED
        try:
            reply = await self._ask(attempt)
            said = _words(reply)
        finally:
            self._tell(attempt, said)
        if isinstance(reply, Addresses | Alias | NoSuchName):
            self._reply = self._reply or reply
            self._round.answered(attempt, trio.current_time())
        else:
            self._failure = reply
            self._round.failed(attempt, trio.current_time())
        self._changed.set()

    async def _ask(self, attempt: Attempt[Server]) -> Reply:
        try:
            return await self._exchange(attempt)
        except OSError as error:
            _log.debug("name server %s is passed over: %s", attempt.server, error)
            return ServerFailed(error.strerror or type(error).__name__)

    def _tell(self, attempt: Attempt[Server], said: str) -> None:
        server = attempt.server
        if isinstance(server, EncryptedWay):
            said = f"{said}, by {server.server.name} over {server.protocol.name}"
            address = server.server.addresses[0]
        else:
            address = server
        seconds = trio.current_time() - attempt.started
        self._note(NameServerSaid("dns", address, self._question, said, seconds))


def _words(reply: Reply) -> str:
    match reply:
        case Addresses(addresses=()):
            return "no data"
        case Addresses() | Alias():
            return "answered"
        case NoSuchName():
            return "no such name"
        case ServerFailed(code=code):
            return code
        case _:
            return "no answer to the question"
