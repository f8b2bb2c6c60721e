"""MEMTIS holds its sampling to a share of a core by moving along a list of periods."""

from __future__ import annotations

from itertools import pairwise

import pytest

from numasim.hotness.sampled import PeriodLadder, SampledRules
from numasim.policies.memtis import ladder


def rules(loads: tuple[float, ...], stores: tuple[float, ...]) -> SampledRules:
    return SampledRules(loads, stores, 0.03, 0.005, 2_000_000, 100_000, 0)


def test_one_rung_at_a_time_and_never_off_the_list():
    steps = PeriodLadder(rules((200, 400, 800), (100, 1000)))
    assert steps.step(0.5) == (400, 1000)
    assert steps.step(0.036) == (800, 1000), "the shorter list ends where it ends"
    assert steps.step(0.5) == (800, 1000)
    assert steps.step(0.034) == (800, 1000), "within half a percent nothing changes"
    assert steps.step(0.026) == (800, 1000)
    assert steps.step(0.024) == (400, 1000)
    assert [steps.step(0.0) for _ in range(3)][-1] == (200, 100)


def test_the_list_has_the_published_ends():
    periods = ladder(199, 19_997)
    assert periods[0] == 199 and periods[-1] == 19_997 and len(periods) == 30
    ratios = [b / a for a, b in pairwise(periods)]
    assert min(ratios) == pytest.approx(max(ratios), rel=0.01)
