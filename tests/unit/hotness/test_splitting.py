"""How many huge pages MEMTIS splits, by hand; and what a split does to its counts."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.experimenter import stage_of
from numasim.hotness.heat import Heat
from numasim.hotness.splitting import Splitting, nr_splits
from tests.worlds import check, machine, mapping, touch_all, workload


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


def test_the_most_skewed_page_is_split_and_its_pages_take_up_their_own_counts():
    made = machine(work=workload([mapping("m", "16 MiB", page="2 MiB"), mapping("n", "4 KiB")]))
    touch_all(made.migrator, 0, home=1)
    heat = Heat(made.space.nr_pages)
    splitting = Splitting(stage_of(made), 80, 170)
    one_page = np.full(300, 512 + 7)  # of the second huge page; six more are used evenly
    others = np.arange(2, 8) * 512
    evenly = (others[:, None] + np.arange(100)).reshape(-1)
    heads, sizes = np.r_[512, others], np.full(7, 512)
    for _ in range(2):  # the first time the threshold of base pages is not known yet
        splitting.count(np.concatenate([one_page, evenly]), 0)
        heat.add(heads, np.r_[300, np.full(6, 100)], sizes)
        assert not len(splitting.chosen)
        splitting.decide(heat, 16)
        heat.cool()
        splitting.bases.cool()
    assert splitting.skew(np.array([512, 1024])).tolist() == [225.0**2, 100 * 0.5625 / 100**2]
    # a third of 900 hits to gain, 900 / 7 of a huge page, 90/80, 0.4: 1.05
    assert splitting.chosen.tolist() == [512]
    assert splitting.split(heat) == 4000, "a shootdown"
    assert splitting.nr_split == 1 and not len(splitting.chosen)
    assert heat.of(np.array([512 + 7, 512, 1024])).tolist() == [225 * 512, 0, 75]
    assert made.space.folio_heads(np.array([519])).tolist() == [519]
    assert heat.bins[15] == 1 and heat.bins[6] == 6 * 512
    assert splitting.split(heat) == 0, "nothing was chosen since"
    check(made.migrator)
