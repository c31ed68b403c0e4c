"""Messages and facts as lines of JSON, and back: what ``trimif watch --json`` prints becomes a test.

A line is an object with the time and either the facts that a source reported in one step, or one message::

    {"time": 12.5, "facts": [{"LinkGone": {"index": 2}}]}
    {"time": 12.5, "message": {"NoInterfaceAnnouncement": {"interface": {"InterfaceId": {"token": "interface-1"}}}}}

Nothing is lost on the way: every value that JSON has not is an object with one member, whose name says what the
value is (a class of trimif's vocabulary, or ``tuple``, ``frozenset``, ``bytes``, ``float``, ``IPv4Address``, …).
Only `Connected.stream`, which is no value, becomes null. Reading makes nothing but values of those classes: a line
may come from a stranger's bug report.
"""

from __future__ import annotations

import enum
import json
import math
import types
from collections.abc import Callable, Hashable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from trimif import _facts, _information, _messages, _model
from trimif._errors import MalformedInput
from trimif._facts import Fact
from trimif._information import Data, Information
from trimif._messages import Announcement, Connected, Request

__all__ = ["FactsLine", "Line", "MessageLine", "dump_line", "load_line"]

Message: TypeAlias = Request | Announcement


@frozen
class FactsLine:
    """Facts that were reported in one step; without a fact, time passed, and what had a deadline then has ended.

    Attributes:
        time: when, in seconds on Trio's clock, to which their deadlines refer.
    """

    time: float
    facts: tuple[Fact, ...]


@frozen
class MessageLine:
    """A message that was posted or received.

    Attributes:
        time: when, in seconds on Trio's clock.
        late: a request that was posted when its domain had gone already, be it that the subscriber was not told yet;
            so its negative answer may come after the domain's last words (law 2).
    """

    time: float
    message: Message
    late: bool = False


Line: TypeAlias = FactsLine | MessageLine


def _classes(*modules: object) -> dict[str, type[Any]]:
    """The attrs classes and enumerations that the modules define or use, by name."""
    candidates = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {value.__name__: value for value in candidates if attrs.has(value) or _is_enumeration(value)}


def _is_enumeration(value: type[Any]) -> bool:
    return issubclass(value, enum.Enum) and len(value) > 0


_VOCABULARY = _classes(_model, _information, _messages, _facts)
_FACTS = frozenset(Fact.__args__)
_TEXTUAL: dict[str, type[Any]] = {each.__name__: each for each in (IPv4Address, IPv6Address, IPv4Network, IPv6Network)}
_CONTAINERS: dict[str, type[Any]] = {each.__name__: each for each in (tuple, frozenset)}


def dump_line(line: Line) -> str:
    """One line of JSON, ASCII only, without the line's end.

    Raises:
        TypeError: an id or a datum is of a type that can't be written down.
    """
    if isinstance(line, FactsLine):
        content: dict[str, Any] = {"time": line.time, "facts": [_dump(fact) for fact in line.facts]}
    else:
        content = {"time": line.time, "message": _dump(line.message)} | ({"late": True} if line.late else {})
    return json.dumps(content, allow_nan=False)


def load_line(text: str) -> Line:
    """Read a line that :func:`dump_line` wrote; what comes out is equal to what went in.

    Raises:
        MalformedInput: the text is not such a line.
    """
    try:
        return _load_line(json.loads(text))
    except MalformedInput:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedInput(f"not a line of messages or facts: {error}") from None


def _load_line(content: Any) -> Line:
    if not isinstance(content, dict) or content.keys() not in _LINES:
        raise MalformedInput("a line has a time, and facts or a message")
    time = content["time"]
    if not isinstance(time, (int, float)) or isinstance(time, bool) or not math.isfinite(time):
        raise MalformedInput(f"{time!r} is not a time in seconds")
    if "message" in content:
        if content.get("late", True) is not True:
            raise MalformedInput("a line that is not late does not say so")
        return MessageLine(time, cast(Message, _load_one(content["message"], _is_message)), "late" in content)
    if not isinstance(content["facts"], list):
        raise MalformedInput("the facts of a line are a list")
    return FactsLine(time, tuple(cast(Fact, _load_one(fact, _is_fact)) for fact in content["facts"]))


_LINES = ({"time", "facts"}, {"time", "message"}, {"time", "message", "late"})


def _load_one(content: Any, is_wanted: Callable[[object], bool]) -> object:
    value = _load(content)
    if not is_wanted(value):
        raise MalformedInput(f"{value!r} does not belong there")
    return value


