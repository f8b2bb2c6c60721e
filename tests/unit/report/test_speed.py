"""Throughput of policies side by side."""

import numpy as np
import pandas as pd
import pytest

from numasim.report.series import speeds
from numasim.report.speed import band, grouped, throughput
from tests.unit.report.made import made


@pytest.fixture(scope="module")
def runs():
    return {
        "no_tiering": [made(policy="no_tiering", seed=s) for s in (1, 2, 3)],
        "tpp_damon": [made(seed=s, speed=1.5) for s in (1, 2, 3)],
    }


def _panels(fig):
    return [axes for axes in fig.axes if axes.get_title(loc="left")]


def test_runs_group_by_policy(runs):
    flat = [r for own in runs.values() for r in own]
    assert {p: len(own) for p, own in grouped(flat).items()} == {"no_tiering": 3, "tpp_damon": 3}
    assert list(grouped(flat[0])) == ["no_tiering"]
    assert list(grouped({"one": flat[0]})) == ["one"]


def test_a_band_lies_around_its_mean(runs):
    found = band([speeds(r) for r in runs["tpp_damon"]], "app/workers", "ops_per_s")
    assert found.mean[-1] == pytest.approx(1.53e7)
    assert (found.low[-1], found.high[-1]) == pytest.approx((1.515e7, 1.545e7))
    assert np.isnan(found.mean[0])


def test_an_actor_nobody_has_gives_no_band(runs):
    assert band([speeds(r) for r in runs["tpp_damon"]], "nobody", "ops_per_s") is None


def test_three_panels_with_a_line_per_policy_and_names_at_their_ends(runs):
    fig = throughput(runs)
    panels = _panels(fig)
    assert len(panels) == 3
    for axes in panels:
        assert {"no_tiering", "tpp_damon"} <= {t.get_text() for t in axes.texts}
        assert len(axes.collections) == 2
    assert any("mean of 3 seeds" in t.get_text() for t in fig.texts)
    assert "best possible placement" in [t.get_text() for t in panels[1].texts]


def test_one_run_has_neither_band_nor_names():
    panels = _panels(throughput(made()))
    assert all(not axes.collections for axes in panels)


def test_actors_stand_side_by_side():
    result = made()
    more = [result.actors.assign(actor=f"app/w{i}") for i in range(5)]
    result.tables["actors"] = pd.concat([result.actors, *more], ignore_index=True)
    assert len(_panels(throughput(result))) == 9


def test_runs_of_unequal_length_meet():
    fig = throughput({"a": made(span_s=100.0), "b": made(span_s=300.0, rows=31)})
    assert _panels(fig)[0].get_xlim() == (0, 300)


def test_nobody_worked():
    result = made()
    result.tables["actors"] = result.actors.iloc[:0]
    assert "No actor worked." in [t.get_text() for t in throughput(result).texts]
