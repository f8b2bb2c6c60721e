"""MEMTIS's migration thread, one step at a time."""

from __future__ import annotations

import numpy as np

from numasim.hotness.migrated import Migrated
from numasim.hotness.sampled import Sampled, SampledRules
from numasim.policies.memtis import ladder
from tests.unit.hotness.made import at_work
from tests.worlds import check

MIB = 1 << 20
QUIET = [{"pattern": "uniform", "mapping": "m"}]
NEVER = SampledRules(ladder(1e12, 2e12), ladder(1e12, 2e12), 0.03, 0.005, 10**9, 10**9, 0)


def threads(rate: float = 1.0, size: str = "48 MiB"):
    """The two threads on 24 huge pages; samples come from the test."""
    made, stage, now = at_work(QUIET, "16 MiB", "64 MiB", size=size, page="2 MiB")
    eye = Sampled(stage, NEVER, now)
    return made, eye, Migrated(stage, eye, now, 500_000_000, rate)


def sample(eye: Sampled, counts: dict[int, int]) -> None:
    eye.count(np.repeat(np.array(list(counts)), list(counts.values())))


def test_hot_goes_up_and_the_coldest_goes_down():
    made, eye, mover = threads()
    near = np.flatnonzero(eye.stage.nodes_of(np.arange(24)) == 0)
    sample(eye, {20: 64, **{int(n): 32 for n in near[1:]}, int(near[0]): 3})
    eye.adapt()
    assert eye.hot <= 5 and eye.warm >= 1
    assert mover.step(0) > 0
    assert eye.stage.nodes_of(np.array([20, near[0]])).tolist() == [0, 1]
    check(made.migrator)


def test_warm_pages_go_down_only_after_cold_ones():
    _, eye, mover = threads()
    near = np.flatnonzero(eye.stage.nodes_of(np.arange(24)) == 0)
    eye.hot, eye.warm = 6, 5
    sample(eye, {20: 64, 21: 64, **{int(n): 32 for n in near[1:]}})
    mover.step(0)
    assert eye.stage.nodes_of(near[:1]).tolist() == [1], "the one that was never sampled first"
    assert eye.stage.nodes_of(np.array([20, 21])).tolist() == [0, 0]
    assert (eye.stage.nodes_of(near[1:]) == 1).sum() == 1, "then a warm one"


def test_no_more_than_the_rate_moves():
    _, eye, mover = threads(rate=4 * MIB / 500_000_000)
    sample(eye, {s: 64 for s in range(18, 24)})
    eye.hot = eye.warm = 6
    mover.step(0)
    assert mover.mover.moved_bytes <= 4 * MIB
    assert (eye.stage.nodes_of(np.arange(18, 24)) == 0).sum() == 1


def test_hot_pages_that_found_no_room_wait():
    _, eye, mover = threads()
    eye.hot = eye.warm = 1
    sample(eye, {s: 64 for s in range(24)})
    assert mover.step(0) == 0
    assert len(eye.hot_slow) >= 16
