"""The race as a picture: a bar for each attempt to connect, from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from trimif._model import IPAddress
from trimif.cli._terminal import escape

__all__ = ["Attempt", "draw_race"]

WIDTH = 40
"""Of the course, in characters."""


@frozen
class Attempt:
    """One attempt to connect.

    Attributes:
        domain: the name of the domain that it went through.
        began: in seconds on Trio's clock.
        ended: when the answer came, or when it was stopped.
        outcome: ``connected``, or why it was not.
    """

    domain: str
    address: IPAddress
    began: float
    ended: float
    outcome: str


def draw_race(attempts: Sequence[Attempt], winner: Attempt | None) -> Iterator[str]:
    """The lines of the picture, safe for a terminal, without line ends; time runs to the right, one scale for all."""
    if not attempts:
        return
    start, finish = min(each.began for each in attempts), max(each.ended for each in attempts)
    columns = [(escape(each.domain), str(each.address)) for each in attempts]
    wide = [max(len(row[column]) for row in columns) for column in (0, 1)]
    for attempt, (domain, address) in zip(attempts, columns, strict=True):
        bar = _bar(attempt, start, max(finish - start, 1e-6))
        outcome = f"{escape(attempt.outcome)}{', the winner' if attempt is winner else ''}"
        times = f"{1000 * (attempt.began - start):.1f}-{1000 * (attempt.ended - start):.1f} ms"
        yield f"{domain:{wide[0]}}  {address:{wide[1]}}  [{bar}] {times:>14}  {outcome}"


def _bar(attempt: Attempt, start: float, span: float) -> str:
    first, last = (min(int((at - start) / span * WIDTH), WIDTH - 1) for at in (attempt.began, attempt.ended))
    return ("." * first + "=" * (last - first) + "|").ljust(WIDTH, ".")
