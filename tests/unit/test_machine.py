"""Who works how fast on what: processes, populating, phases, moves as load."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numasim.actors import accessor_of
from numasim.errors import ConfigError
from numasim.loader import load_topology
from numasim.machine import Machine
from numasim.workload import Workload
from tests import worlds

MS = 1_000_000
S = 1_000_000_000


def run(machine: Machine, until_ns: int, start: tuple[int, ...] = (0,)) -> list[int]:
    """Let a machine go on by itself, as the engine would; the instants at which it changed."""
    for p in start:
        machine.start_process(p, machine.now_ns)
    machine.settle(machine.now_ns)
    changes = []
    while (at := machine.next_change_ns()) <= until_ns:
        at = max(math.ceil(at), machine.now_ns + 1)
        changes.append(at)
        machine.change(at)
        machine.settle(at)
        assert len(changes) < 10_000, "it gets nowhere"
    machine.advance(until_ns)
    return changes


def one(mappings: list[dict], access: list[dict] = (), **more) -> Machine:
    return worlds.machine(work=worlds.workload(mappings, access, **more))


def slow(*work, **more) -> Machine:
    """As `one`, with faults that take 5 us."""
    return worlds.machine(
        worlds.topology(costs={"minor_fault": "5 us"}), worlds.workload(*work, **more)
    )


def phases_of(machine: Machine) -> list[tuple[float, str]]:
    return [(at / S, what) for at, _, what in machine.phase_log]


# -- populating ------------------------------------------------------------------------------------


def test_populating_takes_the_time_of_its_faults():
    machine = one([worlds.mapping("m", "8 MiB")])
    run(machine, 10 * S)
    assert phases_of(machine) == [
        (0, "populates"), (2048 * 700 / S, "is populated"), (2048 * 700 / S, "phase 0"),
    ]  # fmt: skip


def test_each_mapping_has_its_own_fault_cost():
    machine = one([worlds.mapping("h", "4 MiB", page="2 MiB"), worlds.mapping("m", "8 MiB")])
    run(machine, 10 * S)
    assert phases_of(machine)[1][0] == pytest.approx((2 * 100_000 + 2048 * 700) / S, abs=2e-9)


def test_threads_share_the_faults():
    work = worlds.workload([worlds.mapping("m", "8 MiB")])
    data = {"name": "w", "processes": [
        {"name": "app", "mappings": [worlds.mapping("m", "8 MiB")], "populate_threads": 4}
    ]}  # fmt: skip
    machine = worlds.machine(work=Workload.from_dict(data))
    run(machine, 10 * S)
    assert phases_of(machine)[-1][0] == pytest.approx(2048 * 700 / 4 / S, abs=2e-9)
    assert work.name == "small"


def test_long_populating_goes_step_by_step_at_an_even_pace():
    topology = worlds.topology(costs={"minor_fault": "25 us"})
    machine = worlds.machine(topology, worlds.workload([worlds.mapping("m", "32 MiB")]))
    machine.start_process(0, 0)
    machine.settle(0)
    while math.isfinite(at := machine.next_change_ns()):
        machine.change(math.ceil(at))
        machine.settle(math.ceil(at))
        there = int((machine.memory.frame_of >= 0).sum())
        assert abs(there - machine.now_ns / 25_000) <= 1
    assert machine.now_ns == pytest.approx(8192 * 25_000, abs=2)


def test_a_fault_longer_than_a_step_is_waited_for():
    topology = worlds.topology(costs={"minor_fault": "70 ms"})
    machine = worlds.machine(topology, worlds.workload([worlds.mapping("m", "12 KiB")]))
    assert run(machine, 10 * S) == [70 * MS, 140 * MS, 210 * MS]


def test_interruptions_do_not_speed_populating_up():
    machine = one([worlds.mapping("m", "32 MiB")])
    machine.start_process(0, 0)
    for at in range(1, 5_000_000, 12_345):
        machine.change(at)
        machine.settle(at)
    assert (machine.memory.frame_of >= 0).sum() <= machine.now_ns / 700


def test_without_populating_a_phase_touches_what_it_visits():
    lazy = worlds.mapping("m", "8 MiB", populate=False)
    half = {"pattern": "uniform", "mapping": "m", "first": 0.5}
    machine = one([lazy], [half, {**half, "visits": 3}], threads=2)
    run(machine, 10 * S)
    there = machine.memory.frame_of >= 0
    assert not there[:1024].any() and there[1024:].all()
    began, ran = machine.phase_runs[0].began_ns, machine.actors[0].operations
    assert began == 0
    assert ran > 0
    full = machine.actors[0].rate_per_ns * (10 * S - 1024 * 700 / 2)
    assert ran == pytest.approx(full, rel=1e-6), "overlapping patterns touch each page once"


def test_growing_data_is_touched_as_it_grows():
    lazy = worlds.mapping("m", "8 MiB", populate=False)
    access = [{"pattern": "growth", "mapping": "m", "slices": 4, "add_every": 100.0}]
    machine = one([lazy], access, phase={"pace": "1000 /s"})
    seen = []
    machine.start_process(0, 0)
    machine.settle(0)
    while math.isfinite(at := machine.next_change_ns()):
        machine.change(math.ceil(at))
        machine.settle(math.ceil(at))
        seen.append((round(machine.now_ns / S, 2), int((machine.memory.frame_of >= 0).sum())))
    counts = [n for _, n in seen]
    assert counts == sorted(counts) and counts[-1] == 2048
    assert {n for _, n in seen} == {512, 1024, 1536, 2048}
    assert seen[-1][0] == pytest.approx(0.3, abs=0.01)
    assert len(seen) < 20


def test_new_weights_hold_for_pages_touched_from_now_on():
    policy = {"mode": "weighted_interleave", "nodes": ["n0", "n1"], "weights": [1, 1]}
    machine = slow([worlds.mapping("m", "64 MiB", policy=policy)])
    machine.start_process(0, 0)
    machine.settle(0)
    machine.change(math.ceil(machine.next_change_ns()))
    first = int((machine.memory.frame_of >= 0).sum())
    machine.set_interleave({"m": [3, 1]})
    machine.change(math.ceil(machine.next_change_ns()))
    last = int((machine.memory.frame_of >= 0).sum())
    nodes = machine.memory.node_of(machine.memory.frame_of[:last])
    assert nodes[:first].tolist() == [i % 2 for i in range(first)]
    assert nodes[first:last].tolist() == [int(i % 4 == 3) for i in range(first, last)]


# -- processes -------------------------------------------------------------------------------------


def two_processes(**second) -> Machine:
    phase = {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "m"}]}
    base = {"mappings": [worlds.mapping("m", "8 MiB")], "actors": [{"phases": [phase]}]}
    data = {"name": "w", "processes": [{"name": "a", **base}, {"name": "b", **base, **second}]}
    return worlds.machine(work=Workload.from_dict(data))


def test_an_ended_process_gives_back_its_memory_and_works_no_more():
    machine = two_processes()
    run(machine, S, (0, 1))
    before = machine.actors[1].operations
    machine.stop_process(0, machine.now_ns)
    machine.settle(machine.now_ns)
    at_end = machine.actors[0].operations
    machine.advance(2 * S)
    assert machine.actors[0].operations == at_end
    assert machine.actors[1].operations > before
    assert (machine.memory.frame_of[:2048] < 0).all()
    assert machine.actors[0].lines_per_ns.sum() == machine.actors[0].rate_per_ns == 0
    assert machine.alive == [False, True]
    worlds.check(machine.migrator)


@pytest.mark.parametrize("populate", [True, False])
def test_a_process_that_ends_while_populating_stays_ended(populate):
    big = worlds.mapping("m", "64 MiB", populate=populate)
    machine = slow([big], [{"pattern": "uniform", "mapping": "m"}])
    run(machine, 25 * MS)
    assert 0 < (machine.memory.frame_of >= 0).sum() < 16384
    machine.stop_process(0, 25 * MS)
    machine.settle(25 * MS)
    assert machine.next_change_ns() == math.inf
    machine.change(S)
    assert machine.actors[0].state == "ended"
    assert (machine.memory.frame_of < 0).all()


def test_ending_twice_or_before_the_beginning_is_nothing():
    machine = one([worlds.mapping("m", "1 MiB")])
    machine.stop_process(0, 5)
    assert machine.phase_log == []
    run(machine, S)
    for _ in range(2):
        machine.stop_process(0, S)
    assert [what for *_, what in machine.phase_log].count("ends") == 1


def test_a_process_of_mappings_alone_lives():
    data = {"name": "w", "processes": [{"name": "a", "mappings": [worlds.mapping("m", "1 MiB")]}]}
    machine = worlds.machine(work=Workload.from_dict(data))
    assert machine.alive == [False]
    run(machine, S)
    assert machine.alive == [True]
    assert (machine.memory.frame_of >= 0).all()


# -- phases ----------------------------------------------------------------------------------------


def phased(*phases: dict, repeat: bool = False) -> Machine:
    access = [{"pattern": "uniform", "mapping": "m"}]
    made = [{"pace": "1000 /s", "access": access, **phase} for phase in phases]
    return one([worlds.mapping("m", "1 MiB")], phases=made, repeat=repeat)


BEGIN = 256 * 700 / S  # populating ends


def test_phases_by_time_and_the_last_lasts():
    machine = phased({"duration": "1 s"}, {"duration": "2 s"})
    run(machine, 10 * S)
    times = [at for at, what in phases_of(machine) if what.startswith("phase")]
    assert times == pytest.approx([BEGIN, BEGIN + 1])
    assert machine.actors[0].operations == pytest.approx(1000 * (10 - BEGIN), rel=1e-6)


def test_phases_by_operations():
    machine = phased({"operations": 500}, {"operations": 250}, {})
    run(machine, 10 * S)
    times = [at for at, what in phases_of(machine) if what.startswith("phase")]
    assert times == pytest.approx([BEGIN, BEGIN + 0.5, BEGIN + 0.75], abs=1e-7)
    machine.end_phases(machine.now_ns)
    done = [run.after - run.before for run in machine.phase_runs]
    assert done[:2] == pytest.approx([500, 250], abs=1e-3)


def test_phases_repeat():
    machine = phased({"operations": 500}, {"duration": "250 ms"}, repeat=True)
    run(machine, 3 * S)
    times = [at - BEGIN for at, what in phases_of(machine) if what.startswith("phase")]
    assert times == pytest.approx([0, 0.5, 0.75, 1.25, 1.5, 2, 2.25, 2.75], abs=1e-6)


def test_a_single_phase_repeats():
    machine = phased({"operations": 1000}, repeat=True)
    run(machine, 5 * S)
    assert sum(what.startswith("phase") for _, what in phases_of(machine)) == 5


def test_a_phase_without_work_only_waits():
    """Neither compute nor access, but a pace: no division by nothing."""
    machine = one(
        [worlds.mapping("m", "1 MiB")],
        phases=[{"duration": "1 s", "pace": "1000 /s"}, {"compute": "1 us"}],
    )
    run(machine, 3 * S)
    assert machine.phase_runs[0].after == pytest.approx(1000, rel=1e-3)


@pytest.mark.parametrize("every", [100.0, 1000 / 7, 0.1 * 3])
def test_a_moving_window_hops_once_per_cell(every):
    access = [
        {"pattern": "moving_window", "mapping": "m", "cells": 4, "width": 1, "hop_every": every}
    ]
    machine = one([worlds.mapping("m", "1 MiB")], access, phase={"pace": f"{every * 10} /s"})
    changes = run(machine, 3 * S)
    hops = [at for at in changes if at > 256 * 700]
    assert len(hops) == 29, "ten a second; the last is not quite due"
    assert np.diff(hops) / S == pytest.approx([0.1] * 28, rel=1e-6)
    work = machine.actors[0].phase_operations
    assert work == pytest.approx(every * 10 * (3 - BEGIN), rel=1e-6)
    expected = np.zeros(4)
    expected[int(work // every) % 4] = 1.0
    weights = machine.weights[0, 0][0][machine.space.class_of[[0, 64, 128, 192]]] * 64
    assert weights.tolist() == pytest.approx(expected)


# -- the law ---------------------------------------------------------------------------------------


def test_visits_follow_the_speed():
    machine = one(
        [worlds.mapping("m", "1 MiB")], [{"pattern": "uniform", "mapping": "m", "visits": 2}]
    )
    run(machine, S)
    speed = machine.actors[0].rate_per_ns
    assert machine.law.visit_rates_per_ns()[0] == pytest.approx(speed * 2 / 256)


@pytest.mark.parametrize("beside", [[], [worlds.mapping("b", "1 MiB")]])
def test_a_sweep_of_huge_pages_turns_to_one_at_a_visit(beside):
    """The period is the same whether frames are of 2 MiB or, beside another mapping, of 4 KiB."""
    access = [{"pattern": "sweep", "mapping": "h", "visits": 1, "lines": 64}]
    huge = worlds.mapping("h", "16 MiB", page="2 MiB")
    machine = one([huge, *beside], access, phase={"pace": "100 /s"})
    run(machine, 10 * S)
    (front,) = machine.law.fronts
    rounds_per_s = machine.law.exposure.rates[front.column] * S / front.nr
    assert rounds_per_s == pytest.approx(100 / 8)
    rate = machine.law.visit_rates_per_ns()[machine.space.class_of[0]] * S
    assert rate == pytest.approx(100 / 8)


def test_lines_go_where_the_pages_are():
    access = [{"pattern": "uniform", "mapping": "m", "lines": 4, "miss": 0.5}]
    machine = one([worlds.mapping("m", "1 MiB")], access)
    run(machine, S)
    machine.migrator.migrate(np.arange(64), 1, "test")
    machine.settle(S)
    lines = machine.actors[0].lines_per_ns / machine.actors[0].rate_per_ns
    assert lines.tolist() == pytest.approx([1.5, 0.5])


# -- kdamonds as load ------------------------------------------------------------------------------


def loaded(threads: list[int], page: str = "4 KiB") -> Machine:
    phase = {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "m"}]}
    actors = [{"name": f"t{i}", "threads": n, "phases": [phase]} for i, n in enumerate(threads)]
    mappings = [worlds.mapping("m", "8 MiB", page=page), worlds.mapping("b", "1 MiB")]
    data = {"name": "w", "processes": [{"name": "a", "mappings": mappings, "actors": actors}]}
    machine = worlds.machine(work=Workload.from_dict(data))
    run(machine, S)
    return machine


def test_migration_takes_a_core_wires_and_time_of_those_who_touch():
    machine = loaded([4])
    before, reads = machine.actors[0].rate_per_ns, machine.solution.node_read_bytes_per_ns.copy()
    moved = machine.migrator.migrate(np.arange(1024), 1, "k")
    machine.begin_migration("k", moved.busy_ns)
    machine.settle(S)
    assert machine.actors[0].rate_per_ns < before
    assert machine.load.cores == {"k": 1.0}
    assert machine.solution.node_write_bytes_per_ns[1] >= moved.bytes / moved.busy_ns * 0.9
    machine.end_migration("k")
    machine.migrator.migrate(moved.pages, 0, "k")
    machine.migrator.take_traffic()
    machine.settle(S)
    assert machine.actors[0].rate_per_ns == pytest.approx(before)
    assert machine.solution.node_read_bytes_per_ns == pytest.approx(reads)


def test_whoever_is_near_copies():
    """Two mirrored sockets: a move within the second takes as long as one within the first."""
    machine = worlds.machine(load_topology("four_node_small"))
    dram1, cxl1, dram2, cxl2 = range(4)
    costs = machine.topology.costs
    within = machine.migrator.cost_of(dram1, cxl1, 0)
    assert within == costs.migrate_ns(0, (100 + 200) / 200)
    assert machine.migrator.cost_of(dram2, cxl2, 0) == within
    assert machine.migrator.cost_of(dram2, cxl1, 0) == costs.migrate_ns(0, (100 + 600) / 200)


def test_waiting_threads_are_counted_once_however_they_are_grouped():
    shares = []
    for threads in ([8], [1] * 8):
        machine = loaded(threads)
        moved = machine.migrator.migrate(np.arange(1024), 1, "k")
        machine.begin_migration("k", moved.busy_ns)
        shares.append(machine.load.working_share(0, 8))
    assert shares[0] == pytest.approx(shares[1])


def test_a_huge_folio_keeps_its_visitors_waiting_as_one_page():
    machine = loaded([4], "2 MiB")
    heads = np.unique(machine.space.folio_heads(np.arange(2048)))
    moved = machine.migrator.migrate(heads, 1, "k")
    traffic = machine.migrator.take_traffic()
    machine.load.begin("k", traffic, moved.busy_ns, machine.law.all_visits_per_ns())
    visits = machine.actors[0].rate_per_ns  # one visit per operation, all to these four folios
    each_ns = moved.busy_ns / 4  # a batch is 512 base pages: one folio
    r = visits / 4 * each_ns / 4  # of one of four threads
    rng = np.random.default_rng(1)
    waits = np.maximum(each_ns - rng.exponential(each_ns / r, 200_000), 0.0)
    share = machine.load.working_share(0, 4, is_cpu=False)
    assert share == pytest.approx(1 - waits.mean() / each_ns, rel=0.01)


def test_waiting_is_found_for_threads_at_work_and_never_exceeds_the_move():
    """A mover that goes on and on: what it costs does not depend on who waits already."""
    machine = loaded([4], "2 MiB")
    for _ in range(4):
        moved = machine.migrator.migrate(np.arange(0, 2048, 512), 1, "k")
        if not moved.bytes:
            moved = machine.migrator.migrate(np.arange(0, 2048, 512), 0, "k")
        machine.begin_migration("k", moved.busy_ns)
        machine.settle(machine.now_ns)
        share = machine.load.working_share(0, 4, is_cpu=False)
        r = machine.load._windows["k"][0][0] * machine.load._windows["k"][1] / 4
        assert share == pytest.approx(-np.expm1(-r) / r, rel=1e-6), "always some page is away"
        machine.end_migration("k")


def test_who_does_not_touch_what_moves_is_not_kept_waiting():
    machine = loaded([4])
    moved = machine.migrator.migrate(np.arange(1024), 1, "k")
    machine.begin_migration("k", moved.busy_ns)
    load = machine.load
    visits, batch_ns, covered = load._windows["k"]
    load._windows["k"] = np.r_[visits, 0.0], batch_ns, np.r_[covered, 0.0]
    load._share = np.ones(2)
    load._interrupted["k"] = np.r_[load._interrupted["k"], 0.0]
    assert load.working_share(0, 4) < load.working_share(0, 4, is_cpu=False) < 1.0
    assert load.working_share(1, 4) == 1.0


def test_checking_pages_keeps_nobody_waiting():
    waited = []
    for checking_ns in (0, 10**9):
        machine = loaded([4])
        moved = machine.migrator.migrate(np.arange(1024), 1, "k")
        busy_ns = moved.busy_ns + checking_ns
        machine.begin_migration("k", busy_ns)
        waited.append((1 - machine.load.working_share(0, 4, is_cpu=False)) * busy_ns)
    assert waited[0] == pytest.approx(waited[1])


def test_work_of_several_kdamonds_adds_up_and_ends():
    machine = loaded([4])
    for name, part in (("a", np.arange(64)), ("b", np.arange(64, 128))):
        moved = machine.migrator.migrate(part, 1, name)
        machine.begin_migration(name, moved.busy_ns)
    assert machine.load.cores == {"a": 1.0, "b": 1.0}
    assert len(machine.load.flows) == 4
    machine.end_migration("a")
    machine.end_migration("b")
    assert machine.load.flows == [] and machine.load.working_share(0, 4) == 1.0


# -- accessors -------------------------------------------------------------------------------------


def test_accessors_by_name_and_by_kind():
    topology = worlds.topology(
        accessors=[
            {"name": "c0", "cpus": "0-1", "at": "socket0"},
            {"name": "g0", "kind": "GPU", "at": "socket0"},
            {"name": "c1", "cpus": "2-3", "at": "socket0"},
        ]
    )
    found = [accessor_of(topology, text) for text in ("c1", "CPU", "CPU[1]", "GPU", "GPU[0]")]
    assert found == [2, 0, 2, 1, 1]
    for text, message in (("GPU[1]", "1 of kind GPU"), ("gpu0", 'did you mean "g0"')):
        with pytest.raises(ConfigError, match=message):
            accessor_of(topology, text)
