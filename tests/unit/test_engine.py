"""The clock: what comes first, when kdamonds act, and that runs repeat to the last bit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pandas as pd
import pytest

from numasim.engine import SLOTS, Engine
from numasim.errors import SimulationError
from numasim.loader import load_scenario
from numasim.policies.damos import Damos
from numasim.result import Result
from numasim.running import run_scenario
from numasim.scenario import Event
from tests import worlds

MS = 1_000_000


def engine(**more) -> Engine:
    return Engine(load_scenario(worlds.document(**more)))


def result(**more) -> Result:
    return run_scenario(load_scenario(worlds.document(**more)))


def same(one: Result, other: Result) -> None:
    """Tables equal to the last bit."""
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name], check_exact=True, obj=name)


# -- order within an instant -----------------------------------------------------------------------


def test_slots_and_ranks_decide_whoever_asked_first():
    wanted = [(slot, rank) for slot in SLOTS for rank in (0, 1, 7)]
    for seed in range(5):
        machine, seen = engine(), []
        for slot, rank in random.Random(seed).sample(wanted, len(wanted)):
            event = machine._sleep(5, slot, rank)
            event.callbacks.append(
                partial(lambda who, seen, _: seen.append(who), (slot, rank), seen)
            )
        while machine.env.peek() <= 5:
            machine.env.step()
        assert seen == wanted


def test_the_clock_is_an_integer():
    machine = engine(policy=worlds.tiering())
    machine.run()
    assert type(machine.env.now) is int
    assert type(machine.machine.now_ns) is int


def test_a_run_covers_its_duration_and_no_more():
    found = result(duration="250 ms")
    times = found.actors.t_s.tolist()
    assert times == [0.0, 0.1, 0.2, 0.25]
    assert found.provenance["scenario"]["duration"] == "250 ms"
    found = result(duration="300 ms")
    assert found.actors.t_s.tolist() == [0.0, 0.1, 0.2, 0.3]


def test_progress_is_told():
    told = []
    run_scenario(load_scenario(worlds.document()), told.append)
    assert told == pytest.approx([k / 10 for k in range(10)])


# -- kdamonds --------------------------------------------------------------------------------------

SLOW = "--monitoring_intervals 200ms 4s 8s --monitoring_nr_regions_range 10 20"
START = f"damo start --numa_node 1 {SLOW}"


def contexts(**more) -> Engine:
    machine = engine(**more)
    machine.run()
    return machine


def test_a_kdamond_sleeps_after_its_work():
    """Ten ticks of 5 ms and what checking takes, not ten times 5 ms."""
    found = result(policy={"kind": "damos", "damo": "damo start --numa_node 1"})
    last = found.kdamonds.iloc[-1]
    work_ms = last.cpu_ns / last.passed_sample_intervals / MS
    period_ms = 5.05 + work_ms
    left_ms = 1000 - last.passed_sample_intervals * period_ms  # a tick may be in progress
    assert -0.1 <= left_ms < period_ms


def test_tuning_is_taken_up_at_the_end_of_the_tick():
    """Not at the end of the aggregation interval of 4 s."""
    event = {"at": "500 ms", "damo": "tune --numa_node 1 --monitoring_intervals 10ms 100ms 1s"}
    machine = contexts(policy={"kind": "damos", "damo": START}, events=[event], duration="700 ms")
    (thread,) = machine.threads
    assert thread.context.attrs.sample_us == 10_000
    assert thread.context.passed_sample_intervals > 3 + 5


def test_stopping_ends_the_thread_at_the_end_of_the_tick():
    event = {"at": "500 ms", "damo": "stop"}
    machine = contexts(policy={"kind": "damos", "damo": START}, events=[event])
    (thread,) = machine.threads
    assert thread.ended
    assert thread.context.passed_sample_intervals == 3
    assert machine.machine.load.cores == {}
    assert machine.machine.migrator.views == []


def test_a_stopped_kdamond_can_be_followed_by_another():
    events = [{"at": "300 ms", "damo": "stop"}, {"at": "600 ms", "damo": START}]
    machine = contexts(policy={"kind": "damos", "damo": START}, events=events)
    assert [t.name for t in machine.threads] == ["kdamond.0", "kdamond.1"]
    assert [t.ended for t in machine.threads] == [True, False]


def test_tuning_may_add_a_young_filter():
    scheme = "--damos_action migrate_hot 0 --damos_filter allow young --damos_apply_interval 100ms"
    event = {"at": "300 ms", "damo": f"tune --numa_node 1 {scheme} --damos_access_rate 5% max"}
    found = result(policy={"kind": "damos", "damo": "damo start --numa_node 1"}, events=[event])
    assert found.schemes.sz_ops_filter_passed.iloc[-1] > 0


def test_a_kdamond_of_a_process_ends_with_it():
    policy = {"kind": "damos", "damo": "damo start --target_pid 1000"}
    events = [{"at": "500 ms", "stop_process": "app"}]
    machine = contexts(policy=policy, events=events)
    (thread,) = machine.threads
    assert thread.ended
    assert (machine.machine.memory.frame_of < 0).all()


def two_programs() -> dict:
    """The second one begins later."""
    given = worlds.document()
    app = given["workload"]["processes"][0]
    other = {**app, "name": "other", "mappings": [
        worlds.mapping("cold", "4 MiB"), worlds.mapping("hot", "4 MiB")]}  # fmt: skip
    given["workload"]["processes"].append(other)
    return given["workload"]


def test_a_tuned_kdamond_follows_its_new_target():
    policy = {"kind": "damos", "damo": "damo start --target_pid 1000"}
    events = [{"at": "500 ms", "damo": "tune --target_pid 1001"}]
    machine = contexts(workload=two_programs(), policy=policy, events=events, snapshots="all")
    (thread,) = machine.threads
    view, process = thread.context.source.views[0], thread.context.ops._processes[0]
    assert process.vmas() == view.addresses.vmas()
    assert process.vmas()[0][1] - process.vmas()[0][0] == 4 << 20
    assert [v for v, _ in machine.machine.migrator.views] == [view]


def test_the_number_of_targets_may_change():
    policy = {"kind": "damos", "damo": "damo start --target_pid 1000"}
    events = [{"at": "500 ms", "damo": "tune --target_pid 1000 --target_pid 1001"}]
    found = result(workload=two_programs(), policy=policy, events=events, duration="3 s")
    assert set(found.snapshots.target) == {0, 1}


def test_too_few_tuned_is_an_error_with_its_time():
    policy = {"kind": "damos", "damo": "damo start --target_pid 1000"}
    events = [
        {"at": "100 ms", "stop_process": "app"},
        {"at": "500 ms", "damo": "tune --target_pid 1000"},
    ]
    with pytest.raises(
        SimulationError, match=r"at 0\.500 s: damo tune: 1 kdamonds given to tune, 0"
    ):
        result(policy=policy, events=events)


def test_a_paused_kdamond_does_nothing_until_told_and_can_be_stopped():
    scenario = load_scenario(
        worlds.document(policy={"kind": "damos", "damo": "damo start --numa_node 1"})
    )
    (kdamond,) = scenario.policy.threads
    held = replace(kdamond, contexts=(replace(kdamond.contexts[0], pause=True),))
    for end in (Event(600 * MS, "stop"), Event(600 * MS, "commit", (kdamond,))):
        machine = Engine(replace(scenario, policy=Damos(threads=(held,)), events=(end,)))
        machine.run()
        (thread,) = machine.threads
        samples = thread.context.passed_sample_intervals
        assert thread.ended == (end.action == "stop")
        assert samples == 1 if end.action == "stop" else 70 < samples < 85


# -- when it cannot go on --------------------------------------------------------------------------


def test_running_out_of_memory_tells_when_and_what():
    given = worlds.document()
    (app,) = given["workload"]["processes"]
    late = {"name": "late", "start": "500 ms", "stop": "900 ms",
            "mappings": [worlds.mapping("big", "70 MiB")]}  # fmt: skip
    given["workload"]["processes"] = [{**app, "stop": "950 ms"}, late]
    with pytest.raises(SimulationError, match=r"at 0\.5\d\d s: allocator: .* populating big"):
        run_scenario(load_scenario(given))


# -- determinism -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Result:
    return result(policy=worlds.tiering(), seed=3, duration="3 s")


def test_the_same_scenario_twice_is_the_same_to_the_last_bit(reference):
    scenario = load_scenario(worlds.document(policy=worlds.tiering(), seed=3, duration="3 s"))
    assert len(reference.moves) > 0, "it moves something"
    same(reference, run_scenario(scenario))
    same(reference, run_scenario(scenario))
    same(reference, run_scenario(reference.scenario()))


def test_another_seed_is_another_run(reference):
    other = result(policy=worlds.tiering(), seed=4, duration="3 s")
    assert not reference.snapshots.equals(other.snapshots)


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_with_another_hash_seed_gives_the_same(reference, hash_seed, tmp_path):
    code = (
        "import json, sys; import numasim as ns\n"
        "document = json.loads(sys.stdin.read())\n"
        "ns.run_scenario(ns.load_scenario(document)).save(sys.argv[1])\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        input=json.dumps(reference.provenance["scenario"]),
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        text=True,
        check=True,
    )
    reference.save(tmp_path / "mine")
    same(Result.load(tmp_path / "mine"), Result.load(tmp_path))


def test_a_bystander_shifts_nobodys_numbers(reference):
    """An idle process more: what kdamonds draw and see of others is the same."""
    given = worlds.document(policy=worlds.tiering(), seed=3, duration="3 s")
    idle = {"name": "aa", "start": "2900 ms", "mappings": [worlds.mapping("x", "4 KiB")]}
    given["workload"]["processes"].append(idle)
    other = run_scenario(load_scenario(given))
    for name in ("snapshots", "moves", "schemes"):
        mine, theirs = (r.tables[name][r.tables[name].t_s < 2.9] for r in (reference, other))
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True, obj=name)


def test_a_second_kdamond_does_not_move_the_draws_of_the_first():
    alone = result(policy={"kind": "damos", "damo": "damo start --numa_node 1"})
    both = result(
        policy={"kind": "damos", "damo": "damo start --numa_node 1"},
        events=[{"at": "0 s", "damo": "damo start --numa_node 0"}],
    )
    first = both.snapshots[both.snapshots.kdamond == "kdamond.0"].reset_index(drop=True)
    starts = first.groupby("seen_s").start.apply(tuple)
    assert starts.iloc[0] == alone.snapshots.groupby("seen_s").start.apply(tuple).iloc[0]


def test_the_exact_twin_runs_the_same_world():
    quick, exact = (result(policy=worlds.tiering(), exact_ticks=flag) for flag in (False, True))
    assert set(quick.tables) == set(exact.tables)
    assert quick.summary()["emd"] == pytest.approx(exact.summary()["emd"], abs=0.3)
