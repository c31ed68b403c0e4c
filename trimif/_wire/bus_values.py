"""Values of D-Bus out of octets (D-Bus specification, "Type System" and "Marshaling").

A signature is turned into functions, one for each complete type, that read it from where a `Place` is. Variants are
replaced by what they hold: each has a signature of its own beside it.

No input is read twice or for ever. Every element of an array takes at least one octet, as the specification sees to
("empty structures are not allowed"), and nesting has a bound, in signatures and of variants in variants.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import define

from trimif._errors import MalformedInput

__all__ = ["Place", "read_values"]

DEPTH = 64
"""The "total depth" of arrays, structures and variants in each other is not more."""
SIGNATURE_OCTETS = 255
ARRAY_OCTETS = 1 << 26

_NUMBERS = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
_ALIGNMENTS = {"(": 8, "{": 8, "v": 1, "g": 1, "b": 4, "s": 4, "o": 4, "a": 4}


@define
class Place:
    """Where to read on.

    Attributes:
        octets: all of a message, from whose beginning on alignment counts.
        offset: of what is read next.
        order: of octets in numbers, ``"<"`` or ``">"``.
        depth: how many arrays, structures and variants this is inside of.
    """

    octets: bytes
    offset: int
    order: str
    depth: int = 0

    def align(self, size: int) -> None:
        self.offset += -self.offset % size

    def take(self, count: int) -> bytes:
        begin = self.offset
        self.offset = begin + count
        if self.offset > len(self.octets):
            raise MalformedInput("a message is cut short")
        return self.octets[begin : self.offset]

    def number(self, form: str) -> Any:
        layout = struct.Struct(self.order + form)
        self.align(layout.size)
        return layout.unpack(self.take(layout.size))[0]

    def text(self, octets: int) -> str:
        """A text of so many octets, and the zero after it."""
        try:
            text = self.take(octets).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedInput("a text is not UTF-8") from None
        if self.take(1) != b"\0" or "\0" in text:
            raise MalformedInput("a text does not end where it has to")
        return text


Read: TypeAlias = Callable[[Place], Any]


def read_values(signature: str, place: Place) -> tuple[Any, ...]:
    """Read the values of a signature, a row of complete types.

    Octets (``ay``) become `bytes`, other arrays lists, dictionaries dicts, structures tuples.

    Raises:
        MalformedInput: the signature is none, or the octets are not of these types.
    """
    return tuple(read(place) for read in _readers(signature))


def _readers(signature: str) -> list[Read]:
    if len(signature) > SIGNATURE_OCTETS:
        raise MalformedInput(f"a signature of {len(signature)} types")
    readers = []
    rest = signature
    while rest:
        reader, rest = _reader(rest, 0)
        readers.append(reader)
    return readers


def _reader(signature: str, depth: int) -> tuple[Read, str]:
    """What reads the first complete type, and the signature after that."""
    if depth > DEPTH:
        raise MalformedInput("a signature is nested too deeply")
    kind, rest = signature[:1], signature[1:]
    if kind in _SIMPLE:
        return _SIMPLE[kind], rest
    if kind == "(":
        return _structure(rest, depth)
    if kind == "a" and rest[:1] == "{":
        return _dictionary(rest[1:], depth)
    if kind == "a":
        alignment = _alignment(rest)
        element, after = _reader(rest, depth + 1)
        return (_octets if rest[0] == "y" else _array(element, alignment)), after
    raise MalformedInput(f"{signature!r:.80} is no signature")


def _alignment(signature: str) -> int:
    kind = signature[:1]
    return struct.calcsize("=" + _NUMBERS[kind]) if kind in _NUMBERS else _ALIGNMENTS.get(kind, 1)


def _structure(signature: str, depth: int) -> tuple[Read, str]:
    fields = []
    while signature[:1] != ")":
        reader, signature = _reader(signature, depth + 1)
        fields.append(reader)
    if not fields:
        raise MalformedInput("a structure has no fields")
    return _nested(lambda place: tuple([read(place) for read in fields]), 8), signature[1:]


def _dictionary(signature: str, depth: int) -> tuple[Read, str]:
    if signature[:1] not in _SIMPLE or signature[:1] == "v":
        raise MalformedInput("a dictionary's key is of no basic type")
    key, rest = _reader(signature, depth + 2)
    item, rest = _reader(rest, depth + 2)
    if rest[:1] != "}":
        raise MalformedInput("a dictionary's entry is no pair")
    entries = _array(_nested(lambda place: (key(place), item(place)), 8), 8)
    return lambda place: dict(entries(place)), rest[1:]


# ---------------------------------------------------------------- reading


def _nested(read: Read, alignment: int) -> Read:
    def reader(place: Place) -> Any:
        if place.depth >= DEPTH:
            raise MalformedInput("values are nested too deeply")
        place.align(alignment)
        place.depth += 1
        value = read(place)
        place.depth -= 1
        return value

    return reader


def _length(place: Place) -> int:
    octets = int(place.number("I"))
    if octets > ARRAY_OCTETS:
        raise MalformedInput(f"an array of {octets} octets")
    return octets


def _octets(place: Place) -> bytes:
    return place.take(_length(place))


def _array(read: Read, alignment: int) -> Read:
    def items(place: Place) -> list[Any]:
        octets = _length(place)
        place.align(alignment)
        end = place.offset + octets
        found = []
        while place.offset < end:
            found.append(read(place))
        if place.offset != end:
            raise MalformedInput("the last element of an array goes on behind its end")
        return found

    return _nested(items, 4)


def _variant(place: Place) -> Any:
    readers = _readers(_signature(place))
    if len(readers) != 1:
        raise MalformedInput("a variant is not of one type")
    return readers[0](place)


def _boolean(place: Place) -> bool:
    number = place.number("I")
    if number > 1:
        raise MalformedInput(f"a boolean is {number}")
    return bool(number)


def _signature(place: Place) -> str:
    return place.text(place.take(1)[0])


def _number(form: str) -> Read:
    return lambda place: place.number(form)


def _text(place: Place) -> str:
    return place.text(place.number("I"))


_SIMPLE: dict[str, Read] = {
    **{kind: _number(form) for kind, form in _NUMBERS.items()},
    "b": _boolean,
    "g": _signature,
    "o": _text,
    "s": _text,
    "v": _nested(_variant, 1),
}
