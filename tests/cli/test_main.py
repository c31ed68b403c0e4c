"""The command itself: help, version, what it needs, and how it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trio

from trimif.cli._run import run as run_command

from .commands import finish, run


def test_help_lists_every_command_with_what_it_is_for() -> None:
    process = run("--help")
    assert (process.returncode, process.stderr) == (0, "")
    for command in ("demo", "show", "watch", "resolve", "connect", "doctor"):
        assert any(line.split()[1:2] == [command] and len(line.split()) > 5 for line in process.stdout.splitlines())


@pytest.mark.parametrize("command", ["demo", "show", "watch", "resolve", "connect", "doctor"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    process = run(command, "--help")
    assert (process.returncode, process.stderr) == (0, "")
    assert f"For example trimif {command}" in process.stdout


def test_version() -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == version("trimif")


@pytest.mark.parametrize("package", ["cyclopts", "rich"])
def test_without_the_extra_it_says_what_to_install(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from trimif.cli import main; main()"
    command = [sys.executable, "-c", program]
    process = finish(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == f"trimif: the command line needs {package}: pip install 'trimif[cli]'\n"


def test_a_port_that_is_none_is_an_error() -> None:
    process = run("connect", "198.51.100.7", "65536")
    assert (process.returncode, process.stdout) == (2, "")
    assert "65536" in process.stderr


@pytest.mark.parametrize("command", [("resolve", "two words"), ("connect", "two words", "80")])
def test_a_name_that_is_none_is_an_error(command: tuple[str, ...]) -> None:
    process = run(*command)
    assert (process.returncode, process.stdout) == (2, "")
    assert "'two words' is not the name" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("option", ["--wait", "--limit"])
def test_a_negative_time_is_an_error(option: str) -> None:
    process = run("connect", "198.51.100.7", "80", option, "-1")
    assert (process.returncode, process.stdout) == (2, "")
    assert option in process.stderr
    assert "Traceback" not in process.stderr


def test_an_error_of_a_command_comes_out_bare() -> None:
    async def command() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail)
        return 0

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        run_command(command)


def test_the_exit_code_is_the_commands() -> None:
    async def command() -> int:
        await trio.lowlevel.checkpoint()
        return 3

    assert run_command(command) == 3
