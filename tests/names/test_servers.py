"""Whom to ask next and when: a table of cases, and what holds whatever the servers do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from trimif._names._servers import (
    FIRST_PATIENCE,
    FORGET_SECONDS,
    LONGEST_PATIENCE,
    LONGEST_PROBE_SECONDS,
    MOST_ATTEMPTS,
    PLAIN_SECONDS,
    QUESTION_SECONDS,
    SHORTEST_PATIENCE,
    TURNS,
    Attempt,
    Round,
    ServerOrder,
)


@define
class Server:
    """What a server does with each question: an answer, or an error, after some seconds; neither if it is dead."""

    answers_after: float = math.inf
    fails_after: float = math.inf
    knows_edns: bool = True

    def fate(self, attempt: Attempt[str]) -> tuple[float, bool]:
        """After how many seconds something comes, and whether it is an answer."""
        answers_after = self.answers_after if self.knows_edns or not attempt.edns else math.inf
        return min(answers_after, self.fails_after), answers_after <= self.fails_after


GOOD, SLOW, DEAD, REFUSING, BROKEN = (
    Server(0.01), Server(0.7), Server(), Server(fails_after=0.02), Server(0.01, 0.02, knows_edns=False),
)  # fmt: skip


@define
class Story:
    """What became of one question."""

    began: float
    attempts: list[Attempt[str]] = field(factory=list)
    winner: str | None = None
    ended: float = math.nan

    @property
    def took(self) -> float:
        return self.ended - self.began

    @property
    def asked(self) -> str:
        """Whom, in which order: each server is one letter."""
        return "".join(attempt.server for attempt in self.attempts)

    @property
    def times(self) -> list[float]:
        return [round(attempt.started - self.began, 3) for attempt in self.attempts]


def ask(order: ServerOrder[str], servers: Mapping[str, Server], now: float) -> Story:
    """One question, played until its round is over. What is under way then is not listened to any longer."""
    round_, story = order.begin(list(servers), now), Story(now)
    coming: list[tuple[float, int, Attempt[str], bool]] = []
    while not round_.is_over(now):
        begin_all(round_, servers, story, coming, now)
        assert now < round_.wake_at <= round_.ends_at, "it would be woken for ever"
        next_at = coming[0][0] if coming else math.inf
        now = min(next_at, round_.wake_at)
        if now == next_at:
            _, _, attempt, useful = heappop(coming)
            (round_.answered if useful else round_.failed)(attempt, now)
            story.winner = attempt.server if useful else None
    assert round_.start(now) is None
    story.ended = now
    return story


def begin_all(
    round_: Round[str],
    servers: Mapping[str, Server],
    story: Story,
    coming: list[tuple[float, int, Attempt[str], bool]],
    now: float,
) -> None:
    while (attempt := round_.start(now)) is not None:
        assert attempt.started == now
        story.attempts.append(attempt)
        after, useful = servers[attempt.server].fate(attempt)
        if after < math.inf:
            heappush(coming, (now + after, len(story.attempts), attempt, useful))


@pytest.fixture
def order() -> ServerOrder[str]:
    return ServerOrder()


CASES = {
    # servers: who is asked, when, who wins, after how many seconds
    "good": ([GOOD, GOOD], "a", [0], "a", 0.01),
    "dead first": ([DEAD, GOOD], "ab", [0, 0.25], "b", 0.26),
    "two dead": ([DEAD, DEAD, GOOD], "abc", [0, 0.25, 0.5], "c", 0.51),
    "refusing first": ([REFUSING, GOOD], "ab", [0, 0.02], "b", 0.03),
    "all refuse": ([REFUSING, REFUSING], "abab", [0, 0.02, 0.04, 0.06], None, 0.08),
    "one refuses": ([REFUSING], "aa", [0, 0.02], None, 0.04),
    "slow first": ([Server(0.255), GOOD], "ab", [0, 0.25], "a", 0.255),
    "both slow": ([SLOW, SLOW], "ab", [0, 0.25], "a", 0.7),
    "one dead": ([DEAD], "aaa", [0, 1, 3], None, 10),
    "all dead": ([DEAD] * 3, "abcabcabc", [0, 0.25, 0.5, 1, 1.25, 1.5, 3, 3.25, 3.5], None, 10),
    "knows no EDNS": ([BROKEN], "aa", [0, 0.02], "a", 0.03),
    "knows no EDNS, beside a dead one": ([DEAD, BROKEN], "abb", [0, 0.25, 0.27], "b", 0.28),
    "silent to EDNS": ([Server(0.01, knows_edns=False)], "aa", [0, 1], "a", 1.01),
    "one dead, one refuses": ([DEAD, REFUSING], "abbaa", [0, 0.25, 0.27, 1, 3], None, 10),
    "none": ([], "", [], None, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_question_to_servers_not_known_yet(order: ServerOrder[str], case: str) -> None:
    servers, asked, times, winner, took = CASES[case]
    story = ask(order, dict(zip("abcdefgh", servers, strict=False)), 1000.0)
    assert (story.asked, story.times, story.winner) == (asked, times, winner)
    assert story.took == pytest.approx(took)


def test_only_the_first_question_to_a_server_offers_edns(order: ServerOrder[str]) -> None:
    story = ask(order, {"a": DEAD, "b": DEAD}, 0.0)
    assert [attempt.edns for attempt in story.attempts] == [True, True, False, False, False, False]
    assert [attempt.turn for attempt in story.attempts] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("server", [BROKEN, Server(0.01, knows_edns=False)])
def test_that_a_server_knows_no_edns_is_remembered_for_a_while(order: ServerOrder[str], server: Server) -> None:
    ask(order, {"a": server}, 0.0)
    story = ask(order, {"a": server}, 10.0)
    assert (story.asked, story.attempts[0].edns) == ("a", False)
    assert not ask(order, {"a": server}, PLAIN_SECONDS - 10).attempts[0].edns
    story = ask(order, {"a": server}, 20.0 + PLAIN_SECONDS)
    assert (story.asked, story.attempts[0].edns) == ("aa", True)


def test_a_dead_first_server_costs_once(order: ServerOrder[str]) -> None:
    """One question pays for it, and later ones nothing, for an hour: it is probed ever more seldom."""
    servers = {"a": DEAD, "b": GOOD, "c": GOOD}
    stories = [ask(order, servers, float(second)) for second in range(3600)]
    took = [story.took for story in stories]
    assert 0.25 < took[0] <= 0.3
    assert max(took[1:]) == pytest.approx(0.01)
    probes = [story for story in stories if "a" in story.asked][1:]
    assert {story.asked for story in probes} == {"ab"}
    assert all(story.attempts[0].probe and not story.attempts[1].probe for story in probes)
    assert 3600 / LONGEST_PROBE_SECONDS * 0.9 < len(probes) < 3600 / LONGEST_PROBE_SECONDS + 6


def test_a_server_that_was_good_and_dies_costs_once(order: ServerOrder[str]) -> None:
    for second in range(100):
        assert ask(order, {"a": GOOD, "b": GOOD}, float(second)).asked == "a"
    took = [ask(order, {"a": DEAD, "b": GOOD}, float(second)).took for second in range(100, 130)]
    assert took[0] <= 0.3
    assert max(took[1:]) == pytest.approx(0.01)


def test_a_recovered_server_has_its_place_again(order: ServerOrder[str]) -> None:
    ask(order, {"a": DEAD, "b": GOOD}, 0.0)
    assert ask(order, {"a": GOOD, "b": GOOD}, 0.5).asked == "b"
    assert ask(order, {"a": GOOD, "b": GOOD}, 2.0).winner == "a"  # the probe
    assert ask(order, {"a": GOOD, "b": GOOD}, 2.5).asked == "a"


def test_a_server_that_recovers_but_is_slower_stays_behind(order: ServerOrder[str]) -> None:
    ask(order, {"a": DEAD, "b": GOOD}, 0.0)
    stories = [ask(order, {"a": SLOW, "b": GOOD}, float(second)) for second in range(1, 100)]
    assert {story.winner for story in stories} == {"b"}
    assert max(story.took for story in stories) == pytest.approx(0.01)


def test_when_the_better_ones_die_one_that_lagged_is_asked(order: ServerOrder[str]) -> None:
    ask(order, {"a": REFUSING, "b": GOOD, "c": GOOD}, 0.0)
    story = ask(order, {"a": GOOD, "b": DEAD, "c": DEAD}, 0.5)
    assert (story.asked, story.winner) == ("bca", "a")
    assert order.plan("abc") == ["a", "b", "c"], "c was asked, and given less time than it takes to judge"


def test_one_that_lags_for_longer_is_asked_later(order: ServerOrder[str]) -> None:
    for second in range(5):
        ask(order, {"a": DEAD, "b": GOOD, "c": GOOD}, float(second))
    ask(order, {"a": DEAD, "b": DEAD, "c": GOOD}, 5.0)
    assert order.plan("abc") == ["c", "b", "a"]


def test_a_server_that_had_less_time_than_the_winner_took_does_not_lag(order: ServerOrder[str]) -> None:
    assert ask(order, {"a": SLOW, "b": DEAD, "c": DEAD}, 0.0).winner == "a"
    assert order.plan("bac") == ["b", "a", "c"]


def test_among_servers_that_all_lag_none_is_a_probe(order: ServerOrder[str]) -> None:
    """Split domains: this name is for some of the domain's servers alone."""
    assert ask(order, {"a": DEAD, "b": DEAD, "c": GOOD}, 0.0).winner == "c"
    assert order.plan("abc") == ["c", "a", "b"]
    assert ask(order, {"a": GOOD, "b": GOOD}, 10.0).asked == "a"


