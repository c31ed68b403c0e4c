"""Inputs as long as can be, of one thing over and over: what a parser must not take the square of its time for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["attacks"]

_UNITS = (
    *(
        b"{",
        b"[",
        b'"',
        b"\\",
        b" ",
        b"\n",
        b"\0",
        b"\xff",
        b"a",
        b"9",
        b":",
        b".",
        b";",
        b",",
        b"=",
        b"#",
        b"%",
        b"\t",
    ),
    *(
        b"{}",
        b"[]",
        b"a{",
        b"a;",
        b"a:",
        b"a.",
        b"a ",
        b"1 ",
        b"1,",
        b":: ",
        b"a=b\n",
        b'"",',
        b'\\"',
        b"[{",
        b'{"a":',
        b"\xc3\xa9",
    ),
    *(
        b"\1\0",
        b"\0\1\0\0",
        b"\1a",
        b"\1a\0",
        b"\xc0\x00",
        b"\0\1\0\0\0",
        b"\4\0\1\0",
        b"\x10\0\0\0",
        b"\x15\x01",
        b"option ",
    ),
)
_STARTS = (b"=", b'"', b" ", b":", b"\n", b"{", b"[")
_ENDS = (b"", b"x", b'"', b"\n", b"\0", b"}", b"\xff")


def attacks(chance: random.Random, seeds: Sequence[bytes], octets: int) -> Iterator[bytes]:
    """Inputs of about so many octets: one thing alone, and within good inputs; parts of these, and all, repeated."""
    for unit in _UNITS:
        row = unit * (octets // len(unit))
        yield row
        seed = chance.choice(seeds)
        at = _inside(chance, seed)
        yield (seed[:at] + row + chance.choice(_ENDS) + seed[at:])[:octets]
        yield (seed[:at] + row)[: max(0, octets - len(seed))] + chance.choice(_ENDS) + seed[at:]
    for seed in seeds:
        yield (seed * (1 + octets // max(1, len(seed))))[:octets]
        start = chance.randrange(max(1, len(seed)))
        part = seed[start : start + chance.choice((1, 2, 4, 8, 20, 60))] or b"\0"
        yield (seed[:start] + part * (octets // len(part)))[:octets]


def _inside(chance: random.Random, seed: bytes) -> int:
    """Where a value may begin, or anywhere."""
    at = seed.find(chance.choice(_STARTS), chance.randrange(max(1, len(seed))))
    return at + 1 if at >= 0 else chance.randrange(max(1, len(seed)))
