"""The lab as fixtures: a fresh one for each test, as it is up in a tenth of a second."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace


@pytest.fixture
def lab_programs() -> None:
    """For tests that make labs themselves: without the daemons' programs they are skipped (``tests/conftest.py``)."""


@pytest.fixture
def lab(request: pytest.FixtureRequest, lab_programs: None) -> Iterator[Lab]:
    """A real multi-homed host. ``@pytest.mark.lab(isp_b_ipv6=True)`` passes options to it."""
    marker = request.node.get_closest_marker("lab")
    with Lab(**marker.kwargs) as lab:
        yield lab


@pytest.fixture
def on_host(lab: Lab) -> Iterator[Namespace]:
    """The main thread is in the lab's host while the test runs, and with it Trio and all processes it starts.

    Trio's worker threads are where the thread was that started them first: leave them alone.
    """
    with lab.host.entered():
        yield lab.host


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemons said when a test fails."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        report.sections.extend((f"lab: {name}", text) for name, text in lab.logs().items() if text)
    return report