def test_a_server_named_twice_is_one(order: ServerOrder[str]) -> None:
    assert order.plan("abab") == ["a", "b"]


def test_where_nobody_answers_nobody_is_worse(order: ServerOrder[str]) -> None:
    ask(order, {"a": GOOD, "b": GOOD}, 0.0)
    for second in range(20, 100, 20):
        assert ask(order, {"a": DEAD, "b": REFUSING}, float(second)).winner is None
    assert ask(order, {"a": GOOD, "b": GOOD}, 100.0).asked == "a"


def test_questions_that_were_under_way_together_count_once(order: ServerOrder[str]) -> None:
    rounds = [order.begin("ab", 0.0) for _ in range(50)]
    firsts = [round_.start(0.0) for round_ in rounds]
    seconds = [round_.start(0.25) for round_ in rounds]
    for round_, attempt in zip(rounds, seconds, strict=True):
        assert attempt is not None
        round_.answered(attempt, 0.26)
    assert order.plan("ab") == ["b", "a"]
    probes = [order.begin("ab", 1.5).start(1.5) for _ in range(50)]
    assert Counter(probe.server for probe in probes if probe) == {"a": 1, "b": 49}
    assert firsts[0] is not None
    rounds[0].answered(firsts[0], 1.6)
    assert order.plan("ab") == ["a", "b"], "a late answer speaks for its server"
    assert order.plan("ba") == ["b", "a"], "… but against no other"
    assert firsts[1] is not None
    for round_ in rounds[1:]:
        round_.failed(firsts[1], 1.7)
    assert order.plan("ab") == ["a", "b"]


