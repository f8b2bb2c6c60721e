"""Caption's walk, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.ratio import Estimator, RatioTuner, split_policy
from tests.worlds import topology


def test_it_goes_on_while_it_gets_better_and_turns_round_with_half_the_step():
    tuner = RatioTuner(0.0, 0.36)
    assert tuner.judge(1.0) == pytest.approx(0.36)
    assert tuner.judge(1.2) == pytest.approx(0.72)
    assert tuner.judge(1.1) == pytest.approx(0.54), "worse: back by half"
    assert tuner.judge(1.3) == pytest.approx(0.36), "better: on in the same direction"
    assert tuner.judge(1.2) == pytest.approx(0.45), "worse: back by half of that"
    assert tuner.judge(1.1) == pytest.approx(0.36), "9 % is the smallest step"


def test_it_turns_round_at_the_ends():
    tuner = RatioTuner(0.9, 0.18)
    assert tuner.judge(1.0) == 1.0
    assert tuner.judge(1.1) == pytest.approx(0.82)


def test_an_estimate_needs_five_samples_of_its_own():
    estimator = Estimator((1.0, 0.5, 0.0))
    for _ in range(4):
        estimator.add(np.array([2.0, 100.0, 80.0]))
        assert estimator.estimate() is None
    estimator.add(np.array([2.0, 100.0, 80.0]))
    assert estimator.estimate() == pytest.approx(1 - 0.5)
    assert estimator.estimate() is None
    for _ in range(5):
        estimator.add(np.array([3.0, 200.0, 80.0]))
    assert estimator.estimate() == pytest.approx(1.5 - 0.5 * 2)


@pytest.mark.parametrize(
    ("ratio", "mode", "weights"),
    [
        (0.0, "preferred", ()),
        (1.0, "preferred", ()),
        (0.25, "weighted_interleave", (3, 1)),
        (0.09, "weighted_interleave", (91, 9)),
    ],
)
def test_a_ratio_becomes_weights(ratio, mode, weights):
    policy = split_policy(topology(), 0, ratio)
    assert (policy.mode, policy.weights) == (mode, weights)
    if mode == "preferred":
        assert policy.nodes == ("n1" if ratio else "n0",)
