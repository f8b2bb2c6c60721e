"""Policies ranked by what seeds say, and as many seeds as it takes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from numasim.errors import ConfigError
from numasim.statistics import (
    hedges_g,
    holm,
    paired_p,
    ratio_interval,
    stein_interval,
    stein_seeds,
)
from numasim.sweep import Sweep, read_plan
from numasim.sweep.ranking import METRIC, standings, table
from numasim.sweep.sweeping import Sweeping
from numasim.sweep.task import Done
from numasim.sweep.tasking import tasks_of
from numasim.sweep.until import PILOT, Until, pilot_of, seeds_wanted, sweep_until
from tests.unit.sweep.plans import plan


def made_up(spread: float = 0.02, seeds: int = 20, **factors: float) -> Sweep:
    """A sweep whose numbers are drawn: a shared part of each seed, and a policy's own."""
    policies = {name: {"kind": "no_tiering"} for name in factors}
    found = read_plan(plan(policies=policies, seeds=seeds))
    tasks = tasks_of(found, "code")
    rng = np.random.default_rng(5)
    shared = {seed: rng.normal(0, 0.3) for seed in found.seeds}
    metrics = {}
    for task in tasks:
        log = shared[task.seed] + rng.normal(0, spread)
        metrics[task.key] = {METRIC: factors[task.labels["policy"]] * math.exp(log)}
    return Sweep(found, None, metrics, {}, tuple(tasks))


def test_pairing_takes_out_what_seeds_share() -> None:
    found = {s.policy: s for s in standings(made_up(first=1.0, better=1.1, same=1.0))}
    better, same = found["better"], found["same"]
    assert better.ratio.low < 1.1 < better.ratio.high
    assert better.ratio.high - better.ratio.low < 0.06  # seeds alone differ by a third
    assert (better.rank, found["first"].ratio.mean) == (1, 1.0)
    assert better.p < 0.001 < 0.05 < same.p
    assert better.effect > 2 and better.better == 1.0
    assert len(table(list(found.values()))) == 3


def test_many_policies_are_not_called_different_by_chance() -> None:
    policies = {f"p{i}": 1.0 for i in range(30)}
    found = standings(made_up(seeds=10, **policies))[1:]
    assert min(s.p for s in found) > 0.05
    assert all(s.ratio.low <= 1 <= s.ratio.high for s in found)


def test_an_unknown_metric_is_told() -> None:
    with pytest.raises(ConfigError, match="no number"):
        standings(made_up(first=1.0, other=1.0), "througput")


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    found = holm([0.02, math.nan])
    assert found[0] == 0.02 and math.isnan(found[1])


def test_effect_and_p_by_hand() -> None:
    values = [math.exp(x) for x in (0.1, 0.2, 0.3)]
    assert hedges_g(values, [1.0] * 3) == pytest.approx(2.0 * (1 - 3 / 7))
    # t = 0.2 / (0.1 / sqrt 3) = 3.4641 on two degrees of freedom
    assert paired_p(values, [1.0] * 3) == pytest.approx(0.0741799, abs=1e-6)
    assert paired_p([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert math.isnan(hedges_g([0.0, 1.0, 2.0], [1.0] * 3))
    assert math.isnan(hedges_g(values[:2], [1.0] * 2))  # corrected, it would be 0 whatever they are


def test_effect_and_p_as_libraries_have_them() -> None:
    rng = np.random.default_rng(13)
    base = np.exp(rng.normal(0, 0.3, 12))
    values = base * np.exp(rng.normal(0.02, 0.02, 12))
    found = ttest_rel(np.log(values), np.log(base))
    assert paired_p(values, base) == pytest.approx(found.pvalue)
    low, high = np.exp(found.confidence_interval(0.95))
    interval = ratio_interval(values, base)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = rng.random(20) ** 3
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_intervals_of_a_chosen_number_of_seeds_cover() -> None:
    """Stein's keep 95 %; those looked at after every seed do not."""
    rng = np.random.default_rng(11)
    repeats, width = 1500, 0.3
    covered = looked = 0
    for _ in range(repeats):
        draws = rng.normal(0.0, 1.0, 400)
        n = min(400, stein_seeds(draws[:10], width))
        _, low, high = stein_interval(draws[:n], 10)
        covered += low <= 0 <= high
        assert (high - low) / 2 <= width + 1e-12 or n == 400
        for n in range(5, 400):
            half = 1.96 * draws[:n].std(ddof=1) / math.sqrt(n)
            if half <= width:
                break
        looked += abs(draws[:n].mean()) <= half
    assert covered / repeats > 0.94
    assert looked / repeats < 0.94


class Drawn:
    """A runner that draws numbers instead of simulating."""

    workers = 1

    def results(self, tasks, on_start):  # type: ignore[no-untyped-def]
        for task in tasks:
            rng = np.random.default_rng(
                [task.seed, len(str(task.labels)), *map(ord, task.labels["policy"])]
            )
            on_start(task)
            yield Done(task.key, {METRIC: math.exp(rng.normal(0, 0.03))})

    def close(self) -> None:
        """Nothing."""


def test_a_sweep_adds_the_seeds_that_its_pilot_asks_for() -> None:
    found = pilot_of(read_plan(plan(seeds=3)))
    assert len(found.seeds) == PILOT
    working = Sweeping(found, Drawn(), None, "code")
    done, wanted = sweep_until(working, Until(0.01))
    (n,) = wanted.values()
    assert n > PILOT
    assert len(done.metrics) == 2 * min(n, 200) == len(done.tasks)
    (_, tier) = standings(done, METRIC, PILOT)
    assert n > 200 or math.log(tier.ratio.high / tier.ratio.low) / 2 <= math.log1p(0.01)
    few, wanted = sweep_until(Sweeping(found, Drawn(), None, "code"), Until(0.01, most=20))
    assert len(few.metrics) == 40 and max(wanted.values()) == n
    assert seeds_wanted(replace(done, metrics={}), Until(0.01)) == {
        group: len(done.plan.seeds) for group in wanted
    }


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_wrong_widths(share: float) -> None:
    with pytest.raises(ConfigError, match="--until-ci"):
        Until(share)
