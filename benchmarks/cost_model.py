"""The closed loop of demands and delays: how often it can be solved, and how that grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.estimating import rate, ratio
from benchmarks.harness import Answers, Ask, at_most, benchmark, turns
from numasim.cost import CostModel, Demand, Flow
from numasim.loader import load_topology

FEW, MANY = 4, 32


def ring(nr: int) -> CostModel:
    """Sockets in a ring, each with a CPU and a node of its own."""
    sockets = [f"s{i}" for i in range(nr)]
    nodes = [
        {
            "name": f"n{i}",
            "capacity": "64 GiB",
            "latency": "100 ns",
            "bandwidth": "100 GB/s",
            "at": s,
        }
        for i, s in enumerate(sockets)
    ]
    accessors = [
        {"name": f"c{i}", "cpus": f"{8 * i}-{8 * i + 7}", "at": s} for i, s in enumerate(sockets)
    ]
    links = [
        {"between": [s, sockets[(i + 1) % nr]], "latency": "60 ns", "bandwidth": "40 GB/s"}
        for i, s in enumerate(sockets)
    ]
    document = {"name": "ring", "nodes": nodes, "accessors": accessors, "links": links}
    return CostModel(load_topology(document))


def solving(nr: int) -> Callable[[], object]:
    """One solution with an actor per socket that uses its own node and the next."""
    model, demands = ring(nr), []
    for i in range(nr):
        lines = np.zeros(nr)
        lines[i], lines[(i + 1) % nr] = 3.0, 1.0 + i % 3
        demands.append(Demand(accessor=i, threads=8, compute_ns=100, flows=(Flow(lines, 4.0),)))
    return lambda: model.solve(demands)


@benchmark(
    Ask("solving for 4 accessors", "solutions / CPU s", better="higher"),
    Ask("cost per accessor, 32 against 4", "times", at_most(1.0)),
)
def solve() -> Answers:
    """At most linear in accessors, each with a node of its own."""
    found = turns({"few": solving(FEW), "many": solving(MANY)})
    return rate(found["few"]), ratio(found["many"], found["few"], FEW / MANY)
