"""Translate Name (draft 3.5.16): which systems are asked, in which order, and what the whole of it amounts to.

First what the host knows by itself: address literals, the hosts file, ``localhost``. Then the DNS of the domain, A
and AAAA at the same time, each told as it comes (RFC 8305, 3): one that is late holds nothing back. A short name is
tried in the domain's search domains first; a name with a dot is tried as it stands first, and one with a dot at its
end only so (RFC 1123, 6.1.4.3; RFC 1535). The first of these names that has an address ends the search.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from trimif._errors import MalformedInput
from trimif._model import DomainView, Family, IPAddress, TranslationOutcome
from trimif._names._dns import DomainDns
from trimif._names._hosts import HOSTS_PATH, local_addresses
from trimif._names._question import read_name

if TYPE_CHECKING:
    from dns.name import Name

MOST_ADDRESSES = 64
SEARCH_DOMAINS = 16  # the network says them; each costs two questions
TRANSLATION_SECONDS = 30.0

# The worst thing that a family or a candidate name met says most about why there is no address. NO_SUCH_NAME is
# apart: it is about the name, in every family (RFC 8020).
_WORST_FIRST = (TranslationOutcome.TIMED_OUT, TranslationOutcome.REFUSED, TranslationOutcome.NO_DATA)


_log = logging.getLogger("trimif.names")


def _log_malformed(malformed: MalformedInput) -> None:
    _log.debug("passed over: %s", malformed)


class Told:
    """The addresses told so far: each once, `MOST_ADDRESSES` at most; one too many ends the translation."""

    def __init__(self, tell: Callable[[IPAddress], None]) -> None:
        self._tell = tell
        self._addresses: set[IPAddress] = set()
        self.scope = trio.CancelScope(deadline=trio.current_time() + TRANSLATION_SECONDS)
        self.truncated = False

    def add(self, address: IPAddress) -> None:
        if address in self._addresses or self.truncated:
            return
        if len(self._addresses) == MOST_ADDRESSES:
            self.truncated = True
            self.scope.cancel()
            return
        self._addresses.add(address)
        self._tell(address)

    def outcome(self, otherwise: TranslationOutcome) -> TranslationOutcome:
        if self.truncated:
            return TranslationOutcome.TRUNCATED
        return TranslationOutcome.ANSWERED if self._addresses else otherwise


async def translate(
    view: DomainView,
    name: str,
    tell: Callable[[IPAddress], None],
    *,
    note_malformed: Callable[[MalformedInput], None] = _log_malformed,
    hosts: str = HOSTS_PATH,
) -> TranslationOutcome:
    """Find the addresses of a name inside a domain, and nowhere else (law 10).

    It ends by itself, within `TRANSLATION_SECONDS`. If cancelled, no socket is left.

    Args:
        tell: called with each address as soon as it is known, each once, `MOST_ADDRESSES` times at most.
        note_malformed: called with each answer that was no DNS message; it was passed over.
        hosts: the path of the local host table.
    """
    told = Told(tell)
    for address in local_addresses(name, hosts):
        told.add(address)
    outcome = told.outcome(TranslationOutcome.NO_SERVERS)
    if outcome is not TranslationOutcome.NO_SERVERS or not view.dns_servers:
        await trio.lowlevel.checkpoint()
        return outcome
    outcome = TranslationOutcome.TIMED_OUT
    with told.scope:
        dns = DomainDns(view, note_malformed)
        outcome = await _try_names(dns, candidate_names(name, view.search_domains), told)
    return told.outcome(outcome)


async def _try_names(dns: DomainDns, names: Sequence[Name], told: Told) -> TranslationOutcome:
    await trio.lowlevel.checkpoint()
    outcomes = []
    for name in names:
        outcome = await _ask_both_families(dns, name, told)
        if outcome in (TranslationOutcome.ANSWERED, TranslationOutcome.TIMED_OUT):
            return outcome  # where nobody answered, nobody will answer for the next name
        outcomes.append(outcome)
    return _combine(outcomes)


async def _ask_both_families(dns: DomainDns, name: Name, told: Told) -> TranslationOutcome:
    outcomes: list[TranslationOutcome] = []

    async def ask(family: Family) -> None:
        outcomes.append(await dns.find_addresses(name, family, told.add))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, Family.IPV6)
        nursery.start_soon(ask, Family.IPV4)
    if TranslationOutcome.ANSWERED in outcomes:
        return TranslationOutcome.ANSWERED
    if set(outcomes) == {TranslationOutcome.NO_SUCH_NAME, TranslationOutcome.NO_DATA}:
        return TranslationOutcome.NO_DATA  # one family says that the name exists
    return TranslationOutcome.NO_SUCH_NAME if TranslationOutcome.NO_SUCH_NAME in outcomes else _combine(outcomes)


def _combine(outcomes: Sequence[TranslationOutcome]) -> TranslationOutcome:
    return next((worst for worst in _WORST_FIRST if worst in outcomes), TranslationOutcome.NO_SUCH_NAME)


def candidate_names(name: str, search_domains: Sequence[str]) -> tuple[Name, ...]:
    """The absolute names to try for a name, in their order; those that can't be names in the DNS are left out."""
    if name.endswith("."):
        texts = [name]
    else:
        searched = [f"{name}.{domain}" for domain in search_domains[:SEARCH_DOMAINS]]
        texts = [name, *searched] if "." in name else [*searched, name]
    names = (read_name(text) for text in texts)
    return tuple(dict.fromkeys(name for name in names if name is not None))
