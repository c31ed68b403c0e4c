"""What a person knows of an interface."""

from __future__ import annotations

from ipaddress import IPv4Address

import trio

from trimif._facts import Fact, StaticConfiguration
from trimif._sources.static import StaticSource


async def test_static_configurations_are_reported_once() -> None:
    facts: list[Fact] = []
    configuration = StaticConfiguration("vpn0", dns_servers=(IPv4Address("198.51.100.53"),))
    source = StaticSource([configuration])
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, facts.extend)
        assert facts == [configuration]
    assert source.statistics().facts == 1
