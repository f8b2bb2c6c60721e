"""TPP's rule, fault by fault: active first, up next; what a CPU collects; ping-pong; marks."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.agents import Stage
from numasim.balancing.active import ActiveFirst, residents_of
from numasim.balancing.batch import Batch
from numasim.errors import SimulationError
from numasim.experimenter import stage_of
from numasim.reclaim.kswapd import kernel_agents
from tests import worlds

MS = 1_000_000
NODES = ("16 MiB", "64 MiB")


def bench(
    lru: str = "active_inactive", pagevec: int = 1, bp: int = 200
) -> tuple[Stage, ActiveFirst]:
    """8 MiB of memory that fell on the slow node, and the rule over it."""
    kernel = {"min_free_kbytes": 256, "transparent_hugepage": "never", "demotion": True, "lru": lru}
    work = worlds.workload([worlds.mapping("m", "8 MiB")])
    stage = stage_of(worlds.machine(worlds.topology(*NODES, kernel=kernel), work))
    kernel_agents(stage, stage.topology.kernel)
    pages = stage.space.mappings[0]
    slow = pages.mapping.policy.__class__(mode="bind", nodes=(1,))
    stage.migrator.first_touch(pages, 0, pages.nr, 0, slow, 0, 0)
    return stage, ActiveFirst(stage, residents_of(stage), "tpp", pagevec, bp)


def faults(stage: Stage, heads: list[int], task: int = 0) -> Batch:
    """Faults of one CPU on these pages, in order."""
    head = np.array(heads, np.int64)
    zeros, ones = np.zeros(len(head), np.int64), np.ones(len(head), np.int64)
    return Batch(head, ones * MS, zeros, zeros + task, stage.nodes_of(head), zeros, ones)


@pytest.mark.parametrize("lru", ["active_inactive", "mglru"])
def test_the_first_fault_activates_the_second_promotes(lru):
    stage, rule = bench(lru)
    assert rule.decide(faults(stage, [7, 9]), MS)[1].tolist() == [False, False]
    assert (rule.activated, rule.candidates) == (2, 0)
    assert rule.decide(faults(stage, [7, 8]), 2 * MS)[1].tolist() == [True, False]
    assert (rule.activated, rule.candidates) == (3, 1)


def test_what_reclaim_finds_active_comes_up_on_its_first_fault():
    stage, rule = bench()
    residents_of(stage).act("lru_prio", np.array([3]), MS)
    assert rule.decide(faults(stage, [3]), MS)[1].all()


def test_activations_wait_until_their_cpu_has_fifteen():
    stage, rule = bench(pagevec=15)
    for page in range(14):
        assert not rule.decide(faults(stage, [page]), MS)[1].any()
        assert not rule.decide(faults(stage, [page], task=1), MS)[1].any(), "another CPU, alike"
    assert rule.activated == 0
    rule.decide(faults(stage, [0]), MS)  # it is not active yet: it takes another place
    assert rule.activated == 14, "fifteen entries, fourteen pages"
    assert rule.decide(faults(stage, list(range(14))), MS)[1].all()


def test_a_page_that_was_demoted_and_is_hot_again_is_counted():
    stage, rule = bench()
    hand, two = stage.migrator, np.array([1, 2])
    hand.migrate(two, 0, "tpp")
    hand.migrate(two[:1], 1, "kswapd0")
    hand.migrate(two[1:], 1, "somebody else")
    assert rule.demoted[:4].tolist() == [False, True, False, False]
    for at in (MS, 2 * MS):
        rule.decide(faults(stage, [1, 2]), at)
    assert (rule.candidates, rule.from_demoted) == (2, 1)
    hand.migrate(two, 0, "tpp")
    assert not rule.demoted.any()


def test_reclaim_keeps_two_percent_but_allocation_needs_no_more_than_before():
    stage, rule = bench()
    zone, marks = stage.memory.zones[0], stage.memory.zones[0].marks
    goal = zone.managed * 200 // 10_000
    assert stage.memory.goal_of(zone) == goal > marks.promo
    assert stage.memory.goal_of(stage.memory.zones[1]) == stage.memory.zones[1].marks.high
    woken: list[int] = []
    stage.memory.kswapd = woken.append
    stage.memory.others.change(0, zone.free - goal - 1)
    rule.tick(MS)
    assert not woken
    stage.memory.others.change(0, 1)
    rule.tick(MS)
    assert woken == [0], "there is no more than the demotion mark"
    wanted = goal - marks.low
    assert len(stage.memory.allocate(wanted, [0], ("low",))) == wanted


def test_without_reclaim_it_says_so():
    stage = stage_of(
        worlds.machine(worlds.topology(*NODES), worlds.workload([worlds.mapping("m", "8 MiB")]))
    )
    with pytest.raises(SimulationError, match="needs reclaim"):
        residents_of(stage)
