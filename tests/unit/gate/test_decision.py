"""Decisions: by hand, against a library, and as often right as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from numasim.gate.decision import decide, seeds_to_notice
from numasim.gate.suite import Metric

SPEED = Metric("throughput_ops_per_s", 0.005, True, "higher")
BYTES = Metric("promoted_bytes", 0.1, True, "lower")
SHARE = Metric("local_share", 0.01, False, "higher")
EITHER = Metric("throughput_ops_per_s", 0.005, True, "neither")
SPREAD = 0.012


def draws(rng: np.random.Generator, n: int, factor: float = 1.0) -> np.ndarray:
    return 1e6 * factor * np.exp(rng.normal(0, SPREAD, n))


def test_it_is_welch_around_the_tolerance() -> None:
    rng = np.random.default_rng(10)
    before, after = draws(rng, 30), draws(rng, 12, 0.99)
    assert np.log(after).std(ddof=1) > np.log(before).std(ddof=1)  # else the baseline's is taken
    found = decide(SPEED, before, after, 0.001)
    shifted = np.log(after) - math.log1p(-SPEED.within)
    library = ttest_ind(shifted, np.log(before), equal_var=False, alternative="less")
    assert found.p == pytest.approx(library.pvalue)
    interval = ttest_ind(np.log(after), np.log(before), equal_var=False).confidence_interval(0.95)
    assert found.low == pytest.approx(math.expm1(interval.low))
    assert found.high == pytest.approx(math.expm1(interval.high))


def test_false_alarms_are_as_rare_as_stated() -> None:
    """At the tolerance as often as stated, skewed numbers too; without a change all but never."""
    rng, alpha, repeats = np.random.default_rng(2), 0.02, 2500
    edge = 1 - SPEED.within
    at_edge = still = skewed = 0
    for _ in range(repeats):
        before = draws(rng, 80)
        at_edge += not decide(SPEED, before, draws(rng, 20, edge), alpha).ok
        still += not decide(SPEED, before, draws(rng, 20), alpha).ok
        a, b = (1e6 + 1e5 * rng.exponential(0.12, n) for n in (80, 20))
        skewed += not decide(Metric("x", 0.0, True, "higher"), a, b, alpha).ok
    assert 0.3 * alpha < at_edge / repeats < 1.2 * alpha
    assert still / repeats < alpha / 5
    assert skewed / repeats < 1.2 * alpha


def test_what_it_says_it_notices_it_notices() -> None:
    rng, alpha, repeats = np.random.default_rng(3), 1e-4, 600
    notices = [decide(SPEED, draws(rng, 96), draws(rng, 24), alpha).notices for _ in range(50)]
    change = float(np.mean(notices))
    assert 0.01 < change < 0.025
    caught = sum(
        not decide(SPEED, draws(rng, 96), draws(rng, 24, 1 - change), alpha).ok
        for _ in range(repeats)
    )
    assert 0.85 < caught / repeats < 0.95


def test_renumbered_seeds_change_nothing_but_the_last_word() -> None:
    rng = np.random.default_rng(4)
    values = draws(rng, 40)
    assert decide(SPEED, values, values[:20], 0.001).word == "unchanged"
    assert decide(SPEED, values, values[20:], 0.001).word == "ok"


def test_directions() -> None:
    rng = np.random.default_rng(5)
    base, less, more = draws(rng, 40), draws(rng, 20, 0.95), draws(rng, 20, 1.05)
    assert [decide(SPEED, base, x, 0.001).word for x in (less, more)] == ["worse", "better"]
    lower = Metric("kdamond_cpu", 0.005, True, "lower")
    assert [decide(lower, base, x, 0.001).word for x in (less, more)] == ["better", "worse"]
    assert [decide(EITHER, base, x, 0.001).word for x in (less, more)] == ["worse", "worse"]


def test_absolute_tolerances() -> None:
    rng = np.random.default_rng(6)
    base = rng.normal(0.5, 0.01, 40)
    assert decide(SHARE, base, rng.normal(0.495, 0.01, 20), 0.001).ok
    found = decide(SHARE, base, rng.normal(0.46, 0.01, 20), 0.001)
    assert found.word == "worse" and found.change == pytest.approx(-0.04, abs=0.01)


def test_numbers_without_chance() -> None:
    assert decide(SPEED, [5.0] * 10, [5.0] * 5, 0.001).word == "unchanged"
    assert decide(SPEED, [5.0] * 10, [4.99] * 5, 0.001).word == "ok"
    assert decide(SPEED, [5.0] * 10, [4.9] * 5, 0.001).word == "worse"
    assert decide(BYTES, [0.0] * 10, [0.0] * 5, 0.001).word == "unchanged"
    found = decide(BYTES, [0.0] * 10, [4096.0] * 5, 0.001)
    assert found.word == "worse" and found.change == math.inf


def test_what_is_allowed_is_what_is_said() -> None:
    """On both sides of 4 %, down where more is better and up where less is."""
    wide = Metric("throughput_ops_per_s", 0.04, True, "higher")
    words = [decide(wide, [5.0] * 10, [5.0 * x] * 5, 0.001).word for x in (0.961, 0.959)]
    assert words == ["ok", "worse"]
    assert decide(wide, [5.0] * 10, [5.0] * 5, 0.001).notices == pytest.approx(0.04)
    wide = Metric("kdamond_cpu", 0.04, True, "lower")
    words = [decide(wide, [5.0] * 10, [5.0 * x] * 5, 0.001).word for x in (1.039, 1.041)]
    assert words == ["ok", "worse"]


def test_numbers_that_do_not_exist() -> None:
    found = decide(SPEED, [1.0, 2.0, 3.0], [1.0, math.nan, math.inf], 0.001)
    assert found.word == "undefined" and not found.ok and "2 of 3 runs" in found.why


def test_how_many_seeds_a_change_takes() -> None:
    rng = np.random.default_rng(7)
    base = draws(rng, 400)
    nr = seeds_to_notice(SPEED, base.tolist(), 0.02, 1e-4, 100)
    assert nr is not None and 10 < nr < 40
    found = decide(SPEED, base[:100], draws(rng, nr), 1e-4)
    assert found.notices == pytest.approx(0.02, rel=0.25)
    assert seeds_to_notice(SPEED, base.tolist(), 0.004, 1e-4, 100) is None
