"""The loud skip: where the lab can't run, its tests are skipped with a remedy; with TRIMIF_REQUIRE_LAB=1 they fail.

Tests marked ``lab`` need network namespaces; those that use the fixture ``lab`` (or ``lab_programs``) need the
daemons' programs too. An ordinary user's pytest becomes root of a user namespace of its own for them, before the
first test runs and only if there is such a test, as that needs a process with one thread and can't be undone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from trimif.testing._lab_requirements import why_no_namespaces, why_no_programs

WHY_NO_NAMESPACES = pytest.StashKey[str | None]()
WHY_NO_PROGRAMS = pytest.StashKey[str | None]()
SKIPPED = pytest.StashKey[dict[str, int]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if _uses_lab(item) and item.get_closest_marker("lab") is None:
            item.add_marker("lab")


def pytest_collection_finish(session: pytest.Session) -> None:
    wanted = any(item.get_closest_marker("lab") for item in session.items) and not session.config.option.collectonly
    stash = session.config.stash
    stash[SKIPPED] = {}
    stash[WHY_NO_NAMESPACES] = why_no_namespaces() if wanted else None
    stash[WHY_NO_PROGRAMS] = why_no_programs()


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = _why_not(item)
    if reason is None:
        return
    if os.environ.get("TRIMIF_REQUIRE_LAB") == "1":
        pytest.fail(f"TRIMIF_REQUIRE_LAB=1, but {reason}", pytrace=False)
    skipped = item.config.stash[SKIPPED]
    skipped[reason] = skipped.get(reason, 0) + 1
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason, count in config.stash.get(SKIPPED, {}).items():
        tests = "1 lab test was" if count == 1 else f"{count} lab tests were"
        terminalreporter.write_line(f"{tests} SKIPPED: {reason}", bold=True, yellow=True)


def _why_not(item: pytest.Item) -> str | None:
    if item.get_closest_marker("lab") is None:
        return None
    stash = item.config.stash
    return stash[WHY_NO_NAMESPACES] or (stash[WHY_NO_PROGRAMS] if _uses_lab(item) else None)


def _uses_lab(item: pytest.Item) -> bool:
    return "lab_programs" in getattr(item, "fixturenames", ())
