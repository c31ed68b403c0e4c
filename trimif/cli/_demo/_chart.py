"""The message sequence as figure 2 draws it: two columns, an arrow for each message, and when it passed.

The chart is made of the messages that were really posted and received, nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

from attrs import frozen

from trimif._messages import Announcement, Request
from trimif.testing._words import Describer

__all__ = ["Direction", "Passed", "draw_chart"]

NARROWEST, WIDEST = 64, 84
"""The space between the two columns, in characters; longer texts are cut."""
MARGIN = 13


class Direction(enum.Enum):
    """Which way a message went."""

    POSTED = "from the application to the API"
    RECEIVED = "from the API to the application"


@frozen
class Passed:
    """A message that passed between application and API.

    Attributes:
        time: when, in seconds on Trio's clock.
    """

    time: float
    direction: Direction
    message: Request | Announcement


def draw_chart(history: Iterable[Passed], columns: int = 80) -> Iterator[str]:
    """The lines of the chart, safe for a terminal, without line ends; times count from the first message.

    Args:
        columns: of the terminal.
    """
    history = list(history)
    width = max(NARROWEST, min(columns - MARGIN - 3, WIDEST))
    yield from _head(width)
    describer = Describer()
    for passed in history:
        text = describer.describe(passed.message, passed.time)
        yield f"{1000 * (passed.time - history[0].time):9.1f} ms |{_arrow(passed.direction, text, width)}|"
    yield f"{' ' * MARGIN}|{' ' * width}|"


def _head(width: int) -> Iterator[str]:
    margin, gap = " " * (MARGIN - 4), " " * (width - 8)
    yield f"{margin}+-------+{gap}+-------+"
    yield f"{margin}|  APP  |{gap}|  API  |"
    yield f"{margin}+-------+{gap}+-------+"


def _arrow(direction: Direction, text: str, width: int) -> str:
    """The text on the shaft of an arrow that spans the chart, nearer to where the message comes from."""
    room = width - 6
    label = f" {text if len(text) <= room else text[: room - 3] + '...'} "
    if direction is Direction.POSTED:
        return f"--{label}".ljust(width - 1, "-") + ">"
    return "<" + f"{label}--".rjust(width - 1, "-")
