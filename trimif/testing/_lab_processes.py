"""Processes of the lab: started in a namespace, known to be ready, ended by their own id, their words kept.

Each is the leader of a session of its own: a Ctrl-C at the terminal doesn't reach it before the lab ends it in
order, and what it starts itself (dhclient's script) can be ended with it. If this program dies without a word, the
kernel ends them (`Namespace.popen`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from trimif.testing._namespaces import Namespace

# Ordinary users lack the directories of the system's programs; and what a daemon does must not depend on the
# environment of whoever runs the tests.
SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/systemd:/lib/systemd"
"""systemd's daemons are not on anybody else's."""
ENVIRONMENT = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}


class LabError(Exception):
    """Something of the lab itself went wrong: a program failed, or was not ready in time."""


def poll_until(condition: Callable[[], bool], what: str, *, seconds: float = 10) -> None:
    """Look every two milliseconds until `condition` holds: for what other processes do, which tell nobody.

    Blocks the thread.

    Raises:
        LabError: it didn't in `seconds`; names `what`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds:g} s: {what}")
        time.sleep(0.002)


def run(namespace: Namespace, command: Sequence[str], text: str = "") -> str:
    """Run a short command with `text` as its input; returns its output.

    Raises:
        LabError: it failed; quotes what it said.
    """
    done = namespace.run(command, input=text, capture_output=True, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)} in {namespace.name}: {done.stderr.strip() or done.returncode}\n{text}")
    return str(done.stdout)


class Daemon:
    """A process that runs until it is ended; its output goes to a log file."""

    def __init__(
        self,
        namespace: Namespace,
        command: Sequence[str],
        log: Path,
        *,
        directory: str = "/",
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start it. `descriptors` are handed down to it under the same numbers."""
        self.namespace = namespace
        self._log = log
        with log.open("ab") as output:
            self._process = namespace.popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=ENVIRONMENT,
                cwd=directory,
                pass_fds=descriptors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, and that of its process group."""
        return self._process.pid

    def running(self) -> bool:
        """It has not ended yet."""
        return self._process.poll() is None

    def log(self) -> str:
        """All that it, and others with the same log file, have said so far."""
        return self._log.read_text(errors="replace")

    def listens(self, table: str, port: int) -> bool:
        """A socket in its namespace has that local port; `table` is a file of ``/proc/net``, for example ``udp6``."""
        if not self.running():
            raise LabError(f"{self._log.stem} ended by itself:\n{self.log()}")
        lines = Path(f"/proc/{self.pid}/net/{table}").read_text().splitlines()[1:]
        return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        self._process.send_signal(number)

    def end(self) -> None:
        """End it at once, and all that it has started. A second call does nothing."""
        self.kill()
        self._process.wait()

    def kill(self) -> None:
        """The first half of `end`: returns without waiting."""
        if self.running():
            with suppress(ProcessLookupError):  # The group exists only once the child has made its session.
                os.killpg(self.pid, signal.SIGKILL)
            self._process.kill()

    def end_gently(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 5) -> None:
        """Let it say goodbye (a last router advertisement, a DHCPRELEASE); after `seconds` end it anyway."""
        self.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.end()
