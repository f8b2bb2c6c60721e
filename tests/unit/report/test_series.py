"""Numbers taken from tables."""

import numpy as np
import pandas as pd
import pytest

from numasim.report.series import (
    Clock,
    common_marks,
    contexts,
    marks,
    migration,
    rate,
    speeds,
    subtitle,
    thin,
    times,
    tried,
)
from tests.unit.report.made import made


@pytest.mark.parametrize(
    ("span_s", "unit", "end"),
    [(0.5, "ms", 500.0), (5.0, "s", 5.0), (7200.0, "min", 120.0), (36000.0, "h", 10.0)],
)
def test_the_clock_suits_the_run(span_s, unit, end):
    clock = Clock.of(made(span_s=span_s))
    assert clock.unit == unit
    assert clock.limits == pytest.approx((0.0, end))


def test_a_clock_fits_all_runs():
    assert Clock.of(made(span_s=10.0), made(span_s=90.0)).span_s == 90.0


def test_simultaneous_events_are_told_once():
    assert [m.text for m in marks(made())] == ["start tpp_damon", "hotA is hot", "hotB is hot"]


def test_long_commands_are_shortened():
    result = made()
    result.tables["events"].loc[0, "detail"] = "damo start " + "--option " * 20
    assert len(marks(result)[0].text) == 30


def test_actors_are_named_where_there_are_several():
    result = made()
    more = result.actors.assign(actor="app/readers")
    result.tables["actors"] = pd.concat([result.actors, more])
    assert "workers: hotA is hot" in [m.text for m in marks(result)]


def test_common_events_are_those_of_all_runs_but_not_of_the_experimenter():
    early, late = made(), made()
    late.tables["events"].loc[3, "t_s"] = 290.0
    assert [m.text for m in common_marks([early, late])] == ["hotA is hot"]
    assert common_marks([]) == []


def test_the_subtitle_says_what_ran():
    assert subtitle(made(seed=3)) == "dram_cxl · cold_first · tpp_damon · seed 3"


def test_contexts_by_kdamond():
    found = contexts(made())
    assert list(found) == ["kdamond.0", "kdamond.1"]
    assert found["kdamond.1"].schemes[0].action == "migrate_hot"
    assert contexts(made(policy="no_tiering")) == {}


def test_contexts_are_unknown_where_the_policy_is():
    result = made()
    result.provenance["scenario"]["policy"] = {"kind": "of_a_missing_plugin"}
    assert contexts(result) == {}


def test_speed_is_operations_over_time_and_unknown_while_nothing_is_done():
    result = made(speed=2.0)
    found = speeds(result)["app/workers"]
    assert found.ops_per_s.iloc[-1] == pytest.approx(2.02e7)
    assert np.isnan(found.ops_per_s.iloc[0])
    assert found.latency_ns.dropna().to_numpy() == pytest.approx(200.0)


def test_the_step_in_which_an_actor_begins_has_no_speed():
    found = speeds(made())["app/workers"].ops_per_s.dropna()
    assert found.min() == pytest.approx(found.max())


def test_rates_are_over_the_step_before():
    result = made(span_s=10.0, rows=6)
    rows = pd.DataFrame({"t_s": [4.0, 4.0], "bytes": [100, 300]})
    assert rate(result, rows).tolist() == [0, 0, 200, 0, 0, 0]


def test_migration_conserves_bytes():
    result = made()
    step = np.diff(times(result), prepend=-times(result)[1])
    (pair,) = migration(result)
    assert (pair.fast, pair.slow) == ("dram0", "cxl0")
    assert (pair.up_is, pair.down_is) == ("promotion", "demotion")
    up = sum(float(flow @ step) for flow in pair.up.values())
    assert up == pytest.approx(result.moves.bytes[result.moves.direction == "promotion"].sum())


def test_tried_bytes_come_from_the_counters():
    result = made()
    wanted, done = tried(result, ["kdamond.0"])
    assert wanted[10] == pytest.approx(1e8)
    assert done[10] == pytest.approx(1e7)
    assert tried(result, [])[0].max() == 0


def test_thinning_keeps_means_and_gaps():
    t, y = thin(np.arange(3000.0), np.r_[np.full(1500, np.nan), np.ones(1500)], most=1500)
    assert len(t) == len(y) == 1500
    assert np.isnan(y[:750]).all()
    assert (y[750:] == 1).all()
