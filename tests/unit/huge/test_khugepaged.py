"""khugepaged: how much it looks at, what it takes up, when it waits."""

from __future__ import annotations

import math

import numpy as np

from numasim.experimenter import stage_of
from numasim.huge.khugepaged import Khugepaged
from numasim.kernel import KhugepagedSettings
from numasim.machine import Machine
from numasim.seeds import Seeds
from tests import worlds
from tests.unit.huge.scenes import HUGE, PER

SECOND = 10**9


def scene(thp: str = "madvise", sizes=("64 MiB", "64 MiB"), advise: bool = True, **settings):
    """A program with 32 MiB of small pages, all there and all advised; khugepaged."""
    kernel = {"min_free_kbytes": 64, "transparent_hugepage": thp}
    work = worlds.workload([worlds.mapping("m", "32 MiB", address=1 << 30)])
    machine = Machine(
        worlds.topology(*sizes, kernel=kernel), work, Seeds(1), lambda: None, huge=True
    )
    machine.start_process(0, 0)
    machine.change(SECOND)
    while machine.next_change_ns() < math.inf:
        machine.change(int(machine.next_change_ns()))
    huge, (pages,) = machine.populator.huge, machine.space.mappings
    if advise:
        huge.advise(pages, 0, 32 << 20, True)
    stage = stage_of(machine)
    return machine, huge, Khugepaged(stage, huge, KhugepagedSettings(**settings))


def acts(agent: Khugepaged, seconds: float) -> None:
    """Let it act until then."""
    while agent.due_ns <= seconds * SECOND:
        agent.act(int(agent.due_ns))


def test_it_looks_at_sixteen_mebibytes_every_ten_seconds():
    machine, huge, agent = scene()
    acts(agent, 9.9)
    assert huge.collapsed == 0
    acts(agent, 10.5)
    assert huge.collapsed == 8
    acts(agent, 21)
    assert huge.collapsed == 16 == agent.counters()["nr_anon_transparent_hugepages"]
    worlds.check(machine.migrator)
    acts(agent, 60)
    assert agent.counters()["thp_collapse_alloc"] == 16, "all is done"


def test_it_takes_a_core_while_it_copies():
    machine, _, agent = scene()
    agent.act(10 * SECOND)
    assert machine.load.cores["khugepaged"] == 1.0
    took = agent.due_ns - 10 * SECOND
    per_page = machine.topology.costs.migrate_ns(0)
    assert 8 * PER * per_page <= took < 1.1 * 8 * PER * (per_page + 8)
    agent.act(int(agent.due_ns))
    assert "khugepaged" not in machine.load.cores


def test_it_leaves_alone_what_nobody_asked_for():
    _, huge, agent = scene(advise=False)
    acts(agent, 30)
    assert huge.collapsed == 0


def test_it_does_not_run_where_transparent_huge_pages_are_off():
    _, _, agent = scene(thp="never")
    assert agent.due_ns == math.inf


def test_it_stops_where_advice_was_taken_back():
    machine, huge, agent = scene()
    huge.advise(machine.space.mappings[0], 3 * HUGE + 4096, 3 * HUGE + 8192, False)
    acts(agent, 21)
    assert huge.collapsed == 15


def test_it_waits_for_longer_where_there_is_no_free_block():
    _, huge, agent = scene(sizes=("33 MiB", "64 MiB"))
    acts(agent, 10.5)
    assert huge.collapse_failed == 1
    acts(agent, 69)
    assert huge.collapse_failed == 1
    acts(agent, 71)
    assert huge.collapse_failed == 2 and huge.collapsed == 0


def test_holes_are_filled_up_to_the_number_allowed():
    for most, made in ((511, 16), (255, 15), (0, 15)):
        machine, huge, agent = scene(max_ptes_none=most)
        hand = machine.migrator
        gone = np.arange(PER, PER + 256)  # of the second block
        hand.memory.release(hand.lift(gone, freed=True))
        acts(agent, 21)
        assert huge.collapsed == made, most
        worlds.check(hand)


def test_blocks_that_nobody_has_touched_lately_are_left():
    machine, huge, agent = scene()
    machine.law.track_bits()
    heads = np.arange(4 * PER)
    machine.law.test_and_clear_young(heads, 2 * SECOND, np.random.default_rng(1))
    acts(agent, 21)
    assert huge.collapsed == 12


def test_it_starts_over_when_it_has_been_everywhere():
    _, huge, agent = scene(pages_to_scan=20 * PER)
    acts(agent, 11)
    assert huge.collapsed == 16
    heads = huge.blocks_within(agent._stage.space.mappings[0], 0, 32 << 20)
    agent._stage.migrator.split(heads[:5])
    acts(agent, 21)
    assert huge.nr_huge == 16
