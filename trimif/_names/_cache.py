"""What the name servers of one domain said, for as long as it holds: no I/O, and no clock but the caller's.

Each name has at most one answer of each kind (A, AAAA, …). An answer holds for its time to live, within bounds: no
longer than `LONGEST_SECONDS` (RFC 8767, 4 recommends a cap of seven days; one day costs a question a day), and one
that says that there is nothing no longer than `LONGEST_NEGATIVE_SECONDS` (RFC 2308, 5: "values of one to three hours
have been found to work well"; the server asked has a cache of its own, so the shorter one costs little and shows a new
name sooner). What holds for no time is never handed out, nor is a negative answer without a SOA record: its ttl is 0.

"No such name" is about the name, whatever the kind asked for (RFC 8020, 2), so it answers for all kinds. Two limits:

- Not for the names below it. RFC 8020 allows that, for the sake of servers that many ask; but some servers say it of
  a name that has nothing itself and others below it.
- Not for kinds that nobody asked for, once another kind of that name had a different answer: some load balancers say
  "no such name" for AAAA where there is an A record (RFC 4074, 4.2).

Failures (SERVFAIL, silence) are kept as well, for one second at least and five minutes at most, longer while they
persist (RFC 9520, 3.2): here a second, then twice as long each time, up to `LONGEST_FAILURE_SECONDS`, as somebody may
be sitting in front of this host and waiting.

Names are bounded, the least recently used goes first; every operation takes constant time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from attrs import define, field

MOST_NAMES = 4096
LONGEST_SECONDS = 86_400.0
LONGEST_NEGATIVE_SECONDS = 3_600.0
FIRST_FAILURE_SECONDS = 1.0
LONGEST_FAILURE_SECONDS = 30.0
_TTL_LIMIT = 1 << 31

A = TypeVar("A")


class Cached(NamedTuple, Generic[A]):
    """An answer that still holds.

    Attributes:
        remaining: for how many seconds more.
    """

    answer: A
    remaining: float


class _Entry(NamedTuple, Generic[A]):
    answer: A
    until: float
    no_such_name: bool = False


class _Failure(NamedTuple, Generic[A]):
    answer: A
    until: float
    seconds: float  # how long it is kept


@define
class _Name(Generic[A]):
    """What is known of a name. Answers past their time stay until replaced: they tell what sort of name it is."""

    answers: dict[Hashable, _Entry[A]] = field(factory=dict)
    nothing: _Entry[A] | None = None  # it does not exist, whatever the kind
    failures: dict[Hashable, _Failure[A]] = field(factory=dict)


class AnswerCache(Generic[A]):
    """The answers of one domain. It ends with the domain and with a change of its servers: `clear`, or a new one.

    A name is its wire format in lower case: compressed and upper-case ones are other names to the cache. A kind is a
    `Family`, or whatever else tells questions about a name apart. Times are seconds on the caller's clock.
    """

    def __init__(self, most_names: int = MOST_NAMES) -> None:
        self._most = most_names
        self._names: OrderedDict[bytes, _Name[A]] = OrderedDict()

    def __len__(self) -> int:
        """How many names something is kept of, be it past its time."""
        return len(self._names)

    def get(self, name: bytes, kind: Hashable, now: float) -> Cached[A] | None:
        """What still holds: an answer to this very question, else that there is no such name, else its failure."""
        known = self._names.get(name)
        if known is None:
            return None
        for entry in (known.answers.get(kind), known.nothing, known.failures.get(kind)):
            if entry is not None and now < entry.until:
                self._names.move_to_end(name)
                return Cached(entry.answer, entry.until - now)
        return None

    def put(self, name: bytes, kind: Hashable, answer: A, ttl: float, now: float) -> None:
        """Keep an answer that has what was asked for (or an alias)."""
        self._keep(name, kind, _Entry(answer, now + _bounded(ttl, LONGEST_SECONDS)))

    def put_no_data(self, name: bytes, kind: Hashable, answer: A, ttl: float, now: float) -> None:
        """Keep that the name has nothing of this kind. `ttl` is the lesser of the SOA record's TTL and MINIMUM."""
        self._keep(name, kind, _Entry(answer, now + _bounded(ttl, LONGEST_NEGATIVE_SECONDS)))

    def put_no_such_name(self, name: bytes, kind: Hashable, answer: A, ttl: float, now: float) -> None:
        """Keep that the name does not exist, as the answer to this kind said. `ttl` as in `put_no_data`."""
        self._keep(name, kind, _Entry(answer, now + _bounded(ttl, LONGEST_NEGATIVE_SECONDS), no_such_name=True))

    def put_failure(self, name: bytes, kind: Hashable, answer: A, now: float) -> None:
        """Keep that nobody gave a useful answer, for a moment. An answer that still holds goes before it."""
        known = self._known(name)
        before, seconds = known.failures.get(kind), FIRST_FAILURE_SECONDS
        if before is not None and now < before.until + before.seconds:  # it fails on
            seconds = min(2 * before.seconds, LONGEST_FAILURE_SECONDS)
        known.failures[kind] = _Failure(answer, now + seconds, seconds)

    def clear(self) -> None:
        """Forget everything."""
        self._names.clear()

    def _keep(self, name: bytes, kind: Hashable, entry: _Entry[A]) -> None:
        known = self._known(name)
        known.failures.pop(kind, None)
        known.answers[kind] = entry
        known.nothing = entry if all(each.no_such_name for each in known.answers.values()) else None

    def _known(self, name: bytes) -> _Name[A]:
        """Where to keep what is said of a name, which is the most recently used one now."""
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= self._most:
                self._names.popitem(last=False)
            known = self._names[name] = _Name()
        self._names.move_to_end(name)
        return known


def _bounded(ttl: float, longest: float) -> float:
    # RFC 2181, 8: one "with the most significant bit set" is none. (RFC 8767, 4 takes it for a large one; that can only
    # be a mistake of the server's, and not to keep such an answer costs a question.)
    return min(ttl, longest) if ttl < _TTL_LIMIT else 0.0
