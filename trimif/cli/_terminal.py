"""Text for terminals: what came from a network is escaped, times and lengths are readable.

Names, search domains and reasons can be anything that somebody on the network wrote. Only printable characters reach
the terminal as they are; the rest (control characters, escape sequences, marks that turn the direction of writing)
is shown as Python would write it. Nothing is ever taken for Rich's markup: it is printed as ``rich.text.Text``.
"""

from __future__ import annotations

import math
import sys

__all__ = ["escape", "fail", "for_people", "milliseconds", "seconds_left"]


def escape(text: object) -> str:
    """The text with everything that is not printable written out: a bell becomes the four characters ``\\x07``."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )


def for_people(seconds: float) -> str:
    """A length of time: ``for ever``, ``2 d 3 h``, ``59 min 30 s``, ``12 s``; ``over`` if there is nothing left."""
    if seconds == math.inf:
        return "for ever"
    if seconds <= 0:
        return "over"
    rest, parts = round(seconds), []
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "less than 1 s"


def seconds_left(deadline: float, now: float) -> float | None:
    """For JSON, which has no infinity: None for ever, else not less than 0."""
    return None if deadline == math.inf else max(0.0, round(deadline - now, 3))


def milliseconds(seconds: float) -> str:
    """``12.3 ms``"""
    return f"{1000 * seconds:.1f} ms"


def fail(text: str) -> None:
    """Say on standard error why the command could not do what it was asked to."""
    print(f"trimif: {escape(text)}", file=sys.stderr)
