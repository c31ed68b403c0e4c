"""The laws with real subscribers, tasks and cancellation; and mistakes above the core that these histories find."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimif import Announcement, Subscriber
from trimif._core import Discard
from trimif._mif import MifElement
from trimif.testing import LawBroken

from .crowd import gather

Mutant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
HISTORIES = 200


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_laws_hold_for_random_programs(rng: random.Random, steps: int) -> None:
    assert gather(rng, steps).rested


@pytest.mark.parametrize("seed", range(20))
def test_laws_hold_for_random_programs_that_live_long(seed: int) -> None:
    assert gather(random.Random(seed), 300).rested


def a_cancelled_receive_loses_its_message(patch: pytest.MonkeyPatch) -> None:
    honest = Subscriber.receive

    async def mutant(self: Subscriber) -> Announcement:
        message = await honest(self)
        await trio.lowlevel.checkpoint()
        return message

    patch.setattr(Subscriber, "receive", mutant)


def a_message_is_taken_for_a_reader_that_has_not_run(patch: pytest.MonkeyPatch) -> None:
    honest = Subscriber.receive

    async def mutant(self: Subscriber) -> Announcement:
        message = await honest(self)
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()  # a Stop that is posted now comes too late
        return message

    patch.setattr(Subscriber, "receive", mutant)


def a_closed_subscriber_is_not_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MifElement, "_close_subscriber", lambda self, subscriber, mailbox: None)


def connections_that_nobody_received_stay_open(patch: pytest.MonkeyPatch) -> None:
    honest = MifElement._carry_out

    def mutant(self: MifElement, effects: list[object]) -> None:
        honest(self, [effect for effect in effects if not isinstance(effect, Discard)])  # type: ignore[misc]

    patch.setattr(MifElement, "_carry_out", mutant)


MUTANTS: list[tuple[Mutant, set[int]]] = [
    (a_cancelled_receive_loses_its_message, {1, 2, 3, 4, 5, 6, 7}),
    (a_message_is_taken_for_a_reader_that_has_not_run, {5}),
    (a_closed_subscriber_is_not_forgotten, {8}),
    (connections_that_nobody_received_stay_open, {8}),
]


@pytest.mark.parametrize(("mutant", "laws"), MUTANTS)
def test_mistakes_above_the_core_are_found(mutant: Mutant, laws: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    found = next(filter(None, (breach(random.Random(seed)) for seed in range(HISTORIES))), None)
    assert found in laws


def breach(rng: random.Random) -> int | None:
    """The law that a history shows to be broken; any other error is one of the test's."""
    laws: list[int] = []
    try:
        gather(rng, 60)
    except* LawBroken as group:
        laws = [each.law for each in leaves(group)]
    return min(laws, default=None)


def leaves(group: BaseExceptionGroup[LawBroken]) -> list[LawBroken]:
    found: list[LawBroken] = []
    for each in group.exceptions:
        found += leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
