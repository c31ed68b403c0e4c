"""How the tests run the real command, as users do, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

TRIMIF = [sys.executable, "-m", "trimif.cli"]
LIMIT = 30.0  # seconds, until a command that hangs fails its test


def start(
    *arguments: str, environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start ``trimif`` from this thread, hence in the network namespace where this thread is."""
    return subprocess.Popen(
        [*before, *TRIMIF, *arguments],
        text=True,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``trimif`` to its end."""
    process = start(*arguments, environment=environment)
    return finish(process)


async def run_beside(*arguments: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The same, while the servers of the networks go on in this thread.

    Args:
        before: a command that runs the command, for example with fewer privileges.
    """
    process = start(*arguments, before=before)
    return await trio.to_thread.run_sync(finish, process)


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        output, errors = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def marked_processes(mark: str) -> list[int]:
    """The processes that have a mark in their environment, wherever they have got to."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # gone, or not ours
    return found
