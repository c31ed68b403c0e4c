"""Translate Name (draft 3.5.16): which systems are asked, in which order, and what the whole of it amounts to.

A `NameService` belongs to one MIF. First comes what needs nobody, address literals; then the systems in their order,
until one has an address: the hosts file, the DNS of the domain, multicast DNS and LLMNR on its link, and what the
program adds. For some names only some systems may be asked (RFC 6761); `_selection` knows.

The state of each domain (what its servers said and for how long that holds, which of them answers, open encrypted
connections) is kept in its `DomainDns`. It is forgotten with the domain, and when its servers change: another network
may say otherwise.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

import trio

from trimif._errors import MalformedInput
from trimif._information import NameServerSaid
from trimif._model import DomainId, DomainView, TranslationOutcome
from trimif._name_systems import NameSystem, Tell
from trimif._names._dns import DomainDns
from trimif._names._getaddrinfo import literal
from trimif._names._hosts import HOSTS_PATH, local_addresses
from trimif._names._llmnr import ask_llmnr
from trimif._names._mdns import ask_mdns
from trimif._names._nat64 import choose_prefixes, synthesise
from trimif._names._selection import DNS, HOSTS, LLMNR, MDNS, Route, route_name
from trimif._names._systems import BUILT_IN, check_order
from trimif._names._told import Told

__all__ = ["NameService"]

NoteSaid = Callable[[NameServerSaid], None]
NoteMalformed = Callable[[MalformedInput], None]

# The worst thing that a system met says most about why there is no address.
_WORST_FIRST = (
    TranslationOutcome.TIMED_OUT,
    TranslationOutcome.REFUSED,
    TranslationOutcome.NO_DATA,
    TranslationOutcome.NO_SUCH_NAME,
)


class NameService:
    """The name systems of a MIF, and what they know of each of its domains.

    Args:
        systems: names of built-in systems, and the program's own, in the order in which they are asked.
        encrypted: ask a domain's encrypted name servers, if it has any, before the others.
        ssl_context: whom to trust for that; None for the system's trust store.
        hosts: the path of the local host table.

    Raises:
        ValueError: there is no system of that name, or two have one name.
    """

    def __init__(
        self,
        systems: Sequence[str | NameSystem] = BUILT_IN,
        *,
        encrypted: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        hosts: str = HOSTS_PATH,
    ) -> None:
        self._own = {each.name: each for each in systems if not isinstance(each, str)}
        self._order = tuple(each if isinstance(each, str) else each.name for each in systems)
        if len(set(self._order)) < len(self._order):
            raise ValueError(f"two name systems have one name: {', '.join(self._order)}")
        self.check_systems(self._order)
        self._encrypted = encrypted
        self._ssl_context = ssl_context
        self._hosts = hosts
        self._domains: dict[DomainId, DomainDns] = {}

    def check_systems(self, systems: Sequence[str]) -> None:
        """Raise ValueError for a name system that is not known here."""
        check_order(tuple(systems), (*BUILT_IN, *self._own))

    def forget(self, domain: DomainId) -> None:
        """The domain is gone: what its servers said is worth nothing any more. Never blocks."""
        dns = self._domains.pop(domain, None)
        if dns is not None:
            dns.close()

    def forget_all(self) -> None:
        """The MIF is closed: so are the connections to encrypted servers. Never blocks."""
        for domain in list(self._domains):
            self.forget(domain)

    async def translate(
        self,
        view: DomainView,
        name: str,
        tell: Tell,
        *,
        systems: Sequence[str] | None = None,
        note: NoteSaid,
        note_malformed: NoteMalformed,
    ) -> TranslationOutcome:
        """Find the addresses of a name inside a domain, and nowhere else (law 10).

        It ends by itself, within half a minute. If cancelled, no socket is left.

        Args:
            tell: called with each address as soon as it is known, each once, 64 times at most.
            systems: those to ask, in this order; None for the usual ones.
            note: told of what each server said.
            note_malformed: called with each answer that was none; it was passed over.
        """
        told = Told(tell)
        outcome = TranslationOutcome.TIMED_OUT
        with told.scope:
            translation = _Translation(self, view, name, told, note, note_malformed)
            outcome = await translation.run(self._order if systems is None else tuple(systems))
        return told.outcome(outcome)

    # ---------------------------------------------------------------- for a translation

    def dns_of(self, view: DomainView) -> DomainDns:
        """What is known of the DNS of a domain, with its servers as they are now."""
        dns = self._domains.get(view.domain)
        if dns is not None and dns.is_of(view):
            dns.view = view
            return dns
        self.forget(view.domain)
        dns = self._domains[view.domain] = DomainDns(view, self._encrypted, self._ssl_context)
        return dns

    def own(self, system: str) -> NameSystem:
        """A system of the program's."""
        return self._own[system]

    @property
    def hosts(self) -> str:
        """The path of the local host table."""
        return self._hosts


