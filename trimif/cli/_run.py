"""How a command runs: one Trio run, ended early by a signal or by whoever reads its output, without a traceback.

Ctrl-C, SIGTERM and SIGHUP cancel the command, so that all it opened is closed in order; it then ends with the code
that shells expect, 128 and the signal's number. Where no Trio run is (imports, parsing the command line) there is
nothing to close, and Ctrl-C ends the process at once.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import trio

__all__ = ["end_at_once_when_interrupted", "emit", "run"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(command: Callable[[], Awaitable[int]]) -> int:
    """Run a command under Trio; returns its exit code, or the one that says what ended it."""
    try:
        return trio.run(_supervise, command)
    except BrokenPipeError:
        return _pipe_closed()


def emit(line: str) -> None:
    """Print a line now, not when a buffer is full: somebody may be following.

    Raises:
        BrokenPipeError: nobody reads on.
    """
    print(line, flush=True)


async def _supervise(command: Callable[[], Awaitable[int]]) -> int:
    """The exit code of the command, or of what ended it. An error of the command leaves bare, not in a group."""
    codes: list[int] = []
    errors: list[Exception] = []
    with trio.open_signal_receiver(*_heeded()) as signals:
        async with trio.open_nursery() as nursery:

            async def end_by(wait: Callable[[], Awaitable[int]]) -> None:
                codes.append(await wait())
                nursery.cancel_scope.cancel(reason="the command was interrupted")

            async def await_signal() -> int:
                return 128 + int(await anext(signals))

            nursery.start_soon(end_by, await_signal)
            nursery.start_soon(end_by, _wait_unread)
            try:
                codes.append(await command())
            except Exception as error:
                errors.append(error)
            nursery.cancel_scope.cancel(reason="the command is done")
    if errors:
        raise _bare(errors[0])
    return codes[0]


def _bare(error: Exception) -> Exception:
    """The one error inside groups that hold nothing else."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        (error,) = error.exceptions
    return error


def _heeded() -> list[signal.Signals]:
    """Not those that the parent process wants ignored (nohup, a shell's background jobs)."""
    return [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]


async def _wait_unread() -> int:
    """Wait until the pipe on standard output has no reader, which a command without news would never notice."""
    try:
        output = sys.stdout.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(output).st_mode)
    except (OSError, ValueError):
        is_pipe = False
    if not is_pipe:
        await trio.sleep_forever()
    # Nothing ever becomes readable at this end of a pipe: what wakes us is the error when the other end closes.
    await trio.lowlevel.wait_readable(output)
    return _pipe_closed()


def _pipe_closed() -> int:
    """Let Python's own flush at its end go nowhere, and not to the closed pipe; as if by SIGPIPE."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return 128 + signal.SIGPIPE


@contextmanager
def end_at_once_when_interrupted() -> Iterator[None]:
    """End the process on Ctrl-C while nothing is open yet, instead of raising KeyboardInterrupt somewhere."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(128 + signal.SIGINT)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
