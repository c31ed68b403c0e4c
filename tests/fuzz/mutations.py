"""Inputs like good ones, but for something: what a broken, old, new or hostile sender could write.

Everything comes from one `random.Random`, so that the same seed gives the same inputs.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Mutator", "cuts"]

_OCTETS = (0x00, 0x01, 0x02, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TEXT_NUMBERS = (
    *(b"0", b"-1", b"00", b"+1", b"1e9", b"1e400", b"0x10", b"255", b"256", b"65536", b"4294967295", b"4294967296"),
    *(b"9223372036854775808", b"18446744073709551616", b"9" * 20, b"9" * 400, b"9" * 5000, b"1_000", b"-0", b"0.5"),
    *("٣".encode(), "²".encode(), "１２".encode(), "١٩٢".encode(), b"nan", b"-inf", b"Infinity"),
)
_TOKENS = (
    *(
        b"\0",
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"\x0b",
        b"\x1b[2J",
        b"\x7f",
        b"\x85",
        b"\xa0",
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
    ),
    *("\u2028".encode(), "\u202e".encode(), "\ufeff".encode(), "é".encode(), "\U0001f600".encode(), b"\\", b'\\"'),
    *(
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b")",
        b";",
        b",",
        b":",
        b"::",
        b".",
        b"..",
        b"=",
        b"#",
        b"%",
        b"/",
        b"~",
        b"-",
    ),
    *(
        b"%eth0",
        b"/129",
        b"/-1",
        b"\\ud800",
        b"\\u0000",
        b"\\x9b",
        b"\\377",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b"//",
        b"../",
    ),
    *(b"\xc0\x00", b"\xc0\x0c", b"\xff\xff", b"\0\0", b"\0\1\0\0", b"a" * 64, b"a." * 130, b"a" * 300),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 255, 256, 65536, 2**31, 2**32 - 1, 2**53, 2**63, 2**64, 10**30, 0.5, 1e300, 1e400),
    *("", "0", "a", ".", "~", "\ud800", "\0", "\x1b[2J", "é", "a" * 300, "198.51.100.300", "fe80::1%eth0", "::/0", "٣"),
    *([], {}, [[]], [{}], [0] * 4, [255] * 16, [256], [-1], ["a"], {"": 0}, {"bytes": "00"}, {"tuple": [1, 2, 3]}),
)
_DIGITS = re.compile(rb"[0-9]+")


def cuts(octets: bytes, most: int) -> list[bytes]:
    """The input, cut short at every octet; at `most` places if it is long."""
    step = max(1, len(octets) // most)
    return [octets[:length] for length in range(0, len(octets), step)]


class Mutator:
    """Makes inputs of others.

    Args:
        largest: octets, which none is longer than.
        as_json: half of the inputs remain JSON.
    """

    def __init__(self, chance: random.Random, largest: int, *, as_json: bool) -> None:
        self._chance = chance
        self._largest = largest
        self._as_json = as_json
        self._ways: Sequence[Callable[[bytes], bytes]] = (
            *(self._flip, self._put_octet, self._put_number, self._insert, self._insert_token, self._remove),
            *(self._repeat, self._cut, self._change_text_number, self._move, self._nudge),
        )

    def mutate(self, inputs: Sequence[bytes]) -> bytes:
        """An input like one of these, or like two."""
        chance = self._chance
        octets = chance.choice(inputs)
        if self._as_json and chance.random() < 0.5:
            return self._mutate_json(octets)[: self._largest]
        if chance.random() < 0.1:
            octets = self._splice(octets, chance.choice(inputs))
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 9))):
            octets = chance.choice(self._ways)(octets)
        return octets[: self._largest]

    def _place(self, octets: bytes, before_end: int = 0) -> int:
        return self._chance.randint(0, max(0, len(octets) - before_end))

    def _span(self, octets: bytes) -> tuple[int, int]:
        start = self._place(octets)
        return start, min(len(octets), start + self._chance.choice((1, 1, 2, 3, 4, 8, 16, 40, 200)))

    def _splice(self, octets: bytes, other: bytes) -> bytes:
        return octets[: self._place(octets)] + other[self._place(other) :]

    def _flip(self, octets: bytes) -> bytes:
        at = self._place(octets, 1)
        return (
            octets[:at]
            + bytes(octet ^ 1 << self._chance.randrange(8) for octet in octets[at : at + 1])
            + octets[at + 1 :]
        )

    def _put_octet(self, octets: bytes) -> bytes:
        at = self._place(octets, 1)
        return octets[:at] + bytes([self._chance.choice(_OCTETS)]) + octets[at + 1 :]

    def _put_number(self, octets: bytes) -> bytes:
        """A field that may be a length, in either order."""
        size = self._chance.choice((1, 2, 2, 4, 8))
        number = self._chance.choice((*_NUMBERS, len(octets), len(octets) + 1)) & ((1 << 8 * size) - 1)
        at = self._place(octets, size)
        return octets[:at] + number.to_bytes(size, self._chance.choice(("big", "little"))) + octets[at + size :]

    def _nudge(self, octets: bytes) -> bytes:
        at = self._place(octets, 1)
        by = self._chance.choice((-8, -4, -2, -1, 1, 2, 4, 8))
        return octets[:at] + bytes((octet + by) & 0xFF for octet in octets[at : at + 1]) + octets[at + 1 :]

    def _insert(self, octets: bytes) -> bytes:
        at = self._place(octets)
        return octets[:at] + self._chance.randbytes(self._chance.choice((1, 2, 4, 8, 16))) + octets[at:]

    def _insert_token(self, octets: bytes) -> bytes:
        at = self._place(octets)
        return octets[:at] + self._chance.choice(_TOKENS) + octets[at:]

    def _remove(self, octets: bytes) -> bytes:
        start, end = self._span(octets)
        return octets[:start] + octets[end:]

    def _repeat(self, octets: bytes) -> bytes:
        start, end = self._span(octets)
        times = self._chance.choice((1, 1, 1, 2, 3, 10, 50))
        return octets[:end] + octets[start:end] * times + octets[end:]

    def _move(self, octets: bytes) -> bytes:
        start, end = self._span(octets)
        rest = octets[:start] + octets[end:]
        at = self._place(rest)
        return rest[:at] + octets[start:end] + rest[at:]

    def _cut(self, octets: bytes) -> bytes:
        return octets[: self._place(octets)]

    def _change_text_number(self, octets: bytes) -> bytes:
        found = [each.span() for each in _DIGITS.finditer(octets[:4096])]
        if not found:
            return self._insert_token(octets)
        start, end = self._chance.choice(found)
        return octets[:start] + self._chance.choice(_TEXT_NUMBERS) + octets[end:]

    # ------------------------------------------------------------ inputs that remain JSON

    def _mutate_json(self, octets: bytes) -> bytes:
        try:
            value = json.loads(octets)
        except (ValueError, RecursionError):
            return self._flip(octets)
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            value = self._change(value)
        return json.dumps(value, ensure_ascii=self._chance.random() < 0.9).encode("utf-8", "surrogatepass")

    def _change(self, value: Any) -> Any:
        """The value with something in it changed: another value, a member more, fewer or of another name."""
        chance = self._chance
        if isinstance(value, dict | list) and value and chance.random() < 0.85:
            return self._change_within(value)
        if isinstance(value, str) and chance.random() < 0.4:
            return self._mutated_text(value)
        if isinstance(value, int) and abs(value) < 1 << 64 and chance.random() < 0.3:
            return chance.choice((value + 1, -value, value << 8, value << 40, value / 2**40, f"{value}", bool(value)))
        return chance.choice(_VALUES) if chance.random() < 0.9 else [value] * chance.choice((1, 2, 100))

    def _change_within(self, value: Any) -> Any:
        chance = self._chance
        pairs: list[tuple[Any, Any]] = list(value.items() if isinstance(value, dict) else enumerate(value))
        at = chance.randrange(len(pairs))
        key, item = pairs[at]
        match chance.randrange(8):
            case 0:
                del pairs[at]
            case 1:
                pairs.insert(at, (key, item))
            case 2 if isinstance(value, dict):
                pairs[at] = (chance.choice((self._mutated_text(key), chance.choice(pairs)[0])), item)
            case 3:
                pairs[at] = (key, chance.choice(pairs)[1])
            case _:
                pairs[at] = (key, self._change(item))
        return dict(pairs) if isinstance(value, dict) else [item for _, item in pairs]

    def _mutated_text(self, text: str) -> str:
        octets = self._chance.choice(self._ways)(text.encode("utf-8", "surrogatepass"))
        return octets.decode("utf-8", self._chance.choice(("replace", "surrogateescape")))