class _Translation:
    """One name in one domain."""

    def __init__(
        self,
        service: NameService,
        view: DomainView,
        name: str,
        told: Told,
        note: NoteSaid,
        note_malformed: NoteMalformed,
    ) -> None:
        self._service, self._view, self._name, self._told = service, view, name, told
        self._note, self._note_malformed = note, note_malformed

    async def run(self, order: Sequence[str]) -> TranslationOutcome:
        """Ask until somebody has an address."""
        await trio.lowlevel.checkpoint()
        address = literal(self._name)
        if address is not None:  # an address literal is its own translation (RFC 1123, 2.1)
            self._told.add(address)
            await self._reach_by_nat64()
            return TranslationOutcome.ANSWERED
        route = route_name(self._name, self._view.search_domains, self._view.split_domains)
        outcomes: dict[str, TranslationOutcome] = {}
        for system in order:
            outcomes[system] = await self._ask(system, route)
            if self._told.addresses:
                await self._reach_by_nat64()
                return TranslationOutcome.ANSWERED
        # Silence on a link says little: a link loses packets, and who is not there does not say so.
        by_servers = [each for system, each in outcomes.items() if system not in (MDNS, LLMNR)]
        outcome = _worst(by_servers)
        return _worst(list(outcomes.values())) if outcome is TranslationOutcome.NO_SERVERS else outcome

    async def _ask(self, system: str, route: Route) -> TranslationOutcome:
        if system == DNS:
            return await self._ask_dns(route)
        before = trio.current_time()
        outcome = await self._ask_other(system, route)
        if outcome is not TranslationOutcome.NO_SERVERS:
            seconds = trio.current_time() - before
            self._note(NameServerSaid(system, None, self._name, outcome.value, seconds))
        return outcome

    async def _ask_other(self, system: str, route: Route) -> TranslationOutcome:
        tell = self._told.add
        if system == HOSTS:
            return self._look_up_hosts(route)
        if system in (MDNS, LLMNR):
            if not any(candidate.may_ask(system) for candidate in route.candidates) or self._view.loopback:
                return TranslationOutcome.NO_SERVERS
            ask = ask_mdns if system == MDNS else ask_llmnr
            return await ask(self._view, self._name, tell, note_malformed=self._note_malformed)
        return await self._service.own(system).translate(self._view, self._name, tell)

    def _look_up_hosts(self, route: Route) -> TranslationOutcome:
        if route.candidates and not any(candidate.may_ask(HOSTS) for candidate in route.candidates):
            return TranslationOutcome.NO_SERVERS
        found = local_addresses(self._name, self._service.hosts)
        for address in found:
            self._told.add(address)
        return TranslationOutcome.ANSWERED if found else TranslationOutcome.NO_SERVERS

    async def _ask_dns(self, route: Route) -> TranslationOutcome:
        """The candidates one after the other; where nobody answered, nobody will answer for the next one."""
        if not (self._view.dns_servers or self._view.encrypted_dns):
            return TranslationOutcome.NO_SERVERS
        dns, outcomes = self._service.dns_of(self._view), []
        for candidate in route.candidates:
            if not candidate.may_ask(DNS):
                continue
            outcome = await dns.find(candidate.name, self._told.add, self._note, self._note_malformed)
            if outcome in (TranslationOutcome.ANSWERED, TranslationOutcome.TIMED_OUT):
                return outcome
            outcomes.append(outcome)
        return _worst(outcomes) if outcomes else TranslationOutcome.NO_SUCH_NAME

    async def _reach_by_nat64(self) -> None:
        """Where the domain has IPv6 only, and a NAT64, tell IPv4 addresses as the NAT64 shows them (RFC 6147).

        If the network does not advertise its prefix, it may be found in the DNS (RFC 8781, RFC 7050).
        """
        if self._told.has_ipv6 or self._view.loopback or not self._has_ipv6_only():
            return
        prefixes = choose_prefixes(self._view.pref64)
        if not prefixes and self._view.dns_servers:
            prefixes = await self._service.dns_of(self._view).find_nat64(self._note, self._note_malformed)
        for address in synthesise(prefixes, self._told.ipv4):
            self._told.add(address)

    def _has_ipv6_only(self) -> bool:
        addresses = [each.address for each in self._view.addresses]
        return bool(addresses) and not any(isinstance(each, IPv4Address) for each in addresses)


def _worst(outcomes: Sequence[TranslationOutcome]) -> TranslationOutcome:
    return next((worst for worst in _WORST_FIRST if worst in outcomes), TranslationOutcome.NO_SERVERS)
