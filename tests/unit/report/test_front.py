"""The picture of a search's front shows every trial, joins the best, and tells some of them."""

from __future__ import annotations

import numpy as np

from numasim.report.front import Point, front

OBJECTIVES = {"throughput_ops_per_s": "maximize", "promoted_bytes": "minimize"}


def points(best: int, rest: int) -> list[Point]:
    """A front that goes up, and trials below it."""
    made: list[Point] = [
        ({"throughput_ops_per_s": 1e6 + i, "promoted_bytes": i * 2.0**20}, {"policy.q": i}, True)
        for i in range(best)
    ]
    for i in range(rest):
        values = {"throughput_ops_per_s": 1e5 * i, "promoted_bytes": 2.0**20}
        made.append((values, {"policy.q": -i}, False))
    return made


def test_every_trial_is_there_once() -> None:
    fig = front("search", OBJECTIVES, points(6, 3))
    (axes,) = fig.axes
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(len(line.get_xdata()) for line in marks) == [3, 6]
    (steps,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert np.all(np.diff(steps.get_xdata()) > 0)
    assert axes.get_xlabel() == "Promoted (less is better)"
    assert "nothing beats 6 of them" in fig.texts[1].get_text()


def test_labels_leave_each_other_room() -> None:
    """Both ends have one; of a hundred trials few do."""
    (axes,) = front("search", OBJECTIVES, points(100, 0)).axes
    told = [text.get_text() for text in axes.texts]
    assert told[:2] == ["q 0", "q 99"] and 4 <= len(told) <= 9
    (axes,) = front("search", OBJECTIVES, points(1, 0)).axes
    assert len(axes.texts) == 1


def test_of_three_objectives_no_line_is_drawn() -> None:
    fig = front("search", {**OBJECTIVES, "kdamond_cpu": "minimize"}, points(4, 0))
    assert "two of 3 objectives" in fig.texts[1].get_text()
    assert not [line for line in fig.axes[0].lines if line.get_drawstyle() != "default"]
