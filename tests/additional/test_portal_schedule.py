"""When a captive portal's API is asked again."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._additional._portal_schedule import PortalSchedule
from trimif._information import PortalInformation

CAPTIVE = PortalInformation(True)
FREE = PortalInformation(False)


def after(information: PortalInformation, chance: float = 0.0) -> float:
    schedule = PortalSchedule(0.0, lambda: chance)
    schedule.answered(information, 1000.0)
    return schedule.next_request - 1000.0


def test_at_once_first() -> None:
    assert PortalSchedule(7.0, lambda: 0.0).next_request == 7.0


@pytest.mark.parametrize(
    ("information", "chance", "seconds"),
    [
        (CAPTIVE, 0.0, 30.0),
        (CAPTIVE, 1.0, 33.0),
        (FREE, 0.0, 3600.0),
        (FREE, 1.0, 3960.0),
        (PortalInformation(False, octets_remaining=1), 0.0, 300.0),
        (PortalInformation(False, session_until=1326.0), 0.0, 326.0),
        (PortalInformation(False, session_until=1326.0), 0.5, 326.5),
        (PortalInformation(False, session_until=1e9), 0.0, 3600.0),
        (PortalInformation(False, session_until=1000.0), 0.5, 10.0),
    ],
)
def test_again(information: PortalInformation, chance: float, seconds: float) -> None:
    assert after(information, chance) == pytest.approx(seconds)


def test_who_stays_captive_is_asked_more_rarely() -> None:
    schedule, now, waits = PortalSchedule(0.0, lambda: 0.0), 0.0, []
    for _ in range(22):
        schedule.answered(CAPTIVE, now)
        waits.append(schedule.next_request - now)
        now = schedule.next_request
    assert waits == [30.0] * 20 + [300.0] * 2
    schedule.answered(FREE, now)
    schedule.answered(CAPTIVE, now)
    assert schedule.next_request == now + 30.0


def test_failures() -> None:
    schedule = PortalSchedule(0.0, lambda: 0.0)
    for wait in (10.0, 20.0, 40.0):
        schedule.failed(0.0, final=False)
        assert schedule.next_request == wait
    schedule.answered(CAPTIVE, 0.0)
    schedule.failed(0.0, final=False)
    assert schedule.next_request == 10.0
    schedule.failed(0.0, final=True)
    assert schedule.next_request == math.inf


ANSWERS = st.builds(
    PortalInformation,
    st.booleans(),
    session_until=st.none() | st.floats(-1e6, 1e12),
    octets_remaining=st.none() | st.integers(0, 10**9),
)


@given(st.lists(ANSWERS | st.booleans(), max_size=50), st.floats(0, 1))
def test_never_twice_in_ten_seconds_nor_later_than_66_minutes(
    answers: list[PortalInformation | bool], chance: float
) -> None:
    schedule, now = PortalSchedule(0.0, lambda: chance), 0.0
    for answer in answers:
        if isinstance(answer, bool):
            schedule.failed(now, final=False)
        else:
            schedule.answered(answer, now)
        assert 9.999 < schedule.next_request - now < 3960.001
        now = schedule.next_request
