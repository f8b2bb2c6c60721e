"""Canonical tree ↔ kernel units: what is cut, what is capped, what is kept."""

import pytest

from numasim.damon import spec
from numasim.damon.spec import UINT_MAX
from numasim.formats import kdamonds
from numasim.formats.damo_specs import aggr_intervals_of, samples_of, to_tree


@pytest.mark.parametrize(
    ("rate", "samples"),
    [("5 %", 1), ("4.999 %", 0), ("100 %", 20), ("150 %", 30), ("3 samples", 3), ("max", UINT_MAX)],
)
def test_samples_of_twenty(rate, samples):
    assert samples_of(rate, 5_000, 100_000) == samples


def test_ratios_of_intervals_are_not_rounded_first():
    assert samples_of("50 %", 3_000, 100_000) == 16  # of 33.3 samples
    assert samples_of("100 %", 0, 7) == 7  # a sampling interval of 0 counts as 1 us


def test_exact_where_floating_point_falls_short():
    assert int(0.57 * 10_000 / 100) == 56
    assert samples_of("0.57 %", 1, 10_000) == 57


@pytest.mark.parametrize(
    ("age", "intervals"),
    [("30 s", 15), ("3999 ms", 1), ("20 aggr_intervals", 20), ("max", UINT_MAX), ("0 ns", 0)],
)
def test_ages_in_two_second_intervals(age, intervals):
    assert aggr_intervals_of(age, 2_000_000) == intervals


def test_bounds_of_a_pattern_are_written_in_one_unit():
    """damo 3.4.3 cannot read the word "max" beside "3 samples" or "20 aggr_intervals"."""
    kdamond = spec.Kdamond((spec.Context(schemes=(spec.Scheme(),)),))
    pattern = to_tree([kdamond])["kdamonds"][0]["contexts"][0]["schemes"][0]["access_pattern"]
    assert pattern["nr_accesses"] == {"min": "0 samples", "max": f"{UINT_MAX} samples"}
    assert pattern["age"] == {"min": "0 aggr_intervals", "max": f"{UINT_MAX} aggr_intervals"}
    read = kdamonds.from_raw(to_tree([kdamond]))
    assert read.kdamonds == (kdamond,)
    assert read.tree["kdamonds"][0]["contexts"][0]["schemes"][0]["access_pattern"] == pattern
