"""Scenarios in which one rule of NUMA balancing shows."""

from __future__ import annotations

from typing import Any

from numasim.loader import load_scenario
from numasim.result import Result
from numasim.running import run_scenario

KERNEL = {"min_free_kbytes": 256, "transparent_hugepage": "never"}


def two_tiers() -> dict[str, Any]:
    common = {"bandwidth": "50 GB/s", "at": "socket0"}
    nodes = [
        {"name": "fast", "capacity": "64 MiB", "latency": "100 ns", **common},
        {"name": "slow", "capacity": "256 MiB", "latency": "300 ns", **common},
    ]
    accessors = [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}]
    return {"name": "tiers", "nodes": nodes, "accessors": accessors, "kernel": KERNEL}


def two_sockets() -> dict[str, Any]:
    common = {"capacity": "256 MiB", "latency": "100 ns", "bandwidth": "50 GB/s"}
    return {
        "name": "sockets",
        "nodes": [{"name": f"n{i}", "at": f"socket{i}", **common} for i in range(2)],
        "accessors": [
            {"name": f"cpu{i}", "cpus": f"{4 * i}-{4 * i + 3}", "at": f"socket{i}"}
            for i in range(2)
        ],
        "links": [{"between": ["socket0", "socket1"], "latency": "60 ns", "bandwidth": "30 GB/s"}],
        "kernel": KERNEL,
    }


def spilled(compute: str = "1 us", **access: Any) -> dict[str, Any]:
    """A program whose cold data fills the fast node and whose hot data comes after."""
    hot = {"pattern": "uniform", "mapping": "hot", **access}
    actor = {"name": "main", "threads": 2, "phases": [{"compute": compute, "access": [hot]}]}
    mappings = [{"name": "cold", "size": "64 MiB"}, {"name": "hot", "size": "64 MiB"}]
    return {
        "name": "spilled",
        "processes": [{"name": "app", "mappings": mappings, "actors": [actor]}],
    }


def flat() -> dict[str, Any]:
    """A program that uses twice what the fast node holds, all pages alike."""
    access = [{"pattern": "uniform", "mapping": name, "lines": 4} for name in ("one", "two")]
    mappings = [{"name": name, "size": "64 MiB"} for name in ("one", "two")]
    actor = {"name": "main", "threads": 2, "phases": [{"compute": "1 us", "access": access}]}
    return {
        "name": "flat",
        "processes": [{"name": "app", "mappings": mappings, "actors": [actor]}],
    }


def made_room(page: str = "4 KiB") -> dict[str, Any]:
    """As `spilled`, but what filled the fast node ends after two seconds."""
    idle = {"pattern": "uniform", "mapping": "filler", "visits": 0.001}
    hog = {
        "name": "hog", "stop": "2 s", "mappings": [{"name": "filler", "size": "62 MiB"}],
        "actors": [{"name": "main", "phases": [{"compute": "1 ms", "access": [idle]}]}],
    }  # fmt: skip
    access = [
        {"pattern": "uniform", "mapping": "hot", "lines": 4},
        {"pattern": "uniform", "mapping": "cold", "visits": 0.002},
    ]
    app = {
        "name": "app", "start": "500 ms",
        "mappings": [
            {"name": "cold", "size": "64 MiB", "page": page},
            {"name": "hot", "size": "32 MiB", "page": page},
        ],
        "actors": [
            {"name": "main", "threads": 2, "phases": [{"compute": "1 us", "access": access}]}
        ],
    }  # fmt: skip
    return {"name": "made_room", "processes": [hog, app]}


def misplaced(page: str = "4 KiB") -> dict[str, Any]:
    """Two programs, each with its data on the other's socket: a loader there touched it first."""

    def process(i: int) -> dict[str, Any]:
        loads = {"pattern": "uniform", "mapping": "m", "visits": 0.001}
        works = {"pattern": "uniform", "mapping": "m"}
        return {
            "name": f"app{i}",
            "mappings": [{"name": "m", "size": "32 MiB", "page": page}],
            "actors": [
                {
                    "name": "loader", "on": f"cpu{1 - i}",
                    "phases": [{"compute": "1 ms", "access": [loads]}],
                },
                {
                    "name": "main", "on": f"cpu{i}", "threads": 3,
                    "phases": [{"compute": "1 us", "access": [works]}],
                },
            ],
        }  # fmt: skip

    return {"name": "misplaced", "processes": [process(0), process(1)]}


def shared() -> dict[str, Any]:
    """One program on both sockets, which use all its pages alike."""
    phase = {"compute": "1 us", "access": [{"pattern": "uniform", "mapping": "m"}]}
    actors = [
        {"name": f"on{i}", "on": f"cpu{i}", "threads": 2, "phases": [phase]} for i in range(2)
    ]
    mappings = [{"name": "m", "size": "32 MiB"}]
    app = {"name": "app", "mappings": mappings, "actors": actors}
    return {"name": "shared", "processes": [app]}


def run(topology: dict, workload: dict, policy: Any, duration: str, **more: Any) -> Result:
    document = {"topology": topology, "workload": workload, "policy": policy, **more}
    return run_scenario(load_scenario({**document, "duration": duration}))


def counters(result: Result, agent: str = "numa_balancing") -> dict[str, int]:
    """The agent's at the end of the run."""
    rows = result.vmstat[result.vmstat.agent == agent]
    return dict(rows[rows.t_s == rows.t_s.max()].set_index("counter").value.astype(int))


def operations(result: Result, actor: str) -> float:
    return float(result.actors[result.actors.actor == actor].operations.iloc[-1])
