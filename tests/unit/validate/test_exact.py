"""Exact rules: they hold on a real kernel's snapshots, and every kind of breach is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from numasim.damon.spec import IntervalsGoal
from numasim.validate.exact import Check, exact, summary
from numasim.validate.observed import of_recording
from numasim.validate.recording import read
from tests.unit.validate import made

WHOLE = [[0, 100, 0, 1], [100, 100, 0, 1], [200, 100, 5, 1]]


def by_name(*kdamonds) -> dict[str, Check]:
    return {check.name: check for check in exact(made.seen(*kdamonds))}


@pytest.mark.parametrize("run", ["E1a/r2", "E1b/r2"])
def test_the_kernel_follows_every_rule(run):
    checks = exact(of_recording(read(made.DATA / run)))
    assert {c.name for c in checks} == {
        "initial regions", "cuts", "pieces", "ages of pieces", "counts"
    }  # fmt: skip
    assert all(c.ok for c in checks), list(summary(checks))
    assert sum(c.checked for c in checks) > 2500


def test_a_recorded_snapshot_that_is_shifted_by_a_page_is_noticed():
    run = of_recording(read(made.DATA / "E1b/r2"))
    regions = run.kdamonds[0].watches[0].regions
    inner = np.flatnonzero(regions[1:, 0] == regions[:-1, 0] + regions[:-1, 1]) + 1
    for i in inner[len(inner) // 2 :: 7]:  # everything before i grows by a page, i shrinks
        if regions[i, 1] > 1:
            regions[i - 1, 1] += 1
            regions[i, 0] += 1
            regions[i, 1] -= 1
    assert not all(c.ok for c in exact(run))


def test_initial_regions_are_even_cuts():
    assert by_name(made.kdamond(made.watch((0.1, WHOLE))))["initial regions"].ok
    uneven = [[0, 90, 0, 1], [90, 110, 0, 1], [200, 100, 5, 1]]
    assert by_name(made.kdamond(made.watch((0.1, uneven))))["initial regions"].wrong == 2


@pytest.mark.parametrize("at, good", [(10, True), (90, True), (55, False), (5, False)])
def test_a_cut_is_at_a_tenth(at, good):
    later = [[0, at, 3, 0], [at, 100 - at, 0, 2], [100, 100, 0, 2], [200, 100, 5, 2]]
    checks = by_name(made.kdamond(made.watch((0.1, WHOLE), (0.2, later))))
    assert checks["cuts"].checked == 1
    assert checks["cuts"].ok == good


def test_three_pieces_only_where_the_number_of_regions_did_not_change():
    third = [[0, 35, 3, 0], [35, 35, 0, 2], [70, 30, 7, 0], [100, 100, 0, 2], [200, 100, 5, 2]]
    once = by_name(made.kdamond(made.watch((0.1, WHOLE), (0.2, third))))
    assert not once["pieces"].ok and not once["cuts"].ok
    older = [[*row[:3], 2] for row in WHOLE]
    stuck = by_name(made.kdamond(made.watch((0.1, WHOLE), (0.2, older), (0.3, third))))
    assert stuck["pieces"].ok and stuck["cuts"].ok


def test_pieces_age_by_one_or_begin_again():
    for age, good in ((0, True), (2, True), (1, False), (3, False)):
        later = [[0, 40, 3, 0], [40, 60, 0, age], [100, 100, 0, 2], [200, 100, 5, 2]]
        checks = by_name(made.kdamond(made.watch((0.1, WHOLE), (0.2, later))))
        assert checks["ages of pieces"].ok == good, age


def test_counts_cannot_exceed_the_samples():
    later = [[0, 100, 21, 0], *WHOLE[1:]]
    assert not by_name(made.kdamond(made.watch((0.1, WHOLE), (0.2, later))))["counts"].ok


def test_a_tuned_interval_follows_from_its_snapshot():
    goal = IntervalsGoal(access_bp=400, aggrs=3, min_sample_us=5_000, max_sample_us=10_000_000)
    shots = [
        (0.1 * (i + 1), [[0, 100, 0, i], [100, 100, 0, i], [200, 100, 1, i]]) for i in range(3)
    ]
    # 1/3 of the memory at 1 of 20 samples is 1.67 %, 41.6 % of the goal: the interval grows x1.584
    right = by_name(made.kdamond(made.watch(*shots), goal=goal, tuned=[(0.3, 7917)]))
    assert right["tunings"].ok and right["tunings"].checked == 2
    wrong = by_name(made.kdamond(made.watch(*shots), goal=goal, tuned=[(0.3, 10_000)]))
    assert not wrong["tunings"].ok
    never = by_name(made.kdamond(made.watch(*shots), goal=goal))
    assert not never["tunings"].ok


def test_ages_are_rescaled_when_intervals_are_tuned():
    goal = IntervalsGoal(access_bp=400, aggrs=2, min_sample_us=5_000, max_sample_us=10_000_000)
    before = [[0, 100, 0, 7], [100, 100, 0, 7], [200, 100, 0, 7]]
    after = [[0, 40, 2, 0], [40, 60, 0, 4], [100, 100, 0, 4], [200, 100, 0, 4]]
    tuned = [(0.2, 10_000)]
    checks = by_name(made.kdamond(made.watch((0.1, before), (0.2, after)), goal=goal, tuned=tuned))
    assert checks["ages of pieces"].ok


def test_recordings_of_the_tests_are_small():
    size = sum(p.stat().st_size for p in Path(made.DATA).rglob("*") if p.is_file())
    assert size < 1_000_000
