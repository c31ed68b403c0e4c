"""A limit for what hangs when it fails: a scope tree shields itself, so no cancel scope would end the test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Hang(BaseException):
    """It took too long."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the main thread after so many seconds, also out of Trio's event loop, which is lost then."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"nothing has happened for {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
