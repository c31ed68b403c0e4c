"""The form in which systemd's daemons keep their state: lines of ``KEY=VALUE`` (:manpage:`systemd.exec(5)`,
EnvironmentFile), comments, and times as people write them.

They are renamed into place when they are whole; a text without an end of its last line was written by somebody else,
or cut short, and is malformed.
"""

from __future__ import annotations

import math
import re

from trimif._errors import MalformedInput

__all__ = ["parse_seconds", "parse_variables"]

_LINE = re.compile(r"([A-Z0-9_]{1,64})=(.*)")
_SPAN = re.compile(r"([0-9]{1,10})(us|ms|min|month|[smhdwy]?)")
_SECONDS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "month": 2629800,
    "y": 31557600,
}


def parse_variables(octets: bytes) -> dict[str, str]:
    """Read the variables; of one that is there twice the last counts.

    Raises:
        MalformedInput: a line is neither a variable nor a comment, or the last one has no end.
    """
    text = octets.decode("latin-1")
    if text and not text.endswith("\n"):
        raise MalformedInput("the last line has no end")
    variables = {}
    for line in text.split("\n"):
        if not line.strip() or line[0] in "#;":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise MalformedInput(f"{line[:80]!r} is not a variable")
        variables[match[1]] = match[2].strip('"')
    return variables


def parse_seconds(text: str) -> float:
    """Read a time span, ``8min 45s`` or, up to systemd 252, ``525``, in seconds.

    Raises:
        MalformedInput: it is none.
    """
    if text == "infinity":
        return math.inf
    parts = [_SPAN.fullmatch(part) for part in text.split(" ")]
    total = 0.0
    for part in parts:
        if part is None:
            raise MalformedInput(f"{text[:80]!r} is not a time span")
        total += int(part[1]) * _SECONDS[part[2]]
    return total
