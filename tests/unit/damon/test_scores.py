"""Scores and the least score."""

import numpy as np
import pytest

from numasim.damon.scores import min_score, scores
from numasim.damon.spec import Attrs, Quota


def hot(nr, age, **weights):
    quota = Quota(**({"weight_nr_accesses": 1, "weight_age": 1} | weights))
    return int(scores("hot", np.array([nr]), np.array([age]), Attrs(), quota)[0])


@pytest.mark.parametrize(("seconds", "subscore"), [(0, 50), (1, 51), (2, 53), (3, 53), (4, 54)])
def test_age_is_a_logarithm_of_whole_seconds(seconds, subscore):
    assert hot(20, seconds * 10, weight_nr_accesses=0) == subscore * 99 // 100


def test_age_makes_idle_regions_colder():
    assert hot(0, 10_000) < hot(0, 0)
    assert hot(20, 10_000) > hot(20, 0)


def test_without_weights_all_regions_are_alike():
    assert {
        hot(nr, age, weight_nr_accesses=0, weight_age=0) for nr in (0, 20) for age in (0, 9)
    } == {0}


def test_flat_actions_rank_nothing():
    got = scores("flat", np.array([0, 20]), np.array([5, 0]), Attrs(), Quota())
    assert got.tolist() == [99, 99]


def test_min_score():
    parts = [(np.array([10, 50]), np.array([100, 7])), (np.array([50, 99]), np.array([5, 3]))]
    assert [min_score(parts, esz) for esz in (0, 3, 4, 15, 16, 115, 10**6)] == [
        99,
        99,
        50,
        50,
        10,
        10,
        0,
    ]
    assert min_score([], 5) == 0
