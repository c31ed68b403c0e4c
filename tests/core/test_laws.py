"""All laws over random histories: by hypothesis, which shrinks what it finds, and long ones by fixed seeds."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .story import tell


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_laws_hold_over_random_histories(rng: random.Random, steps: int) -> None:
    tell(rng, steps)


@pytest.mark.parametrize("seed", range(20))
def test_laws_hold_over_long_histories(seed: int) -> None:
    for part in range(10):
        tell(random.Random(seed * 1000 + part), 300)
