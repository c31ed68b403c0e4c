"""Where only lifetimes moved, the core does not look at the whole interface. It has to come to what that would show."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from trimif._core._interfaces import Interface
from trimif._facts import Fact

from .story import Story


class DoubtfulStory(Story):
    """Lifetimes move often. Now and then the story looks at everything afresh: that must change nothing."""

    def host_facts(self) -> Iterator[Fact]:
        held = [each.fact for table in self.core._host.addresses.values() for each in table.values()]
        if not held or self.rng.random() < 0.3:
            yield from super().host_facts()
        else:
            valid_until, preferred_until = self.deadline(), self.deadline()
            yield evolve(self.rng.choice(held), valid_until=valid_until, preferred_until=preferred_until)

    def check_core(self) -> None:
        super().check_core()
        if self.rng.random() < 0.3:
            told = self.present()
            views = {domain: self.core.view(domain, self.now) for domain in self.core.domains}
            self.core._host.touched = dict.fromkeys(self.core._host.links)
            self.core._look(self.now)
            assert self.present() == told
            assert {domain: self.core.view(domain, self.now) for domain in self.core.domains} == views


@pytest.mark.parametrize("seed", range(20))
def test_the_short_way_ends_where_the_long_way_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    honest = Interface.move_deadlines

    def counted(self: Interface, *arguments: Any) -> Any:
        nonlocal taken
        news = honest(self, *arguments)
        taken += news is not None
        return news

    monkeypatch.setattr(Interface, "move_deadlines", counted)
    story = DoubtfulStory(random.Random(seed))
    for _ in range(1000):
        story.step()
    story.finish()
    assert taken > 10
