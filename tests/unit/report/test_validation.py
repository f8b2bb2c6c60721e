"""Pictures of recorded runs beside simulated ones."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.report.validation import courses, deviations, heat_grid, series_of, side_by_side
from numasim.validate.judge import MetricVerdict, RunScores
from numasim.validate.metrics import case
from numasim.validate.recording import read
from numasim.validate.verdict import ExperimentVerdict, RunVerdict, Verdict
from tests.unit.validate import made


@pytest.fixture(scope="module")
def prepared():
    return case(read(made.DATA / "E1b/r2"))


def test_both_sides_share_axes_and_colours(prepared):
    fig = side_by_side(prepared, prepared.seen)
    left, right = fig.axes[:2]
    assert (left.get_title("left"), right.get_title("left")) == ("kernel", "simulated")
    assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()
    assert (left.images[0].get_array() == right.images[0].get_array()).all()
    assert left.images[0].get_clim() == (0.0, 1.0)


def test_the_grid_is_what_regions_said(prepared):
    (look,) = prepared.looks
    watch = look.watch(prepared.seen)
    t = float(watch.t_s[50])
    grid = heat_grid(look.terrain, watch, 20, t - 1e-4, t)
    rows = watch.rows(50)
    share = (look.terrain.data(rows) * rows[:, 2]).sum() / look.terrain.total / 20
    assert grid.shape == (200, 400)
    assert grid[:, -1].mean() == pytest.approx(share, abs=0.02)
    assert (grid[:, 0] == grid[:, -1]).all()


def test_courses_show_the_kernel_over_the_range_of_runs(prepared):
    assert [c.title for c in series_of(prepared)] == ["Regions that hold data, kd0"]
    fig = courses(prepared, [prepared.seen] * 3)
    (axes,) = fig.axes
    assert "3 simulated runs" in " ".join(text.get_text() for text in fig.texts)
    counted = np.bincount(
        prepared.seen.kdamonds[0].watches[0].snapshot_of,
        prepared.looks[0].terrain.data(prepared.seen.kdamonds[0].watches[0].regions) > 0,
    )
    assert axes.lines[-1].get_ydata().max() == counted.max()


def test_deviations_are_marked_and_clipped():
    nan = float("nan")
    metrics = [
        MetricVerdict("a", "", 1.0, 0.0, 1.0, 2.0, 0.5, True, True, 20),
        MetricVerdict("b", "", 9.0, 0.0, 1.0, 2.0, 40.0, True, False, 20),
        MetricVerdict("c", "", nan, nan, nan, nan, nan, False, True, 0),
    ]
    none = np.zeros(0)
    scores = RunScores(tuple(metrics), none, none, none, none)
    run = RunVerdict("E/r1", "E", scores, (), (), 20)
    fig = deviations(Verdict((ExperimentVerdict("E", (run,), None),), None, {}, {}, 20))
    inside, outside = (marks.get_offsets() for marks in fig.axes[0].collections)
    assert inside[:, 0].tolist() == [0.5]
    assert outside[:, 0].tolist() == [6.0]
