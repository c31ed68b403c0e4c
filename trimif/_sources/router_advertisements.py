"""Router advertisements, heard by a raw ICMPv6 socket of trimif's own, and solicited (RFC 4861, 6.3.7; RFC 7559).

The kernel passes on only some options of an advertisement, and none at all where a network manager has switched
``accept_ra`` off; this source hears everything. It needs CAP_NET_RAW. What RFC 4861, 6.1.2 demands (hop limit 255:
sent on this link; a link-local source: a router; a well-formed message) is checked here and by the parser; the
kernel has verified the checksum.

One task listens, one solicits, when its `SolicitationSchedule` says so.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

import trio

from trimif._errors import MalformedInput
from trimif._facts import AddressFact, Fact, Limitation, RouterAdvertisement
from trimif._sources._router_socket import (
    HOP_LIMIT,
    Datagram,
    open_router_socket,
    ready_interfaces,
    receive,
    send_solicitation,
)
from trimif._sources._solicitation_schedule import SolicitationSchedule
from trimif._sources._source import Report, SourceStatistics
from trimif._wire.neighbour_discovery import parse_router_advertisement

__all__ = ["RouterAdvertisementSource"]

logger = logging.getLogger(__name__)


class RouterAdvertisementSource:
    """Reports each router advertisement that comes, whole, as a `RouterAdvertisement`."""

    def __init__(self) -> None:
        self._schedule = SolicitationSchedule(Random())
        self._requested = trio.Event()
        self._listening = False
        self._facts = 0
        self._malformed = 0

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        return "router advertisements"

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        return SourceStatistics(self.name, facts=self._facts, malformed=self._malformed)

    def solicit(self, index: int) -> None:
        """Ask the routers on an interface to advertise themselves now, and ask again until a default router does.

        To be called when an interface gets a usable link-local address; those that have one when the source starts
        are solicited without asking. Does nothing where soliciting has just begun, and while the source does not
        run. Never blocks.
        """
        if self._listening:
            self._schedule.request(index, trio.current_time())
            self._requested.set()

    def observe(self, facts: Sequence[Fact]) -> None:
        """Solicit on each link that gets a usable link-local address."""
        for fact in facts:
            if isinstance(fact, AddressFact) and _can_solicit_from(fact):
                self.solicit(fact.index)

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. It has started when it listens; that no router has spoken yet is no reason to wait.

        Without the privilege, or without IPv6, that is reported as a `Limitation`, and the source returns.
        """
        try:
            listener = open_router_socket()
        except OSError as error:
            missing = f"router advertisements other than what the kernel passes on: {error.strerror}"
            self._facts += 1
            report([Limitation(self.name, missing, "give the program CAP_NET_RAW, or run it as root")])
            task_status.started()
            await trio.lowlevel.checkpoint()
            return
        with listener, self._accepting_requests():
            task_status.started()
            for index in ready_interfaces(listener):
                self.solicit(index)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._solicit_forever, listener)
                await self._listen(listener, report)

    @contextmanager
    def _accepting_requests(self) -> Iterator[None]:
        self._listening = True
        try:
            yield
        finally:
            self._listening = False
            self._schedule.clear()

    async def _solicit_forever(self, sender: socket.socket) -> None:
        while True:
            for index in self._schedule.due(trio.current_time()):
                if not send_solicitation(sender, index):
                    self._schedule.stop(index)
            self._requested = trio.Event()
            with trio.move_on_at(self._schedule.next_at):
                await self._requested.wait()

    async def _listen(self, listener: socket.socket, report: Report) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            now = trio.current_time()
            facts = [fact for datagram in receive(listener) for fact in self._parse(datagram, now)]
            if facts:
                self._facts += len(facts)
                report(facts)

    def _parse(self, datagram: Datagram, now: float) -> Iterator[RouterAdvertisement]:
        """The advertisement in a datagram, if it is valid (RFC 4861, 6.1.2)."""
        try:
            if datagram.hop_limit != HOP_LIMIT:
                raise MalformedInput(f"the hop limit is {datagram.hop_limit}: it may have been forwarded")
            if not datagram.router.is_link_local or datagram.index < 0:
                raise MalformedInput("its source is not a link-local address")
            advertisement = parse_router_advertisement(
                datagram.index, datagram.router, datagram.octets, now, self._count_malformed
            )
        except MalformedInput as fault:
            self._count_malformed(fault)
            return
        if _is_of_default_router(advertisement, now):
            self._schedule.stop(datagram.index)
        yield advertisement

    def _count_malformed(self, fault: MalformedInput) -> None:
        self._malformed += 1
        logger.debug("router advertisement, or an option of one, dropped: %s", fault)


def _is_of_default_router(advertisement: RouterAdvertisement, now: float) -> bool:
    """RFC 4861, 6.3.7: after one "with a non-zero Router Lifetime" a host must not solicit there any more.

    "If an RA message header is present both within the PvD Option and outside it, the header within the PvD Option
    takes precedence" (RFC 8801, 3.4).
    """
    domain = advertisement.domain
    header = (domain and domain.content.header) or advertisement.header
    return header is not None and header.until > now


def _can_solicit_from(fact: AddressFact) -> bool:
    return fact.address.version == 6 and fact.address.is_link_local and not fact.tentative
