"""Wrong models: each changes its rule for the time of one run, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.damon import context
from numasim.damon.merging import merge_regions
from numasim.damon.regions import Regions
from numasim.damon.splitting import Draws, Shared
from numasim.validate.model import Model, deliberately_wrong

ROWS = [(0, 4096, 5, 5, 9), (4096, 12288, 6, 0, 4), (12288, 40960, 20, 20, 2)]


def merged(model: Model) -> list[tuple[int, ...]]:
    regions = Regions(ROWS)
    with deliberately_wrong(model):
        context.merge_regions([regions], 2, 10**9, 20, 1000)
    return regions.rows()


def test_the_right_model_changes_nothing():
    assert Model().deviations == {}
    right = Regions(ROWS)
    merge_regions([right], 2, 10**9, 20, 1000)
    assert merged(Model()) == right.rows()


def test_plain_twins_are_right_where_the_model_is():
    """A wrong threshold for which the right one comes out."""
    assert merged(Model(threshold_divisor=8)) == merged(Model())


@pytest.mark.parametrize(
    "model, nr, age",
    [
        (Model(), 5, 3),
        (Model(rounding_merges=True), 6, 3),
        (Model(no_zero_crossing_reset=True), 5, 3),
    ],
)
def test_merging(model, nr, age):
    first = merged(model)[0]
    assert (first[1], first[2], first[4]) == (12288, nr, age)


def test_ages_survive_a_crossing_only_in_the_wrong_model():
    rows = [(0, 4096, 1, 0, 4), (8192, 12288, 9, 9, 1)]
    found = []
    for model in (Model(), Model(no_zero_crossing_reset=True)):
        regions = Regions(rows)
        with deliberately_wrong(model):
            context.merge_regions([regions], 2, 10**9, 20, 1000)
        found.append(regions.age.tolist())
    assert found == [[0, 2], [5, 2]]


def test_splits_are_never_threefold_in_the_wrong_model():
    counts = []
    for model in (Model(), Model(two_way_splits=True)):
        regions = Regions([(0, 100 * 4096)])
        draws = Draws(lambda n: np.full(n, 5, np.int64))
        with deliberately_wrong(model):
            context.split_regions([regions], Shared(last_nr_regions=1), draws, 4096, 1000)
        counts.append(len(regions))
    assert counts == [3, 2]


def test_rules_are_right_again_even_after_an_error():
    before = context.merge_regions, context.split_regions
    wrong = Model(rounding_merges=True, two_way_splits=True)
    with pytest.raises(RuntimeError), deliberately_wrong(wrong):
        assert context.merge_regions is not before[0]
        raise RuntimeError
    assert (context.merge_regions, context.split_regions) == before
