"""Rules of operations sets."""

import numpy as np
import pytest

from numasim.damon.ops import OpsRegistry, choose_dests, min_region_size, three_regions
from numasim.damon.spec import Dest
from numasim.errors import ConfigError

PAGE = 4096


def pages(*spans):
    return [(start * PAGE, end * PAGE) for start, end in spans]


def test_three_regions_of_the_specification():
    vmas = pages((10, 20), (20, 25), (200, 210), (210, 220), (300, 305), (307, 330))
    assert three_regions(vmas) == pages((10, 25), (200, 220), (300, 330))


def test_of_equal_gaps_the_lower_ones_count():
    vmas = pages((0, 1), (2, 3), (4, 5), (6, 7))
    assert three_regions(vmas) == pages((0, 1), (2, 3), (4, 7))


@pytest.mark.parametrize(
    "vmas", [[], [(0, 1)], pages((0, 1), (2, 3)), pages((0, 1), (1, 2), (3, 4))]
)
def test_too_few_gaps(vmas):
    assert three_regions(vmas) is None


def test_bounds_are_rounded_up_to_pages():
    assert three_regions([(1, 2), (9000, 9001), (50_000, 50_001)]) == [
        (4096, 4096),
        (12288, 12288),
        (53248, 53248),
    ]


def test_weighted_interleave():
    addr = np.arange(8) * PAGE
    dests = [Dest(2, 3), Dest(7, 0), Dest(0, 1)]
    assert choose_dests(dests, addr, 0, 0, 0).tolist() == [2, 2, 2, 0, 2, 2, 2, 0]
    assert choose_dests(dests, addr, 0, 3, 0).tolist() == [0, 2, 2, 2, 0, 2, 2, 2]
    assert choose_dests([Dest(1, 0)], addr, 0, 0, 0).tolist() == [-1] * 8
    assert choose_dests([], addr, 0, 0, 0).tolist() == [-1] * 8


def test_huge_pages_interleave_by_huge_page():
    addr = np.arange(4) * (PAGE << 9)
    assert choose_dests([Dest(0, 1), Dest(1, 1)], addr, 0, 512, 9).tolist() == [1, 0, 1, 0]


def test_min_region_size():
    assert [min_region_size("paddr", unit) for unit in (1, 16, 8192)] == [4096, 256, 1]
    assert min_region_size("vaddr") == 4096


def test_registry_answers_with_what_it_knows():
    registry = OpsRegistry()
    registry.register("vaddr", object)
    with pytest.raises(ConfigError, match='did you mean "vaddr"'):
        registry.select("vadr")
