"""The comparison at a glance."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from numasim.comparison import Comparison, Results
from numasim.report.overview import comparison_overview
from tests.unit.report.made import made


def compared(seeds=(1, 2, 3), policies=("no_tiering", "tpp_damon"), rows=21, **changed):
    """A comparison of runs made by hand; `changed` metrics win over the runs' summaries."""
    runs = {
        (p, s): made(policy=p, seed=s, rows=rows, speed=1.0 + 0.2 * i)
        for i, p in enumerate(policies)
        for s in seeds
    }
    summaries = {key: run.summary() | changed for key, run in runs.items()}
    scenarios = {p: replace(runs[p, seeds[0]].scenario(), policy_name=p) for p in policies}
    return Comparison(scenarios, tuple(seeds), summaries, Results(runs))


def _words(fig):
    return [t.get_text() for axes in fig.axes for t in axes.texts]


def test_ratio_with_interval_and_reasons():
    fig = comparison_overview(compared())
    titles = [axes.get_title(loc="left") for axes in fig.axes]
    assert titles[0] == "Throughput, as a multiple of no_tiering's"
    assert {"Local accesses", "Loaded latency", "Bytes moved", "kdamond CPU"} <= set(titles)
    assert any(w.startswith("×1.2") for w in _words(fig))
    low, high = fig.axes[0].get_xlim()
    assert low < 1 < 1.2 < high
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["no_tiering", "tpp_damon"]


def test_one_seed_has_a_ratio_but_no_interval():
    fig = comparison_overview(compared(seeds=(1,)))
    assert "×1.2" in _words(fig)
    assert any("1 seed" in t.get_text() and "interval" not in t.get_text() for t in fig.texts)


def test_one_policy_alone():
    fig = comparison_overview(compared(policies=("no_tiering",)))
    assert any("operations/s" in w for w in _words(fig))


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_numbers_that_do_not_exist(value):
    strange = {
        m: value for m in ("throughput_ops_per_s", "loaded_latency_ns", "emd", "convergence_s")
    }
    fig = comparison_overview(compared(**strange))
    for axes in fig.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


def test_many_policies_have_a_row_each():
    fig = comparison_overview(compared(seeds=(1, 2), policies=("no_tiering", "tpp_damon", "damos")))
    assert len(fig.axes[0].get_yticklabels()) == 3


def _apart(boxes):
    boxes = sorted(boxes, key=lambda box: box.x0)
    return all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_no_words_run_into_others_or_out_of_their_panel(seeds):
    fig = comparison_overview(
        compared(seeds=seeds, convergence_s=151.3, shifts_followed=0.5, loaded_latency_ns=257.3)
    )
    FigureCanvasAgg(fig).draw()
    below = [axes.xaxis.label.get_window_extent() for axes in fig.axes]
    above = [axes._left_title.get_window_extent() for axes in fig.axes]
    assert _apart(below) and _apart(above)
    marks = []
    for axes in fig.axes:
        room = axes.get_window_extent()
        for text in axes.texts:
            box = text.get_window_extent()
            assert room.x0 <= box.x0 and box.x1 <= room.x1, text.get_text()
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        marks += [label.get_window_extent() for at, label in ticks if low <= at <= high]
    assert _apart(marks)


def test_a_run_without_a_shift_has_none_to_follow():
    fig = comparison_overview(compared(convergence_s=math.nan, shifts_followed=math.nan))
    titles = {axes.get_title(loc="left") for axes in fig.axes}
    assert not titles & {"Shifts followed", "Shift followed after"}
