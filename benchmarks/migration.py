"""Moving pages: through the migrator, with every count and map kept up to date."""

from __future__ import annotations

import numpy as np

from benchmarks.estimating import rate
from benchmarks.harness import TURNS, Answers, Ask, at_least, benchmark, cpu_s
from benchmarks.machines import hot_cold_and_zipf, populate, two_nodes
from numasim.loader import load_topology, load_workload
from numasim.machine import Machine
from numasim.seeds import Seeds

GIB = 16
NR = 51_200  # 200 MiB, a second's quota of the published command
RATE = "pages / CPU s"


def machine_of_two() -> Machine:
    """Two nodes, nine tenths of either in use."""
    topology = load_topology(two_nodes(GIB))
    workload = load_workload(hot_cold_and_zipf(GIB, "4 KiB"))
    machine = Machine(topology, workload, Seeds(1), lambda: None)
    populate(machine)
    return machine


def there_and_back(machine: Machine, heads: np.ndarray) -> list[float]:
    """CPU seconds for pages of node 0 moved to node 1 and back."""
    found = []
    for turn in range(TURNS + 1):
        moved = []

        def trip(moved: list[int] = moved) -> None:
            for target in (1, 0):
                moved.append(len(machine.migrator.migrate(heads, target, "bench").pages))
                machine.migrator.frame_counts.totals()  # counts are as good as read
                machine.migrator.take_traffic()

        used = cpu_s(trip)
        assert moved == [len(heads)] * 2, moved
        if turn:
            found.append(used)
    return found


@benchmark(
    Ask("migrating a range of 51,200 pages", RATE, at_least(3e6)),
    Ask("migrating 51,200 pages that lie scattered", RATE, at_least(3e6)),
)
def migrate() -> Answers:
    """A range as DAMON's first moves find it, and pages drawn all over a mapping."""
    machine = machine_of_two()
    pages = machine.space.mappings[0]
    rng = np.random.Generator(np.random.PCG64DXSM(3))
    scattered = pages.first + rng.permutation(pages.nr)[:NR]
    ordered = np.arange(pages.last - NR, pages.last)[::-1]  # high addresses go first
    return (
        rate(there_and_back(machine, ordered), 2 * NR),
        rate(there_and_back(machine, scattered), 2 * NR),
    )
