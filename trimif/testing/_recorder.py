"""A recorder: a subscriber that writes down what passes, checks the laws, and says it in words to assert on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from trimif import (
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    DomainId,
    InterfaceAnnouncement,
    InterfaceId,
    Mif,
    ProvisioningDomainAnnouncement,
    Request,
    Subscriber,
    TranslateName,
)
from trimif._scopes import raise_lone
from trimif.testing._history import is_request, present_of
from trimif.testing._laws import LawChecker
from trimif.testing._lines import MessageLine
from trimif.testing._words import Describer

__all__ = ["Recorder", "follow_up", "open_recorder"]

_WORK = (TranslateName, ConnectToAddress, ConnectToAddressFromAddress)


def follow_up(message: Announcement) -> tuple[Request, ...]:
    """The requests that ask for all that is below what a message announces."""
    match message:
        case InterfaceAnnouncement(interface=interface):
            return (AnnounceProvisioningDomain(interface),)
        case ProvisioningDomainAnnouncement(domain=domain):
            return AnnounceConfigurationElement(domain), AnnounceAddress(domain)
        case _:
            return ()


class Recorder(trio.abc.ReceiveChannel[Announcement]):
    """Stands before a subscriber: what passes is written down, and has to keep the laws.

    Use it where you would use the subscriber; or have it `follow` everything by itself, as `open_recorder` does.

    Attributes:
        history: everything that was posted and received, in order; see `check_laws` and `dump_line`.
    """

    def __init__(self, mif: Mif, subscriber: Subscriber) -> None:
        self.history: list[MessageLine] = []
        self._mif = mif
        self._subscriber = subscriber
        self._laws = LawChecker()
        self._describer = Describer()
        self._started = trio.current_time()
        self._lines: list[str] = []
        self._arrivals = trio.lowlevel.ParkingLot()

    # ---------------------------------------------------------------- in the place of the subscriber

    def post(self, request: Request) -> None:
        """`trimif.Subscriber.post`, written down."""
        late = isinstance(request, _WORK) and request.domain not in self._domains_there()
        self._subscriber.post(request)
        self._laws.posted(request, domain_is_there=not late)
        self._write_down(request, late)

    async def receive(self) -> Announcement:
        """`trimif.Subscriber.receive`, written down.

        Raises:
            LawBroken: the message breaks a law.
        """
        return self._take(await self._subscriber.receive())

    def receive_nowait(self) -> Announcement:
        """`trimif.Subscriber.receive_nowait`, written down.

        Raises:
            LawBroken: the message breaks a law.
        """
        return self._take(self._subscriber.receive_nowait())

    async def aclose(self) -> None:
        """Close the subscriber. What was recorded stays."""
        await self._subscriber.aclose()

    def _take(self, message: Announcement) -> Announcement:
        self._write_down(message)
        self._laws.received(message)
        self._arrivals.unpark_all()
        return message

    def _write_down(self, message: Request | Announcement, late: bool = False) -> None:
        now = trio.current_time()
        self.history.append(MessageLine(now, message, late))
        words = self._describer.describe(message, now)
        if not is_request(message):
            self._lines.append(f"{now - self._started:g} {words}")

    def _domains_there(self) -> set[DomainId]:
        return {each.announcement.domain for interface in self._mif.snapshot().interfaces for each in interface.domains}

    # ---------------------------------------------------------------- following everything

    async def follow(self) -> None:
        """Ask for all interfaces, and for all that is below what is announced; until the subscriber ends."""
        self.post(AnnounceInterfaces())
        async for message in self:
            for request in follow_up(message):
                self.post(request)

    async def lines(self) -> list[str]:
        """What was received since this was called last, when every other task waits: ``"1.5 No PD eth0/ipv4"``.

        One line for each message, as ``trimif watch`` says it: how many seconds after the recorder was made it was
        received, and what it means, with names in place of ids.
        """
        await _wait_for_the_others()
        lines, self._lines = self._lines, []
        return lines

    async def when(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds, which is looked at after each message. For a limit use a cancel scope."""
        await trio.lowlevel.checkpoint()
        while not condition():
            await self._arrivals.park()

    # ---------------------------------------------------------------- what was told

    def interfaces(self) -> dict[str, InterfaceId]:
        """The interfaces that were told and not withdrawn, by name."""
        told = self._laws.told.values()
        return {each.name: each.interface for each in told if isinstance(each, InterfaceAnnouncement)}

    def domains(self) -> dict[str, DomainId]:
        """The provisioning domains that were told and not withdrawn, by name."""
        told = self._laws.told.values()
        return {each.name: each.domain for each in told if isinstance(each, ProvisioningDomainAnnouncement)}

    async def check_at_rest(self) -> None:
        """The host is quiet: when every other task waits, what was told has to be what is (law 4).

        Raises:
            LawBroken: it is not.
        """
        await _wait_for_the_others()
        self._laws.at_rest(present_of(self._mif.snapshot()))


@asynccontextmanager
async def open_recorder(mif: Mif, *, max_buffer_size: int = 1000) -> AsyncIterator[Recorder]:
    """A recorder that follows everything, from what is there now on.

    Where the block is left without an error, what was told has to be what is.

    Args:
        max_buffer_size: as for `trimif.Mif.open_subscriber`.

    Raises:
        LawBroken: a message broke a law.
    """
    try:
        async with mif.open_subscriber(max_buffer_size=max_buffer_size) as subscriber, trio.open_nursery() as nursery:
            recorder = Recorder(mif, subscriber)
            nursery.start_soon(recorder.follow)
            await _wait_for_the_others()
            yield recorder
            await recorder.check_at_rest()
            nursery.cancel_scope.cancel("the recorder is closed")
    except BaseExceptionGroup as group:
        raise_lone(group)


async def _wait_for_the_others() -> None:
    from trio.testing import wait_all_tasks_blocked  # it imports pytest, which the command line must not pay for

    await wait_all_tasks_blocked()
