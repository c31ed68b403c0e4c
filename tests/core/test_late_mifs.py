"""Opening late is no disadvantage: a MIF that opens after a history knows what one knows that lived through it.

What differs by right is left out: ids, when each was told, how often an element has changed, and the order of domains,
which is that of their announcements.
"""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from trimif import DomainSnapshot, ElementSnapshot, Snapshot
from trimif.testing import SimulatedHost, open_recorder, open_simulated_mif

from .story_host import RandomHost
from .verbs import RandomVerbs

Clock = trio.testing.MockClock
SETTLED_SECONDS = 5.0
"""Two for addresses set by hand, five for a loss of carrier: these began anew for the MIF that opened late."""


def lines_of(snapshot: Snapshot) -> list[str]:
    """Everything that a snapshot says, and that does not depend on when one looked first."""
    lines = []
    for interface in snapshot.interfaces:
        said = interface.announcement
        lines.append(f"{said.name} {said.details}")
        for domain in interface.domains:
            lines += lines_of_domain(domain)
    return sorted(lines)


def lines_of_domain(domain: DomainSnapshot) -> list[str]:
    said = domain.announcement
    families = sorted(each.value for each in said.families)
    addresses = [
        (each.address, each.prefix_length, each.valid_until, each.preferred_until) for each in domain.addresses
    ]
    return [
        f"{said.name} explicit {said.explicit_id} of {families} with {addresses}",
        *(line for each in domain.elements for line in lines_of_element(said.name, each)),
    ]


def lines_of_element(name: str, element: ElementSnapshot) -> list[str]:
    lines = [f"{name} {element.announcement.element} {element.announcement.origin}"]
    for information, value in element.data.items():
        origins = [(each.value, each.origin, each.valid_until) for each in element.provenance[information]]
        lines.append(f"{name} {element.announcement.element} {information} {value} {origins}")
    return lines


@pytest.mark.parametrize("grouping", ["family", "interface", "router"])
@pytest.mark.parametrize("seed", range(10))
async def test_after_random_verbs(seed: int, grouping: str, autojump_clock: Clock) -> None:
    rng, host = random.Random(seed), SimulatedHost()
    verbs = RandomVerbs(rng, host)
    async with open_simulated_mif(host, grouping=grouping) as early, open_recorder(early):
        for _ in range(5):
            for _ in range(10):
                verbs.step()
                await trio.sleep(rng.choice([0.0, 0.0, 0.5, 2.0, 20.0]))
            async with open_simulated_mif(host, grouping=grouping) as late, open_recorder(late):
                await trio.sleep(SETTLED_SECONDS)
                await trio.testing.wait_all_tasks_blocked()
                assert lines_of(late.snapshot()) == lines_of(early.snapshot())


@pytest.mark.parametrize("grouping", ["family", "interface", "router"])
@pytest.mark.parametrize("seed", range(5))
async def test_after_random_facts(seed: int, grouping: str, autojump_clock: Clock) -> None:
    rng, host = random.Random(seed), SimulatedHost()
    facts = RandomHost(rng)
    async with open_simulated_mif(host, grouping=grouping) as early, open_recorder(early):
        for _ in range(5):
            for _ in range(10):
                facts.now = trio.current_time()
                host.report(*facts.host_facts())
                facts.links = {link.index: link for link in host._tables.links()}
                await trio.sleep(rng.choice([0.0, 0.0, 0.5, 2.0, 20.0]))
            async with open_simulated_mif(host, grouping=grouping) as late, open_recorder(late):
                await trio.sleep(SETTLED_SECONDS)
                await trio.testing.wait_all_tasks_blocked()
                assert lines_of(late.snapshot()) == lines_of(early.snapshot())
