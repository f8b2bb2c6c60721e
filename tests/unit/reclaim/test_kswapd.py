"""kswapd: woken below LOW, done above its mark, hopeless after sixteen runs; direct reclaim."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numasim.errors import SimulationError
from numasim.experimenter import stage_of
from numasim.machine import Machine
from numasim.reclaim.kswapd import MAX_FAILURES, NAP_NS, Kswapd, kernel_agents
from numasim.reclaim.mglru import MultiGen
from tests import worlds

MS = 1_000_000


def bench(
    *mappings: dict, nodes=("16 MiB", "64 MiB"), rate: float = 0.0, **kernel
) -> tuple[Machine, list]:
    """A machine whose reclaim is called by hand; every page is visited `rate` times a second."""
    mappings = mappings or (worlds.mapping("m", "12 MiB"), worlds.mapping("late", "8 MiB"))
    settings = {"min_free_kbytes": 512, "transparent_hugepage": "never", "demotion": True, **kernel}
    access = [{"pattern": "uniform", "mapping": m["name"]} for m in mappings]
    work = worlds.workload(mappings, access)
    found = worlds.machine(worlds.topology(*nodes, kernel=settings), work)
    agents = kernel_agents(stage_of(found), found.topology.kernel)
    found.law.exposure.set_rates(0, np.full(found.law.exposure.rates.shape, rate / 1e9))
    return found, agents


def touch(machine: Machine, index: int, part: float = 1.0, now: int = 0, **policy) -> None:
    pages = machine.space.mappings[index]
    last = int(part * pages.nr / pages.folio_pages) * pages.folio_pages
    machine.migrator.first_touch(pages, 0, last, 0, pages.mapping.policy, now, now)


def starve(machine: Machine) -> None:
    """Others take all of node 0 down to MIN."""
    zone = machine.memory.zones[0]
    machine.memory.others.change(0, zone.free - zone.marks.min)


def run(thread: Kswapd, now: int, until: float = math.inf) -> int:
    """Let it act until it sleeps; the instant of its last act."""
    for _ in range(10_000):
        if thread.due_ns == math.inf or thread.due_ns > until:
            return now
        now = max(now + 1, math.ceil(thread.due_ns))
        thread.act(now)
    raise AssertionError("it does not come to an end")


def test_it_frees_up_to_high_and_not_much_more():
    machine, agents = bench(rate=0.0)
    touch(machine, 0)
    zone = machine.memory.zones[0]
    take = zone.free - zone.marks.low + 20
    machine.memory.others.change(0, take)
    machine.memory.wake_kswapd(0)
    assert agents[0].due_ns == 0
    end = run(agents[0], MS)
    assert zone.free > zone.marks.high
    assert zone.free <= zone.marks.high + 64 + 64, "a batch beyond the abort mark at most"
    assert machine.migrator.node_counts[1].sum() == agents[2].counters()["pgdemote_kswapd"]
    assert end >= NAP_NS, "it naps before it sleeps"


def test_with_tiering_it_frees_up_to_promo():
    machine, agents = bench(rate=0.0)
    touch(machine, 0)
    zone = machine.memory.zones[0]
    machine.memory.others.change(0, zone.free - zone.marks.high - 1)
    machine.memory.wake_kswapd(0)
    assert agents[0].due_ns == math.inf, "HIGH is reached"
    machine.memory.promo_headroom = True
    machine.memory.wake_kswapd(0)
    run(agents[0], MS)
    assert zone.marks.promo < zone.free <= zone.marks.promo + 128


def test_it_takes_a_core_and_bandwidth_while_it_works():
    machine, agents = bench(rate=0.0)
    touch(machine, 0)
    starve(machine)
    machine.memory.wake_kswapd(0)
    assert agents[0].act(MS) and machine.load.cores["kswapd0"] == 1.0
    written = [flow for flow in machine.load.flows if flow.node == 1 and flow.write_bytes_per_ns]
    nr = int(machine.migrator.node_counts[1].sum())
    busy = agents[0].due_ns - MS
    assert written[0].write_bytes_per_ns == pytest.approx(nr * 4096 / busy)
    assert busy >= nr * 1_100, "a page takes at least what moving it takes"
    run(agents[0], MS)
    assert not machine.load.flows and "kswapd0" not in machine.load.cores


def test_where_everything_is_hot_it_gives_up_after_sixteen_runs():
    machine, agents = bench(rate=1e6)
    touch(machine, 0)
    starve(machine)
    machine.memory.wake_kswapd(0)
    run(agents[0], MS)
    assert agents[0].failures == agents[0].runs == MAX_FAILURES
    assert machine.migrator.node_counts[1].sum() == 0
    machine.memory.wake_kswapd(0)
    assert agents[0].due_ns == math.inf, "the node is left to direct reclaim"


def test_a_lowest_tier_without_swap_has_nothing_to_reclaim():
    machine, agents = bench(nodes=("16 MiB",))
    touch(machine, 0)
    starve(machine)
    machine.memory.wake_kswapd(0)
    run(agents[0], MS)
    assert agents[0].failures == MAX_FAILURES and agents[1].counters()["pgscan_kswapd"] == 0


def test_a_second_wake_up_ends_the_nap():
    machine, agents = bench()
    touch(machine, 0)
    thread, memory = agents[0], machine.memory
    memory.others.change(0, memory.zones[0].free - memory.zones[0].marks.low)
    memory.wake_kswapd(0)
    now = run(thread, MS, until=MS + NAP_NS / 2)
    assert thread.due_ns > now + NAP_NS / 2, "napping"
    memory.others.change(0, memory.zones[0].free - memory.zones[0].marks.low)
    memory.wake_kswapd(0)
    assert thread.due_ns == 0
    run(thread, now)
    assert thread.runs == 2 and memory.is_balanced(0)


def test_first_touch_falls_back_without_waking_anybody_while_another_node_has_room():
    machine, agents = bench(worlds.mapping("m", "40 MiB"))
    touch(machine, 0)
    assert machine.migrator.node_counts[1].sum() > 0
    assert agents[0].due_ns == math.inf, "some zone was above LOW"


BOUND = {"policy": {"mode": "bind", "nodes": ["n0"]}}


def test_bound_memory_demotes_what_is_cold_rather_than_fail():
    first, late = worlds.mapping("m", "12 MiB"), worlds.mapping("late", "10 MiB", **BOUND)
    machine, agents = bench(first, late)
    touch(machine, 0, now=MS)
    touch(machine, 1, now=2 * MS)
    counts = agents[2].counters()
    assert counts["pgdemote_direct"] > 0 and counts["allocstall"] > 0
    assert machine.migrator.stall_ns >= counts["pgdemote_direct"] * 1_100
    assert machine.migrator.node_counts[1].sum() == counts["pgdemote_direct"]
    assert agents[2].due_ns == 0 and agents[2].act(2 * MS)
    written = sum(flow.write_bytes_per_ns for flow in machine.load.flows if flow.node == 1)
    stall = machine.migrator.stall_ns
    assert written == pytest.approx(counts["pgdemote_direct"] * 4096 / stall)
    assert agents[2].due_ns == 2 * MS + stall, "its traffic ends then"
    agents[2].act(int(agents[2].due_ns))
    assert not machine.load.flows


def test_without_demotion_or_swap_it_is_out_of_memory():
    first, late = worlds.mapping("m", "12 MiB"), worlds.mapping("late", "10 MiB", **BOUND)
    machine, agents = bench(first, late, demotion=False, swap={"size": "4 KiB"})
    touch(machine, 0)
    with pytest.raises(SimulationError, match="out of memory while populating late"):
        touch(machine, 1, now=MS)
    assert agents[2].counters()["pgdemote_direct"] == 0


def test_with_demotion_off_it_swaps():
    first, late = worlds.mapping("m", "12 MiB"), worlds.mapping("late", "10 MiB", **BOUND)
    machine, agents = bench(first, late, demotion=False, swap={"size": "16 MiB"})
    touch(machine, 0)
    touch(machine, 1, now=MS)
    assert agents[3].counters()["pswpout"] > 0 and machine.migrator.node_counts[1].sum() == 0


def test_a_full_lower_tier_leads_to_swapping():
    first, late = worlds.mapping("m", "12 MiB"), worlds.mapping("late", "10 MiB", **BOUND)
    machine, agents = bench(first, late, nodes=("16 MiB", "4 MiB"), swap={"size": "16 MiB"})
    touch(machine, 0)
    touch(machine, 1, now=MS)
    assert agents[2].counters()["pgdemote_direct"] > 0
    assert agents[3].counters()["pswpout"] > 0


def test_hot_pages_stay_and_cold_ones_go():
    half = [
        {"pattern": "uniform", "mapping": "m", "last": 0.5},
        {"pattern": "uniform", "mapping": "m", "first": 0.5},
    ]
    for lru in ("mglru", "active_inactive"):
        kernel = {"min_free_kbytes": 512, "demotion": True, "lru": lru}
        work = worlds.workload([worlds.mapping("m", "14 MiB")], half)
        machine = worlds.machine(worlds.topology("16 MiB", "64 MiB", kernel=kernel), work)
        agents = kernel_agents(stage_of(machine), machine.topology.kernel)
        touch(machine, 0)
        rates = np.zeros(machine.law.exposure.rates.shape)
        hot, cold = machine.space.class_of[[0, -1]].tolist()  # the hot half is the older one
        rates[[hot, cold]] = 2e3 / 1e9, 0.01 / 1e9
        machine.law.exposure.set_rates(0, rates)
        zone, now = machine.memory.zones[0], MS
        for _ in range(12):
            machine.memory.others.change(0, zone.free - zone.marks.low)
            machine.memory.wake_kswapd(0)
            now = run(agents[0], now) + 50 * MS
        gone = machine.migrator.node_counts[1]
        assert gone[cold] > 300 and gone[hot] < 0.1 * gone[cold], lru


def test_sysctls_switch_it():
    machine, agents = bench(demotion=False)
    reclaimer = machine.migrator.residents
    assert reclaimer.kinds(0) == ()
    for agent in agents:
        agent.settings({"numa/demotion_enabled": 1, "vm.swappiness": 7})
    assert reclaimer.kinds(0) == (0, 1) and reclaimer.kinds(1) == ()
    assert reclaimer.swappiness == 7


@pytest.mark.parametrize("watermark", [512, 4096])
def test_rounds_that_are_joined_find_what_they_find_one_by_one(watermark, monkeypatch):
    """Half of the pages looked at are young; on such a small node a round is a page or a few."""
    found = []
    for joined in (True, False):
        monkeypatch.setattr(MultiGen, "joins_rounds", joined)
        machine, agents = bench(worlds.mapping("m", "64 MiB"), nodes=("80 MiB", "640 MiB"),
                                min_free_kbytes=watermark)  # fmt: skip
        touch(machine, 0)
        machine.law.exposure.set_rates(0, np.full(machine.law.exposure.rates.shape, 2e-9))
        zone, now = machine.memory.zones[0], 400 * MS
        for _ in range(12):
            machine.memory.others.change(0, zone.free - zone.marks.min - 8)
            machine.memory.wake_kswapd(0)
            now = run(agents[0], now) + 50 * MS
        counts = agents[-1].counters()
        found.append([counts["pgdemote_kswapd"], counts["pgscan_kswapd"], agents[0].cpu_ns])
        assert agents[0].runs == 12
    one, other = np.array(found, float)
    assert one[0] > 200 and one[0] == pytest.approx(other[0], rel=0.1)
    assert one == pytest.approx(other, rel=0.25)
