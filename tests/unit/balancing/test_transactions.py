"""Nomad's parts: aborts by the law of writes, shadows that writes end, demotion without a copy."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numasim.agents import Stage
from numasim.balancing.active import ActiveFirst, residents_of
from numasim.balancing.shadows import Shadows
from numasim.balancing.transactions import SHOOTDOWNS, Promoter, Queueing
from numasim.experimenter import stage_of
from numasim.mapping import Mempolicy
from numasim.reclaim.kswapd import kernel_agents
from tests import worlds
from tests.unit.balancing.test_active import faults

MS = 1_000_000
FAST, SLOW = 0, 1
NAME = "nomad/promotion"


class Bench:
    """32 MiB on the slow node; every page is written `rate` times a second."""

    def __init__(self, rate: float = 0.0, fast: str = "64 MiB", lru: str = "active_inactive"):
        kernel = {
            "min_free_kbytes": 256, "transparent_hugepage": "never", "demotion": True, "lru": lru
        }  # fmt: skip
        machine = worlds.topology(fast, "128 MiB", kernel=kernel)
        found = worlds.machine(machine, worlds.workload([worlds.mapping("m", "32 MiB")]))
        self.stage: Stage = stage_of(found)
        self.agents = kernel_agents(self.stage, machine.kernel)
        pages = self.stage.space.mappings[0]
        self.rate = rate
        slow = Mempolicy(mode="bind", nodes=(SLOW,))
        self.stage.migrator.first_touch(pages, 0, pages.nr, 0, slow, 0, 0)
        self.reclaimer = residents_of(self.stage)
        self.shadows = Shadows(self.stage, self.reclaimer, NAME, 0)
        self.promoter = Promoter(self.stage, self.shadows, NAME)
        truth: Any = SimpleNamespace(visits=self.visits)
        self.stage.observing.truth = truth

    def visits(self, from_ns: int, to_ns: int) -> np.ndarray:
        found = np.zeros((1, 2, self.stage.space.nr_classes))
        found[:, 1] = self.rate / 1e9 * (to_ns - from_ns)
        return found

    def promote(self, nr: int, now_ns: int = MS) -> int:
        """Ask for that many, act until the queue is empty; the instant after."""
        heads = np.arange(nr)
        self.promoter.ask(heads, np.full(nr, FAST))
        while len(self.promoter._head):
            self.promoter.act(now_ns)
            now_ns = math.ceil(self.promoter.due_ns)
        return now_ns

    def nr_on(self, node: int) -> int:
        return int(self.stage.migrator.node_counts[node].sum())


@pytest.mark.parametrize("rate", [0.0, 1e5, 5e5, 2e6])
def test_aborts_follow_the_law_of_writes(rate):
    """A page stays clean for the time of its copy with exp(-rate x time)."""
    bench, nr = Bench(rate), 4000
    bench.promote(nr)
    cost = bench.stage.migrator.cost_of(SLOW, FAST, 0)
    chance = -math.expm1(-rate * cost / 1e9)
    found = bench.promoter.counters()
    deviation = math.sqrt(nr * chance * (1 - chance)) + 1e-9
    assert abs(found["promote_abort"] - nr * chance) <= 4 * deviation
    assert found["promote_success"] == nr - found["promote_abort"] == bench.nr_on(FAST)


def test_what_a_transaction_takes():
    """Copying and two shootdowns a page, in vain or not; one core; bytes on the wires."""
    bench = Bench(rate=5e5)
    bench.promoter.ask(np.arange(100), np.full(100, FAST))
    assert bench.promoter.due_ns == 0
    assert bench.promoter.act(MS)
    cost = bench.stage.migrator.cost_of(SLOW, FAST, 0)
    busy = 100 * (cost + SHOOTDOWNS * bench.stage.costs.tlb_shootdown)
    assert bench.promoter.due_ns == MS + busy
    assert bench.stage.load.cores[NAME] == 1.0
    read = [flow for flow in bench.stage.load.flows if flow.node == SLOW]
    assert read[0].read_bytes_per_ns == pytest.approx(100 * 4096 / busy)
    assert 0 < bench.promoter.aborted < 100
    bench.promoter.act(MS + busy)
    assert not bench.stage.load.flows and NAME not in bench.stage.load.cores


def test_a_candidate_is_promoted_once_and_not_if_it_has_gone():
    bench = Bench()
    heads = np.array([1, 2, 3])
    for _ in range(2):
        bench.promoter.ask(heads, np.zeros(3, np.int64))
    bench.stage.migrator.migrate(np.array([2]), FAST, "somebody else")
    bench.promoter.act(MS)
    assert bench.promoter.promoted == 2 and bench.nr_on(FAST) == 3
    assert bench.shadows.copies.nr == 2


def test_it_waits_for_room_and_wakes_kswapd():
    bench = Bench(fast="8 MiB")
    woken: list[int] = []
    bench.stage.memory.kswapd = woken.append
    zone = bench.stage.memory.zones[0]
    bench.stage.memory.others.change(FAST, zone.free - zone.marks.min - 8)
    bench.promoter.ask(np.arange(20), np.zeros(20, np.int64))
    bench.promoter.act(MS)
    assert bench.promoter.promoted == 8
    bench.promoter.act(math.ceil(bench.promoter.due_ns))
    assert bench.promoter.promoted + len(bench.promoter._head) == 20 and FAST in woken
    assert math.isfinite(bench.promoter.due_ns)


def test_shadows_last_until_the_first_write():
    """exp(-rate x time) of them are left; each of the others cost its writer one fault."""
    bench, nr = Bench(rate=20.0), 4000
    now = bench.promote(nr)
    began, have = now, bench.shadows.copies.nr
    tally = bench.stage.observing.tally(NAME)
    before = tally.events
    bench.shadows.until(began + 50 * MS)
    left = bench.shadows.copies.nr
    chance = math.exp(-20.0 * 0.05)
    assert abs(left - have * chance) < 4 * math.sqrt(have * chance * (1 - chance))
    assert tally.events - before == have - left
    assert bench.shadows.written == tally.events == nr - left
    assert tally.stall_ns == tally.events * bench.stage.costs.minor_fault
    bench.shadows.until(began + 50 * MS)
    assert bench.shadows.copies.nr == left, "asked again, nothing has happened"


def test_demotion_goes_back_to_clean_copies_and_copies_the_rest():
    bench = Bench()
    now = bench.promote(200)
    dirty = np.arange(0, 200, 4)
    bench.shadows.copies.drop(dirty)
    bench.reclaimer.now_ns = now
    left, moved, busy = bench.reclaimer._demote(np.arange(200), FAST, "kswapd")
    assert not len(left) and moved == 200 and bench.nr_on(FAST) == 0
    assert bench.shadows.remapped == 150
    costs, copied = bench.stage.costs, 50 * bench.stage.migrator.cost_of(FAST, SLOW, 0)
    assert busy == copied + costs.tlb_shootdown + 150 * costs.pte_scan
    assert bench.reclaimer.counts["pgdemote_kswapd"] == 200
    assert bench.shadows.copies.nr == 0


def test_shadows_are_freed_before_anything_else_ten_times_over():
    bench = Bench()
    bench.promote(3000)
    memory, zone = bench.stage.memory, bench.stage.memory.zones[1]
    memory.others.change(SLOW, zone.free - memory.goal_of(zone) + 9)
    memory.wake_kswapd(SLOW)
    assert bench.shadows.reclaimed == 100, "ten short, one above the mark included"
    assert memory.is_balanced(SLOW) and bench.agents[1].due_ns == math.inf
    assert memory.make_room([SLOW], 32) == 320


def test_what_leaves_otherwise_has_no_shadow():
    bench = Bench()
    bench.promote(10)
    bench.stage.migrator.migrate(np.array([0]), SLOW, "somebody else")
    assert bench.shadows.copies.nr == 9
    bench.stage.migrator.unmap(bench.stage.space.mappings[0])
    assert bench.shadows.copies.nr == 0
    free = bench.stage.memory.zones
    assert all(zone.free + zone.in_pcp == zone.managed for zone in free)


def test_no_fault_waits_for_a_copy():
    bench = Bench()
    rule = ActiveFirst(bench.stage, bench.reclaimer, "nomad", 1, 200)
    judge = Queueing(rule, bench.promoter)
    for at in (MS, 2 * MS):
        assert not judge.decide(faults(bench.stage, [4, 5]), at)[1].any()
    assert bench.promoter._head.tolist() == [4, 5]
    bench.promoter.act(3 * MS)
    assert judge.counters()["pgpromote_success"] == 2
