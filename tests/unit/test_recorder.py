"""The time series of a run: when rows are taken, and that they say what the machine is."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.engine import Engine
from numasim.loader import load_scenario
from numasim.recorder import PROFILE_BINS, SNAPSHOTS, TRIED_ROWS
from numasim.result import COLUMNS, Result
from tests import worlds

TABLES_AT_ALL_TIMES = ("actors", "nodes", "residency")


def ran(**more) -> tuple[Engine, Result]:
    engine = Engine(load_scenario(worlds.document(**more)))
    return engine, Result.of(engine.run().tables, {})


@pytest.fixture(scope="module")
def tiered() -> tuple[Engine, Result]:
    return ran(policy=worlds.tiering(), duration="2 s")


def test_rows_come_at_every_interval_and_at_the_end(tiered):
    _, found = tiered
    for name in TABLES_AT_ALL_TIMES:
        times = sorted(set(found.tables[name].t_s))
        assert times == pytest.approx([k / 10 for k in range(21)]), name


def test_every_recorded_column_is_documented_and_the_other_way_round(tiered):
    engine, _ = tiered
    for name, columns in engine.recorder.tables.items():
        assert list(columns) == COLUMNS[name].split(), name
        assert len({len(values) for values in columns.values()}) == 1, name


def test_the_last_row_is_the_machines_state(tiered):
    engine, found = tiered
    last = found.nodes[found.nodes.t_s == 2.0].set_index("node")
    for n, node in enumerate(engine.machine.topology.nodes):
        assert last.free_bytes[node.name] == engine.machine.memory.free_frames(n) * 4096
        counted = engine.machine.migrator.node_counts[n].sum() * 4096
        assert last.workload_bytes[node.name] == counted
    actor = engine.machine.actors[0]
    row = found.actors.iloc[-1]
    assert (row.operations, row.phase, row.state) == (actor.operations, "0", "running")


def test_local_share_is_that_of_the_present_placement(tiered):
    engine, found = tiered
    actor, row = engine.machine.actors[0], found.actors.iloc[-1]
    assert row.local_share == pytest.approx(actor.lines_per_ns[0] / actor.lines_per_ns.sum())
    assert row.local_share <= row.best_local_share <= 1


def test_the_best_share_is_that_of_the_hottest_pages():
    engine, found = ran()
    room = engine.machine.memory.managed_frames(0)
    hot, cold = 2048, 4096
    lines = {"hot": 4.0, "cold": 0.001}
    best = (lines["hot"] + lines["cold"] * min(1, (room - hot) / cold)) / sum(lines.values())
    assert found.actors.best_local_share.iloc[-1] == pytest.approx(best)


def test_an_idle_actor_has_no_share():
    given = worlds.document()
    given["workload"]["processes"][0]["start"] = "500 ms"
    given["workload"]["processes"][0]["stop"] = "800 ms"
    _, found = ran(workload=given["workload"])
    rows = found.actors.set_index("t_s")
    assert rows.state[0.2] == "waiting" and rows.state[0.9] == "ended"
    for at in (0.2, 0.9):
        assert np.isnan(rows.local_share[at]) and np.isnan(rows.best_local_share[at])
        assert np.isnan(rows.op_mean_ns[at]) and rows.ops_per_s[at] == 0
    assert rows.operations[1.0] == rows.operations[0.9] > 0
    assert found.phases[["began_s", "ended_s"]].iloc[0].tolist() == pytest.approx(
        [0.504, 0.8], abs=0.001
    )


def test_operations_of_phases_add_up():
    given = worlds.document()
    actor = given["workload"]["processes"][0]["actors"][0]
    actor["phases"] = [{**actor["phases"][0], "duration": "300 ms"}, actor["phases"][0]]
    _, found = ran(workload=given["workload"])
    assert len(found.phases) == 2
    assert found.phases.operations.sum() == pytest.approx(found.actors.operations.iloc[-1])
    assert found.phases.ended_s.tolist()[0] == found.phases.began_s.tolist()[1]


def test_moves_say_who_moved_what_where(tiered):
    engine, found = tiered
    assert set(found.moves.cause) <= {t.name for t in engine.threads}
    up = found.moves[found.moves.direction == "promotion"]
    assert (up.target == "fast").all() and (up.source == "slow").all()
    down = found.moves[found.moves.direction == "demotion"]
    assert len(down) and (down.target == "slow").all()


def test_only_what_moved_most_is_kept_of_tried_regions(tiered):
    _, found = tiered
    counts = found.tried.groupby(["t_s", "kdamond", "scheme"]).size()
    assert len(counts) and counts.max() <= TRIED_ROWS
    assert (found.tried.end > found.tried.start).all()


def test_snapshots_tile_what_is_monitored(tiered):
    engine, found = tiered
    for (_, kdamond, _), rows in found.snapshots.groupby(["t_s", "kdamond", "target"]):
        assert (rows.start.iloc[1:].to_numpy() == rows.end.iloc[:-1].to_numpy()).all()
        node = 0 if kdamond == "kdamond.0" else 1
        ((start, end),) = engine.machine.topology.node_ranges(node)
        assert (rows.start.iloc[0], rows.end.iloc[-1]) == (start, end)
        assert (rows.nr_accesses <= rows.max_nr_accesses).all()
        assert (rows.seen_s <= rows.t_s).all()


def test_snapshots_are_a_sample_or_all():
    policy = {"kind": "damos", "damo": "damo start --numa_node 1"}
    _, some = ran(policy=policy, record="500 ms")
    _, every = ran(policy=policy, record="500 ms", snapshots="all")
    assert some.snapshots.t_s.nunique() <= 3
    assert every.snapshots.seen_s.nunique() in (8, 9), "an aggregation takes a little over 100 ms"
    assert (every.snapshots.t_s == every.snapshots.seen_s).all()


def test_long_runs_keep_a_bounded_number_of_snapshots():
    engine, found = ran(
        policy={"kind": "damos", "damo": "damo start --numa_node 1"},
        duration="30 s",
        record="10 ms",
    )
    assert found.monitoring.t_s.nunique() <= SNAPSHOTS + 1
    assert len(found.truth) <= (SNAPSHOTS + 2) * PROFILE_BINS * 2
    assert len(engine.recorder.tables["actors"]["t_s"]) == 3001


def test_what_the_experimenter_does_is_an_event():
    events = [{"at": "300 ms", "sysctl": {"vm.min_free_kbytes": 1024}}]
    _, found = ran(events=events)
    row = found.events[found.events.who == "experimenter"].iloc[0]
    assert (row.t_s, row.what) == (0.3, "sysctl")
    assert "vm.min_free_kbytes" in row.detail


def test_a_kdamond_tuned_to_more_targets_is_not_judged_by_old_snapshots():
    given = worlds.document()
    (app,) = given["workload"]["processes"]
    small = [worlds.mapping("cold", "4 MiB"), worlds.mapping("hot", "4 MiB")]
    given["workload"]["processes"].append({**app, "name": "other", "mappings": small})
    events = [{"at": "530 ms", "damo": "tune --target_pid 1000 --target_pid 1001"}]
    policy = {"kind": "damos", "damo": "damo start --target_pid 1000"}
    _, found = ran(workload=given["workload"], policy=policy, events=events, record="10 ms")
    assert found.monitoring.emd.notna().any()


def test_where_all_snapshots_are_kept_so_is_what_schemes_did() -> None:
    _, found = ran(policy=worlds.tiering(), duration="2 s", snapshots="all")
    last = found.schemes.groupby(["kdamond", "scheme"]).last()
    told = found.applies.groupby(["kdamond", "scheme"]).last()
    for counter in ("nr_tried", "sz_tried", "sz_applied", "qt_exceeds", "esz"):
        assert (told[counter] == last[counter]).all(), counter
    assert last.sz_tried.max() > 0
    acted = (found.acts.end - found.acts.start).groupby([found.acts.kdamond, found.acts.scheme])
    for key, size in acted.sum().items():
        assert size == last.sz_tried[key]


def test_every_tuning_is_kept_with_its_instant() -> None:
    goal = "--monitoring_intervals_goal 4% 2 5ms 10s"
    policy = {"kind": "damos", "damo": f"damo start --numa_node 0 {goal}"}
    _, found = ran(policy=policy, duration="3 s", snapshots="all")
    seen = found.snapshots.seen_s.drop_duplicates().to_numpy()
    assert found.tunings.t_s.tolist() == seen[1::2].tolist(), "every other snapshot tunes"
    assert found.tunings.sample_us.iloc[-1] == found.kdamonds.sample_us.iloc[-1]
    _, thinned = ran(policy=policy, duration="3 s")
    assert not len(thinned.tunings) and not len(thinned.applies) and not len(thinned.acts)
