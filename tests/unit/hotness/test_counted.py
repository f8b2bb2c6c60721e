"""Notifications of access counters become folios of the parts that were touched."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.experimenter import stage_of
from numasim.hotness.counted import Counted, CountedRules
from numasim.machine import Machine
from numasim.seeds import Seeds
from numasim.topology import Topology
from numasim.workload import Workload
from tests.unit.hotness.made import go_on
from tests.unit.hotness.test_gpu_policies import machine, work

MIB = 1 << 20


def counted(**access):
    made = Machine(
        Topology.from_dict(machine()), Workload.from_dict(work(**access)), Seeds(1), lambda: None
    )
    made.start_process(0, 0)
    now = 0
    while any(actor.state != "running" for actor in made.actors):
        now = int(made.next_change_ns())
        made.change(now)
    made.settle(now)
    stage = stage_of(made)
    return made, Counted(stage, CountedRules(256, 256, 1_000_000, 500, 10_000_000), 1, now), now


def test_all_parts_of_an_evenly_used_block_are_touched_sooner_or_later():
    made, one, now = counted(lines=1)
    go_on(made, now + 1_000_000)
    frame = made.memory.frame_of[0] // 32 * 32
    heads = one.touched(np.array([frame * 65536]), now, now + 1_000_000)
    # 256 visits to 32 parts: each is missed with chance (31/32)^256 = 0.0003
    assert len(heads) >= 31
    assert len(one.touched(np.zeros(0, np.int64), now, now + 1)) == 0


def test_visits_of_many_lines_touch_fewer_parts():
    made, one, now = counted(lines=32)
    go_on(made, now + 1_000_000)
    frame = made.memory.frame_of[0] // 32 * 32
    nr = [len(one.touched(np.array([frame * 65536]), now, now + 1_000_000)) for _ in range(200)]
    # 8 visits to 32 parts: 32 (1 - (31/32)^8) = 7.18 of them
    assert np.mean(nr) == pytest.approx(32 * (1 - (31 / 32) ** 8), abs=0.15)


def test_a_step_takes_what_was_counted_and_pays_for_notifications():
    made, one, now = counted()
    go_on(made, now + 10_000_000)
    busy_ns = one.step(now + 10_000_000)
    tally = one.stage.observing.tally(one.name)
    moved = int(made.migrator.node_counts[1].sum()) * 65536
    assert moved > 8 * MIB
    taken = tally.events - tally.lost
    assert busy_ns == pytest.approx(moved / 50 + taken * 500, rel=1e-3), "50 bytes per ns"
