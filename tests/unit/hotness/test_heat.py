"""MEMTIS's histogram and thresholds, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.heat import Heat, bins_of


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def filled(bins: dict[int, int]) -> Heat:
    heat = Heat(1)
    for place, size in bins.items():
        heat.bins[place] = size
    return heat


def test_bins_are_logarithms():
    counts = np.array([0, 1, 2, 3, 4, 7, 8, 1 << 15, 1 << 20], np.uint32)
    assert bins_of(counts).tolist() == [0, 0, 1, 1, 2, 2, 3, 15, 15]


def test_a_page_moves_between_bins_with_its_size():
    heat = Heat(4)
    heat.add(numbers(0, 1), numbers(5, 2), numbers(512, 1))
    assert heat.bins[2] == 512 and heat.bins[1] == 1
    heat.add(numbers(0), numbers(3), numbers(512))
    assert heat.bins[2] == 0 and heat.bins[3] == 512
    assert heat.bins[1:].sum() == 513


def test_cooling_shifts_the_histogram_and_counts_follow_when_touched():
    heat = Heat(4)
    heat.add(numbers(0, 1, 2), numbers(6, 9, 1), numbers(1, 1, 1))
    heat.cool()
    assert heat.bins[1:5].tolist() == [1, 1, 0, 0], "bins 2 and 3 became 1 and 2"
    assert heat.of(numbers(0, 1, 2)).tolist() == [3, 4, 0]
    heat.add(numbers(0), numbers(1), numbers(1))
    assert heat.of(numbers(0)).tolist() == [4]
    assert heat.bins[1:5].tolist() == [0, 2, 0, 0]


def test_the_last_bin_is_put_right_when_a_page_is_touched():
    heat = Heat(1)
    heat.add(numbers(0), numbers(1 << 18), numbers(1))
    heat.cool()
    assert heat.bins[14] == 1, "a shift knows no more than that"
    heat.add(numbers(0), numbers(1), numbers(1))
    assert heat.bins[15] == 1 and heat.bins[14] == 0


@pytest.mark.parametrize(
    ("capacity", "hot", "warm"),
    [
        (80, 4, 4),  # 30 + 40 fit, 100 more do not; 70 fill three quarters of 80
        (100, 4, 3),  # 70 of 100: there is room for warm pages
        (29, 6, 5),  # not even the hottest bin
        (1000, 1, 1),  # everything fits; 170 of 1000, but nothing is below bin 1
    ],
)
def test_thresholds_follow_from_the_capacity(capacity, hot, warm):
    assert filled({5: 30, 4: 40, 3: 100}).thresholds(capacity) == (hot, warm)


def test_a_flat_distribution_has_no_hot_pages():
    """What its authors admit: all pages in one bin that does not fit, and none is hot."""
    assert filled({6: 200}).thresholds(100) == (7, 6)


def test_pages_beyond_the_last_bin_are_none():
    assert filled({15: 200}).thresholds(100) == (16, 15)
