"""The Domain Name System inside one provisioning domain: what is known, whom to ask, where a chain of aliases leads.

::

    find ─▶ A and AAAA at once, each told as it comes (RFC 8305, 3)
      └─ _reply ─▶ remembered? ─▶ being asked already? ─▶ _ask: encrypted servers, then plain ones
                   _cache         _in_flight               └─ _Question: a round of attempts, staggered (_servers)
                                                               └─ one exchange (_exchange, _encrypted)

The first useful answer counts, also a negative one: the servers of one domain know the same (RFC 7556, 5.2). Aliases
are followed inside the domain, `ALIASES` at most. All of it is forgotten with the domain.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, TypeAlias

import trio

from trimif._errors import MalformedInput
from trimif._information import NameServerSaid
from trimif._model import DomainView, Family, IPAddress, TranslationOutcome
from trimif._names._cache import AnswerCache
from trimif._names._dns_round import Server, ask_in_round
from trimif._names._encrypted import EncryptedSession
from trimif._names._encrypted_choice import EncryptedWay, choose, protocols_spoken
from trimif._names._exchange import ask_server
from trimif._names._in_flight import InFlight
from trimif._names._nat64 import choose_prefixes, prefixes_from_answers
from trimif._names._question import (
    Addresses,
    Alias,
    CaseLost,
    NoSuchName,
    Question,
    Reply,
    ServerFailed,
    ask_for,
    read_name,
)
from trimif._names._selection import select_servers
from trimif._names._servers import Attempt, ServerOrder

if TYPE_CHECKING:
    from dns.name import Name

ALIASES = 8
IPV4_ONLY = "ipv4only.arpa."  # RFC 7050

Answer: TypeAlias = Reply | None
"""What was said; None: nobody said anything in time."""
Notes: TypeAlias = tuple[Callable[[NameServerSaid], None], Callable[[MalformedInput], None]]
"""Who is told of what each server said, and of messages that were none."""

_log = logging.getLogger("trimif.names")


class DomainDns:
    """The name servers of one domain, and what they said.

    Args:
        encrypted: ask encrypted servers before the others, where the domain has some.
        ssl_context: whom to trust for that; None for the system's trust store.

    Close it when the domain, or its servers, are no more.
    """

    def __init__(self, view: DomainView, encrypted: bool, ssl_context: ssl.SSLContext | None) -> None:
        self.view = view
        self._encrypted = encrypted
        self._ssl_context = ssl_context
        self._known = _servers_of(view)
        self._cache: AnswerCache[Answer] = AnswerCache()
        self._order: ServerOrder[Server] = ServerOrder()
        self._in_flight: InFlight[tuple[bytes, Family], Answer] = InFlight()
        self._sessions: dict[EncryptedWay, EncryptedSession] = {}
        self._folds_case: set[IPAddress] = set()

    def is_of(self, view: DomainView) -> bool:
        """Whether the domain still has the same servers, so that what they said still counts."""
        return _servers_of(view) == self._known

    def close(self) -> None:
        """Close the connections to encrypted servers. Never blocks."""
        for session in self._sessions.values():
            session.close()

    # ---------------------------------------------------------------- addresses

    async def find(
        self,
        name: Name,
        tell: Callable[[IPAddress], None],
        note: Callable[[NameServerSaid], None],
        note_malformed: Callable[[MalformedInput], None],
    ) -> TranslationOutcome:
        """Tell the addresses of an absolute name, of both families, each as it comes.

        Returns:
            ANSWERED, NO_DATA, NO_SUCH_NAME, REFUSED (every server that answered failed, or the aliases lead nowhere),
            or TIMED_OUT.
        """
        notes, outcomes = (note, note_malformed), list[TranslationOutcome]()

        async def ask(family: Family) -> None:
            outcomes.append(_report(await self._follow(name, family, notes), tell))

        unknown = []
        for family in (Family.IPV6, Family.IPV4):  # what is remembered costs no task
            known, answer = self._remember(name, family)
            if known:
                outcomes.append(_report(answer, tell))
            else:
                unknown.append(family)
        if unknown:
            async with trio.open_nursery() as nursery:
                for family in unknown:
                    nursery.start_soon(ask, family)
        return _together(outcomes)

    def _remember(self, name: Name, family: Family) -> tuple[bool, Answer]:
        """Whether a question need not be asked, aliases followed; and the answer."""
        now = trio.current_time()
        for _ in range(ALIASES + 1):
            cached = self._cache.get(_wire(name), family, now)
            if cached is None:
                return False, None
            if not isinstance(cached.answer, Alias):
                return True, cached.answer
            name = cached.answer.name
        return False, None

    async def find_nat64(
        self, note: Callable[[NameServerSaid], None], note_malformed: Callable[[MalformedInput], None]
    ) -> tuple[IPv6Network, ...]:
        """The prefixes of a NAT64 that the network does not advertise: a DNS64 shows them (RFC 7050)."""
        name = read_name(IPV4_ONLY)
        assert name is not None
        reply = await self._follow(name, Family.IPV6, (note, note_malformed))
        found = reply.addresses if isinstance(reply, Addresses) else ()
        return choose_prefixes((), prefixes_from_answers(each for each in found if isinstance(each, IPv6Address)))

    async def _follow(self, name: Name, family: Family, notes: Notes) -> Answer:
        reply = await self._reply(name, family, notes)
        for _ in range(ALIASES):
            if not isinstance(reply, Alias):
                break
            reply = await self._reply(reply.name, family, notes)
        return reply

    # ---------------------------------------------------------------- remembered, or asked

    async def _reply(self, name: Name, family: Family, notes: Notes) -> Answer:
        """An answer to one question, from memory if it still holds."""
        await trio.lowlevel.checkpoint()
        wire = _wire(name)
        cached = self._cache.get(wire, family, trio.current_time())
        if cached is not None:
            return cached.answer
        return await self._in_flight.ask((wire, family), partial(self._ask, name, wire, family, notes))

    async def _ask(self, name: Name, wire: bytes, family: Family, notes: Notes) -> Answer:
        answer = await self._ask_servers(name, family, notes)
        now = trio.current_time()
        match answer:
            case Addresses(addresses=(), ttl=ttl):
                self._cache.put_no_data(wire, family, answer, ttl, now)
            case NoSuchName(ttl=ttl):
                self._cache.put_no_such_name(wire, family, answer, ttl, now)
            case Addresses(ttl=ttl) | Alias(ttl=ttl):
                self._cache.put(wire, family, answer, ttl, now)
            case _:
                self._cache.put_failure(wire, family, answer, now)
        return answer

    async def _ask_servers(self, name: Name, family: Family, notes: Notes) -> Answer:
        """Encrypted servers first, if there are any; the plain ones if those are of no use."""
        answer: Answer = None
        for session in self._sessions.values():
            session.close_if_idle(trio.current_time())
        if self._encrypted and self.view.encrypted_dns:
            ways = [way for way in choose(self.view.encrypted_dns, protocols_spoken()) if way.server.addresses]
            answer = await self._ask_in_round(name, family, ways, notes)
        if answer is None or isinstance(answer, ServerFailed):
            plain = await self._ask_in_round(name, family, select_servers(self.view, name), notes)
            answer = answer if plain is None else plain
        return answer

    async def _ask_in_round(self, name: Name, family: Family, servers: Sequence[Server], notes: Notes) -> Answer:
        exchange = partial(self._exchange, name, family, notes[1])
        kind = "A" if family is Family.IPV4 else "AAAA"
        return await ask_in_round(self._order, servers, exchange, f"{name} {kind}", notes[0])

    async def _exchange(
        self, name: Name, family: Family, note_malformed: Callable[[MalformedInput], None], attempt: Attempt[Server]
    ) -> Reply:
        """One question to one server.

        Raises:
            OSError: it can't be reached, or is not who it should be.
        """
        if isinstance(attempt.server, EncryptedWay):  # nobody on the way can guess: no mixed case
            return await self._session(attempt.server).ask(ask_for(name, family), note_malformed)
        return await self._ask_plain(attempt.server, partial(ask_for, name, family, edns=attempt.edns), note_malformed)

    async def _ask_plain(
        self,
        server: IPAddress,
        question: Callable[..., Question],
        note_malformed: Callable[[MalformedInput], None],
    ) -> Reply:
        if server not in self._folds_case:
            reply = await ask_server(self.view, server, question(mixed_case=True), note_malformed)
            if not isinstance(reply, CaseLost):
                return reply
            self._folds_case.add(server)
            _log.debug("%s: name server %s does not keep the case of letters", self.view.name, server)
        return await ask_server(self.view, server, question(), note_malformed)

    def _session(self, way: EncryptedWay) -> EncryptedSession:
        if way not in self._sessions:
            self._sessions[way] = EncryptedSession(self.view, way, (), self._ssl_context)
        return self._sessions[way]


def _wire(name: Name) -> bytes:
    """What the cache knows a name by: names compare without regard to case (RFC 4343)."""
    return name.canonicalize().to_wire() or b""


def _servers_of(view: DomainView) -> tuple[object, ...]:
    """Whom to ask, and whence where connections are kept: they end with the address that they come from."""
    own = tuple(each.address for each in view.addresses) if view.encrypted_dns else ()
    return view.index, view.dns_servers, view.dns_selection, view.encrypted_dns, own


def _report(answer: Answer, tell: Callable[[IPAddress], None]) -> TranslationOutcome:
    match answer:
        case Addresses(addresses=addresses):
            for address in addresses:
                tell(address)
            return TranslationOutcome.ANSWERED if addresses else TranslationOutcome.NO_DATA
        case NoSuchName():
            return TranslationOutcome.NO_SUCH_NAME
        case None:
            return TranslationOutcome.TIMED_OUT
        case _:  # a server that failed, or one more alias
            return TranslationOutcome.REFUSED


def _together(outcomes: Sequence[TranslationOutcome]) -> TranslationOutcome:
    """What both families' outcomes mean for the name."""
    if TranslationOutcome.ANSWERED in outcomes:
        return TranslationOutcome.ANSWERED
    if set(outcomes) == {TranslationOutcome.NO_SUCH_NAME, TranslationOutcome.NO_DATA}:
        return TranslationOutcome.NO_DATA  # one family says that the name exists
    for each in (TranslationOutcome.NO_SUCH_NAME, TranslationOutcome.TIMED_OUT, TranslationOutcome.REFUSED):
        if each in outcomes:
            return each
    return TranslationOutcome.NO_DATA
