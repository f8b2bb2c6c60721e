"""Occupancy over rate is the loaded latency: Little's law, as the hardware's counters give it."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.tier_counters import TierCounters
from tests.unit.hotness.made import at_work, go_on

ACCESS = [{"pattern": "uniform", "mapping": "m", "lines": 4, "parallelism": 8}]


def test_latency_follows_from_occupancy_and_rate():
    made, stage, now = at_work(ACCESS, threads=4)
    counters = TierCounters(stage, 0)
    go_on(made, now + 10_000_000)
    occupied, arrived = counters.read()
    assert (arrived > 0).all()
    assert occupied / arrived == pytest.approx(stage.observing.latency_ns[0])
    assert arrived.sum() == pytest.approx(4 * made.actors[0].rate_per_ns * 10_000_000)


def test_a_reading_empties_the_counters():
    made, stage, now = at_work(ACCESS)
    counters = TierCounters(stage, 0)
    assert not np.any(counters.read())
    go_on(made, now + 1_000_000)
    counters.accumulate()
    counters.accumulate()
    first = counters.read()[1].sum()
    assert first > 0 and not np.any(counters.read())
    go_on(made, now + 3_000_000)
    assert counters.read()[1].sum() == pytest.approx(2 * first)
