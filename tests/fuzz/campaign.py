"""One parser's campaign: try inputs, keep those that lead somewhere new, remember what is wrong and what was slow.

Where an input led is seen without any instrument: a value by its shape, an error by the lines that it passed. An
input that leads to where none did before is mutated further, so that the campaign gets deeper by itself.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import attrs
from attrs import define, field, frozen

from trimif._information import Information

from .attacks import attacks
from .checks import (
    MEMORY,
    MEMORY_PER_OCTET,
    NoEndError,
    Outcome,
    fault_in,
    is_slow,
    octets_of_memory,
    outcome_of,
    outcome_undisturbed,
)
from .mutations import Mutator
from .parser import Parser

__all__ = ["Campaign", "Finding"]

KEPT = 400
"""Of one parser's inputs that led somewhere new, the last ones."""
KEPT_OCTETS = 8192
ALLOWANCE = 1000
"""Octets that an input is taken to be longer, when costs are told by octet."""


@frozen
class Finding:
    """An input that a parser does not take as it has to.

    Attributes:
        fault: in words.
    """

    parser: str
    octets: bytes
    fault: str


@define
class Campaign:
    """What came of it so far.

    Attributes:
        values: how many inputs were good.
        longest: the seconds that the slowest input took, and that.
        steepest: the most seconds that any took for each octet.
        memory: the most octets of memory for one of input, of those inputs of which it was measured.
        findings: by where it happened.
        latest: the input that was tried last.
    """

    parser: Parser
    chance: random.Random
    tried: int = 0
    values: int = 0
    longest: tuple[float, bytes] = (0.0, b"")
    steepest: float = 0.0
    memory: float = 0.0
    findings: dict[object, Finding] = field(factory=dict)
    latest: bytes = b""
    _inputs: list[bytes] = field(factory=list)
    _seen: set[object] = field(factory=set)

    @classmethod
    def of(cls, parser: Parser, seed: int = 0) -> Campaign:
        """One that has tried the parser's good inputs; the same for the same seed."""
        campaign = cls(parser, random.Random(f"{parser.name} {seed}"))
        campaign._inputs.extend(parser.seeds)
        for octets in parser.seeds:
            campaign.attempt(octets)
        return campaign

    @property
    def kept(self) -> int:
        """How many places there are to which inputs led."""
        return len(self._seen)

    def mutate(self) -> None:
        """Try one input more."""
        mutator = Mutator(self.chance, self.parser.largest, as_json=self.parser.json)
        self.attempt(mutator.mutate(self._inputs))

    def attacks(self, octets: int) -> Iterator[bytes]:
        """Inputs of so many octets, or as many as its source passes."""
        return attacks(self.chance, self.parser.seeds, min(octets, self.parser.largest))

    def attempt(self, octets: bytes) -> None:
        """Try an input."""
        self.tried += 1
        self.latest = octets
        outcome = outcome_of(self.parser, octets)
        if is_slow(outcome, octets) and not isinstance(outcome.error, NoEndError):
            outcome = outcome_undisturbed(self.parser, octets)
        if is_slow(outcome, octets):
            self._find(octets, f"takes {outcome.seconds:.3f} s for {len(octets)} octets", "slow")
        self.values += outcome.error is None
        self._note_time(octets, outcome)
        where = _where(outcome)
        if (fault := fault_in(self.parser, outcome)) is not None:
            self._find(octets, fault, where if outcome.error is not None else fault[:8])
        if where not in self._seen:
            self._seen.add(where)
            self._keep(octets)

    def _note_time(self, octets: bytes, outcome: Outcome) -> None:
        """Remember records, if they are the parser's own doing: a single try may be disturbed."""
        if isinstance(outcome.error, NoEndError):
            self.longest = outcome.seconds, octets
        elif outcome.seconds > self.longest[0] or _rate(outcome.seconds, octets) > self.steepest:
            seconds = outcome_undisturbed(self.parser, octets).seconds
            self.longest = max(self.longest, (seconds, octets))
            self.steepest = max(self.steepest, _rate(seconds, octets))

    def measure_memory(self, octets: bytes) -> None:
        """See how much memory an input takes."""
        peak = octets_of_memory(self.parser, octets)
        self.memory = max(self.memory, peak / (len(octets) + ALLOWANCE))
        if peak > MEMORY + MEMORY_PER_OCTET * len(octets):
            self._find(octets, f"takes {peak} octets of memory for {len(octets)} octets", "large")

    def _find(self, octets: bytes, fault: str, where: object) -> None:
        """One finding for each place is enough: the shortest."""
        if where not in self.findings or len(octets) < len(self.findings[where].octets):
            self.findings[where] = Finding(self.parser.name, octets, fault)

    def _keep(self, octets: bytes) -> None:
        if len(octets) <= KEPT_OCTETS:
            self._inputs.append(octets)
        if len(self._inputs) > KEPT:
            del self._inputs[len(self.parser.seeds)]


def _rate(seconds: float, octets: bytes) -> float:
    """Seconds for an octet; short inputs do not count as slow because of what every call costs."""
    return seconds / (len(octets) + ALLOWANCE)


def _where(outcome: Outcome) -> object:
    if outcome.error is None:
        return _shape(outcome.value, 4)
    frames = traceback.walk_tb(outcome.error.__traceback__)
    return type(outcome.error), tuple((frame.f_code.co_name, line) for frame, line in frames)


def _shape(value: Any, depth: int) -> object:
    """What a value consists of, roughly: which fields have something, and of what type."""
    if isinstance(value, bool) or value is None or not value:
        return value if isinstance(value, bool | None) else type(value)
    if attrs.has(type(value)) and depth:
        return type(value), tuple(_shape(getattr(value, each.name), depth - 1) for each in attrs.fields(type(value)))
    if isinstance(value, Mapping) and depth:
        return Mapping, frozenset(_shape(each, depth - 1) for each in (*list(value)[:8], *list(value.values())[:8]))
    if isinstance(value, tuple | list) and depth:
        return tuple, frozenset(_shape(each, depth - 1) for each in value[:8])
    return value if isinstance(value, Information | Enum) else type(value)
