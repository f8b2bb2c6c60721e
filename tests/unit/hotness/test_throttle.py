"""Alto's step function and what it is fed with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from numasim.hotness.throttle import StallCounters, Throttle


@pytest.mark.parametrize(
    ("cycles", "share"),
    [
        (0, 0),
        (39.9, 0),
        (40, 0),
        (54.9, 0),
        (55, 0.25),
        (70, 0.5),
        (99.9, 0.75),
        (100, 1),
        (9e9, 1),
    ],
)
def test_the_share_is_a_step_function_between_the_thresholds(cycles, share):
    assert Throttle(40, 100, 4).measure(cycles) == share


def test_parts_of_a_promotion_are_kept_for_the_next_time():
    throttle = Throttle(40, 100, 4)
    throttle.measure(60)
    assert [throttle.take(1) for _ in range(8)] == [0, 0, 0, 1, 0, 0, 0, 1]
    assert throttle.take(100) == 25
    throttle.measure(0)
    throttle.take(1)
    assert sum(throttle.take(10) for _ in range(5)) == 0


def test_nothing_is_held_back_before_the_first_measurement():
    assert Throttle(40, 100).take(7) == 7


def test_amortised_latency_is_waiting_per_miss():
    actor: Any = SimpleNamespace(
        op_times=np.array([1000.0, 0, 0]),
        operations=10.0,
        lines=np.array([5.0, 5.0]),
        current=SimpleNamespace(compute=40),
    )
    counters = StallCounters(cast(Any, [actor]), clock_ghz=2.0)
    actor.op_times = np.array([3000.0, 0, 0])  # 20 operations of 100 ns, 40 of them computing
    actor.operations, actor.lines = 30.0, np.array([15.0, 35.0])  # 40 misses
    assert counters.amortised_latency() == pytest.approx(20 * 60 / 40 * 2.0)
    assert counters.amortised_latency() == 0.0, "nothing happened since"
