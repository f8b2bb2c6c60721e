"""Room on nodes, and how long a policy's threads copy."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.experimenter import stage_of
from numasim.hotness.mover import Mover
from tests.worlds import check, machine, mapping, touch_all, workload


def test_room_is_what_the_watermarks_leave():
    made = machine()
    stage = stage_of(made)
    mover = Mover(stage, "mover")
    zone = made.memory.zones_of_node(0)[0]
    assert mover.room(0) == zone.free - zone.marks.low - zone.reserve - zone.kept
    assert mover.room(0, "min") > mover.room(0) > mover.room(0, "high")


def test_several_threads_share_the_copying_and_nothing_else():
    made = machine(work=workload([mapping("m", "8 MiB")]))
    stage = stage_of(made)
    pages = touch_all(made.migrator)
    one = Mover(stage, "one").move(pages[:100], 1)
    four = Mover(stage, "four", copy_threads=4).move(pages[100:200], 1)
    costs, stretch = stage.costs, (100 + 200) / 2 / 100
    assert one == (100 * 4096, 100 * costs.migrate_ns(0, stretch))
    fixed = costs.migrate_ns(0, 0.0)
    copying = one[1] / 100 - fixed
    assert four[1] / 100 == pytest.approx(fixed + copying / 4, abs=1)
    check(made.migrator)


def test_only_what_moved_is_counted():
    made = machine(work=workload([mapping("m", "8 MiB")]))
    stage = stage_of(made)
    pages = touch_all(made.migrator)
    mover = Mover(stage, "mover")
    assert mover.move(pages[:0], 1) == (0, 0)
    assert mover.move(pages[:10], 0) == (0, 0), "they are there already"
    made.migrator.allowed = lambda heads, target, cause: np.arange(len(heads)) < 3
    assert mover.move(pages[:10], 1)[0] == 3 * 4096 == mover.moved_bytes
