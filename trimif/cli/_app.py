"""The commands of ``trimif``, and how they are found."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App

from trimif.cli._connect import connect
from trimif.cli._demo._command import demo
from trimif.cli._doctor._command import doctor
from trimif.cli._resolve import resolve
from trimif.cli._show import show
from trimif.cli._watch import watch

__all__ = ["run_command_line"]

HELP = """Provisioning domains of this host: what each network offers, resolves, and reaches.

A provisioning domain (PD) is what one network told this host, and works only there: `eth0/ipv4` is IPv4 behind eth0.
No command needs privilege; what can't be seen without it is said."""


def run_command_line(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name; returns the exit code. None takes those of the process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal can't show is shown as an escape, and is no error
            stream.reconfigure(errors="backslashreplace")
    app = App(name="trimif", help=HELP, version=_version, result_action="return_value", help_format="markdown")
    for command in (demo, show, watch, resolve, connect, doctor):
        app.command(command)
    result = app(None if arguments is None else list(arguments))
    return result if isinstance(result, int) else 0


def _version() -> str:
    from importlib.metadata import version

    return version("trimif")
