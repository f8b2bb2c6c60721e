"""What the hot paths cost, each as a ratio to a reference timed in the same run.

    python benchmarks/hot_paths.py

Absolute times on a shared machine mean little; every line is a median of several turns in which the
two sides alternate. See benchmarks/README.md for what is measured and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from numasim.addresses import AddressSpace
from numasim.damon.ops import Window
from numasim.damon.regions import Regions, merge_regions
from numasim.loader import load_topology, load_workload
from numasim.machine import Machine
from numasim.seeds import Seeds
from numasim.sources import registry
from numasim.traffic import BlockCounts
from numasim.view import View

TURNS = 7


def median_s(work: Callable[[], object], turns: int = TURNS) -> float:
    """Median time of a call, CPU seconds."""
    times = []
    for _ in range(turns):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def report(name: str, value: float, unit: str, bound: str, ok: bool) -> None:
    """One line."""
    print(f"{name:<58} {value:>9.2f} {unit:<22} {bound:<8} {'ok' if ok else 'MISSED'}")


def populated(gib: int) -> Machine:
    """A machine of that much memory, filled with hot and cold data."""
    topology = load_topology(
        {
            "name": "bench",
            "nodes": [
                {"name": "dram0", "capacity": f"{gib} GiB", "latency": "114 ns", "bandwidth": "218 GB/s", "at": "s"}
            ],
            "accessors": [{"name": "cpu0", "cpus": "0-31", "at": "s"}],
        }
    )
    workload = load_workload(
        {
            "name": "bench",
            "processes": [
                {
                    "name": "app",
                    "mappings": [{"name": "heap", "size": f"{gib - 2} GiB"}],
                    "actors": [
                        {
                            "on": "CPU",
                            "threads": 8,
                            "phases": [
                                {"compute": "300 ns", "access": [{"pattern": "hot_cold", "mapping": "heap"},
                                                                 {"pattern": "zipf", "mapping": "heap"}]}
                            ],
                        }
                    ],
                }
            ],
        }
    )  # fmt: skip
    machine = Machine(topology, workload, Seeds(1), lambda: None)
    pages = machine.space.mappings[0]
    machine.migrator.first_touch(pages, 0, pages.nr, 0, pages.mapping.policy, 0, 1)
    machine.start_process(0, 1)
    machine.populators.clear()
    machine._begin(0, 1)
    machine.settle(1)
    return machine


def sampling(machine: Machine, nr_regions: int, exact: bool) -> Callable[[], object]:
    """One aggregation (20 ticks of 5 ms) over all of memory."""
    memory = machine.memory
    ranges = [
        (int(a), int(b), int(f))
        for a, b, f in zip(memory.range_start, memory.range_end, memory.range_first, strict=True)
    ]
    space = AddressSpace(ranges, memory.frame_bytes)
    view = View(space, lambda slots: memory.page_of[slots], machine.migrator.frame_counts, machine.law)
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    source = registry.get("accessed_bits")(
        views=[view], law=machine.law, rng=rng, check_cost_ns=1000, exact_ticks=exact
    )
    edges = np.linspace(ranges[0][0], ranges[-1][1], nr_regions + 1).astype(np.int64) // 4096 * 4096
    window = Window(np.arange(20) * 5_400_000 + 10, np.arange(20) * 5_400_000 + 5_300_010)
    target = np.zeros(nr_regions, np.int64)
    return lambda: source.hits(edges[:-1], edges[1:], target, window)


def merging(nr_regions: int) -> Callable[[], object]:
    """Merging of regions with random counters; `merge_regions` works in place, so on a copy."""
    rng = np.random.Generator(np.random.PCG64DXSM(2))
    edges = np.arange(nr_regions + 1) * 1_048_576
    rows = np.stack([edges[:-1], edges[1:], rng.integers(0, 21, nr_regions), rng.integers(0, 21, nr_regions),
                     rng.integers(0, 50, nr_regions)], axis=1).tolist()  # fmt: skip
    regions = Regions(rows)
    return lambda: merge_regions([regions.copy()], 2, 2**40, 20, 10**9)


def main() -> None:
    """Measure and print."""
    small, large = populated(16), populated(64)
    fast, slow = (median_s(sampling(small, 900, exact)) for exact in (False, True))
    report("class counts against one page per tick, 900 regions", slow / fast, "times faster", "", True)
    here, there = median_s(sampling(small, 900, False)), median_s(sampling(large, 900, False))
    report("the same aggregation on 64 GiB against 16 GiB", there / here, "times the cost", "<= 1.5", there <= 1.5 * here)
    few, many = median_s(sampling(large, 1_000, False)), median_s(sampling(large, 20_000, False))
    report("20,000 regions against 1,000, a region", many / few / 20, "times the cost", "", True)
    per_region = median_s(merging(10_000)) / 10_000 * 1e6
    report("merging, 10,000 regions", per_region, "us per region", "<= 0.5", per_region <= 0.5)
    counts = BlockCounts(2**24, 32)
    rng = np.random.Generator(np.random.PCG64DXSM(3))
    slots, classes = rng.permutation(2**24)[:51_200], rng.integers(0, 32, 51_200)
    moved = median_s(lambda: (counts.add(slots, classes), counts.remove(slots, classes), counts.totals()))
    rate = 51_200 / moved / 1e6
    report("counting a move of 200 MiB of scattered pages, 64 GiB", rate, "million pages per s", ">= 3", rate >= 3)


if __name__ == "__main__":
    main()
