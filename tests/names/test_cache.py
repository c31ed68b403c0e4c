"""The cache of a domain: how long answers hold, which questions they answer, and what goes when it is full."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._model import Family
from trimif._names._cache import (
    FIRST_FAILURE_SECONDS,
    LONGEST_FAILURE_SECONDS,
    LONGEST_NEGATIVE_SECONDS,
    LONGEST_SECONDS,
    AnswerCache,
)

NAME, OTHER = b"\x03www\x07example\x00", b"\x04mail\x07example\x00"
A, AAAA = Family.IPV4, Family.IPV6

Cache: TypeAlias = AnswerCache[str]
PUTS: list[tuple[Callable[..., None], float]] = [
    (AnswerCache.put, LONGEST_SECONDS),
    (AnswerCache.put_no_data, LONGEST_NEGATIVE_SECONDS),
    (AnswerCache.put_no_such_name, LONGEST_NEGATIVE_SECONDS),
]
every_put = pytest.mark.parametrize(("put", "longest"), PUTS)


@pytest.fixture
def cache() -> Cache:
    return AnswerCache()


def answer(cache: Cache, kind: Family, now: float, name: bytes = NAME) -> str | None:
    cached = cache.get(name, kind, now)
    return None if cached is None else cached.answer


@every_put
def test_an_answer_holds_for_its_time_to_live(cache: Cache, put: Callable[..., None], longest: float) -> None:
    put(cache, NAME, A, "told", 60, 100.0)
    assert cache.get(NAME, A, 100.0) == ("told", 60.0)
    assert cache.get(NAME, A, 159.5) == ("told", 0.5)
    assert cache.get(NAME, A, 160.0) is None
    assert cache.get(OTHER, A, 100.0) is None


@every_put
def test_no_time_to_live_is_too_long(cache: Cache, put: Callable[..., None], longest: float) -> None:
    put(cache, NAME, A, "told", (1 << 31) - 1, 100.0)
    assert cache.get(NAME, A, 100.0) == ("told", longest)
    assert answer(cache, A, 100.0 + longest) is None


@every_put
@pytest.mark.parametrize("ttl", [0, -1, 1 << 31, (1 << 32) - 1, float("inf"), float("nan")])
def test_what_holds_for_no_time_is_not_handed_out(
    cache: Cache, put: Callable[..., None], longest: float, ttl: float
) -> None:
    put(cache, NAME, A, "told", ttl, 100.0)
    assert answer(cache, A, 100.0) is None


def test_what_holds_for_no_time_ends_what_was_told_before(cache: Cache) -> None:
    cache.put(NAME, A, "old", 60, 0.0)
    cache.put(NAME, A, "new", 0, 1.0)
    assert answer(cache, A, 1.0) is None


def test_families_and_names_are_apart(cache: Cache) -> None:
    cache.put(NAME, A, "four", 60, 0.0)
    cache.put_no_data(NAME, AAAA, "no six", 60, 0.0)
    cache.put(OTHER, A, "another", 60, 0.0)
    assert (answer(cache, A, 1.0), answer(cache, AAAA, 1.0)) == ("four", "no six")
    assert (answer(cache, A, 1.0, OTHER), answer(cache, AAAA, 1.0, OTHER)) == ("another", None)


def test_no_such_name_is_about_all_families_but_not_the_names_below(cache: Cache) -> None:
    cache.put_no_such_name(NAME, A, "nothing", 60, 0.0)
    assert (answer(cache, A, 1.0), answer(cache, AAAA, 1.0)) == ("nothing", "nothing")
    assert answer(cache, A, 1.0, b"\x03sub" + NAME) is None
    assert answer(cache, AAAA, 60.0) is None


@pytest.mark.parametrize("ttl", [0, 60])  # the balancers meant here often say 0
@pytest.mark.parametrize("first", ["address", "lie"])
def test_a_balancer_that_denies_names_by_family_hides_none(cache: Cache, first: str, ttl: float) -> None:
    """RFC 4074, 4.2: "no such name" to the question for AAAA, a good answer to the one for A."""
    puts = {
        "address": partial(cache.put, NAME, A, "address", ttl, 0.0),
        "lie": partial(cache.put_no_such_name, NAME, AAAA, "lie", 300, 0.0),
    }
    puts.pop(first)()
    puts.popitem()[1]()
    assert answer(cache, AAAA, 1.0) == "lie"
    assert answer(cache, A, 1.0) == ("address" if ttl else None)
    assert answer(cache, A, 61.0) is None, "ask again: the denial was about AAAA"
    cache.put_failure(NAME, A, "failed", 61.0)
    cache.put_no_such_name(NAME, AAAA, "lie", 300, 61.0)
    assert answer(cache, A, 63.0) is None


def test_a_name_that_really_goes_is_gone_for_all_families(cache: Cache) -> None:
    cache.put(NAME, A, "address", 60, 0.0)
    cache.put_no_such_name(NAME, AAAA, "nothing", 300, 60.0)
    cache.put_no_such_name(NAME, A, "nothing", 300, 61.0)
    assert cache.get(NAME, "HTTPS", 62.0) == ("nothing", 299.0)


def test_failures_are_kept_for_longer_while_they_persist(cache: Cache) -> None:
    now, kept = 0.0, []
    for _ in range(8):
        cache.put_failure(NAME, A, "failed", now)
        cached = cache.get(NAME, A, now)
        assert cached is not None
        kept.append(cached.remaining)
        now += cached.remaining
        assert cache.get(NAME, A, now) is None
    assert kept == [FIRST_FAILURE_SECONDS, 2.0, 4.0, 8.0, 16.0, *[LONGEST_FAILURE_SECONDS] * 3]
    assert FIRST_FAILURE_SECONDS >= 1.0  # RFC 9520, 3.2
    assert LONGEST_FAILURE_SECONDS <= 300.0


def test_failures_long_past_or_answered_since_are_forgotten(cache: Cache) -> None:
    cache.put_failure(NAME, A, "failed", 0.0)
    cache.put_failure(NAME, A, "failed", 1.0)
    cache.put_failure(NAME, A, "failed", 10.0)
    assert cache.get(NAME, A, 10.0) == ("failed", FIRST_FAILURE_SECONDS)
    cache.put(NAME, A, "told", 0.25, 10.5)
    assert cache.get(NAME, A, 10.5) == ("told", 0.25)
    assert cache.get(NAME, A, 10.75) is None
    cache.put_failure(NAME, A, "failed", 10.75)
    assert cache.get(NAME, A, 10.75) == ("failed", FIRST_FAILURE_SECONDS)


def test_a_failure_neither_ends_an_answer_nor_answers_for_another_family(cache: Cache) -> None:
    cache.put(NAME, A, "told", 60, 0.0)
    cache.put_failure(NAME, A, "failed", 1.0)
    assert answer(cache, A, 1.0) == "told"
    assert answer(cache, AAAA, 1.0) is None


def test_the_least_recently_used_name_goes_first() -> None:
    cache: Cache = AnswerCache(most_names=3)
    for name in (b"a", b"b", b"c"):
        cache.put(name, A, "told", 60, 0.0)
    cache.get(b"a", A, 1.0)
    cache.get(b"b", AAAA, 1.0)  # a question that it can't answer is no use of it
    cache.put_failure(b"d", A, "failed", 1.0)
    assert [answer(cache, A, 1.0, name) for name in (b"a", b"b", b"c", b"d")] == ["told", None, "told", "failed"]
    assert len(cache) == 3
    cache.clear()
    assert len(cache) == 0
    assert answer(cache, A, 1.0, b"a") is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put_no_data", "put_no_such_name", "put_failure"]),
        st.sampled_from([b"a", b"b", b"c", b"d"]),
        st.sampled_from([A, AAAA]),
        st.sampled_from([0, 1, 5, 60, 7200, 1 << 20]),
        st.floats(0.0, 4000.0),
    ),
    max_size=30,
)


@given(STEPS)
def test_nothing_is_handed_out_that_does_not_hold(steps: list[tuple[str, bytes, Family, int, float]]) -> None:
    """An answer is the newest to its own question, or a denial of the name, and holds no longer than it may."""
    cache: AnswerCache[dict[str, Any]] = AnswerCache(most_names=3)
    newest: dict[tuple[bytes, Family], object] = {}
    now = 0.0
    for verb, name, kind, ttl, passes in steps:
        now += passes
        told = {"verb": verb, "name": name, "kind": kind, "ttl": ttl, "at": now}
        getattr(cache, verb)(name, kind, told, *(() if verb == "put_failure" else (ttl,)), now)
        if verb != "put_failure":
            newest[name, kind] = told
        assert len(cache) <= 3
        for asked in newest:
            check(cache.get(*asked, now), *asked, now, newest[asked])


def check(cached: Any, name: bytes, kind: Family, now: float, newest: object) -> None:
    if cached is None:
        return
    told, remaining = cached
    longest = LONGEST_FAILURE_SECONDS if told["verb"] == "put_failure" else told["ttl"]
    assert told["name"] == name
    assert 0 < remaining <= told["at"] + longest - now + 1e-6
    assert told is newest or told["verb"] == "put_no_such_name" or (told["verb"], told["kind"]) == ("put_failure", kind)
