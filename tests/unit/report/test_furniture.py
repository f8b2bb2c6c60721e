"""Labels that do not collide, round bytes on axes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numasim.report.furniture import (
    MAX_ROWS,
    byte_ticks,
    duration,
    log_axis,
    place_labels,
    short_bytes,
    short_number,
    spread,
    timeline,
)
from numasim.report.series import Clock, Mark
from numasim.report.style import page, styled

WORDS = st.sampled_from(["a", "hot set moves", "x" * 30])
MARKS = st.lists(st.builds(Mark, st.floats(0, 100), WORDS, st.integers(0, 3)), max_size=12)


@given(MARKS)
def test_labels_of_events_do_not_overlap(marks):
    placed = place_labels(marks, 100.0, 8.0)
    for i, one in enumerate(placed):
        assert 0 <= one.row < MAX_ROWS
        for other in placed[i + 1 :]:
            apart = one.right <= other.left or other.right <= one.left
            assert apart or one.row != other.row


@given(MARKS)
def test_no_stem_goes_through_a_label(marks):
    placed = place_labels(marks, 100.0, 8.0)
    for label in placed:
        for other in placed:
            assert not (label.left < other.at < label.right) or label.row > other.row


def test_weighty_events_are_told_first():
    marks = [
        Mark(10.0 + i / 10, f"event number {i} of many", 3 if i == 7 else 0) for i in range(20)
    ]
    told = place_labels(marks, 100.0, 8.0)
    assert 0 < len(told) <= MAX_ROWS
    assert "event number 7 of many" in [label.mark.text for label in told]


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=8), st.floats(0.01, 0.3))
def test_spread_keeps_order_distance_and_bounds(wanted, gap):
    placed = spread(wanted, gap)
    fits = min(gap, 1 / max(1, len(wanted) - 1)) if len(wanted) > 1 else 0
    ordered = sorted(placed)
    assert all(b - a >= fits - 1e-9 for a, b in pairwise(ordered))
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 1 + 1e-9
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(np.array(placed)[order]) >= -1e-9).all()


def test_spread_leaves_what_does_not_collide():
    assert spread([0.8, 0.1], 0.1) == pytest.approx([0.8, 0.1])


@given(st.floats(1, 2**50), st.integers(2, 6))
def test_byte_ticks_are_powers_of_two_apart(high, most):
    ticks = byte_ticks(high, most=most)
    assert ticks[0] == 0
    assert ticks[-1] <= high * (1 + 1e-6)
    assert 2 <= len(ticks) <= most + 1
    step = ticks[1] - ticks[0]
    assert math.log2(step) == int(math.log2(step))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.04, "9 s"), (163.2, "163 s"), (800, "13 min"), (36000, "10 h"), (5e5, "5.79 days")],
)
def test_durations_for_people(seconds, text):
    assert duration(seconds) == text


def test_numbers_for_people():
    assert short_number(8.49e6) == "8.49 M"
    assert short_number(math.inf) == "–"
    assert short_bytes(5.478 * 2**30) == "5.48 GiB"


def test_a_timeline_has_its_panels_and_one_strip_per_column():
    clock = Clock(100.0, 1.0, "s")
    fig, panels = timeline("title", "about", [1.0, 2.0], clock, [Mark(50.0, "now", 2)], columns=2)
    assert panels.shape == (2, 2)
    assert len(fig.axes) == 6
    assert panels[1, 0].get_xlabel() == "time (s)"
    assert panels[0, 0].get_xlabel() == ""
    assert all(axes.get_xlim() == (0, 100) for axes in panels.ravel())


def test_a_timeline_without_events_has_no_strip():
    fig, _ = timeline("title", "about", [1.0], Clock(100.0, 1.0, "s"))
    assert len(fig.axes) == 1


@pytest.mark.parametrize(
    ("top", "texts"), [(1e8, ["1", "100", "10 k", "1 M", "100 M"]), (40, None)]
)
def test_ticks_of_a_logarithmic_axis_are_words(top, texts):
    @styled
    def picture():
        fig = page(2.0, "title", "about")
        axes = fig.subplots()
        axes.plot([1, 2], [1, top])
        log_axis(axes.yaxis)
        fig.canvas.draw()
        return fig

    (axes,) = picture().axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert set(texts or ["1", "2", "5", "10", "20"]) <= set(shown)
    assert not any("$" in text for text in shown)
