"""The command: look, diagnose, report."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import trimif
from trimif.cli._doctor._checks import diagnose
from trimif.cli._doctor._leases import CurrentLeases
from trimif.cli._doctor._look import look
from trimif.cli._doctor._report import exit_code, print_report, to_json
from trimif.cli._domains import LeaseDirectories, Seconds, wait_settled
from trimif.cli._run import emit, run

__all__ = ["doctor"]

UNWRAPPED = 1000  # columns of what is no terminal


def doctor(*, json: bool = False, wait: Seconds = 3.0, leases: LeaseDirectories = ()) -> int:
    """Say what is wrong with this host for the use of several networks at once, and the remedy.

    Only looks; nothing is changed. Ends with 0 if there is nothing worse than a note, else with 1.

    For example `trimif doctor`, or `trimif doctor --json | jq -r '.findings[].remedy'`.

    Args:
        json: For programs: one JSON object.
        wait: Seconds in which routers may answer, if not everything is known at once; they may take three (RFC 4861).
    """
    return run(lambda: _doctor(json, wait, leases))


async def _doctor(as_json: bool, patience: float, directories: Sequence[Path]) -> int:
    leases = CurrentLeases()
    async with trimif.open_mif(lease_directories=directories, record=leases) as mif:
        await wait_settled(mif, patience)
        picture = await look(mif, leases, directories)
    diagnoses = diagnose(picture)
    if as_json:
        emit(json_format.dumps(to_json(diagnoses, picture.unseen), indent=2))
    else:
        console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else UNWRAPPED)
        with console.capture() as text:  # Rich would leave a closed pipe by SystemExit
            print_report(console, diagnoses, picture.unseen)
        emit("\n".join(line.rstrip() for line in text.get().rstrip("\n").splitlines()))
    return exit_code(diagnoses)
