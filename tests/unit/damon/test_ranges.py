"""Ranges."""

import pytest

from numasim.damon.ranges import coalesce, set_regions
from numasim.damon.regions import Regions


def test_coalesce_joins_touching_ranges_only():
    assert coalesce([(0, 5), (5, 7), (8, 9)]) == [(0, 7), (8, 9)]


@pytest.mark.parametrize("ranges", [[(5, 5)], [(10, 20), (15, 30)], [(10, 20), (0, 5)]])
def test_invalid_ranges_change_nothing(ranges):
    regions = Regions([(0, 100, 1)])
    with pytest.raises(ValueError, match="range"):
        set_regions(regions, ranges, 1)
    assert regions.rows() == [(0, 100, 1, 0, 0)]


def test_a_region_in_two_ranges_survives_in_the_first():
    regions = Regions([(0, 100, 7, 6, 5)])
    set_regions(regions, [(0, 40), (60, 100)], 1)
    assert regions.rows() == [(0, 40, 7, 6, 5), (60, 100, 0, 0, 0)]
