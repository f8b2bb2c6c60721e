"""Pages by class and place, and visits over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from numasim.counts import GROUP_BLOCKS, LINE_BYTES, BlockCounts
from numasim.traffic import Exposure, Front

# -- counts ----------------------------------------------------------------------------------------


def test_counts_follow_pages_across_blocks_and_groups():
    size = 16  # of a block of so small a memory
    nr = size * GROUP_BLOCKS * 2 + size + 3
    counts = BlockCounts(nr, 2)
    slots = np.array([0, size - 1, size, size * GROUP_BLOCKS, nr - 1])
    assert counts.block_slots == size
    counts.add(slots, np.array([0, 0, 1, 1, 0]))
    last = counts.nr_blocks
    assert counts.nr_blocks == 2 * GROUP_BLOCKS + 2
    assert counts.before(np.array([0, 1, 2, GROUP_BLOCKS + 1, last])).tolist() == [
        [0, 0], [2, 0], [2, 1], [2, 2], [3, 2],
    ]  # fmt: skip
    counts.remove(np.array([size - 1]), np.array([0]))
    assert counts.totals().tolist() == [2, 2]
    assert counts.between(np.array([0]), np.array([1])).tolist() == [[1, 0]]


def test_nothing_added_changes_nothing():
    counts = BlockCounts(10, 1)
    counts.add(np.empty(0, np.int64), np.empty(0, np.int64))
    assert counts.totals().tolist() == [0]


def test_tables_begin_with_a_line_of_the_cache_and_follow_changes():
    counts = BlockCounts(100_000, 3)
    for slots in (np.arange(70_000), np.arange(80_000, 90_000)):
        counts.add(slots, slots % 3)
        inner, outer, of_slot = counts.whole_tables()
        assert not any(table.ctypes.data % LINE_BYTES for table in (inner, outer, of_slot))
        assert outer.dtype == np.int32 and np.array_equal(outer, counts.tables()[1])


def test_nobody_writes_through_the_view_of_blocks():
    counts = BlockCounts(1000, 1)
    with pytest.raises(ValueError, match="read-only"):
        counts.by_block()[0] = 1
    counts.add(np.array([3]), np.array([0]))
    assert counts.by_block()[0, 0] == 1


# -- exposure --------------------------------------------------------------------------------------


def course(nr: int, seed: int = 1) -> tuple[Exposure, np.ndarray, np.ndarray]:
    """Rates that change `nr` times, and readings taken the moment they did."""
    rng, exposure, now = np.random.default_rng(seed), Exposure(2), 0
    times, values = [], []
    for _ in range(nr):
        now += int(rng.integers(1, 1000))
        times.append(now)
        values.append(exposure.at(np.array([now]))[0])
        exposure.set_rates(now, rng.random(2))
    return exposure, np.array(times), np.array(values)


def test_equal_rates_and_equal_instants_make_no_new_stretch():
    exposure = Exposure(1)
    exposure.set_rates(10, np.array([1.0]))
    exposure.set_rates(20, np.array([1.0]))
    exposure.set_rates(30, np.array([2.0]))
    exposure.set_rates(30, np.array([3.0]))
    assert exposure.segment(np.array([9, 10, 29, 30, 99])).tolist() == [0, 1, 1, 2, 2]
    assert exposure.at(np.array([30, 31])).ravel().tolist() == [20.0, 23.0]
    assert exposure.rates_in(1).tolist() == [1.0]


def test_the_past_before_the_first_change_is_nothing():
    exposure = Exposure(1, start_ns=100)
    exposure.set_rates(200, np.array([1.0]))
    assert exposure.at(np.array([150, 200])).ravel().tolist() == [0.0, 0.0]


def test_rates_handed_in_are_copied():
    exposure, rates = Exposure(1), np.array([1.0])
    exposure.set_rates(0, rates)
    rates[0] = 7.0
    assert exposure.rates.tolist() == [1.0]


@pytest.mark.parametrize("limit", [8, 9, 64, 333])
def test_thinning_keeps_every_value_it_keeps_and_all_of_the_recent_past(limit, monkeypatch):
    monkeypatch.setattr(Exposure, "MAX_SEGMENTS", limit)
    exposure, times, values = course(3000)
    assert exposure._n <= limit
    recent = slice(-(limit // 2 - 1), None)
    np.testing.assert_allclose(exposure.at(times[recent]), values[recent], rtol=1e-12)
    kept = np.isin(times, exposure._times[: exposure._n])
    np.testing.assert_allclose(exposure.at(times[kept]), values[kept], rtol=1e-9)
    everything = exposure.at(np.arange(0, times[-1], 97))
    assert (np.diff(everything, axis=0) >= -1e-9).all(), "counts never fall"
    between = np.diff(exposure._times[: exposure._n])
    assert (between > 0).all()


def test_thinned_stretches_hold_the_mean_rate(monkeypatch):
    monkeypatch.setattr(Exposure, "MAX_SEGMENTS", 8)
    exposure = Exposure(1)
    for k in range(12):
        exposure.set_rates(10 * (k + 1), np.array([float(k % 2)]))
    total = exposure.at(np.array([130]))[0, 0]
    assert total == pytest.approx(60.0)
    assert 0 < exposure.rates_in(1)[0] < 1


# -- fronts ----------------------------------------------------------------------------------------


def test_a_front_turns_to_each_page_once_a_round():
    front, pages = Front(0, 100, 10, 1, np.zeros(1, int)), np.arange(95, 115)
    assert pages[front.passed(pages, 0.0, 3.5)].tolist() == [101, 102, 103]
    assert pages[front.passed(pages, 8.2, 11.0)].tolist() == [100, 101, 109]
    assert pages[front.passed(pages, 3.0, 3.9)].tolist() == []
    assert pages[front.passed(pages, 3.0, 13.0)].tolist() == list(range(100, 110))


def test_adjoining_ticks_share_no_page_and_leave_none_out():
    front, pages = Front(0, 0, 64, 1, np.zeros(1, int)), np.arange(64)
    stops = np.r_[0.0, np.sort(np.random.default_rng(2).random(20)) * 64, 64.0]
    passed = [front.passed(pages, a, b) for a, b in pairwise(stops)]
    assert np.sum(passed, axis=0).tolist() == [1] * 64


def test_a_folio_is_turned_to_as_a_whole():
    front, pages = Front(0, 0, 32, 8, np.zeros(1, int)), np.arange(32)
    assert pages[front.passed(pages, 3.0, 8.0)].tolist() == list(range(8, 16))
    assert not front.passed(pages, 9.0, 15.0).any()
