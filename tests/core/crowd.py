"""Random programs around a real MIF on a simulated host: the laws with real subscribers, tasks and cancellation.

`story` drives the bare core; here everything above it is real, too. A `Crowd` has a host on which things happen at
random times, and readers that come, subscribe, ask, translate, connect, stop, read slowly, are cancelled while they
wait, are told in the moment in which they are cancelled, close their subscribers, and leave. What each of them really
received goes through the law checker.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import trio
import trio.testing

from trimif import (
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    Connected,
    ConnectToAddress,
    DomainId,
    ElementType,
    GetConfigurationData,
    Information,
    InterfaceAnnouncement,
    InterfaceId,
    Mif,
    NotConnectedReason,
    ProvisioningDomainAnnouncement,
    Request,
    StopAnnouncingAddress,
    StopAnnouncingConfigurationElement,
    StopAnnouncingInterfaces,
    StopAnnouncingProvisioningDomains,
    StopConnecting,
    StopTranslatingName,
    Subscriber,
    TooManyRequests,
    TranslateName,
)
from trimif.testing import LawBroken, Recorder, SimulatedHost, open_simulated_mif
from trimif.testing._recorder import follow_up

from .story import Story
from .story_host import INDEXES

PEER, NAME = "203.0.113.1", "www.example.org"


class Reader:
    """A program with a mind of its own; `live` until it has had enough, then `rest`."""

    def __init__(self, rng: random.Random, mif: Mif, subscriber: Subscriber, happen: Callable[[], None]) -> None:
        self.rng = rng
        self.happen = happen
        self.recorder = Recorder(mif, subscriber)
        self.interfaces: list[InterfaceId] = []
        self.domains: list[DomainId] = []
        self.last_key = 0

    async def live(self, steps: int) -> None:
        for step in range(steps):
            if step % 10 == 0:
                self.post(AnnounceInterfaces())
            await self.act()

    async def act(self) -> None:
        """One thing that programs do. Each may be cancelled at any checkpoint, and loses nothing by it."""
        what = self.rng.randrange(10)
        with trio.move_on_after(self.rng.choice([0, 0, 0.25, 1, 5])) as scope:
            if what < 4:
                self.handle(await self.recorder.receive())
            elif what == 4:
                await self.handle_all()
            elif what == 5:
                await self.receive_with_another_task(scope)
            elif what == 6:
                await trio.sleep(self.rng.choice([0, 1, 10]))
            else:
                self.post(self.some_request())
                await trio.lowlevel.checkpoint()

    async def receive_with_another_task(self, scope: trio.CancelScope) -> None:
        """Another task cancels it or posts while it waits, perhaps in the very step in which it is told something."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.meddle, scope)
            self.handle(await self.recorder.receive())
            nursery.cancel_scope.cancel()

    async def meddle(self, scope: trio.CancelScope) -> None:
        await self.some_checkpoints()
        if self.rng.random() < 0.7:
            self.happen()
            await self.some_checkpoints()
        if self.rng.random() < 0.5:
            self.post(self.some_stop())
        if self.rng.random() < 0.5:
            await self.some_checkpoints()
            scope.cancel()

    async def some_checkpoints(self) -> None:
        for _ in range(self.rng.randrange(4)):
            await trio.lowlevel.checkpoint()

    async def handle_all(self) -> None:
        await trio.lowlevel.checkpoint()
        while True:
            try:
                self.handle(self.recorder.receive_nowait())
            except trio.WouldBlock:
                return

    def handle(self, message: Announcement) -> None:
        """Ask on, as programs do."""
        if isinstance(message, Connected):
            message.stream.socket.close()
        if isinstance(message, InterfaceAnnouncement):
            self.interfaces.append(message.interface)
        if isinstance(message, ProvisioningDomainAnnouncement):
            self.domains.append(message.domain)
        for request in follow_up(message):
            if self.rng.random() < 0.8:
                self.post(request)

    def post(self, request: Request) -> None:
        with suppress(TooManyRequests):  # it has to receive some answers first
            self.recorder.post(request)

    def some_request(self) -> Request:
        rng = self.rng
        requests: list[Request] = [AnnounceInterfaces()]
        if rng.random() < 0.15:
            return self.some_stop()
        if self.interfaces and rng.random() < 0.5:
            requests += [AnnounceProvisioningDomain(rng.choice(self.interfaces[-4:]))] * 3
        if self.domains and rng.random() < 0.8:
            requests = self.requests_for(rng.choice(self.domains[-3:]))
        return rng.choice(requests)

    def requests_for(self, domain: DomainId) -> list[Request]:
        key = self.last_key = self.last_key + 1
        return [
            AnnounceConfigurationElement(domain),
            AnnounceAddress(domain, self.rng.random() < 0.3),
            GetConfigurationData(domain, self.rng.choice(list(ElementType)), Information.DNS_SERVERS),
            TranslateName(domain, NAME, key),
            ConnectToAddress(domain, PEER, 80, key),
            ConnectToAddress(domain, PEER, 80, key),
        ]

    def some_stop(self) -> Request:
        requests: list[Request] = [StopAnnouncingInterfaces()]
        key = self.last_key - self.rng.randrange(3)
        requests += [StopTranslatingName(key), StopConnecting(key)]
        if self.interfaces:
            requests += [StopAnnouncingProvisioningDomains(self.rng.choice(self.interfaces[-4:]))] * 2
        if self.domains:
            domain = self.rng.choice(self.domains[-6:])
            requests += [StopAnnouncingAddress(domain), StopAnnouncingConfigurationElement(domain)] * 2
        return self.rng.choice(requests)

    async def rest(self) -> None:
        """The host is quiet: receive everything, and compare."""
        await self.handle_all()
        await trio.testing.wait_all_tasks_blocked()
        await self.handle_all()
        await self.recorder.check_at_rest()


