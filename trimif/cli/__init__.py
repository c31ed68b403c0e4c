"""The ``trimif`` command. Needs the extra ``cli``: ``pip install 'trimif[cli]'``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the ``trimif`` command, and end the process with its exit code.

    Args:
        arguments: of the command line, without the program's name; those of the process by default.

    Raises:
        SystemExit: always.
    """
    from trimif.cli._run import end_at_once_when_interrupted

    with end_at_once_when_interrupted():
        try:
            import cyclopts  # noqa: F401
            import rich  # noqa: F401
        except ImportError as error:
            print(f"trimif: the command line needs {error.name}: pip install 'trimif[cli]'", file=sys.stderr)
            sys.exit(1)
        from trimif.cli._app import run_command_line

        sys.exit(run_command_line(arguments))
