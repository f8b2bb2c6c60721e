"""Attributes: validation, conversion, tuning."""

from dataclasses import replace

import numpy as np
import pytest

from numasim.damon.attrs import (
    attrs_problems,
    convert_counts,
    intervals_score,
    max_nr_accesses,
    tuned,
)
from numasim.damon.regions import Regions
from numasim.damon.spec import Attrs, IntervalsGoal

GOAL = IntervalsGoal(400, 3, 5_000, 10_000_000)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"min_nr_regions": 2}, "min_nr_regions"),
        ({"max_nr_regions": 9}, "min_nr_regions"),
        ({"sample_us": 100_001}, "sample_us"),
        ({"intervals_goal": replace(GOAL, min_sample_us=6_000)}, "sample_us"),
        ({"intervals_goal": replace(GOAL, max_sample_us=4_999)}, "intervals_goal"),
    ],
)
def test_refused(change, key):
    (problem,) = attrs_problems(replace(Attrs(), **change), "kdamonds[0]")
    assert problem.place == f"kdamonds[0].{key}"


def test_all_mistakes_at_once():
    assert len(attrs_problems(Attrs(sample_us=2, aggr_us=1, min_nr_regions=1))) == 2


def test_accepted():
    assert attrs_problems(Attrs(sample_us=100_000, intervals_goal=GOAL)) == []


def test_a_disabled_goal_is_not_checked():
    assert attrs_problems(Attrs(intervals_goal=IntervalsGoal(400, 0, 9, 1))) == []


def test_max_nr_accesses():
    assert max_nr_accesses(Attrs()) == 20
    assert max_nr_accesses(Attrs(0, 0)) == 1
    assert max_nr_accesses(Attrs(1, 2**40)) == 2**32 - 1


def test_conversion_loses_where_the_window_does_not_divide_10000():
    assert convert_counts(np.array([1]), 7, 7).tolist() == [0]
    assert convert_counts(np.array([1]), 20, 20).tolist() == [1]


def test_intervals_at_most_double_and_at_most_halve():
    idle = intervals_score([Regions([(0, 100)])], 20, 400)
    busy = intervals_score([Regions([(0, 100, 20)])], 20, 400)
    assert (idle.adaptation_bp, busy.adaptation_bp) == (20_000, 5_000)
    attrs = Attrs(intervals_goal=GOAL)
    assert tuned(attrs, 20_000, 20).sample_us == 10_000
    assert tuned(attrs, 20_000, 20).aggr_us == 200_000
    assert tuned(attrs, 5_000, 20) == attrs  # held by the goal's lower bound
