"""Configuration that trimif asks the network's DHCP servers for itself, where nobody on the host can say.

Some clients keep what they were told to themselves, and an address set by hand has no client. A server can be asked
all the same, without a lease: DHCPINFORM (RFC 2131, 4.4.3) for each IPv4 address, Information-Request (RFC 8415,
18.2.6) for the link. Only the interfaces that the program names are asked on. What somebody else reports a lease of
is left to them.

The source has to know the host's interfaces and addresses: it observes what other sources report.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

import trio
from attrs import evolve, frozen

from trimif._errors import MalformedInput
from trimif._facts import (
    AddressFact,
    AddressGone,
    AllAddresses,
    AllLeases,
    AllLinks,
    DHCPv6Lease,
    Fact,
    Lease,
    Limitation,
    LinkFact,
    LinkGone,
)
from trimif._information import Information
from trimif._model import IPAddress
from trimif._sources._dhcp_exchange import Refused, ask, ask_dhcpv4, ask_dhcpv6
from trimif._sources._source import Report, SourceStatistics
from trimif._wire import dhcpv4_options, dhcpv6_options
from trimif._wire.dhcp_questions import LONGEST_WAIT, longest_wait, refresh_seconds
from trimif._wire.dhcpv4_message import DHCPv4Message

__all__ = ["DhcpQuestions"]

FIRST_DELAY = 1.0
"""Seconds; the first question waits for a random part of it, so that not all hosts ask at once (RFC 8415, 18.2.6)."""
REFRESH_GRACE = 60.0
"""Seconds after which configuration that could not be refreshed is overdue."""

ASSOCIATIONS = frozenset({3, 4, 25})
"""Identity associations: an answer that leases nothing has none (RFC 8415, 18.3.6)."""

AnyLease: TypeAlias = Lease | DHCPv6Lease
Claim: TypeAlias = tuple[str, IPAddress | None]
"""An interface's name, and the DHCPv4 address that a lease is of; None: a DHCPv6 lease."""


@frozen
class _Target:
    """Whom to ask as: an address on an interface."""

    index: int
    interface: str
    address: IPAddress
    prefix_length: int

    def claim(self) -> Claim:
        """The lease that makes asking needless."""
        return self.interface, None if self.address.version == 6 else self.address