class Crowd:
    """Host and readers of one random history."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.story = Story(rng)  # for what happens to the host
        self.host = SimulatedHost()
        self.ended = trio.Event()
        self.rested = 0
        for index in INDEXES:
            for family in ("ipv4", "ipv6"):
                reason = rng.choice([None, None, NotConnectedReason.REFUSED])
                self.host.add_peer(f"if{index}/{family}", PEER, after=rng.choice([0, 1, 20]), reason=reason)
                self.host.add_name(f"if{index}/{family}", NAME, PEER, "2001:db8::1", after=rng.choice([0, 1]))

    async def run(self, steps: int) -> None:
        """One history from beginning to rest; nothing is left of it."""
        tasks = trio.lowlevel.current_statistics().tasks_living
        try:
            await self.run_mif(steps)
            if trio.lowlevel.current_statistics().tasks_living != tasks:
                raise LawBroken(8, "tasks are left")
            if self.host.open_streams():
                raise LawBroken(8, "streams were neither received nor closed")
        finally:
            for stream in self.host.open_streams():
                stream.socket.close()

    async def run_mif(self, steps: int) -> None:
        async with open_simulated_mif(self.host) as mif:
            async with trio.open_nursery() as nursery:
                for _ in range(self.rng.randrange(1, 4)):
                    nursery.start_soon(self.run_reader, mif, steps)
                await self.run_host(mif, steps)
                self.ended.set()
            if mif.statistics().subscribers:
                raise LawBroken(8, "a subscriber is left")

    async def run_host(self, mif: Mif, steps: int) -> None:
        for _ in range(steps):
            await trio.sleep(self.rng.choice([0, 0, 0.25, 1, 2.5, 30]))
            self.happen()
            if self.rng.random() < 0.1:
                self.have_done_with_something(mif)
        await trio.sleep(1000)  # every lease has ended, every lookup and connect, too

    def happen(self) -> None:
        """Something happens on the host, now."""
        self.story.now = trio.current_time()
        facts = [fact for _ in range(self.rng.choice([1, 1, 3])) for fact in self.story.host_facts()]
        for fact in facts:
            self.story._follow_links(fact)
        self.host.report(*facts)

    def have_done_with_something(self, mif: Mif) -> None:
        domains = [domain.announcement.name for each in mif.snapshot().interfaces for domain in each.domains]
        if domains:
            name = self.rng.choice(domains)
            mif.domain(name).cancel("enough of it")
            if self.rng.random() < 0.5:
                mif.readmit(name)

    async def run_reader(self, mif: Mif, steps: int) -> None:
        """Subscribers one after the other; the last one stays to the end."""
        for _ in range(self.rng.randrange(3)):
            with trio.move_on_after(self.rng.choice([0, 1, 10, 100])):
                async with mif.open_subscriber(max_buffer_size=self.size(), max_outstanding=5) as subscriber:
                    await Reader(self.rng, mif, subscriber, self.happen).live(self.rng.randrange(steps))
                    await trio.sleep(self.rng.choice([0, 0, 1]))
                    if self.rng.random() < 0.3:
                        subscriber.close()
        async with mif.open_subscriber(max_buffer_size=self.size(), max_outstanding=50) as subscriber:
            reader = Reader(self.rng, mif, subscriber, self.happen)
            await reader.live(steps)
            await self.ended.wait()
            await reader.rest()
            self.rested += 1

    def size(self) -> int:
        return self.rng.choice([1, 2, 5, 1000])


def gather(rng: random.Random, steps: int) -> Crowd:
    """A crowd's history, on a clock that waits for nobody."""

    async def main() -> Crowd:
        crowd = Crowd(rng)
        await crowd.run(steps)
        return crowd

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