def test_an_answer_to_a_later_question_outweighs_an_older_silence(order: ServerOrder[str]) -> None:
    old, new = order.begin("ab", 0.0), order.begin("ab", 0.2)
    assert old.start(0.0) is not None
    later, other = new.start(0.2), old.start(0.25)
    assert later is not None
    assert other is not None
    new.answered(later, 0.3)
    old.answered(other, 0.5)
    assert order.plan("ab") == ["a", "b"]


@pytest.mark.parametrize(
    ("usual", "patience"),
    [(0.0001, SHORTEST_PATIENCE), (0.01, SHORTEST_PATIENCE), (0.2, 0.3), (0.4, 0.6), (5.0, LONGEST_PATIENCE)],
)
def test_patience_follows_what_a_server_usually_takes(order: ServerOrder[str], usual: float, patience: float) -> None:
    for minute in range(40):
        ask(order, {"a": Server(usual)}, 60.0 * minute)
    assert ask(order, {"a": DEAD, "b": GOOD}, 60.0 * 40).times == [0, pytest.approx(patience, rel=0.2)]


def test_patience_does_not_grow_with_answers_that_are_sometimes_late(order: ServerOrder[str]) -> None:
    for minute in range(40):
        ask(order, {"a": Server(0.001 if minute % 4 else 0.4)}, 60.0 * minute)
    assert ask(order, {"a": DEAD, "b": GOOD}, 60.0 * 40).times == [0, FIRST_PATIENCE]


