"""What a run leaves: numbers one can check by hand, on disk and back, made again."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numasim.errors import ConfigError
from numasim.loader import load_scenario
from numasim.result import COLUMNS, Result
from numasim.running import run, run_scenario
from tests import worlds


def made(**tables: list[dict[str, Any]]) -> Result:
    """A result with these rows; columns left out are empty."""
    columns = {}
    for name, rows in tables.items():
        columns[name] = {c: [row.get(c, math.nan) for row in rows] for c in COLUMNS[name].split()}
    return Result.of(columns, {"policy_name": "p", "scenario": {"seed": 7}})


def actor(t: float, operations: float, **more: Any) -> dict[str, Any]:
    return {
        "t_s": t, "actor": "a", "state": "running", "phase": "0", "operations": operations,
        "lines": 0.0, "local_lines": 0.0, "line_wait_ns": 0.0, **more,
    }  # fmt: skip


def phase(began: float, ended: float, operations: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "actor": "a", "phase": "0", "began_s": began, "ended_s": ended, "operations": operations,
        **more,
    }  # fmt: skip


# -- tables ----------------------------------------------------------------------------------------


def test_every_table_has_its_columns_even_if_nothing_happened():
    empty = Result.of({}, {})
    for name, columns in COLUMNS.items():
        assert empty.tables[name].columns.tolist() == columns.split()
        assert getattr(empty, name) is empty.tables[name]
    with pytest.raises(AttributeError, match="nothing"):
        _ = empty.nothing


def test_events_are_told_in_order_of_time():
    found = made(
        events=[{"t_s": 2.0, "what": "b"}, {"t_s": 1.0, "what": "a"}, {"t_s": 2.0, "what": "c"}]
    )
    assert found.events.what.tolist() == ["a", "b", "c"]


def test_results_can_be_copied_and_sent():
    found = made(actors=[actor(0, 0)])
    for again in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        pd.testing.assert_frame_equal(again.actors, found.actors)
    assert (found.policy, found.seed) == ("p", 7)


# -- summary ---------------------------------------------------------------------------------------


def test_throughput_counts_from_the_first_phase_to_the_end_of_the_last():
    rows = [actor(0, 0, state="waiting"), actor(1, 0, state="populating"), actor(4, 300)]
    found = made(actors=rows, phases=[phase(1.5, 2.0), phase(2.0, 4.0)]).summary()
    assert found["throughput_ops_per_s"] == pytest.approx(300 / 2.5)


def test_an_actor_that_ended_is_not_slowed_by_the_time_after():
    rows = [actor(0, 0), actor(1, 50), actor(2, 100, state="ended"), actor(9, 100, state="ended")]
    found = made(actors=rows, phases=[phase(0.0, 1.25)]).summary()
    assert found["throughput_ops_per_s"] == pytest.approx(80)


def test_throughput_is_the_geometric_mean_over_actors_that_worked():
    rows = [actor(0, 0), actor(1, 100), actor(1, 400, actor="b"), actor(1, 0, actor="idle")]
    phases = [phase(0, 1), phase(0, 1, actor="b"), phase(0, 1, actor="idle")]
    assert made(actors=rows, phases=phases).summary()["throughput_ops_per_s"] == pytest.approx(200)


def test_an_actor_that_never_began_counts_for_nothing():
    rows = [actor(0, 0, state="waiting"), actor(1, 0, state="waiting")]
    found = made(actors=rows).summary()
    for name in ("throughput_ops_per_s", "local_share", "loaded_latency_ns", "op_p99_ns"):
        assert math.isnan(found[name]), name


def test_shares_and_latencies_are_means_over_lines():
    rows = [
        actor(0, 0),
        actor(1, 9, lines=100.0, local_lines=90.0, line_wait_ns=10_000.0),
        actor(1, 9, actor="b", lines=300.0, local_lines=0.0, line_wait_ns=90_000.0),
    ]
    found = made(actors=rows, phases=[phase(0, 1), phase(0, 1, actor="b")]).summary()
    assert found["local_share"] == pytest.approx(0.225)
    assert found["loaded_latency_ns"] == pytest.approx(250)


def test_moves_add_up_by_direction():
    moves = [
        {"direction": d, "bytes": b}
        for d, b in (("promotion", 3), ("demotion", 5), ("promotion", 4))
    ]
    found = made(moves=moves).summary()
    assert (found["promoted_bytes"], found["demoted_bytes"]) == (7, 5)


def test_kdamond_cpu_is_a_share_of_the_run():
    rows = ((1, "k0", 1), (2, "k0", 2), (2, "k1", 1))
    kdamonds = [{"t_s": t, "kdamond": k, "cpu_ns": c * 10**9} for t, k, c in rows]
    found = made(actors=[actor(0, 0), actor(4, 1)], kdamonds=kdamonds).summary()
    assert found["kdamond_cpu"] == pytest.approx(0.75)
    assert made(actors=[actor(0, 0), actor(4, 1)]).summary()["kdamond_cpu"] == 0.0


def test_monitoring_errors_weigh_by_heat_and_bytes():
    rows = [
        {"emd": 0.1, "heat_bytes": 1.0, "hot_bytes": 10, "seen_hot_bytes": 10, "both_bytes": 10},
        {"emd": 0.5, "heat_bytes": 3.0, "hot_bytes": 10, "seen_hot_bytes": 30, "both_bytes": 5},
        {"emd": math.nan, "heat_bytes": 0.0, "hot_bytes": 0, "seen_hot_bytes": 0, "both_bytes": 0},
    ]
    found = made(monitoring=rows).summary()
    assert found["emd"] == pytest.approx(0.4)
    assert found["f1"] == pytest.approx(30 / 60)


# -- convergence -----------------------------------------------------------------------------------


def course(*shares: float, **more: Any) -> list[dict[str, Any]]:
    return [
        actor(float(t), 10.0 * t, local_share=s, best_local_share=1.0, **more)
        for t, s in enumerate(shares)
    ]


def test_convergence_is_the_time_until_nine_tenths_of_the_best():
    found = made(actors=course(0.1, 0.5, 0.91, 0.95)).convergence()
    assert found.converged_s.tolist() == [2.0]
    assert made(actors=course(0.1, 0.5, 0.89)).convergence().converged_s.tolist() == [math.inf]


def test_every_phase_converges_anew_and_the_first_is_no_shift():
    rows = course(0.95, 0.95) + [
        actor(t, 10.0 * t, phase="1", local_share=s, best_local_share=1.0)
        for t, s in ((2.0, 0.1), (3.0, 0.2), (4.0, 0.99))
    ]
    found = made(actors=rows, phases=[phase(0, 4)])
    assert found.convergence().converged_s.tolist() == [0.0, 2.0]
    summary = found.summary()
    assert (summary["shifts_followed"], summary["convergence_s"]) == (1.0, 2.0)


def test_phases_that_miss_nothing_and_waiting_are_left_out():
    rows = [
        actor(0, 0, state="waiting", phase="0"),
        actor(1, 0, phase="waits"),
        actor(2, 0, phase="x", local_share=1.0, best_local_share=1.0),
    ]
    found = made(actors=rows).convergence()
    assert found.phase.tolist() == ["x"]
    assert math.isnan(made(actors=rows, phases=[phase(1, 2)]).summary()["convergence_s"])


# -- working set -----------------------------------------------------------------------------------


def test_the_working_set_is_what_was_seen_accessed():
    rows = [
        {"seen_s": 1.0, "kdamond": "k", "target": 0, "start": 0, "end": 100, "nr_accesses": 0},
        {"seen_s": 1.0, "kdamond": "k", "target": 0, "start": 100, "end": 150, "nr_accesses": 1},
        {"seen_s": 2.0, "kdamond": "k", "target": 0, "start": 0, "end": 150, "nr_accesses": 0},
    ]
    assert made(snapshots=rows).working_set().bytes.tolist() == [50, 0]


# -- a real run, disk, and again -------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran() -> Result:
    return run_scenario(load_scenario(worlds.document(policy=worlds.tiering(), duration="2 s")))


def test_a_result_comes_back_from_disk_as_it_was(ran, tmp_path):
    again = Result.load(ran.save(tmp_path / "deep" / "folder"))
    for name, table in ran.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table, check_dtype=False, obj=name)
    mine, theirs = ran.summary(), again.summary()
    assert mine.keys() == theirs.keys()
    np.testing.assert_equal([*mine.values()], [*theirs.values()])
    assert again.provenance == json.loads(json.dumps(ran.provenance))
    again.save(tmp_path / "deep" / "folder")


def test_a_result_from_disk_runs_again_to_the_same_tables(ran, tmp_path):
    again = run_scenario(Result.load(ran.save(tmp_path)).scenario())
    for name, table in ran.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table, check_exact=True, obj=name)


def test_half_a_result_is_none(ran, tmp_path):
    with pytest.raises(ConfigError, match="holds no result"):
        Result.load(tmp_path)
    ran.save(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="holds no result"):
        Result.load(tmp_path)


def test_a_comparison_is_no_result_but_holds_some(ran, tmp_path):
    ran.save(tmp_path / "runs" / "tpp" / "seed-1")
    with pytest.raises(ConfigError, match=r"take one, such as .*runs/tpp/seed-1"):
        Result.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("manifest.json", b'{"scenario": ', "manifest.json: is no JSON"),
        ("manifest.json", b"[1]", 'manifest.json: has no "scenario"'),
        ("nodes.parquet", b"", "nodes.parquet: is damaged"),
        ("nodes.parquet", b"PAR1 and then nothing", "nodes.parquet: is damaged"),
        ("nodes.parquet", None, "nodes.parquet: is not there"),
    ],
)
def test_a_damaged_result_is_named(ran, tmp_path, name, content, match):
    path = ran.save(tmp_path) / name
    path.write_bytes(content) if content is not None else path.unlink()
    with pytest.raises(ConfigError, match=match):
        Result.load(tmp_path)


def test_a_save_that_fails_leaves_no_result(ran, tmp_path, monkeypatch):
    ran.save(tmp_path)
    broken = Result(dict(ran.tables), ran.provenance)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="holds no result"):
        Result.load(tmp_path)


def test_provenance_names_what_it_was_made_with(ran):
    assert ran.provenance["versions"]["numpy"] == np.__version__
    assert len(ran.provenance["hash"]) == 16
    other = run(**worlds.document(policy="no_tiering", seed=1, duration="100 ms"))
    assert other.provenance["hash"] != ran.provenance["hash"]
    assert other.policy == "no_tiering"


def test_totals_never_fall_and_bytes_are_kept(ran):
    for name, key, columns in (
        ("actors", "actor", ["operations", "lines", "local_lines", "line_wait_ns"]),
        ("nodes", "node", ["read_bytes", "written_bytes"]),
        ("kdamonds", "kdamond", ["passed_sample_intervals", "cpu_ns"]),
        ("schemes", "kdamond", ["nr_tried", "sz_tried", "nr_applied", "sz_applied"]),
    ):
        steps = ran.tables[name].groupby(key)[columns].diff().dropna()
        assert (steps >= 0).all().all(), name
    place = ran.residency.groupby(["t_s", "node"]).bytes.sum()
    held = ran.nodes.set_index(["t_s", "node"]).workload_bytes
    assert (place == held.loc[place.index]).all()
    moved = ran.moves.groupby(["cause"]).bytes.sum()
    applied = ran.schemes[ran.schemes.t_s == ran.schemes.t_s.max()].set_index("kdamond").sz_applied
    for cause, nr_bytes in moved.items():
        assert nr_bytes == applied[cause], "DAMOS counts what really moved"
