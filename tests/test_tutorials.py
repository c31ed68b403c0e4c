"""The tutorials are done as a reader does them: files are saved, commands are typed into a shell, outputs compared.

The shell runs in a network namespace that has what the tutorials show of "a machine with one cable"; a tutorial makes
all other networks itself. ``...`` in an expected line stands for anything.
"""

from __future__ import annotations

import fnmatch
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest
from attrs import frozen
from sybil import Sybil
from sybil.parsers.rest import CodeBlockParser

from trimif.testing._namespaces import Namespace

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted(ROOT.glob("tutorials/*.rst"))
PATIENCE_SECONDS = 30.0
DONE = "the command has ended"
ONE_CABLE = """\
link set lo up
link set eth0 addrgenmode none
link set eth0 up
address add 198.51.100.7/24 dev eth0
address add 2001:db8:1::7/64 dev eth0 nodad
route add default via 198.51.100.1
"""


# ---------------------------------------------------------------- the text


@frozen
class Command:
    """What follows a ``$``, and the lines below it."""

    line: int
    text: str
    output: list[str]


def blocks_of(path: Path, language: str) -> Iterator[tuple[int, str]]:
    parser = CodeBlockParser(language, evaluator=lambda example: None)
    for example in Sybil(parsers=[parser]).parse(path).examples():
        yield example.line, str(example.parsed)


def files_of(path: Path) -> dict[str, str]:
    """The Python blocks, by the name in the comment that each begins with."""
    texts = [text for _, text in blocks_of(path, "python")]
    return {text.splitlines()[0].removeprefix("# "): text for text in texts}


def commands_of(path: Path) -> Iterator[Command]:
    for start, block in blocks_of(path, "console"):
        command: Command | None = None
        for line, text in enumerate(block.splitlines(), start + 2):
            if text.startswith("$ "):
                if command is not None:
                    yield command
                command = Command(line, text.removeprefix("$ "), [])
            else:
                assert command is not None, f"{path.name}:{line}: an output without a command"
                command.output.append(text)
        assert command is not None, f"{path.name}:{start}: a block without a command"
        yield command


# ---------------------------------------------------------------- the shell


class Shell:
    """A real one, whose input is the tutorial: a shell that it starts in itself reads on from there.

    That a command has ended comes by a pipe of its own: a program in the background may be in the middle of a line.
    """

    def __init__(self, host: Namespace, directory: Path) -> None:
        ends, self._end = os.pipe()
        self._process = host.popen(
            ["bash", "--norc"],
            cwd=directory,
            env=environment_of_reader(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[self._end],
        )
        self._lines: queue.Queue[str] = queue.Queue()
        assert self._process.stdout is not None
        sources = (self._process.stdout, os.fdopen(ends))
        self._readers = [threading.Thread(target=self._read, args=[source]) for source in sources]
        for reader in self._readers:
            reader.start()

    def _read(self, source: IO[str]) -> None:
        with source:
            for line in source:
                self._lines.put(line.rstrip())

    def type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def do(self, command: Command, where: str) -> None:
        """Type a command, and wait until it has ended and its output has come, in the background or not."""
        self.type(f"{command.text}\necho '{DONE}' >&{self._end}")
        missing, ended, got = list(command.output), False, []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while missing or not ended:
            line = self._next(deadline)
            if line == DONE:
                ended = True
                continue
            got.append(line)
            matches = line is not None and bool(missing) and fnmatch.fnmatchcase(line, as_pattern(missing[0]))
            assert matches, f"{where}:{command.line}: $ {command.text}: expected {missing}, got {got}"
            del missing[0]

    def _next(self, deadline: float) -> str | None:
        try:
            return self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None

    def leave(self) -> None:
        """Let it end, and see that it said nothing more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(PATIENCE_SECONDS) == 0
        self._readers[0].join(PATIENCE_SECONDS)
        assert not self._readers[0].is_alive(), "something is left running in the background"
        assert set(iter_nowait(self._lines)) <= {DONE}

    def close(self) -> None:
        """End it, and what it left running in the background."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self._end)
        for reader in self._readers:
            reader.join()


def iter_nowait(lines: queue.Queue[str]) -> Iterator[str]:
    with suppress(queue.Empty):
        while True:
            yield lines.get_nowait()


def as_pattern(line: str) -> str:
    return line.replace("[", "[[]").replace("?", "[?]").replace("*", "[*]").replace("...", "*")


@contextmanager
def open_host() -> Iterator[Namespace]:
    """A machine with one cable, and whoever is at its other end."""
    with ExitStack() as stack:
        host, network = Namespace("tutorial"), Namespace("network")
        for each in (host, network):
            stack.callback(each.close)
        configure(host, f"link add eth0 type veth peer name lan0 netns {network.path}\n")
        configure(network, "link set lan0 addrgenmode none\nlink set lan0 up\naddress add 198.51.100.1/24 dev lan0\n")
        configure(host, ONE_CABLE)
        yield host


def configure(namespace: Namespace, batch: str) -> None:
    namespace.run(["ip", "-batch", "-"], input=batch.encode(), check=True, stdout=subprocess.DEVNULL)


def environment_of_reader() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return mine | {"PATH": path, "PYTHONWARNINGS": "error", "COLUMNS": "120", "LC_ALL": "C.UTF-8"}


# ---------------------------------------------------------------- the tests


@pytest.mark.lab
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_what_the_tutorial_shows_is_what_happens(path: Path, tmp_path: Path) -> None:
    for name, text in files_of(path).items():
        (tmp_path / name).write_text(text)
    with open_host() as host:
        shell = Shell(host, tmp_path)
        try:
            for command in commands_of(path):
                shell.do(command, path.name)
            shell.leave()
        finally:
            shell.close()


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_file_of_a_tutorial_is_used(path: Path) -> None:
    files, commands = files_of(path), " ".join(command.text for command in commands_of(path))
    assert files
    for name in files:
        module = name.removesuffix(".py")
        assert f" {name}" in commands or any(f"from {module} import" in text for text in files.values()), name
