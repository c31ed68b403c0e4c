"""The fixtures, in somebody else's project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
import pytest

pytest_plugins = ["trimif.testing.pytest_plugin"]


@pytest.fixture
def simulated_host(simulated_host):
    simulated_host.add_link("eth0")
    return simulated_host
"""

TESTS = """
import trio


async def test_that_passes(simulated_host, simulated_mif, recorder, autojump_clock):
    simulated_host.add_lease("eth0", "198.51.100.7/24", seconds=3600)
    assert (await recorder.lines())[-1] == "0 Address 198.51.100.7/24 of eth0/ipv4, valid 1 h"
    await trio.sleep(7200)
    assert (await recorder.lines())[-1] == "3600 No PD eth0/ipv4"
    assert simulated_mif.snapshot().interfaces


async def test_whose_laws_are_broken(recorder):
    recorder._laws.told.clear()
"""


def test_fixtures(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "LawBroken: law 4: told and true differ" in finished.stdout
    assert "1 failed, 1 passed" in finished.stdout
    assert finished.returncode == 1


def test_without_the_plugin_nothing_is_needed_that_trimif_does_not_need() -> None:
    unwanted = ["pytest", "pytest_trio", "pyroute2", "rich", "cyclopts"]
    program = f"import sys, trimif.testing; print([name for name in {unwanted} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
