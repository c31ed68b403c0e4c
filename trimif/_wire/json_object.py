"""One JSON object out of octets from the network, by the strict profile that RFC 8801, 4 asks for: I-JSON (RFC 7493).

UTF-8 only, no key twice in one object, no NaN. What Python's parser could be made to spend is bounded before it
starts: octets, depth, and digits of a number (turning digits into an integer takes time squared).
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any
from urllib.parse import urlsplit

from trimif._errors import MalformedInput

__all__ = ["MAX_OCTETS", "optional_boolean", "optional_integer", "optional_url", "parse_object"]

MAX_OCTETS = 65536
"""Larger documents are refused. Real ones have less than a thousandth of that."""
MAX_DEPTH = 32
MAX_DIGITS = 20
MAX_URL = 2048
SAFE_INTEGER = 2**53 - 1  # RFC 7493, 2.2: larger ones do not survive in every implementation

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_URL = re.compile(r"[!-~]+")  # printable ASCII without blanks; other characters travel as %XX and A-labels


def parse_object(octets: bytes) -> dict[str, Any]:
    """Parse a document that is one JSON object.

    Raises:
        MalformedInput: it is none, breaks I-JSON, or is larger or deeper than any honest one.
    """
    if len(octets) > MAX_OCTETS:
        raise MalformedInput(f"a document of {len(octets)} octets is too large")
    try:
        text = octets.decode("utf-8")
        _check_depth(text)
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse, parse_int=_integer)
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are such
        raise MalformedInput(f"not an I-JSON document: {error}") from None
    if not isinstance(value, dict):
        raise MalformedInput("the document is no JSON object")
    return value


def optional_boolean(value: object) -> bool | None:
    """A boolean; None for anything else, as an optional member of the wrong type is left out."""
    return value if isinstance(value, bool) else None


def optional_integer(value: object) -> int | None:
    """An integer from 0 to 2**53 - 1, also if written as ``3.0`` or ``3e2``; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= SAFE_INTEGER and value == int(value) else None


def optional_url(value: object, *schemes: str) -> str | None:
    """An absolute URL of one of the schemes, with a host, in printable ASCII; None for anything else."""
    if not isinstance(value, str) or len(value) > MAX_URL or not _URL.fullmatch(value):
        return None
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - it raises if it is none
    except ValueError:
        return None
    return value if parts.scheme in schemes and parts.hostname else None


def _check_depth(text: str) -> None:
    outside_strings = "".join(_ESCAPE.sub("", text).split('"')[::2])
    steps = (1 if character in "[{" else -1 for character in outside_strings if character in "[]{}")
    if any(depth > MAX_DEPTH for depth in itertools.accumulate(steps)):
        raise MalformedInput(f"objects and arrays are nested more than {MAX_DEPTH} deep")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedInput("a key is there twice (RFC 7493, 2.3)")
    return members


def _refuse(name: str) -> None:
    raise MalformedInput(f"{name} is no JSON number")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)
