"""The loud skip: a machine that can't run the lab says so, with the remedy, and CI fails on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimif.testing import _lab_requirements
from trimif.testing._lab_processes import SEARCH_PATH

ROOT = Path(__file__).parents[2]
LAB_TEST = "tests/lab/test_lab.py::test_router_advertisements_have_configured_the_host"

# Without privilege, and without a way to it: root of a user namespace that may make no other one, less its
# capabilities. The limit is that of the new namespace, not of the machine.
POWERLESS = """\
echo 0 > /proc/sys/user/max_user_namespaces
exec setpriv --bounding-set=-all --inh-caps=-all "$@"
"""
# A mount namespace of its own, in which radvd is no program.
WITHOUT_RADVD = """\
mount --bind /dev/null "$(command -v radvd)"
exec "$@"
"""


def run_pytest(preparation: str, *, require: bool) -> subprocess.CompletedProcess[str]:
    """Run one lab test in a process that `preparation` has weakened."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", preparation, "sh"]
    command += [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", LAB_TEST]
    environment = os.environ | {"TRIMIF_REQUIRE_LAB": "1" if require else "", "PATH": SEARCH_PATH}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.lab
@pytest.mark.parametrize(
    ("preparation", "remedy"),
    [(POWERLESS, "run as root, or allow user namespaces"), (WITHOUT_RADVD, "--no-install-recommends radvd\n")],
)
def test_lab_tests_are_skipped_with_a_remedy_or_fail_if_required(preparation: str, remedy: str) -> None:
    skipped = run_pytest(preparation, require=False)
    assert skipped.returncode == 0, skipped.stdout + skipped.stderr
    assert "1 lab test was SKIPPED" in skipped.stdout
    assert remedy in skipped.stdout
    failed = run_pytest(preparation, require=True)
    assert failed.returncode == 1
    assert remedy in failed.stdout


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lab_requirements, "SEARCH_PATH", "/nonexistent")
    reason = _lab_requirements.why_no_programs()
    assert reason is not None
    assert all(each in reason for pair in _lab_requirements.PROGRAMS.items() for each in pair)
