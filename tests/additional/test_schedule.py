"""The rules of RFC 8801, 4.1, one by one, and all of them over random lives of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._additional._limits import NetworkLimits
from trimif._additional._schedule import Schedule, is_covered
from trimif._information import PvdInformation, PvdOption

NAME = "pvd.example.com"
OPTION = PvdOption(NAME, http=True)
PREFIX = IPv6Network("2001:db8:a::/64")


def middle() -> float:
    return 0.5


def information(expires: float, *prefixes: str) -> PvdInformation:
    return PvdInformation(NAME, expires, tuple(map(IPv6Network, prefixes or ("2001:db8:a::/48",))))


@pytest.fixture
def limits() -> NetworkLimits:
    return NetworkLimits()


@pytest.fixture
def schedule(limits: NetworkLimits) -> Schedule:
    return Schedule(NAME, limits, middle)


def fetch(schedule: Schedule, now: float, expires: float) -> None:
    assert schedule.next_fetch(now) <= now
    schedule.begin(now)
    schedule.succeeded(information(expires), now)


def test_only_with_the_h_flag(schedule: Schedule) -> None:
    assert schedule.next_fetch(0) == math.inf
    schedule.advertised(evolve(OPTION, http=False), 0)
    assert schedule.next_fetch(0) == math.inf
    schedule.advertised(OPTION, 7)
    assert schedule.next_fetch(7) == 7  # the first time at once
    fetch(schedule, 7, 100)
    schedule.advertised(evolve(OPTION, http=False), 8)
    assert schedule.next_fetch(8) == math.inf
    assert schedule.usable([PREFIX], 8) is None
    schedule.advertised(OPTION, 9)
    assert schedule.next_fetch(9) == 17


def test_a_domain_that_is_advertised_no_more(schedule: Schedule) -> None:
    schedule.advertised(OPTION, 0)
    fetch(schedule, 0, 100)
    schedule.advertised(None, 1)
    assert (schedule.information, schedule.next_fetch(1)) == (None, math.inf)


@pytest.mark.parametrize(("delay", "seconds"), [(0, 0.512), (1, 1.024), (5, 16.384), (15, 2**24 / 1000)])
def test_a_random_delay_after_a_new_sequence_number(schedule: Schedule, delay: int, seconds: float) -> None:
    schedule.advertised(OPTION, 0)
    fetch(schedule, 0, 1e6)
    schedule.advertised(evolve(OPTION, sequence=65535, delay=delay), 1000)
    assert schedule.usable([PREFIX], 1000) is None  # "stop using it until a new JSON object is retrieved"
    assert schedule.next_fetch(1000) == 1000 + seconds


def test_another_delay_alone_is_no_news(schedule: Schedule) -> None:
    schedule.advertised(OPTION, 0)
    fetch(schedule, 0, 1000)
    schedule.advertised(evolve(OPTION, delay=9), 1)
    assert schedule.next_fetch(1) == 750
    assert schedule.usable([PREFIX], 1) is not None


def test_a_new_sequence_number_in_the_middle_of_a_fetch(schedule: Schedule) -> None:
    """What comes then is the old object, or the new one, nobody can say: it is not used."""
    schedule.advertised(OPTION, 0)
    schedule.begin(0)
    schedule.advertised(evolve(OPTION, sequence=1), 1)
    assert not schedule.fetching
    schedule.succeeded(information(1000), 2)
    assert schedule.information is None
    assert schedule.next_fetch(2) == 10


def test_the_update_is_in_the_second_half_of_its_life(limits: NetworkLimits) -> None:
    for chance, due in ((0.0, 150.0), (0.5, 175.0), (1.0, 200.0)):
        schedule = Schedule(f"{chance}.example", limits, lambda chance=chance: chance)  # type: ignore[misc]
        schedule.advertised(OPTION, 100)
        fetch(schedule, 100, 200)
        assert schedule.next_fetch(100) == due


def test_what_has_expired_does_not_count(schedule: Schedule) -> None:
    schedule.advertised(OPTION, 0)
    fetch(schedule, 0, 100)
    assert schedule.usable([PREFIX], 99.9) == information(100)
    assert schedule.usable([PREFIX], 100) is None


def test_one_failure_is_enough_for_this_attachment(schedule: Schedule, limits: NetworkLimits) -> None:
    schedule.advertised(OPTION, 0)
    fetch(schedule, 0, 100)
    schedule.begin(75)
    schedule.failed(76)
    assert schedule.next_fetch(1e6) == math.inf
    assert schedule.usable([PREFIX], 99) is not None  # until it expires
    schedule.advertised(evolve(OPTION, sequence=1), 80)
    assert schedule.next_fetch(1e6) == math.inf
    limits.attach_anew()
    assert schedule.next_fetch(84) == 85  # ten seconds after the last request


def test_ten_failures_are_enough_for_all_domains(limits: NetworkLimits, schedule: Schedule) -> None:
    schedule.advertised(OPTION, 0)
    for number in range(10):
        assert not limits.stopped
        assert schedule.next_fetch(1000) == 1000
        limits.note_failure(f"{number}.example")
    assert limits.stopped
    assert schedule.next_fetch(1000) == math.inf
    limits.attach_anew()
    assert schedule.next_fetch(1000) == 1000


def test_an_unreachable_server_is_tried_again_ever_more_rarely(schedule: Schedule) -> None:
    schedule.advertised(OPTION, 0)
    now, waits = 0.0, []
    for _ in range(11):
        schedule.begin(now)
        schedule.unreachable(now)
        waits.append(schedule.next_fetch(now) - now)
        now += waits[-1]
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    fetch(schedule, now, now + 8)
    schedule.begin(now + 10)
    schedule.unreachable(now + 10)
    assert schedule.next_fetch(now + 10) == now + 20


@pytest.mark.parametrize(
    ("named", "advertised", "covered"),
    [
        (["2001:db8:a::/48"], ["2001:db8:a::/64", "2001:db8:a:ffff::/64"], True),
        (["2001:db8:a::/64"], ["2001:db8:a::/64"], True),
        (["2001:db8:a::/65"], ["2001:db8:a::/64"], False),
        (["2001:db8:a::/48"], ["2001:db8:a::/64", "2001:db8:b::/64"], False),
        (["2001:db8:a::/48", "2001:db8:b::/48"], ["2001:db8:a::/64", "2001:db8:b::/64"], True),
        (["::/0"], ["2001:db8:a::/64"], True),
        (["2001:db8:a::/48"], [], True),
        ([], ["2001:db8:a::/64"], False),
        ([], [], True),
    ],
)
def test_every_advertised_prefix_has_to_be_covered(
    named: Sequence[str], advertised: Sequence[str], covered: bool
) -> None:
    told = PvdInformation(NAME, math.inf, (*map(IPv6Network, named), IPv4Network("0.0.0.0/0")))
    assert is_covered(map(IPv6Network, advertised), told) is covered


def test_information_counts_while_it_covers(schedule: Schedule) -> None:
    schedule.advertised(OPTION, 0)
    fetch(schedule, 0, 100)
    assert schedule.usable([PREFIX, IPv6Network("2001:db8:b::/64")], 1) is None
    assert schedule.usable([PREFIX], 2) is not None


# ---------------------------------------------------------------- random lives

NAMES = [f"{number}.example" for number in range(7)]
STEPS = st.lists(
    st.tuples(
        st.floats(0, 30),
        st.sampled_from(NAMES),
        st.sampled_from(["sequence", "h", "gone", "succeed", "fail", "unreachable", "attach", "nothing"]),
        st.integers(0, 15),
    ),
    max_size=120,
)


@given(STEPS, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_the_limits_hold_whatever_happens(steps: list[tuple[float, str, str, int]], random: object) -> None:
    """Every domain fetches as soon as it may: what the schedules let through keeps all rules."""
    chance = random.random  # type: ignore[attr-defined]
    limits = NetworkLimits()
    schedules = {name: Schedule(name, limits, chance) for name in NAMES}
    options: dict[str, PvdOption | None] = dict.fromkeys(NAMES)
    requests: list[tuple[float, str]] = []
    failed: list[str] = []
    now = 0.0
    for wait, name, what, number in steps:
        now += wait
        schedule, option = schedules[name], options[name]
        if what in ("sequence", "h"):
            http = what == "sequence" or bool(number % 2)
            options[name] = PvdOption(name, http=http, delay=number, sequence=number)
            schedule.advertised(options[name], now)
        elif what == "gone":
            options[name] = None
            schedule.advertised(None, now)
        elif what == "attach":
            limits.attach_anew()
            failed.clear()
        elif schedule.fetching:
            if what == "succeed":
                schedule.succeeded(information(now + number), now)
            elif what == "fail":
                schedule.failed(now)
                failed.append(name)
            elif what == "unreachable":
                schedule.unreachable(now)
        for each in schedules.values():
            if each.next_fetch(now) <= now:
                option = options[each.identifier]
                assert option is not None
                assert option.http
                assert each.identifier not in failed
                assert len(failed) < 10
                each.begin(now)
                requests.append((now, each.identifier))
            usable = each.usable([], now)
            assert usable is None or (usable.expires > now and options[each.identifier] is not None)
    assert all(
        later - earlier > 9.999
        for name in NAMES
        for earlier, later in zip(times_of(requests, name), times_of(requests, name)[1:], strict=False)
    )
    assert all(later - earlier > 9.999 for (earlier, _), (later, _) in zip(requests, requests[5:], strict=False))


def times_of(requests: list[tuple[float, str]], name: str) -> list[float]:
    return [time for time, whom in requests if whom == name]


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=200))
def test_what_the_limits_remember_is_bounded(waits: list[float]) -> None:
    """A router may change its domain's name with each advertisement."""
    limits, now = NetworkLimits(), 0.0
    for number, wait in enumerate(waits):
        now += wait
        name = f"{number}.example"
        if limits.earliest(name, now) <= now:
            limits.note_request(name, now)
        assert len(limits._requests) <= 5
