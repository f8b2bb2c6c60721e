"""Whose pages are whose: the filter, groups, placement and periods, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.balancing.sharing import UNSET, Statistics, cpupid
from numasim.balancing.tasks import NS_PER_MS, SCAN_OVERHEAD, Tasks
from numasim.balancing.tunables import Tunables
from numasim.loader import load_topology
from numasim.machine import Machine
from numasim.seeds import Seeds
from numasim.threads import threads_of
from numasim.workload import Workload
from tests.unit.balancing import scenes

GB = 1 << 18


def tasks(now_ns: int = 0) -> Tasks:
    """Threads 0 and 1 on socket 0, 2 and 3 on socket 1, all of one process."""
    topology = load_topology(scenes.two_sockets())
    workload = Workload.from_dict(scenes.shared())
    machine = Machine(topology, workload, Seeds(1), lambda: None)
    return Tasks(machine.actors, threads_of(workload, topology), topology, Tunables(), now_ns)


def asked(
    statistics: Statistics, task: int, last: int | None, source: int, refused: bool = False
) -> bool:
    """Whether a page moves to who faults; `last` is the task that touched it before."""
    own = statistics._tasks
    then = UNSET if last is None else int(cpupid(own.cpu[last], own.tid[last]))
    node = -1 if last is None else int(own.node[last])
    args = (np.array([x]) for x in (task, then, node, source, refused))
    return bool(statistics.should_migrate(*args)[0])


def settled(*, member: bool) -> Statistics:
    """After the early sequences, with a preferred node."""
    statistics = Statistics(tasks(), 2)
    statistics.preferred[:], statistics.sequence[:] = 0, 5
    statistics.member[:] = member
    return statistics


def test_threads_are_where_they_run():
    own = tasks()
    assert own.node.tolist() == [0, 0, 1, 1] and own.cpu.tolist() == [0, 1, 4, 5]


def test_early_faults_move_at_once():
    statistics = Statistics(tasks(), 2)
    assert asked(statistics, 2, None, 0), "nobody before"
    assert asked(statistics, 2, 2, 0), "private"
    assert not asked(statistics, 2, 0, 0), "somebody from elsewhere before"
    statistics.preferred[:] = 0
    assert asked(statistics, 2, None, 0), "sequence 0 is still early"


def test_later_the_last_two_must_come_from_the_same_node():
    statistics = settled(member=False)
    assert asked(statistics, 2, 3, 0) and asked(statistics, 2, 2, 0)
    assert not asked(statistics, 2, 1, 0)


def test_slow_pages_wait_for_a_second_touch_without_tiering():
    assert not asked(Statistics(tasks(), 2), 2, None, 0, refused=True)


@pytest.mark.parametrize(
    ("cpu", "mem", "expected"),
    [
        ((10, 31), (0, 0), True),  # more than three times as active
        ((10, 30), (10, 40), False),  # 30 x 10 x 3 = 900, 10 x 40 x 4 = 1600
        ((10, 10), (20, 10), True),  # 600 > 400
        ((10, 10), (14, 11), False),  # 420 < 440
        ((10, 10), (15, 11), True),  # 450 > 440
        ((30, 10), (10, 10), False),
    ],
)
def test_a_group_moves_pages_to_where_it_works(cpu, mem, expected):
    statistics = settled(member=True)
    statistics.cpu[0, :, 0], statistics.mem[0, :, 0] = cpu, mem
    assert asked(statistics, 2, 3, 0) is expected
    assert asked(statistics, 2, 2, 0), "one's own page comes anyway"


def test_who_touches_what_another_touched_joins_it():
    statistics = Statistics(tasks(), 2)
    own = statistics._tasks
    last = cpupid(own.cpu[[2]], own.tid[[2]])
    one = np.array([1])
    statistics.account(np.array([0]), last, one, one < 0, one < 0, one)
    assert statistics.member.tolist() == [True, False, True, False]


def test_placement_by_hand():
    """Faults decay by half, CPU use is weighed by the part of the time that a thread ran."""
    own = tasks()
    statistics = Statistics(own, 2)
    statistics.mem[0, 1, 1] = 100
    task, last = np.zeros(3, np.int64), np.full(3, UNSET)
    node, nr = np.array([1, 1, 0]), np.array([30, 10, 5])
    statistics.account(task, last, node, node == 0, np.zeros(3, bool), nr)
    own.runtime_ns[0] = 1e9
    rests = statistics.place(0, 3, 2_000_000_000, GB, Tunables())
    assert statistics.mem[0, :, 1].tolist() == [5, 100 - 50 + 40]
    weight = (1_000_000_000 << 16) // 2_000_000_001
    assert statistics.cpu[0, 0, 1] == weight * 45 // 46
    assert statistics.preferred[0] == 1 and statistics.sequence[0] == 3
    assert not rests and own.period_ms[0] == 1300, "all private: three of ten slots longer"
    assert not statistics.locality[0].any()


def test_failures_double_the_period():
    own = tasks()
    statistics = Statistics(own, 2)
    one = np.array([1])
    statistics.account(np.array([0]), np.array([UNSET]), one, one > 0, one > 0, one)
    assert statistics.place(0, 1, 10**9, GB, Tunables()) and own.period_ms[0] == 2000


def test_a_process_that_only_begins_has_not_run_yet():
    """It populates for the first time: no phase has begun, whatever the clock says."""
    assert tasks(now_ns=45 * 10**9).runtime_ns.tolist() == [0.0] * 4


def test_ticks_find_threads_due():
    own = tasks()
    stamps = [0, 2008, 3008, 4008]  # staggered by a delay for each thread, and two ticks
    assert (own.stamp_ns / NS_PER_MS).tolist() == stamps
    own.runtime_ns[:] = 1000 * NS_PER_MS
    assert not len(own.due(1, 250)), "more than a delay, not just as much"
    own.runtime_ns[:] += 1
    assert own.due(1, 250).tolist() == [0]
    assert own.period_ms[0] == 250 and own.stamp_ns[0] == 1000 * NS_PER_MS
    own.scanned(0, 1e6)
    expected = 1000 * NS_PER_MS + 2 * own.tick_ns + SCAN_OVERHEAD * 1e6
    assert own.stamp_ns[0] == expected


def test_who_lags_catches_up_a_period_a_tick():
    own = tasks()
    own.runtime_ns[0] = 20_000.0 * NS_PER_MS
    own.due(1, 100)
    assert own.stamp_ns[0] == 1000 * NS_PER_MS
    own.due(10, 100)
    assert own.stamp_ns[0] == 2000 * NS_PER_MS
