"""The Domain Name System inside one provisioning domain: whom to ask, how often, and where a chain of aliases leads.

A question goes to the domain's servers in their order. One that fails is passed at once, one that is silent after
`ATTEMPT_SECONDS`; then the same once more, without EDNS, for the sake of servers that stumble over it (RFC 6891,
6.2.2). The first answer counts, also a negative one: the servers of one domain know the same (RFC 7556, 5.2).
Aliases are followed inside the domain, `ALIASES` at most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from trimif._errors import MalformedInput
from trimif._model import DomainView, Family, IPAddress, TranslationOutcome
from trimif._names._exchange import ask_server
from trimif._names._question import Addresses, Alias, NoSuchName, Reply, ServerFailed, ask_for

if TYPE_CHECKING:
    from dns.name import Name

ATTEMPT_SECONDS = 2.0
QUESTION_SECONDS = 12.0  # three silent servers, twice
ALIASES = 8

_log = logging.getLogger("trimif.names")


class DomainDns:
    """The name servers of one domain. `note_malformed` is told of each message that was no DNS message."""

    def __init__(self, view: DomainView, note_malformed: Callable[[MalformedInput], None]) -> None:
        self._view = view
        self._note_malformed = note_malformed

    async def find_addresses(self, name: Name, family: Family, tell: Callable[[IPAddress], None]) -> TranslationOutcome:
        """Ask the servers for the addresses of one family, and tell them.

        Returns:
            ANSWERED, NO_DATA, NO_SUCH_NAME, REFUSED (every server that answered failed, or the aliases lead nowhere),
            or TIMED_OUT.
        """
        reply = await self._ask_servers(name, family)
        for _ in range(ALIASES):
            if not isinstance(reply, Alias):
                break
            reply = await self._ask_servers(reply.name, family)
        return _report(reply, tell)

    async def _ask_servers(self, name: Name, family: Family) -> Reply | None:
        """The first useful reply, else the last server's failure, else None: nobody answered in time."""
        failure: Reply | None = None
        with trio.move_on_after(QUESTION_SECONDS):
            await trio.lowlevel.checkpoint()
            for edns in (True, False):
                for server in self._view.dns_servers:
                    reply = await self._ask_server(server, name, family, edns=edns)
                    if reply is not None and not isinstance(reply, ServerFailed):
                        return reply
                    failure = reply or failure
        return failure

    async def _ask_server(self, server: IPAddress, name: Name, family: Family, *, edns: bool) -> Reply | None:
        with trio.move_on_after(ATTEMPT_SECONDS):
            await trio.lowlevel.checkpoint()
            try:
                return await ask_server(self._view, server, ask_for(name, family, edns=edns), self._note_malformed)
            except OSError as error:
                _log.debug("%s: name server %s is passed over: %s", self._view.name, server, error)
                return ServerFailed(type(error).__name__)
        return None


def _report(reply: Reply | None, tell: Callable[[IPAddress], None]) -> TranslationOutcome:
    match reply:
        case Addresses(addresses):
            for address in addresses:
                tell(address)
            return TranslationOutcome.ANSWERED if addresses else TranslationOutcome.NO_DATA
        case NoSuchName():
            return TranslationOutcome.NO_SUCH_NAME
        case None:
            return TranslationOutcome.TIMED_OUT
        case _:  # a server that failed, or one more alias
            return TranslationOutcome.REFUSED