def _is_fact(value: object) -> bool:
    return type(value) in _FACTS


def _is_message(value: object) -> bool:
    return type(value).__module__ == _messages.__name__


# ---------------------------------------------------------------- one value


def _dump(value: Any) -> Any:
    name = type(value).__name__
    if isinstance(value, Information):
        return {"Information": value.name}
    if isinstance(value, enum.Enum) and name in _VOCABULARY:
        return {name: value.name}
    if _VOCABULARY.get(name) is type(value):
        return {name: _dump_fields(value)}
    if _TEXTUAL.get(name) is type(value):
        return {name: str(value)}
    if isinstance(value, (tuple, frozenset)) and name in _CONTAINERS:
        return {name: [_dump(item) for item in _in_order(value)]}
    return _dump_plain(value)


def _dump_plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{value!r} can't be written as JSON and read again")


def _dump_fields(value: Any) -> dict[str, Any]:
    fields = {each.name: getattr(value, each.name) for each in attrs.fields(type(value))}
    if isinstance(value, Connected):
        fields["stream"] = None
    return {name: _dump(field) for name, field in fields.items()}


def _in_order(items: tuple[Any, ...] | frozenset[Any]) -> Sequence[Any]:
    """A set has no order; the same set is always written in the same way."""
    return items if isinstance(items, tuple) else sorted(items, key=repr)


def _load(content: Any) -> Any:
    if isinstance(content, list):
        raise MalformedInput("a list says whether it is a tuple or a frozenset")
    if not isinstance(content, dict):
        return content
    if len(content) != 1:
        raise MalformedInput("an object has one member, whose name says what it is")
    ((name, inner),) = content.items()
    if name in _VOCABULARY:
        return _load_vocabulary(_VOCABULARY[name], inner)
    return _load_plain(name, inner)


def _load_vocabulary(kind: type[Any], inner: Any) -> Any:
    if kind is Information:
        return Information.named(inner)
    if issubclass(kind, enum.Enum):
        if not isinstance(inner, str) or inner not in kind.__members__:
            raise MalformedInput(f"{inner!r} is not a {kind.__name__}")
        return kind[inner]
    expected = {each.name for each in attrs.fields(kind)}
    if not isinstance(inner, dict) or inner.keys() != expected:
        raise MalformedInput(f"a {kind.__name__} has these fields: {', '.join(sorted(expected)) or 'none'}")
    values = {name: _load(value) for name, value in inner.items()}
    for name, value in values.items():
        if not _fits(value, _HINTS[kind.__name__][name]):
            raise MalformedInput(f"{value!r} can't be the {name} of a {kind.__name__}")
    return kind(**values)


def _is_data(pair: tuple[Information[Any], Any]) -> bool:
    information, value = pair
    return _fits(value, DATA_TYPES[information])


def _load_plain(name: str, inner: Any) -> Any:
    if name in _CONTAINERS and isinstance(inner, list):
        return _CONTAINERS[name](_load(item) for item in inner)
    if not isinstance(inner, str):
        raise MalformedInput(f"nothing is written as {name!r} of {type(inner).__name__}")
    if name in _TEXTUAL:
        return _TEXTUAL[name](inner)
    if name == "bytes":
        return bytes.fromhex(inner)
    if name == "float":
        return float(inner)
    raise MalformedInput(f"{name!r} is not a type of trimif's vocabulary")


# ---------------------------------------------------------------- is it of the right type?


_TRIO = types.SimpleNamespace(SocketStream=None)  # known to type checkers only; a stream is never written down
_PAIRS = tuple[tuple[Information[Any], object], ...]
DATA_TYPES: dict[Information[Any], Any] = {
    Information.named(name): get_args(get_args(hint)[0])[0]
    for name, hint in get_type_hints(Information, vars(_information)).items()
    if name.isupper()
}
"""What the datum of each identifier is."""
_HINTS = {
    name: get_type_hints(kind, localns={"trio": _TRIO, **vars(_information)})
    for name, kind in _VOCABULARY.items()
    if attrs.has(kind)
}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a field's type hint says; the core relies on it, as on a type checker's word."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if hint == Data:
        return _fits(value, _PAIRS) and all(map(_is_data, value))
    if kind is Any or kind is Hashable or isinstance(kind, TypeVar):
        return True
    if kind in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if kind is tuple and inner[-1] is not Ellipsis:
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
    if kind in (tuple, frozenset):
        return isinstance(value, kind) and all(_fits(item, inner[0]) for item in value)
    if kind is float:
        return type(value) in (int, float) and not math.isnan(value)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