def test_patience_is_forgotten(order: ServerOrder[str]) -> None:
    ask(order, {"a": GOOD}, 0.0)
    assert ask(order, {"a": DEAD, "b": GOOD}, 1 + FORGET_SECONDS).times == [0, FIRST_PATIENCE]


# ---------------------------------------------------------------- whatever the servers do

SECONDS = st.sampled_from([0.0, 0.0005, 0.01, 0.1, 0.3, 0.9, 2.5, 11.0, math.inf])
SERVER = st.builds(Server, SECONDS, SECONDS, st.booleans())
HOST = st.lists(SERVER, max_size=12)
HISTORY = st.lists(st.tuples(st.sampled_from([0.0, 0.4, 1.5, 40.0, 700.0]), HOST), max_size=8)


def named(servers: Sequence[Server]) -> dict[str, Server]:
    return dict(zip("abcdefghijkl", servers, strict=False))


@given(HISTORY, HOST)
def test_a_question_is_bounded_and_fair(history: list[tuple[float, list[Server]]], last: list[Server]) -> None:
    order, now = ServerOrder[str](), 0.0
    for passes, servers in [*history, (0.0, last)]:
        now += passes
        story = ask(order, named(servers), now)
        check(story, named(servers))
        now = story.ended


def check(story: Story, servers: dict[str, Server]) -> None:
    counts = Counter(story.asked)
    assert len(story.asked) <= MOST_ATTEMPTS
    assert story.took <= QUESTION_SECONDS + 1e-6
    assert story.times == sorted(story.times), "time goes forward"
    assert max(counts.values(), default=0) <= TURNS
    for place, server in enumerate(story.asked):  # every server is asked before any is asked twice
        assert server not in story.asked[:place] or len(set(story.asked[:place])) == min(len(servers), MOST_ATTEMPTS)
    for attempt in story.attempts:
        after, useful = servers[attempt.server].fate(attempt)
        answered_at = attempt.started + after if useful else math.inf
        assert answered_at >= story.ended, "the first useful answer ends it"


@given(HISTORY, st.lists(SERVER, min_size=1, max_size=4), st.sampled_from([0.0, 0.4, 1.5, 40.0, 700.0]))
def test_a_good_first_server_stays_first(
    history: list[tuple[float, list[Server]]], others: list[Server], passes: float
) -> None:
    """Whatever was before: once the best has answered, it is asked at once, and at most one probe with it."""
    order, now = ServerOrder[str](), 0.0
    for before, servers in history:
        now = ask(order, named(servers), now + before).ended
    host = named([Server(0.005), *(Server(1.0, each.fails_after) for each in others)])
    now = ask(order, host, now + 700.0).ended
    for _ in range(5):
        now += passes
        story = ask(order, host, now)
        assert story.winner == "a"
        assert story.took == pytest.approx(0.005)
        assert [attempt.server for attempt in story.attempts if not attempt.probe] == ["a"]
        assert len(story.attempts) <= 2
        now = story.ended


@given(st.lists(SERVER, max_size=3), st.integers(0, 3), SECONDS)
def test_a_dead_server_delays_by_no_more_than_its_patience(others: list[Server], place: int, usual: float) -> None:
    """The same servers without it answer sooner by one patience at most, however well it was known."""
    order = ServerOrder[str]()
    round_ = order.begin("z", 0.0)
    attempt = round_.start(0.0)
    assert attempt is not None
    if usual < 0.1:
        round_.answered(attempt, usual)
    alone = ask(ServerOrder(), named(others), 20.0)
    names = list(named(others).items())
    together = ask(order, dict([*names[:place], ("z", DEAD), *names[place:]]), 20.0)
    if alone.winner is not None and len(set(alone.asked)) == len(alone.asked):  # it was found in the first turn
        assert together.took <= alone.took + FIRST_PATIENCE + 1e-6
