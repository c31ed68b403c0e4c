"""Fixtures for pytest, with pytest-trio: ``pytest_plugins = ["trimif.testing.pytest_plugin"]`` in a ``conftest.py``.

Ask for ``autojump_clock`` of pytest-trio beside them, and a test of a day takes a millisecond.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from trimif import Mif
from trimif.testing._recorder import Recorder, open_recorder
from trimif.testing._simulated import SimulatedHost, open_simulated_mif

__all__ = ["recorder", "simulated_host", "simulated_mif"]


@pytest.fixture
def simulated_host() -> SimulatedHost:
    """A host without anything; what other fixtures set up on it is there when its MIF opens."""
    return SimulatedHost()


@pytest.fixture
async def simulated_mif(simulated_host: SimulatedHost) -> AsyncIterator[Mif]:
    """The MIF of the simulated host."""
    async with open_simulated_mif(simulated_host) as mif:
        yield mif


@pytest.fixture
async def recorder(simulated_mif: Mif) -> AsyncIterator[Recorder]:
    """Follows everything that the MIF of the simulated host says; the laws are checked all the time and at the end."""
    async with open_recorder(simulated_mif) as recorder:
        yield recorder
