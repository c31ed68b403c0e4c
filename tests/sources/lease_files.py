"""Lease files to write, and sources to run on them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio
from attrs import frozen

from trimif._facts import AllLeases, DHCPv6Lease, Fact, Lease, Limitation
from trimif._sources._source import Source


def lease_text(interface: str = "eth0", last: int = 10, seconds: float = 600) -> str:
    """A lease of 198.51.100.`last`, valid for so many seconds, as dhclient writes it."""
    expiry = datetime.fromtimestamp(time.time() + seconds, UTC)
    return (
        f'lease {{\n  interface "{interface}";\n  fixed-address 198.51.100.{last};\n'
        f"  option subnet-mask 255.255.255.0;\n  expire {expiry:%w %Y/%m/%d %H:%M:%S};\n}}\n"
    )


@frozen
class Running:
    """A source at work, and what it reports."""

    source: Source
    facts: trio.MemoryReceiveChannel[Fact]

    async def all_leases(self) -> tuple[Lease | DHCPv6Lease, ...]:
        """The next set of leases, of both families."""
        with trio.fail_after(30):
            fact = await self.facts.receive()
        assert isinstance(fact, AllLeases)
        assert fact.source == self.source.name
        return fact.leases

    async def leases(self) -> dict[str, Lease]:
        """The DHCPv4 leases of the next set, by interface."""
        return {lease.interface: lease for lease in await self.all_leases() if isinstance(lease, Lease)}

    async def addresses(self) -> dict[str, str]:
        return {interface: str(lease.address) for interface, lease in (await self.leases()).items()}

    async def limitation(self) -> Limitation:
        with trio.fail_after(30):
            fact = await self.facts.receive()
        assert isinstance(fact, Limitation)
        return fact

    def nothing_more(self) -> bool:
        return self.facts.statistics().current_buffer_used == 0


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Running]:
    sender, receiver = trio.open_memory_channel[Fact](100)

    def report(facts: Sequence[Fact]) -> None:
        for fact in facts:
            sender.send_nowait(fact)

    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, report)
        assert receiver.statistics().current_buffer_used  # what is there now is reported before it has started
        yield Running(source, receiver)
        nursery.cancel_scope.cancel()
