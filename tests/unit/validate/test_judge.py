"""The judge: what it calls normal, what it calls wrong, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.validate.judge import RunScores, pool, score
from numasim.validate.metrics import Measured

METRICS = 15


def run(
    rng: np.random.Generator, shift: float = 0.0, widen: float = 1.0, common: float = 0.5,
    seeds: int = 20,
) -> RunScores:  # fmt: skip
    """A run of correlated normal metrics; the kernel's are shifted and widened."""

    def drawn(move: float, stretch: float) -> dict[str, Measured]:
        own = np.sqrt(1 - common**2) * rng.standard_normal(METRICS)
        values = stretch * (own + common * rng.standard_normal()) + move
        return {f"m{i}": Measured(f"m{i}", float(v)) for i, v in enumerate(values)}

    return score(drawn(shift, widen), [drawn(0.0, 1.0) for _ in range(seeds)])


def test_the_range_is_that_of_one_more_value():
    rng = np.random.default_rng(1)
    outside = [not m.ok for _ in range(300) for m in run(rng, common=0.0).metrics]
    # 2 % by design, less where the seeds themselves reach farther; standard error 0.2 %
    assert 0.010 < np.mean(outside) < 0.025


def test_a_value_far_away_is_outside_and_its_z_tells_how_far():
    sims = [{"m": Measured("m", float(v))} for v in (9.0, 10.0, 11.0, 10.0)]
    (one,) = score({"m": Measured("m", 15.0)}, sims).metrics
    assert not one.ok and one.gated
    assert one.z == pytest.approx(5 / np.std([9, 10, 11, 10], ddof=1))
    assert one.low < 9 < one.median == 10 < 11 < one.high


def test_what_seeds_reached_is_never_outside():
    values = [0.0] * 19 + [50.0]
    sims = [{"m": Measured("m", v)} for v in values]
    assert score({"m": Measured("m", 50.0)}, sims).metrics[0].ok


def test_ratios_are_judged_where_ratios_count():
    sims = [{"m": Measured("m", v, log=True)} for v in (50.0, 100.0, 200.0, 100.0)]
    (one,) = score({"m": Measured("m", 100.0, log=True)}, sims).metrics
    assert one.z == pytest.approx(0.0) and one.low > 0
    assert one.median == pytest.approx(100.0)


def test_constants_are_judged_by_their_resolution():
    sims = [{"m": Measured("m", 3.0, resolution=1.0)}] * 20
    equal = score({"m": Measured("m", 3.0, resolution=1.0)}, sims)
    assert equal.metrics[0].ok and not len(equal.z), "equal constants do not dilute the others"
    near = score({"m": Measured("m", 4.0, resolution=1.0)}, sims)
    assert near.metrics[0].ok and near.z.tolist() == [1.0]
    assert not score({"m": Measured("m", 9.0, resolution=1.0)}, sims).metrics[0].ok
    sims = [{"m": Measured("m", 3.0)}] * 20
    assert not score({"m": Measured("m", 3.1)}, sims).metrics[0].ok


def test_what_hardly_any_seed_came_to_counts_against_it():
    sims = [{}] * 18 + [{"m": Measured("m", 1.0)}] * 2
    (one,) = score({"m": Measured("m", 1.0)}, sims).metrics
    assert not one.ok and one.z == 10.0 and one.n == 2


def test_metrics_that_no_run_decides_are_told_but_not_pooled():
    sims = [{"m": Measured("m", v, gated=False)} for v in (1.0, 2.0, 3.0)]
    found = score({"m": Measured("m", 99.0, gated=False)}, sims)
    assert not found.metrics[0].ok and not found.metrics[0].gated
    assert not len(found.z) and pool([found], 0.01) is None


def test_a_profile_is_judged_by_its_distance_from_the_others():
    rng = np.random.default_rng(2)
    base = np.linspace(1, 2, 50)

    def one(values: np.ndarray) -> dict[str, Measured]:
        return {"p": Measured("p", values, log=True, distance="l1")}

    sims = [one(base + 0.1 * rng.random(50)) for _ in range(20)]
    assert score(one(base + 0.1 * rng.random(50)), sims).metrics[0].ok
    other = score(one(base[::-1] + 0.1 * rng.random(50)), sims).metrics[0]
    assert not other.ok and other.z > 5


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_perfect_model_is_rejected_one_time_in_a_hundred(repeats):
    """400 trials at 1 %: 4 expected; 11 or more come of it once in 300 times."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        verdict = pool([run(rng) for _ in range(repeats)], 0.01, draws=2_000)
        alarms += not verdict.ok
    assert alarms <= 10


@pytest.mark.parametrize(
    "shift, widen", [(3.0, 1.0), (0.0, 3.0)], ids=["shifted by 3 sd", "three times as wide"]
)
def test_wrong_models_are_rejected(shift, widen):
    rng = np.random.default_rng(4)
    verdicts = [pool([run(rng, shift, widen) for _ in range(3)], 0.01, 2_000) for _ in range(5)]
    assert not any(v.ok for v in verdicts)


def test_limits_hold_back_what_a_perfect_model_would_do():
    rng = np.random.default_rng(5)
    found = pool([run(rng) for _ in range(4)], 0.01)
    assert found.ok and found.nr == 4 * METRICS
    assert 1.0 < found.limits["rms"] < 2.0 and 3.0 < found.limits["largest"] < 7.0
    wider = pool([run(np.random.default_rng(5)) for _ in range(1)], 0.01)
    assert wider.limits["rms"] > found.limits["rms"], "fewer metrics, wider limits"


def test_the_same_runs_give_the_same_limits():
    runs = [run(np.random.default_rng(6)) for _ in range(2)]
    assert pool(runs, 0.01) == pool(runs, 0.01)


def test_events_that_no_seed_saw_decide_nothing_unless_seeds_are_many():
    kernel = {"rare": Measured("rare", 0.5, "%", True, resolution=0.05, events=True)}
    for n, gated in ((20, False), (120, True)):
        sims = [{"rare": Measured("rare", 0.0, "%", True, resolution=0.05, events=True)}] * n
        (verdict,) = score(kernel, sims).metrics
        assert verdict.gated is gated and not verdict.ok
