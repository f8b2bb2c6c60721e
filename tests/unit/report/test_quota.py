"""Effective quotas: caps, the one-page floor, and stalls."""

import math

import numpy as np
import pytest

from numasim.report.quota import effective_quota, longest_stall, near_one
from tests.unit.report.made import made

T = np.arange(0.0, 101.0)


def _panels(fig, word):
    return [axes for axes in fig.axes if word in axes.get_title(loc="left")]


def _words(axes):
    return " | ".join(t.get_text() for t in axes.texts)


def test_a_quota_kept_at_one_byte_is_a_stall():
    stall = longest_stall(T, np.ones(101), np.full(101, 0.98), 1.0)
    assert (stall.begin_s, stall.end_s) == (0, 100)
    assert stall.page_after_s == pytest.approx(math.log(4096) / math.log(1.02))
    assert not stall.wound_up


def test_a_met_goal_is_no_stall():
    assert longest_stall(T, np.ones(101), np.full(101, 1.0), 1.0) is None


def test_a_large_quota_is_no_stall():
    assert longest_stall(T, np.full(101, 4096), np.full(101, 0.5), 1.0) is None


def test_winding_up_is_told_from_stalling():
    stall = longest_stall(T, np.minimum(2.0 ** (T / 4), 1e6), np.full(101, 0.5), 1.0)
    assert stall.end_s == 48
    assert stall.page_after_s == 0
    assert stall.wound_up


def test_a_stall_without_a_goal_does_not_grow():
    assert longest_stall(T, np.ones(101), np.full(101, np.nan), 1.0).page_after_s == math.inf


def test_the_longest_of_several_stalls():
    esz = np.where((T < 10) | (T > 50), 1, 1e6)
    stall = longest_stall(T, esz, np.full(101, 0.9), 1.0)
    assert (stall.begin_s, stall.end_s) == (51, 100)


def test_scores_near_one_are_magnified():
    places = near_one(np.array([0.0, 0.9, 0.99, 1.0, 1.01, 1.1, 2.0, 50.0]))
    assert (np.diff(places) >= 0).all()
    assert places[3] == 0
    assert places[-1] == places[-2]
    assert places[4] == pytest.approx(-places[2])
    assert np.isnan(near_one(np.array([np.nan])))[0]


def test_two_panels_per_scheme_with_cap_floor_and_stall():
    fig = effective_quota(made())
    (cold,), (hot,) = _panels(fig, "migrate_cold"), _panels(fig, "migrate_hot")
    for axes in (cold, hot):
        assert axes.get_yscale() == "log"
        assert "cap 200 MiB per 1 s" in _words(axes)
        assert "4 KiB, one page: below this nothing can move" in _words(axes)
        assert axes.get_ylim()[0] < 1 < 200 << 20 < axes.get_ylim()[1]
    assert "stuck at 1 B for 4.9 min" in _words(hot)
    assert "stuck" not in _words(cold)
    assert len(_panels(fig, "node_mem_used_bp: 98.7 % in the end, wanted 99.7 %")) == 1


def test_a_scheme_without_goal_says_so():
    result = made()
    result.schemes.loc[:, ["goal", "goal_current", "goal_target"]] = ["", 0, 0]
    fig = effective_quota(result)
    assert any("no goal" in _words(axes) for axes in fig.axes)


def test_no_limit_at_all():
    result = made()
    result.schemes.loc[:, "esz"] = 2**62
    fig = effective_quota(result)
    assert all(np.isfinite(axes.get_ylim()).all() for axes in fig.axes)
    assert any("no limit" in _words(axes) for axes in fig.axes)


def test_an_unknown_policy_is_drawn_without_cap():
    result = made()
    result.provenance["scenario"]["policy"] = {"kind": "of_a_missing_plugin"}
    fig = effective_quota(result)
    assert not any("cap" in _words(axes) for axes in fig.axes)


def test_an_odd_number_of_schemes_leaves_no_empty_panel():
    result = made()
    result.tables["schemes"] = result.schemes[result.schemes.kdamond == "kdamond.0"]
    titled = [axes for axes in effective_quota(result).axes if axes.get_title(loc="left")]
    assert len(titled) == 2


def test_without_schemes_it_is_said():
    fig = effective_quota(made(policy="no_tiering"))
    assert "No scheme ran." in [t.get_text() for t in fig.texts]
