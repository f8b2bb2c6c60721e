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
    node = {"name": "dram0", "capacity": f"{gib} GiB", "latency": "114 ns", "at": "s"}
    node["bandwidth"] = "218 GB/s"
    cpu = {"name": "cpu0", "cpus": "0-31", "at": "s"}
    topology = load_topology({"name": "bench", "nodes": [node], "accessors": [cpu]})
    access = [{"pattern": kind, "mapping": "heap"} for kind in ("hot_cold", "zipf")]
    actor = {"on": "CPU", "threads": 8, "phases": [{"compute": "300 ns", "access": access}]}
    heap = {"name": "heap", "size": f"{gib - 2} GiB"}
    process = {"name": "app", "mappings": [heap], "actors": [actor]}
    workload = load_workload({"name": "bench", "processes": [process]})
    machine = Machine(topology, workload, Seeds(1), lambda: None)
    machine.start_process(0, 1)
    while machine.populators:
        machine.change(int(machine.next_change_ns()) + 1)
    machine.settle(machine.now_ns)
    return machine


def sampling(machine: Machine, nr_regions: int, exact: bool) -> Callable[[], object]:
    """One aggregation (20 ticks of 5 ms) over all of memory."""
    memory = machine.memory
    ranges = [
        (int(a), int(b), int(f))
        for a, b, f in zip(memory.range_start, memory.range_end, memory.range_first, strict=True)
    ]
    space = AddressSpace(ranges, memory.frame_bytes)
    counts, law = machine.migrator.frame_counts, machine.law
    view = View(space, lambda slots: memory.page_of[slots], counts, law)
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    source = registry.get("accessed_bits")(
        views=[view], law=law, rng=rng, check_cost_ns=1000, exact_ticks=exact
    )
    edges = np.linspace(ranges[0][0], ranges[-1][1], nr_regions + 1).astype(np.int64) // 4096 * 4096
    starts = np.arange(20) * 5_400_000 + machine.now_ns + 1
    window = Window(starts, starts + 5_300_000)
    target = np.zeros(nr_regions, np.int64)
    return lambda: source.hits(edges[:-1], edges[1:], target, window)


def main() -> None:
    """Measure and print."""
    small, large = populated(16), populated(64)
    fast, slow = (median_s(sampling(small, 900, exact)) for exact in (False, True))
    report("class counts against one page per tick", slow / fast, "times faster", "", True)
    here, there = median_s(sampling(small, 900, False)), median_s(sampling(large, 900, False))
    ratio = there / here
    report(
        "the same aggregation, 64 GiB against 16", ratio, "times the cost", "<= 1.5", ratio <= 1.5
    )
    few, many = median_s(sampling(large, 1_000, False)), median_s(sampling(large, 20_000, False))
    report("20,000 regions against 1,000, a region", many / few / 20, "times the cost", "", True)
    counts = BlockCounts(2**24, 32)
    rng = np.random.Generator(np.random.PCG64DXSM(3))
    slots, classes = rng.permutation(2**24)[:51_200], rng.integers(0, 32, 51_200)

    def move() -> None:
        counts.add(slots, classes)
        counts.remove(slots, classes)
        counts.totals()

    moved = median_s(move)
    rate = 51_200 / moved / 1e6
    report("counting a move of 51,200 scattered pages", rate, "million pages/s", ">= 3", rate >= 3)


if __name__ == "__main__":
    main()
