"""When routers are solicited: the schedule alone, which has no clock, and random numbers that a test can foresee."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._sources._solicitation_schedule import PROMPT, STALE, SolicitationSchedule


class Extreme(Random):
    """Gives always the same end of the range."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + self.share * (b - a)


def times_of(schedule: SolicitationSchedule, until: float) -> list[tuple[float, int]]:
    """What is sent, when nothing else happens: who looks exactly when told to."""
    sent = []
    while (now := schedule.next_at) <= until:
        sent += [(now, index) for index in schedule.due(now)]
    return sent


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, [0, 4, 8, 15.6, 30.04, 57.476, 109.6044, 208.64836]),
        (0.5, [0, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 7696, 11296]),
        (1.0, [0, 4, 8, 16.4, 34.04, 71.084, 148.8764]),
    ],
)
def test_three_and_then_ever_more_slowly(share: float, expected: list[float]) -> None:
    schedule = SolicitationSchedule(Extreme(share))
    schedule.request(7, 100.0)
    times = [at - 100 for at, _index in times_of(schedule, 20000)]
    assert times[: len(expected)] == pytest.approx(expected)
    assert times[-1] - times[-2] == pytest.approx(3600 * (0.9 + 0.2 * share))


def test_a_second_request_does_not_disturb_the_first_three() -> None:
    schedule = SolicitationSchedule(Random(1))
    schedule.request(7, 0.0)
    assert schedule.due(0.0) == (7,)
    schedule.request(7, 1.0)
    assert schedule.due(1.0) == ()
    assert schedule.next_at == 4.0


def test_a_request_when_the_three_are_spent_begins_anew_but_not_too_soon() -> None:
    """RFC 4861, 6.3.7: solicitations are "separated by at least RTR_SOLICITATION_INTERVAL seconds"."""
    schedule = SolicitationSchedule(Random(1))
    schedule.request(7, 0.0)
    assert [at for at, _ in times_of(schedule, 8.0)] == [0, 4, 8]
    schedule.request(7, 9.0)
    schedule.request(7, 9.5)
    assert [at for at, _ in times_of(schedule, 20.5)] == [12, 16, 20]
    schedule.request(7, 5000.0)
    assert schedule.next_at == 5000.0


def test_stopped_interfaces_are_silent_and_can_begin_again() -> None:
    schedule = SolicitationSchedule(Random(1))
    schedule.request(7, 0.0)
    schedule.request(8, 0.0)
    schedule.stop(7)
    schedule.stop(9)
    assert (7 in schedule, 8 in schedule) == (False, True)
    assert schedule.due(0.0) == (8,)
    schedule.request(7, 1.0)
    assert schedule.due(1.0) == (7,)
    schedule.clear()
    assert schedule.next_at == math.inf
    assert schedule.due(1000.0) == ()


def test_a_thousand_links_are_not_solicited_in_one_burst() -> None:
    schedule = SolicitationSchedule(Random(1))
    for index in range(1, 1001):
        schedule.request(index, 0.0)
    sent = times_of(schedule, 1.0)
    assert sorted(index for _, index in sent) == list(range(1, 1001))
    assert [index for at, index in sent if at == 0] == list(range(1, PROMPT + 1))
    tenths = [sum(tenth / 10 < at <= (tenth + 1) / 10 for at, _ in sent) for tenth in range(10)]
    assert all(60 < number < 140 for number in tenths)
    schedule.request(2000, 1.0)
    assert schedule.due(1.0) == (2000,)  # a second later there is room again


def test_what_is_stale_is_swept() -> None:
    schedule = SolicitationSchedule(Random(1))
    for _ in range(10000):
        schedule.request(7, 0.0)
        schedule.stop(7)
    assert len(schedule._queue) <= STALE + 2


steps = st.lists(st.tuples(st.sampled_from(["request", "stop", "wait"]), st.integers(1, 3), st.floats(0, 5000)))


@given(steps, st.integers(0, 100))
def test_never_more_often_than_every_four_seconds(history: list[tuple[str, int, float]], seed: int) -> None:
    """Whatever is asked for; and who is asked for, and not stopped, is solicited within a second, or has just been."""
    schedule = SolicitationSchedule(Random(seed))
    sent: dict[int, list[float]] = {}
    now = 0.0
    for step, index, seconds in history:
        if step == "request":
            schedule.request(index, now)
            assert schedule.next_at <= now + 4
        elif step == "stop":
            schedule.stop(index)
            sent.pop(index, None)  # another host, as it were
        else:
            for at, each in times_of(schedule, now + seconds):
                sent.setdefault(each, []).append(at)
            now += seconds
    for times in sent.values():
        assert all(later - earlier >= 4 - 1e-6 for earlier, later in pairwise(times))