class DhcpQuestions:
    """Asks DHCP servers for configuration, and reports the answers as `AllLeases` of ``"dhcp"``.

    A DHCPv4 answer is a `Lease` of the address that asked, without end: DHCPINFORM gives no lease time. A DHCPv6
    answer is a `DHCPv6Lease` without addresses, valid until its refresh is overdue. Needs CAP_NET_BIND_SERVICE.

    Args:
        interfaces: names; no other is asked on.
    """

    def __init__(self, interfaces: Iterable[str]) -> None:
        self._interfaces = frozenset(interfaces)
        self._links: dict[int, LinkFact] = {}
        self._addresses: dict[tuple[int, IPAddress], AddressFact] = {}
        self._claims: dict[str, frozenset[Claim]] = {}
        self._answers: dict[_Target, AnyLease] = {}
        self._told: tuple[AnyLease, ...] | None = None
        self._limited: set[str] = set()
        self._changed = trio.Event()
        self._facts = 0
        self._malformed = 0

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        return "dhcp"

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        return SourceStatistics(self.name, facts=self._facts, malformed=self._malformed)

    # ------------------------------------------------------------ what others report

    def observe(self, facts: Sequence[Fact]) -> None:
        """Learn interfaces and addresses, and whose leases others know. Never blocks, and reports nothing itself."""
        for fact in facts:
            self._learn(fact)
        self._changed.set()

    def _learn(self, fact: Fact) -> None:
        match fact:
            case LinkFact(index=index):
                self._links[index] = fact
            case LinkGone(index=index):
                self._links.pop(index, None)
                self._addresses = {key: each for key, each in self._addresses.items() if key[0] != index}
            case AllLinks(links=links):
                self._links = {link.index: link for link in links}
            case AddressFact(index=index, address=address):
                self._addresses[index, address] = fact
            case AddressGone(index=index, address=address):
                self._addresses.pop((index, address), None)
            case AllAddresses(addresses=addresses):
                self._addresses = {(each.index, each.address): each for each in addresses}
            case AllLeases(source=source, leases=leases) if source != self.name:
                self._claims[source] = frozenset(map(_claim, leases))

    def _targets(self) -> Iterator[_Target]:
        """Every address that is worth asking as; of link-local ones one for a link."""
        claimed: set[Claim] = set().union(*self._claims.values())
        for fact in filter(_can_ask, self._addresses.values()):
            link = self._links.get(fact.index)
            if link is None or link.name not in self._interfaces:
                continue
            target = _Target(fact.index, link.name, fact.address, fact.prefix_length)
            if target.claim() not in claimed:
                claimed |= {target.claim()}
                yield target

    # ------------------------------------------------------------ asking

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask, and ask again when an answer gets old or a link has carrier again, until cancelled.

        Answers to an address that is gone, or whose lease somebody else knows now, are dropped. That the privilege is
        missing is reported as a `Limitation`.
        """
        self._tell(report)
        task_status.started()
        asking: dict[_Target, trio.CancelScope] = {}
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                targets = frozenset(self._targets())
                reachable = {target for target in targets if self._links[target.index].carrier}
                for target in asking.keys() - reachable:
                    asking.pop(target).cancel()
                for target in reachable - asking.keys():
                    asking[target] = trio.CancelScope()
                    nursery.start_soon(self._keep_asking, target, asking[target], report)
                self._answers = {target: answer for target, answer in self._answers.items() if target in targets}
                self._tell(report)
                await self._changed.wait()

    async def _keep_asking(self, target: _Target, scope: trio.CancelScope, report: Report) -> None:
        with scope:
            await trio.sleep(random.uniform(0, FIRST_DELAY))
            try:
                if target.address.version == 4:
                    await self._ask_dhcpv4(target, report)
                else:
                    await self._ask_dhcpv6(target, report)
            except Refused as refused:
                self._limit(report, target, refused)

    async def _ask_dhcpv4(self, target: _Target, report: Report) -> None:
        """Once: what DHCPINFORM is answered with has no time to be asked again."""
        assert isinstance(target.address, IPv4Address)
        asker = ask_dhcpv4(target.index, target.interface, target.address)
        message, _sender = await ask(asker, self._note_malformed)
        self._answers[target] = _lease(target, target.address, message)
        self._tell(report)

    async def _ask_dhcpv6(self, target: _Target, report: Report) -> None:
        assert isinstance(target.address, IPv6Address)
        asker = ask_dhcpv6(target.index, target.interface, target.address)
        longest = LONGEST_WAIT
        while True:
            message, sender = await ask(asker, self._note_malformed, longest)
            longest = longest_wait(message)
            told = [each for each in message.options if each[0] not in ASSOCIATIONS]
            options = dhcpv6_options.read_options(told, trio.current_time())
            server = IPv6Address(sender.partition("%")[0])
            lease = dhcpv6_options.lease_of(target.interface, self.name, options, server)
            self._answers[target] = evolve(lease, valid_until=lease.valid_until + REFRESH_GRACE)
            self._tell(report)
            await trio.sleep(refresh_seconds(message))

    def _note_malformed(self, _fault: MalformedInput) -> None:
        self._malformed += 1

    # ------------------------------------------------------------ reporting

    def _tell(self, report: Report) -> None:
        """Report the answers, unless they are those that were told last."""
        leases = tuple(self._answers.values())
        if leases != self._told:
            self._told = leases
            self._facts += 1
            report([AllLeases(self.name, leases)])

    def _limit(self, report: Report, target: _Target, refused: Refused) -> None:
        protocol = "DHCPINFORM" if target.address.version == 4 else "Information-Request"
        if protocol not in self._limited:
            self._limited.add(protocol)
            self._facts += 1
            missing = f"answers to {protocol} on {target.interface}: {refused}"
            remedy = "give the program CAP_NET_BIND_SERVICE; a DHCP client that keeps the port to itself must end"
            report([Limitation(self.name, missing, remedy)])


def _can_ask(fact: AddressFact) -> bool:
    """An IPv4 address of its own network, or the link-local IPv6 address that is usable."""
    if isinstance(fact.address, IPv4Address):
        return not fact.address.is_loopback and not fact.address.is_link_local
    return fact.address.is_link_local and not fact.tentative


def _claim(lease: AnyLease) -> Claim:
    return lease.interface, lease.address if isinstance(lease, Lease) else None


def _lease(target: _Target, address: IPv4Address, message: DHCPv4Message) -> Lease:
    """Times do not count: the server "MUST NOT send a lease expiration time" (RFC 2131, 4.3.5), and some do."""
    options = dhcpv4_options.read_options(message.options)
    timeless = evolve(options, lease_seconds=None, renewal_seconds=None, rebinding_seconds=None)
    lease = dhcpv4_options.lease_of(target.interface, "dhcp", address, timeless, 0)
    data = tuple(each for each in lease.data if each[0] != Information.LEASE)
    return evolve(lease, data=data, prefix_length=target.prefix_length)
