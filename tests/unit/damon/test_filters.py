"""Filters: defaults, core verdicts, folios."""

import numpy as np
import pytest

from numasim.damon.filters import FilterSet, core_verdict, core_verdicts, ops_pass
from numasim.damon.spec import Filter


def addr(start, end, *, matching=True, allow=False):
    return Filter("addr", matching, allow, start=start, end=end)


@pytest.mark.parametrize(
    ("core", "ops", "core_default", "ops_default"),
    [
        ("", "", False, False),
        ("a", "", True, False),
        ("ar", "", False, False),
        ("ra", "", True, False),
        ("a", "r", False, False),
        ("a", "a", False, True),
        ("", "ra", False, True),
    ],
)
def test_default_reject(core, ops, core_default, ops_default):
    listed = [addr(0, 1, allow=c == "a") for c in core]
    listed += [Filter("anon", True, c == "a") for c in ops]
    filters = FilterSet.of(listed)
    assert filters.core_default_reject == core_default
    assert filters.ops_default_reject == ops_default


@pytest.mark.parametrize(
    ("region", "out", "cuts"),
    [
        ((0, 100), False, ()),
        ((100, 200), True, ()),
        ((300, 400), False, ()),
        ((50, 150), False, (100,)),
        ((150, 400), True, (300,)),
        ((50, 400), False, (100,)),
        ((50, 301), False, (100,)),
    ],
)
def test_reject_an_address_range(region, out, cuts):
    verdict = core_verdict(FilterSet.of([addr(100, 300)]), *region, 0, 1)
    assert (verdict.out, verdict.cuts) == (out, cuts)


def test_later_filters_see_what_earlier_ones_left():
    filters = FilterSet.of([addr(80, 300), addr(40, 60)])
    verdict = core_verdict(filters, 0, 100, 0, 1)
    assert verdict.cuts == (80, 40)
    assert not verdict.out


def test_target_filters():
    filters = FilterSet.of([Filter("target", True, True, target_idx=1)])
    assert core_verdict(filters, 0, 10, 1, 1).allowed
    assert core_verdict(filters, 0, 10, 0, 1).out


def test_many_regions_at_once():
    filters = FilterSet.of([addr(100, 300), Filter("target", True, True, target_idx=0)])
    start, end = np.array([0, 50, 100, 300]), np.array([100, 150, 200, 400])
    verdicts = core_verdicts(filters, start, end, 0, 1)
    assert verdicts.divided.tolist() == [False, True, False, False]
    assert verdicts.out[[0, 2, 3]].tolist() == [False, True, False]


def test_first_matching_filter_decides_and_later_ones_are_not_asked():
    filters = FilterSet.of([Filter("anon", True, False), Filter("young", True, True)])
    anon, young = np.array([True, False, False]), np.array([True, True, False])
    asked = []

    def condition(one, undecided):
        asked.append((one.type, undecided.tolist()))
        return anon if one.type == "anon" else young

    assert ops_pass(filters, condition, False, 3).tolist() == [False, True, False]
    assert asked == [("anon", [True, True, True]), ("young", [False, True, True])]


def test_what_the_core_allowed_bypasses_the_operations_set():
    filters = FilterSet.of([Filter("anon", True, False)])
    assert ops_pass(filters, lambda one, asked: pytest.fail("asked"), True, 2).tolist() == [
        True,
        True,
    ]


def test_reject_young_lets_the_rest_pass():
    filters = FilterSet.of([Filter("young", True, False)])
    young = np.array([True, False])
    assert ops_pass(filters, lambda one, asked: young, False, 2).tolist() == [False, True]
