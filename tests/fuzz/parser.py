"""What the fuzzer has to know of a parser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, get_type_hints

from attrs import frozen

from trimif._errors import MalformedInput

__all__ = ["Parse", "Parser", "Register"]

Parse: TypeAlias = Callable[[bytes], Any]
Register: TypeAlias = Callable[[Parse], Parse]


@frozen
class Parser:
    """A parser, or several that are always used together, as a function of octets.

    Attributes:
        parse: as its source would call it; what it returns has the type that its annotation says.
        seeds: inputs that are good.
        largest: so many octets its source passes at most.
        errors: what it may raise; nothing if it takes anything.
        again: whether the value, said once more and parsed, is the same.
        json: mutations of its inputs may keep them JSON.
        strict: numbers fit their fields, and texts can be printed. A recording may have any.
    """

    parse: Parse
    seeds: tuple[bytes, ...]
    largest: int
    errors: tuple[type[Exception], ...] = (MalformedInput,)
    again: Callable[[Any], bool] | None = None
    json: bool = False
    strict: bool = True

    @property
    def name(self) -> str:
        """Its function's."""
        return self.parse.__name__

    @property
    def returns(self) -> Any:
        """The type of its values."""
        return get_type_hints(self.parse)["return"]

    @classmethod
    def register(cls, into: list[Parser], seeds: Iterable[bytes], largest: int, **more: Any) -> Register:
        """A decorator that puts the parser into a list."""

        def add(parse: Parse) -> Parse:
            into.append(cls(parse, tuple(seeds), largest, **more))
            return parse

        return add
