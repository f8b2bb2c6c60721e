"""HeMem's counts, against steps by hand and a twin that takes one sample after the other."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.cooled import CooledCounts


def add(counts: CooledCounts, units: list[int], writes: bool = False) -> int:
    return counts.add(np.array(units, np.int64), np.full(len(units), writes))


def test_a_count_above_the_threshold_halves_everything_once_each_is_touched():
    counts = CooledCounts(3, 10)
    assert add(counts, [0] * 10 + [1] * 5) == 0
    assert add(counts, [0]) == 1, "the eleventh sample of a page advances the clock"
    reads, writes = counts.of(np.array([0, 1, 2]))
    assert reads.tolist() == [5, 2, 0] and writes.tolist() == [0, 0, 0]
    assert counts.of(np.array([1]))[0].tolist() == [2], "brought up to date once"


def test_reads_and_writes_are_counted_apart_but_cooled_together():
    counts = CooledCounts(2, 10)
    add(counts, [0] * 9)
    assert add(counts, [0] * 9, writes=True) == 0, "neither of the two counts is above ten"
    assert add(counts, [1] * 11, writes=True) == 1
    reads, writes = counts.of(np.array([0, 1]))
    assert reads.tolist() == [4, 0] and writes.tolist() == [4, 5]


class OneByOne:
    """The same rule, one sample at a time."""

    def __init__(self, nr: int, cooling: int) -> None:
        self.count = [[0, 0] for _ in range(nr)]
        self.clock_of, self.clock, self.cooling = [0] * nr, 0, cooling

    def add(self, unit: int, kind: int) -> None:
        behind = self.clock - self.clock_of[unit]
        self.count[unit] = [one >> behind for one in self.count[unit]]
        self.clock_of[unit] = self.clock
        self.count[unit][kind] += 1
        self.clock += self.count[unit][kind] > self.cooling


@pytest.mark.parametrize("batch", [1, 7, 400, 20_000])
def test_batches_of_any_size_count_as_single_samples_do(batch):
    rng = np.random.default_rng(batch)
    units = (rng.random(20_000) ** 4 * 50).astype(np.int64)  # a few far hotter than the rest
    kinds = rng.random(20_000) < 0.3
    twin, fast = OneByOne(50, 10), CooledCounts(50, 10)
    for unit, kind in zip(units.tolist(), kinds.tolist(), strict=True):
        twin.add(unit, int(kind))
    for at in range(0, len(units), batch):
        fast.add(units[at : at + batch], kinds[at : at + batch])
    assert fast.clock == twin.clock > 100
    shift = [twin.clock - one for one in twin.clock_of]
    expected = [[r >> s, w >> s] for (r, w), s in zip(twin.count, shift, strict=True)]
    assert fast.totals().tolist() == [r + w for r, w in expected]
    assert fast.total() == fast.totals().sum()
    assert np.stack(fast.of(np.arange(50)), axis=1).tolist() == expected


def test_the_total_follows_samples_and_coolings():
    counts = CooledCounts(3, 10)
    add(counts, [0] * 10 + [1] * 4)
    assert counts.total() == 14
    add(counts, [2])
    assert counts.total() == 15
    add(counts, [0])
    assert counts.total() == 5 + 2 + 0, "all halved, downwards"
