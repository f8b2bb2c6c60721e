"""The comparison at a glance."""

import math
from dataclasses import replace

import numpy as np
import pytest

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
