"""Recordings of random histories on a simulated host, told again by the core alone, and by another MIF."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from attrs import evolve

from trimif.testing import (
    FIGURE_2,
    Fact,
    FactsLine,
    Line,
    Recorder,
    SimulatedHost,
    check_laws,
    dump_line,
    open_recorder,
    open_simulated_mif,
    replay,
)

from .story import Story
from .verbs import RandomVerbs

Clock = trio.testing.MockClock


class Recording:
    """What `trimif watch --json` would write: facts and received messages, as they come."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.recorder: Recorder | None = None
        self._known = 0

    def facts(self, time: float, facts: Sequence[Fact]) -> None:
        self.messages()
        self.lines.append(FactsLine(time, tuple(facts)))

    def messages(self) -> None:
        history = [] if self.recorder is None else self.recorder.history
        new, self._known = history[self._known :], len(history)
        self.lines += [line for line in new if not type(line.message).__name__.startswith("Announce")]

    def text(self) -> list[str]:
        self.messages()
        return [dump_line(line) for line in self.lines]


async def record_story(seed: int) -> tuple[Recording, Recorder]:
    """A storm of facts, with time between them, often just as much as something has left; the recorder reads it all."""
    rng, recording, host = random.Random(seed), Recording(), SimulatedHost(initial=FIGURE_2)
    story = Story(rng)
    async with open_simulated_mif(host, record=recording.facts) as mif, open_recorder(mif) as recorder:
        recording.recorder = recorder
        for _ in range(100):
            await trio.sleep(rng.choice([0, 0.5, 2, 3, 5, 10, rng.uniform(0, 5), rng.uniform(0, 30)]))
            story.now = trio.current_time()
            facts = list(story.host_facts())
            for fact in facts:
                story._follow_links(fact)
            host.report(*facts)
            await recorder.lines()
    return recording, recorder


async def record_verbs(seed: int, grouping: str) -> tuple[Recording, Recorder]:
    """Everything that the simulated host has a verb for, in some order."""
    rng, recording, host = random.Random(seed), Recording(), SimulatedHost()
    host.add_link("lo")  # from what was received first, a replay knows when the program began to ask
    verbs = RandomVerbs(rng, host)
    async with (
        open_simulated_mif(host, grouping=grouping, record=recording.facts) as mif,
        open_recorder(mif) as recorder,
    ):
        recording.recorder = recorder
        for _ in range(100):
            await trio.sleep(rng.choice([0, 0.5, 2, 5, 10, rng.uniform(0, 5)]))
            verbs.step()
            await recorder.lines()
    return recording, recorder


@pytest.mark.parametrize("grouping", ["family", "interface", "router"])
@pytest.mark.parametrize("seed", range(5))
async def test_a_recording_of_every_verb_gives_its_messages_again(
    seed: int, grouping: str, autojump_clock: Clock
) -> None:
    recording, recorder = await record_verbs(seed, grouping)
    replayed = replay(recording.text(), grouping=grouping)
    assert replayed.differences() == []
    assert [line.message for line in replayed.history] == [line.message for line in recorder.history]
    check_laws(replayed.history, at_rest=replayed.snapshot)


async def test_what_came_first_is_recorded_where_facts_come_at_a_deadline(autojump_clock: Clock) -> None:
    """The host's news and the timer are due at once, and which of them Trio runs first is a matter of chance."""
    orders = set()
    for _ in range(30):
        recording, host, ends = Recording(), SimulatedHost(), trio.current_time() + 10
        host.add_link("eth0")
        host.add_lease("eth0", "198.51.100.7/24", seconds=10)
        async with open_simulated_mif(host, record=recording.facts) as mif, open_recorder(mif) as recorder:
            recording.recorder = recorder
            await trio.sleep_until(ends)
            host.add_link("wlan0")
            orders.add(tuple(line.split()[1] for line in await recorder.lines() if line.startswith("10 ")))
        assert replay(recording.text()).differences() == []
    assert orders == {("Interface", "No", "No", "No"), ("No", "No", "No", "Interface")}


@pytest.mark.parametrize("seed", range(10))
async def test_a_recording_gives_its_messages_again(seed: int, autojump_clock: Clock) -> None:
    recording, recorder = await record_story(seed)
    replayed = replay(recording.text())
    assert replayed.differences() == []
    assert [line.message for line in replayed.history] == [line.message for line in recorder.history]
    check_laws(replayed.history, at_rest=replayed.snapshot)


async def test_facts_can_be_played_to_a_real_mif(autojump_clock: Clock) -> None:
    recording, _ = await record_story(2)
    start = trio.current_time()
    later = [evolve(line, time=line.time + start + 1000) for line in recording.lines]
    host = SimulatedHost()
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        with trio.testing.assert_checkpoints():
            await host.play(later)
        await recorder.lines()
        assert trio.current_time() == max(line.time for line in later if isinstance(line, FactsLine))
        assert len(recorder.history) > 20
