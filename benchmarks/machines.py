"""The machines and programs that benchmarks run: sizes and speeds are made up, all alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from numasim.addresses import AddressSpace
from numasim.loader import load_topology, load_workload
from numasim.machine import Machine
from numasim.seeds import Seeds
from numasim.view import View

INTERVALS = "--monitoring_intervals 5ms 100ms 1s"
TUNED = "--monitoring_intervals_goal 4% 3 5ms 10s"
KEPT = "--monitoring_nr_regions_range 600 1000"
DEFAULT_REGIONS = ""
QUOTA = "--damos_apply_interval 1s --damos_quota_interval 1s --damos_quota_space 200MB"
YOUNG = ("--damos_filter reject young", "--damos_filter allow young")
POPULATE_THREADS = 32


def two_nodes(gib: int) -> dict[str, Any]:
    """A fast and a slow node of half the memory each."""
    common = {"capacity": f"{gib // 2} GiB", "at": "socket0"}
    return {
        "name": "two_nodes",
        "nodes": [
            {"name": "n0", "latency": "100 ns", "bandwidth": "200 GB/s", **common},
            {"name": "n1", "latency": "250 ns", "bandwidth": "60 GB/s", **common},
        ],
        "accessors": [{"name": "cpu0", "cpus": "0-31", "at": "socket0"}],
    }


def hot_cold_and_zipf(gib: int, page: str) -> dict[str, Any]:
    """A program that fills nine tenths of either node, one part hot and cold, one by zipf."""
    size = f"{int(gib // 2 * 0.9)} GiB"
    mappings = [
        {"name": name, "size": size, "page": page, "policy": {"mode": "bind", "nodes": [node]}}
        for name, node in (("a", "n0"), ("b", "n1"))
    ]
    access = [{"pattern": "hot_cold", "mapping": "a"}, {"pattern": "zipf", "mapping": "b"}]
    actor = {"name": "t", "threads": 8, "phases": [{"compute": "300 ns", "access": access}]}
    process = {"name": "p", "populate_threads": POPULATE_THREADS, "mappings": mappings}
    return {"name": "hot_cold_and_zipf", "processes": [{**process, "actors": [actor]}]}


def schemes(young: bool) -> tuple[str, str]:
    """Demotion and promotion with goals that are met already, so that next to nothing moves."""
    reject, allow = YOUNG if young else ("", "")
    cold = f"--damos_action migrate_cold 1 --damos_access_rate 0% 0% {QUOTA} {reject}"
    hot = f"--damos_action migrate_hot 0 --damos_access_rate 5% max {QUOTA} {allow}"
    return (
        f"{cold} --damos_quota_goal node_mem_free_bp 5% 0",
        f"{hot} --damos_quota_goal node_mem_used_bp 80% 0",
    )


def settled(
    gib: int,
    start_s: int,
    duration_s: int,
    intervals: str = INTERVALS,
    limits: str = KEPT,
    page: str = "4 KiB",
    young: bool = False,
) -> dict[str, Any]:
    """A scenario of two kdamonds, one per node, that start when all data is in place.

    Parameters
    ----------
    gib : int
        Memory of both nodes.
    start_s, duration_s : int
        When the kdamonds start, how long the run covers.
    intervals, limits : str
        Options of damo for either kdamond.
    page : str
        Size of all pages.
    young : bool
        Whether the schemes have the young filters of the published command.
    """
    cold, hot = schemes(young)
    damo = (
        f"damo start --numa_node 0 {intervals} {limits} {cold} "
        f"--numa_node 1 {intervals} {limits} {hot} --nr_targets 1 1 --nr_schemes 1 1 --nr_ctxs 1 1 "
        f"--damos_nr_quota_goals 1 1 {'--damos_nr_filters 1 1' if young else ''}"
    )
    return {
        "topology": two_nodes(gib),
        "workload": hot_cold_and_zipf(gib, page),
        "duration": f"{duration_s} s",
        "policy": {"kind": "damos", "damo": damo, "start": f"{start_s} s"},
    }


def populated(gib: int) -> Machine:
    """A machine of one node, filled with hot and cold data."""
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
    populate(machine)
    return machine


def populate(machine: Machine) -> None:
    """First touch everything, then settle."""
    machine.start_process(0, 1)
    while machine.populators:
        machine.change(int(machine.next_change_ns()) + 1)
    machine.settle(machine.now_ns)


def physical_view(machine: Machine) -> tuple[View, int, int]:
    """All of memory as a target of physical addresses, with its first and last address."""
    memory = machine.memory
    ranges = [
        (int(a), int(b), int(f))
        for a, b, f in zip(memory.range_start, memory.range_end, memory.range_first, strict=True)
    ]
    space = AddressSpace(ranges, memory.frame_bytes)
    view = View(
        space, lambda slots: memory.page_of[slots], machine.migrator.frame_counts, machine.law
    )
    return view, ranges[0][0], ranges[-1][1]


def edges(first: int, last: int, nr_regions: int) -> np.ndarray:
    """int64[R + 1]: bounds of so many regions of unequal sizes, on pages."""
    rng = np.random.Generator(np.random.PCG64DXSM(5))
    share = np.r_[0.0, np.cumsum(rng.random(nr_regions) + 0.2)]
    return first + (share / share[-1] * (last - first)).astype(np.int64) // 4096 * 4096
