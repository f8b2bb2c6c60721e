"""Two sockets, a GPU if wanted, and sources that look at what they do; sizes and speeds made up."""

from __future__ import annotations

from typing import Any

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.ops import Window
from numasim.damon.spec import Context, SampleControl, SampleFilter, Target
from numasim.damon.splitting import Shared
from numasim.machine import Machine
from numasim.monitors import build_context
from numasim.seeds import Seeds
from numasim.sources import registry, settings_of
from numasim.topology import Topology
from numasim.workload import Workload
from tests import worlds

TICK = 5_000_000
SPEED = {"bandwidth": "50 GB/s"}


def topology(gpu: bool = False, **more: Any) -> Topology:
    """Sockets of four CPUs with DRAM each, an expander behind the first, maybe a GPU with HBM."""
    nodes = [
        {"name": "d0", "capacity": "64 MiB", "latency": "100 ns", "at": "s0", **SPEED},
        {"name": "d1", "capacity": "64 MiB", "latency": "100 ns", "at": "s1", **SPEED},
        {
            "name": "x0", "kind": "CXL", "capacity": "64 MiB", "latency": "250 ns", "at": "s0",
            **SPEED,
        },
    ]  # fmt: skip
    accessors = [
        {"name": "cpu0", "cpus": "0-3", "at": "s0"},
        {"name": "cpu1", "cpus": "4-7", "at": "s1"},
    ]
    links = [{"between": ["s0", "s1"], "latency": "60 ns", "bandwidth": "40 GB/s"}]
    if gpu:
        hbm = {"name": "hbm", "capacity": "64 MiB", "latency": "100 ns", "at": "g0", **SPEED}
        nodes.append(hbm)
        accessors.append({"name": "gpu0", "kind": "GPU", "cores": 4, "at": "g0"})
        links.append({"between": ["s0", "g0"], "latency": "200 ns", "bandwidth": "40 GB/s"})
    data = {"name": "two", "nodes": nodes, "accessors": accessors, "links": links}
    data["kernel"] = {"min_free_kbytes": 256, "transparent_hugepage": "never"}
    return Topology.from_dict({**data, **more})


def actor(name: str, on: str, *access: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An actor that does one thing for ever, a million times a second."""
    phase = {"compute": "1 us", "pace": "1000000 /s", "access": list(access)}
    return {"name": name, "on": on, "threads": 4, "phases": [phase], **more}


def visit(mapping: str, visits: float, **more: Any) -> dict[str, Any]:
    """Uniformly random visits that cost no time worth speaking of."""
    return {"pattern": "uniform", "mapping": mapping, "visits": visits, "miss": 0.01, **more}


def workload(actors: list[dict[str, Any]], *mappings: dict[str, Any]) -> Workload:
    """One process."""
    process = {"name": "app", "mappings": list(mappings), "actors": actors}
    return Workload.from_dict({"name": "eyes", "processes": [process]})


def running(work: Workload, gpu: bool = False, seed: int = 3, **more: Any) -> Machine:
    """A machine on which everything is populated and runs; the time is one second."""
    made = worlds.machine(topology(gpu, **more), work, seed)
    made.start_process(0, 0)
    made.settle(0)
    while made.next_change_ns() <= 1_000_000_000:
        at = max(int(np.ceil(made.next_change_ns())), made.now_ns + 1)
        made.change(at)
        made.settle(at)
    made.advance(1_000_000_000)
    made.settle(1_000_000_000)
    return made


def context(
    machine: Machine,
    primitive: str,
    *filters: SampleFilter,
    name: str = "eye",
    ops: str = "vaddr",
    seed: int = 5,
    **settings: Any,
) -> ContextState:
    """A context that sees by a primitive, with some of its source's parameters set."""
    fault = primitive == "page_fault"
    control = SampleControl(
        primitive == "page_table",
        fault,
        filters,
        "" if fault else primitive.replace("page_table", ""),
    )
    target = Target(pid=1000) if ops == "vaddr" else Target(regions=((0, 1 << 40),))
    spec = Context(ops, (target,), sample_control=control)
    known = settings_of({primitive: settings}) if settings else {}
    seeds = Seeds(seed)
    return build_context(
        machine, spec, name, seeds, Shared(), lambda p: True, False, "accessed_bits", known
    )


def hits(
    seen: ContextState, machine: Machine, mapping: int, ticks: int, from_ns: int = 1_000_000_000
) -> int:
    """Ticks in which a whole mapping, one region, was found accessed."""
    pages = machine.space.mappings[mapping]
    start, end = pages.address, pages.address + pages.mapping.size
    return int(ask(seen, [start], [end], ticks, from_ns)[0])


def ask(
    seen: ContextState, start: list[int], end: list[int], ticks: int, from_ns: int = 1_000_000_000
) -> np.ndarray:
    """Hits of regions in ticks of 5 ms, one after the other."""
    starts = from_ns + TICK * np.arange(ticks)
    window = Window(starts, starts + TICK)
    target = np.zeros(len(start), np.int64)
    return seen.source.hits(np.array(start), np.array(end), target, window)


def kinds() -> list[str]:
    """Sources that know accessors."""
    return [n for n in registry.names() if hasattr(registry.get(n), "Settings")]
