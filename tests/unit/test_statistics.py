"""Means, ratios and intervals: by hand, at the edges, and how often they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numasim.statistics import BOOTSTRAP_FROM, mean_interval, method, ratio_interval


def test_student_interval_by_hand() -> None:
    # mean 4, s = sqrt(10/4) = 1.5811, t(0.975, 4) = 2.7764, half = 2.7764 * 1.5811 / sqrt(5)
    found = mean_interval([2, 3, 4, 5, 6])
    assert found.mean == 4.0
    assert found.n == 5
    assert found.low == pytest.approx(4 - 1.9632, abs=1e-4)
    assert found.high == pytest.approx(4 + 1.9632, abs=1e-4)
    assert found.method == "student t"


def test_two_values() -> None:
    # t(0.975, 1) = 12.7062; s / sqrt(2) = 0.5
    found = mean_interval([1.0, 2.0])
    assert (found.low, found.high) == pytest.approx((1.5 - 6.3531, 1.5 + 6.3531), abs=1e-4)


def test_ratio_by_hand() -> None:
    # logs of 2 and 8 are ln 4 ± ln 2: geometric mean 4, half = 12.7062 * ln 2
    found = ratio_interval([2.0, 24.0], [1.0, 3.0])
    assert found.mean == pytest.approx(4.0)
    assert math.log(found.high / 4) == pytest.approx(12.7062 * math.log(2), rel=1e-5)
    assert math.log(4 / found.low) == pytest.approx(12.7062 * math.log(2), rel=1e-5)


def test_ratios_pair_by_seed() -> None:
    base = [1.0, 10.0, 100.0]
    found = ratio_interval([1.1, 11.0, 110.0], base)
    assert found.mean == pytest.approx(1.1)
    assert found.high - found.low < 1e-12


def test_equal_values_are_a_point() -> None:
    found = mean_interval([3.0] * 4)
    assert (found.mean, found.low, found.high, found.n) == (3.0, 3.0, 3.0, 4)
    ratio = ratio_interval([4.0, 2.0], [2.0, 1.0])
    assert (ratio.mean, ratio.low, ratio.high, ratio.n) == (2.0, 2.0, 2.0, 2)


def test_one_value_has_no_interval() -> None:
    found = mean_interval([3.0])
    assert found.mean == 3.0
    assert math.isnan(found.low) and math.isnan(found.high)
    assert found.n == 1


def test_what_is_undefined_stays_so() -> None:
    some = mean_interval([1.0, math.nan, 2.0])
    assert math.isnan(some.mean) and some.n == 2
    none = mean_interval([math.nan, math.nan])
    assert math.isnan(none.mean) and none.n == 0
    assert math.isnan(mean_interval([]).mean)


def test_infinite_values() -> None:
    some = mean_interval([1.0, math.inf, 2.0])
    assert some.mean == math.inf and math.isnan(some.low) and some.n == 3
    every = mean_interval([math.inf, math.inf])
    assert (every.mean, every.low, every.high) == (math.inf, math.inf, math.inf)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_ratio_needs_positive_numbers(bad: float) -> None:
    for found in (ratio_interval([1.0, bad], [1.0, 1.0]), ratio_interval([1.0, 1.0], [bad, 1.0])):
        assert math.isnan(found.mean) and math.isnan(found.low)
        assert found.n == 1


def test_bootstrap_from_twenty_on() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(10, 2, BOOTSTRAP_FROM).tolist()
    found = mean_interval(values)
    assert found.method == method(BOOTSTRAP_FROM) == "bca bootstrap"
    assert mean_interval(values[:-1]).method == "student t"
    half = 2.093 * np.std(values, ddof=1) / math.sqrt(len(values))
    assert found.low == pytest.approx(found.mean - half, abs=0.25 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.25 * half)
    assert mean_interval(values) == found  # the same every time


def _misses(n: int, repeats: int, draw: str) -> int:
    rng = np.random.default_rng(n)
    misses = 0
    for _ in range(repeats):
        base = rng.lognormal(0.0, 0.5, n)
        noise = rng.normal(0, 0.1, n) if draw == "normal" else rng.exponential(0.1, n) - 0.1
        found = ratio_interval((base * np.exp(0.2 + noise)).tolist(), base.tolist())
        misses += not found.low <= math.exp(0.2) <= found.high
    return misses


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 5, 10])
def test_student_intervals_hold_as_often_as_they_say(n: int) -> None:
    # 5 % of 2000 are 100 misses, standard deviation 9.7; four of them either way
    assert 61 <= _misses(n, 2_000, "normal") <= 139


@pytest.mark.slow
def test_bootstrap_intervals_hold_nearly_as_often_as_they_say() -> None:
    # BCa of a skewed mean at n = 25 misses about 8 %; 200 repeats: sd 3.8
    assert _misses(25, 200, "skewed") <= 31
