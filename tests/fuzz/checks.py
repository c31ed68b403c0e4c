"""What any input may lead to: a value of the declared type through and through, or the documented error, soon.

`fits` holds a value against its type hint, down to the last field. Beyond the type, unless told otherwise, numbers
must be able to be what their name says (a port has 16 bits), and texts must be writable as UTF-8.
"""

from __future__ import annotations

import gc
import math
import signal
import time
import tracemalloc
import types
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
import dns.name
from attrs import frozen

from trimif._facts import AllLeases, AllLinkConfigurations, DHCPv6Lease, Fact, Lease, LinkConfiguration
from trimif._information import Data, Information
from trimif.testing._lines import DATA_TYPES, FactsLine, dump_line, load_line

from .parser import Parser

__all__ = [
    "MEMORY",
    "MEMORY_PER_OCTET",
    "Outcome",
    "fault_in",
    "fits",
    "is_recorded",
    "is_slow",
    "octets_of_memory",
    "outcome_of",
    "outcome_undisturbed",
]

SECONDS = 0.02
SECONDS_PER_OCTET = 10e-6
"""An input may take so much processor time, on a slow machine too: some twenty times what any takes on a fast one."""
HOPELESS_SECONDS = 15.0
"""What takes longer is stopped."""
MEMORY = 1 << 20
MEMORY_PER_OCTET = 256
"""So much memory in octets, while it is parsed. An address of four octets is an object of eighty."""

_RANGES = {
    "index": (1, (1 << 31) - 1),
    "port": (1, 65535),
    "prefix_length": (0, 128),
    "priority": (0, 65535),
    "mtu": (0, (1 << 32) - 1),
    "preference": (-1, 1),
}
_NAMES = {"Name": dns.name.Name, "trio": types.SimpleNamespace(SocketStream=None)}  # known to type checkers only


@frozen
class Outcome:
    """What an input led to: a value or an error, and the processor time that it took, in seconds."""

    seconds: float
    value: Any = None
    error: BaseException | None = None


class NoEndError(BaseException):
    """A parser was stopped. No `Exception`: parsers may catch those."""


def outcome_of(parser: Parser, octets: bytes) -> Outcome:
    """Feed a parser; only from the main thread."""
    value: Any = None
    caught: BaseException | None = None
    began = time.thread_time()
    try:
        with _stopping(HOPELESS_SECONDS):
            value = parser.parse(octets)
    except (Exception, NoEndError) as error:  # whether it is a documented one is seen later
        caught = error
    return Outcome(time.thread_time() - began, value, caught)


@contextmanager
def _stopping(seconds: float) -> Iterator[None]:
    """Stop what takes that much processor time."""

    def stop(_number: int, _frame: types.FrameType | None) -> None:
        raise NoEndError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fault_in(parser: Parser, outcome: Outcome) -> str | None:
    """What is wrong with an outcome, but for its costs; None if nothing is."""
    if outcome.error is not None:
        if isinstance(outcome.error, parser.errors):
            return None
        return f"raises {type(outcome.error).__name__}: {outcome.error!s:.200}"
    if not fits(outcome.value, parser.returns, strict=parser.strict):
        return f"returns {outcome.value!r:.1000}, which is no {parser.returns}"
    try:
        same = parser.again is None or parser.again(outcome.value)
    except Exception as error:
        return f"can't be said a second time: {error!r:.200}, {outcome.value!r:.1000}"
    return None if same else f"is said otherwise a second time: {outcome.value!r:.1000}"


def is_slow(outcome: Outcome, octets: bytes) -> bool:
    """Whether an input took more time than one of its length may."""
    return outcome.seconds > SECONDS + SECONDS_PER_OCTET * len(octets)


# ---------------------------------------------------------------- types


def fits(value: Any, hint: Any, *, strict: bool = True) -> bool:
    """Whether a value is of a type, and everything in it of the type that is declared for it."""
    kind, inner = get_origin(hint) or hint, get_args(hint)

    def all_fit(items: Any, of: Any) -> bool:
        return all(fits(item, of, strict=strict) for item in items)

    if kind in (Any, Hashable, object, None) or isinstance(kind, TypeVar):
        return kind is not None or value is None
    if kind in (Union, types.UnionType):
        return any(fits(value, each, strict=strict) for each in inner)
    if hint == Data:
        return all_fit(value, tuple[Information[Any], Any]) and _is_data(value, strict)
    if kind is tuple and inner[-1] is not Ellipsis:
        pairs = zip(value, inner, strict=False)
        return type(value) is tuple and len(value) == len(inner) and all(fits(*pair, strict=strict) for pair in pairs)
    if kind in (tuple, list, frozenset):
        return isinstance(value, kind) and all_fit(value, inner[0])
    if kind in (dict, Mapping):
        return isinstance(value, Mapping) and all_fit(value, inner[0]) and all_fit(value.values(), inner[1])
    return _fits_one(value, kind, strict)


def _fits_one(value: Any, kind: Any, strict: bool) -> bool:
    if kind is float:
        return type(value) in (int, float) and not math.isnan(value)
    if kind is int:
        return type(value) is int or (isinstance(value, int) and not isinstance(value, bool))
    if kind is str:
        return type(value) is str and (not strict or _is_writable(value))
    if not isinstance(value, kind):
        return False
    hints = _hints(cast(Hashable, type(value)))
    return all(
        fits(getattr(value, name), hint, strict=strict)
        and not (strict and _is_out_of_range(name, getattr(value, name)))
        for name, hint in hints.items()
    )


@cache
def _hints(kind: Hashable) -> Mapping[str, Any]:
    """The fields of an attrs class or a named tuple."""
    if isinstance(kind, type) and (attrs.has(kind) or hasattr(kind, "_fields")):
        found = get_type_hints(kind, localns=_NAMES)
        names = kind._fields if hasattr(kind, "_fields") else [each.name for each in attrs.fields(kind)]
        return {name: found[name] for name in names}
    return {}


def _is_data(value: Data, strict: bool) -> bool:
    """Each identifier once, with a datum of its type."""
    once = len({information for information, _ in value}) == len(value)
    return once and all(fits(datum, DATA_TYPES[information], strict=strict) for information, datum in value)


def _is_writable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def _is_out_of_range(name: str, value: object) -> bool:
    least, most = _RANGES.get(name, (-math.inf, math.inf))
    return isinstance(value, int) and not least <= value <= most


def is_recorded(*told: Fact | Lease | DHCPv6Lease | LinkConfiguration) -> bool:
    """Whether facts, or what they consist of, come back from a recording as they were."""
    facts = FactsLine(0.0, tuple(map(_fact, told)))
    return load_line(dump_line(facts)) == facts


def _fact(told: Fact | Lease | DHCPv6Lease | LinkConfiguration) -> Fact:
    if isinstance(told, Lease | DHCPv6Lease):
        return AllLeases("source", (told,))
    return AllLinkConfigurations("source", (told,)) if isinstance(told, LinkConfiguration) else told


# ---------------------------------------------------------------- costs


def outcome_undisturbed(parser: Parser, octets: bytes) -> Outcome:
    """The quickest of three tries, without the garbage that others left: what the parser itself takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return min((outcome_of(parser, octets) for _ in range(3)), key=lambda outcome: outcome.seconds)
    finally:
        if was_enabled:
            gc.enable()


def octets_of_memory(parser: Parser, octets: bytes) -> int:
    """The most memory that was taken at one time, the value included."""
    tracemalloc.start()
    try:
        outcome_of(parser, octets)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
