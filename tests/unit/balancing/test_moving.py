"""Moves in faults: who finds room, and kswapd between one fault and the next."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.agents import Stage
from numasim.balancing.batch import Batch
from numasim.balancing.moving import Moving
from numasim.balancing.tunables import Tunables
from numasim.experimenter import stage_of
from numasim.reclaim.kswapd import Kswapd, kernel_agents
from tests import worlds
from tests.unit.balancing import scenes

MS = 1_000_000
TIERING = Tunables()
TOP = np.array([True, False])


def bench(demotion: bool = True) -> tuple[Stage, Kswapd]:
    """12 MiB of cold memory on a fast node that others filled up, and 8 MiB on the slow one."""
    kernel = {"min_free_kbytes": 256, "transparent_hugepage": "never", "demotion": demotion}
    work = worlds.workload([worlds.mapping("near", "12 MiB"), worlds.mapping("far", "8 MiB")])
    stage = stage_of(worlds.machine(worlds.topology("16 MiB", "64 MiB", kernel=kernel), work))
    kswapd = kernel_agents(stage, stage.topology.kernel)[0]
    assert isinstance(kswapd, Kswapd)
    stage.memory.promo_headroom = True  # as NUMA balancing switches it on
    for node, pages in enumerate(stage.space.mappings):
        policy = pages.mapping.policy.__class__(mode="bind", nodes=(node,))
        stage.migrator.first_touch(pages, 0, pages.nr, 0, policy, 0, 0)
    stage.law.exposure.set_rates(0, np.zeros(stage.law.exposure.rates.shape))
    return stage, kswapd


def fill(stage: Stage, left: int) -> None:
    """Others leave so many pages of the fast node above HIGH."""
    zone = stage.memory.zones[0]
    stage.memory.others.change(0, zone.free - zone.marks.high - left)


def faults(stage: Stage, times: np.ndarray) -> Batch:
    """A fault on one far page after the other."""
    head = stage.space.mappings[1].first + np.arange(len(times))
    none = np.zeros(len(head), np.int64)
    return Batch(head, times, none, none, none + 1, none, none + 1)


def migrate(stage: Stage, moving: Moving, times: np.ndarray) -> np.ndarray:
    """bool[N]: which of those faults were refused."""
    batch = faults(stage, times)
    return moving.migrate(batch, np.ones(len(times), bool), TOP, TIERING)[0]


@pytest.mark.parametrize("span", [4 * MS, 60 * MS])
def test_a_batch_is_one_fault_after_the_other(span):
    """Against a plain loop in which kswapd acts as soon as it is due."""
    times = 10 * MS + np.arange(1500) * span // 1500
    (stage, kswapd), (plain, other) = bench(), bench()
    for one in (stage, plain):
        fill(one, 100)
    refused = migrate(stage, Moving(stage, "test"), times)
    moving, found, batch = Moving(plain, "test"), [], faults(plain, times)
    for i, time in enumerate(times.tolist()):
        while other.due_ns <= time:
            other.act(int(other.due_ns))
        one = batch.at(np.array([i]))
        found.append(bool(moving.migrate(one, np.ones(1, bool), TOP, TIERING)[0][0]))
    assert refused.tolist() == found
    assert 0 < refused.sum() < 1400 and not refused[:64].any()
    assert (stage.memory.frame_of == plain.memory.frame_of).all()
    assert kswapd.counters() == other.counters() and kswapd.runs > 1


def test_without_demotion_all_that_come_later_are_refused():
    stage, _ = bench(demotion=False)
    fill(stage, 100)
    refused = migrate(stage, Moving(stage, "test"), 10 * MS + np.arange(1500) * MS)
    first = int(np.flatnonzero(refused)[0])
    assert 64 < first < 1000 and refused[first:].all()


def test_what_kswapd_moves_between_faults_is_on_the_wires_afterwards():
    stage, _ = bench()
    fill(stage, 100)
    moving = Moving(stage, "test")
    migrate(stage, moving, 10 * MS + np.arange(1500) * MS // 100)
    down = stage.migrator.ledger.moved[("kswapd0", 0, 0, 1)]
    assert down > 0 and moving.on_the_wires(5 * MS)
    written = sum(f.write_bytes_per_ns for f in stage.load.flows if f.node == 1)
    assert written * 5 * MS == pytest.approx(down)
    up = sum(f.read_bytes_per_ns for f in stage.load.flows if f.node == 1)
    assert up * 5 * MS == pytest.approx(stage.migrator.ledger.moved[("test", 1, 1, 0)])
    assert moving.on_the_wires(5 * MS) and not stage.load.flows, "and then no longer"
    assert not moving.on_the_wires(5 * MS)


def test_a_batch_ends_before_kswapd_goes_on():
    stage, kswapd = bench()
    fill(stage, 1)
    stage.memory.others.change(0, 2)
    stage.memory.wake_kswapd(0)
    kswapd.act(10 * MS)
    moving, due = Moving(stage, "test"), kswapd.due_ns
    assert moving.cut_ns(10 * MS) == due - 1 and stage.load.flows
    assert moving.cut_ns(int(due) - 1) > due, "what was due has been done"
    assert moving.on_the_wires(MS) and not stage.load.flows, "and what it moved has arrived"


@pytest.mark.slow
def test_batches_do_not_decide_where_reclaim_makes_the_room():
    """A hundredth of a second finds what a tenth of that finds, but for chance."""
    policy = {"kind": "numa_balancing", "mode": 2, "demotion": True, "scan_size": 8}
    work = scenes.flat()
    found = []
    for batch in ("1 ms", "10 ms"):
        runs = [
            scenes.counters(scenes.run(scenes.two_tiers(), work, {**policy, "batch": batch}, "4 s",
                                       seed=seed))
            for seed in (1, 2)
        ]  # fmt: skip
        found.append({name: sum(run[name] for run in runs) for name in runs[0]})
    for name in ("numa_hint_faults", "pgpromote_success"):
        assert found[0][name] == pytest.approx(found[1][name], rel=0.03), name
    refused = [one["pgmigrate_fail"] / one["pgpromote_candidate"] for one in found]
    assert refused[0] == pytest.approx(refused[1], abs=0.02)
