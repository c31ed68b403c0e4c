"""Text for terminals: what came from a network is escaped, times and lengths are readable.

Nothing is ever taken for Rich's markup: it is printed as ``rich.text.Text``.
"""

from __future__ import annotations

import math
import sys

from trimif.testing._text import escape, for_people

__all__ = ["escape", "fail", "for_people", "milliseconds", "seconds_left"]


def seconds_left(deadline: float, now: float) -> float | None:
    """For JSON, which has no infinity: None for ever, else not less than 0."""
    return None if deadline == math.inf else max(0.0, round(deadline - now, 3))


def milliseconds(seconds: float) -> str:
    """``12.3 ms``"""
    return f"{1000 * seconds:.1f} ms"


def fail(text: str) -> None:
    """Say on standard error why the command could not do what it was asked to."""
    print(f"trimif: {escape(text)}", file=sys.stderr)
