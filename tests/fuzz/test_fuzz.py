"""Every parser of octets or text from outside, for a moment; ``make fuzz`` takes its time."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from types import CodeType, FrameType, FunctionType

import pytest

import trimif._wire

from .campaign import Campaign
from .checks import MEMORY, fault_in, is_slow, octets_of_memory, outcome_of
from .findings import FINDINGS
from .mutations import cuts
from .parser import Parser
from .parsers import PARSERS, WRITERS

MUTATIONS = 150
CUTS = 40
ATTACK_OCTETS = 4096
MEMORY_OF_FINDINGS = 64
"""Octets for one of input. Most values are larger than their octets, but what is refused has none."""

EACH = pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)


def faults(campaign: Campaign) -> list[str]:
    return [f"{finding.fault}: {finding.octets!r}" for finding in campaign.findings.values()]


@EACH
def test_good_inputs(parser: Parser) -> None:
    outcomes = [outcome_of(parser, octets) for octets in parser.seeds]
    assert outcomes
    assert [(outcome.error, fault_in(parser, outcome)) for outcome in outcomes] == [(None, None)] * len(outcomes)


@EACH
def test_cut_anywhere(parser: Parser) -> None:
    campaign = Campaign.of(parser)
    for octets in parser.seeds:
        for cut in cuts(octets, CUTS):
            campaign.attempt(cut)
    assert faults(campaign) == []


@EACH
def test_mutations(parser: Parser) -> None:
    campaign = Campaign.of(parser)
    for _ in range(MUTATIONS):
        campaign.mutate()
    assert faults(campaign) == []


@EACH
def test_one_thing_over_and_over(parser: Parser) -> None:
    campaign = Campaign.of(parser)
    for octets in campaign.attacks(ATTACK_OCTETS):
        campaign.attempt(octets)
    campaign.measure_memory(campaign.longest[1])
    assert faults(campaign) == []


@pytest.mark.parametrize(("name", "octets"), FINDINGS)
def test_what_was_found_once(name: str, octets: bytes) -> None:
    outcome = outcome_of(PARSERS[name], octets)
    assert fault_in(PARSERS[name], outcome) is None
    assert not is_slow(outcome, octets)
    assert octets_of_memory(PARSERS[name], octets) < MEMORY + MEMORY_OF_FINDINGS * len(octets)


# ---------------------------------------------------------------- is the list complete?


def public_functions() -> Iterator[FunctionType]:
    """Of `trimif._wire`, where they are defined."""
    for module in pkgutil.iter_modules(trimif._wire.__path__, "trimif._wire."):
        contents = import_module(module.name)
        values = [getattr(contents, name) for name in contents.__all__]
        yield from (value for value in values if inspect.isfunction(value) and value.__module__ == module.name)


def name_of(function: FunctionType) -> str:
    return f"{function.__module__}.{function.__name__}"


def called_by(parser: Parser) -> set[CodeType]:
    """Everything of Python's that a parser calls for its good inputs."""
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for octets in parser.seeds:
            fault_in(parser, outcome_of(parser, octets))
    finally:
        sys.setprofile(before)
    return called


def test_every_public_function_of_wire_is_fuzzed() -> None:
    """A new parser belongs into `parsers`; what reads nothing from outside belongs into `parsers.WRITERS`."""
    called = set().union(*map(called_by, PARSERS.values()))
    missing = {name_of(each) for each in public_functions() if each.__code__ not in called}
    assert missing - WRITERS == set()


def test_there_is_nothing_in_the_list_of_writers_that_is_not_there() -> None:
    assert {name_of(each) for each in public_functions()} >= WRITERS
