"""Models that are wrong in one rule, held against a real kernel's runs: the judge rejects them.

Two recorded runs (E1a and E1b, their second repeats), 20 seeds of each, limits at a false alarm in
a hundred. The right model passes by the same judge.
"""

from __future__ import annotations

import pytest

from numasim.validate.judge import pool, score
from numasim.validate.metrics import case, measure
from numasim.validate.model import Model
from numasim.validate.recording import read
from numasim.validate.trial import simulate
from tests.unit.validate import made

RUNS = ("E1a/r2", "E1b/r2")
SEEDS = 20
WRONG = {
    "nominal periods": Model(nominal_periods=True),
    "rounding merges": Model(rounding_merges=True),
    "two-way splits only": Model(two_way_splits=True),
    "no zero-crossing reset": Model(no_zero_crossing_reset=True),
    "threshold max/5": Model(threshold_divisor=5),
    "threshold max/20": Model(threshold_divisor=20),
}

pytestmark = pytest.mark.slow


def judged(model: Model):
    scores = []
    for name in RUNS:
        recording = read(made.DATA / name)
        prepared = case(recording)
        sims = [measure(prepared, simulate(recording, seed, model)) for seed in range(1, SEEDS + 1)]
        scores.append(score(measure(prepared, prepared.seen), sims))
    return pool(scores, 0.01)


def test_the_right_model_passes():
    found = judged(Model())
    assert found.ok, found


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_is_rejected(name):
    found = judged(WRONG[name])
    assert not found.ok, found
