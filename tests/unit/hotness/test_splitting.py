"""How many huge pages MEMTIS splits, by hand; and what a split does to its counts."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.splitting import nr_splits


@pytest.mark.parametrize(
    ("wanted", "real", "mean", "expected"),
    [
        (0.8, 0.5, 200.0, 67),  # 0.3 x 100,000 / 200 x 90/80 x 0.4 = 67.5
        (0.52, 0.5, 200.0, 0),  # less than 3 % to gain
        (0.5, 0.8, 200.0, 0),
        (0.8, 0.5, 0.0, 0),  # there are no huge pages
    ],
)
def test_number_of_splits(wanted, real, mean, expected):
    assert nr_splits(wanted, real, 100_000, mean, (170 - 80) / 80) == expected
    assert isinstance(nr_splits(np.float64(0.9).item(), 0.1, 10, 1.0, 1.0), int)
