"""Published results of the kernel's memory tiering, parameters fixed before any outcome."""

from __future__ import annotations

from typing import Any

import pytest

from numasim import library
from numasim.loader import load_scenario
from numasim.result import Result
from numasim.running import run_scenario

EDGES_PER_S = 5.08e8
"""Measured without balancing: harmonic mean of traversed edges a second, all data on CXL."""
RANKS, PROCESSES = 128, 16
TOUCHED_GIB, IDLE_GIB = 52.6, 42.4
"""What mode 2 was seen to promote, and the rest of about 95 GiB (100 GB)."""
LATENCIES_NS = (192.0, 271.0)
"""Of CXL from either socket on that machine's topology."""
PARALLELISM = 2.0
"""Assumption: an edge is one miss to a random vertex. The least of 2 to 4, which random gathers are
known for; with 4 the same machine would gain about 1.15."""


def graph500(policy: Any) -> Result:
    """Ranks of one search after another, whose data was moved to CXL beforehand.

    One operation is one edge. Computing takes what one miss leaves of a rank's time per edge on
    CXL. The nodes are larger than the shipped topology says: on that machine all fit into DRAM.
    """
    per_edge_ns = RANKS / EDGES_PER_S * 1e9
    processes = []
    for i in range(PROCESSES):
        compute = per_edge_ns - LATENCIES_NS[i % 2] / PARALLELISM
        sizes = {"graph": TOUCHED_GIB / PROCESSES, "idle": IDLE_GIB / PROCESSES}
        access = {"pattern": "uniform", "mapping": "graph", "parallelism": PARALLELISM}
        actor = {
            "name": "rank", "on": f"cpu{i % 2}", "threads": RANKS // PROCESSES,
            "phases": [{"compute": f"{round(compute)} ns", "access": [access]}],
        }  # fmt: skip
        mappings = [
            {"name": name, "size": f"{round(size * 512) * 2} MiB", "page": "2 MiB"}
            for name, size in sizes.items()
        ]
        processes.append({"name": f"app{i}", "mappings": mappings, "actors": [actor]})
    machine = library.read(library.find("topologies", "genoa_two_socket_cxl"))
    for node in machine["nodes"][:2]:
        node["capacity"] = "128 GiB"
    document = {
        "topology": machine,
        "workload": {"name": "graph500", "processes": processes},
        "policy": policy,
        "events": [
            {"at": "0 s", "available": {"dram0": "0 B", "dram1": "0 B"}},
            {"at": "30 s", "available": {"dram0": "100 GiB", "dram1": "100 GiB"}},
        ],
        "duration": "90 s",
    }
    return run_scenario(load_scenario(document))


def edges_between(result: Result, from_s: float, to_s: float) -> float:
    done = result.actors.pivot_table(index="t_s", values="operations", aggfunc="sum").operations
    return float(done[to_s] - done[from_s])


@pytest.mark.slow
def test_graph500_from_cxl():
    """Published: x1.47 and x1.40, 52.6 GiB promoted; held to 1.2 to 1.8, and a tenth of them."""
    plain = graph500("no_tiering")
    tiered = graph500({"kind": "numa_balancing", "mode": 2, "start": "30 s"})
    faster = edges_between(tiered, 30, 90) / edges_between(plain, 30, 90)
    promoted = tiered.moves[tiered.moves.direction == "promotion"].bytes.sum() / 2**30
    print(f"x{faster:.2f}, {promoted:.1f} GiB promoted")
    assert edges_between(plain, 30, 90) / 60 == pytest.approx(EDGES_PER_S, rel=0.1)
    assert 1.2 < faster < 1.8
    assert promoted == pytest.approx(TOUCHED_GIB, rel=0.1)
