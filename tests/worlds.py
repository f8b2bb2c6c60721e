"""Small machines and workloads for tests; sizes and speeds are made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numasim.law import Law
from numasim.machine import Machine
from numasim.memory import Memory
from numasim.migration import Migrator
from numasim.pages import PageSpace
from numasim.seeds import Seeds
from numasim.topology import Topology
from numasim.workload import Workload

PAGE = 4096
MIB = 1 << 20
SPEED = {"bandwidth": "50 GB/s", "at": "socket0"}


def topology(*sizes: Any, **more: Any) -> Topology:
    """Nodes n0, n1, … of these sizes (or as given) on one CPU, each slower than the one before."""
    sizes = sizes or ("32 MiB", "64 MiB")
    nodes = [
        size
        if isinstance(size, dict)
        else {"name": f"n{i}", "capacity": size, "latency": f"{100 * (i + 1)} ns", **SPEED}
        for i, size in enumerate(sizes)
    ]
    accessors = [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}]
    data = {"name": "small", "nodes": nodes, "accessors": accessors}
    data["kernel"] = {"min_free_kbytes": 256, "transparent_hugepage": "never"}
    return Topology.from_dict({**data, **more})


def mapping(name: str, size: str, **more: Any) -> dict[str, Any]:
    """One mapping as YAML would give it."""
    return {"name": name, "size": size, **more}


def workload(
    mappings: Sequence[dict[str, Any]], access: Sequence[dict[str, Any]] = (), **actor: Any
) -> Workload:
    """One process with one actor that does one thing for ever."""
    phase = {"compute": "1 us", "access": list(access), **actor.pop("phase", {})}
    who = {"name": "main", "phases": [phase], **actor}
    process = {"name": "app", "mappings": list(mappings), "actors": [who]}
    return Workload.from_dict({"name": "small", "processes": [process]})


def machine(
    machine_topology: Topology | None = None,
    work: Workload | None = None,
    seed: int = 1,
    before_change: Callable[[], None] = lambda: None,
) -> Machine:
    """A machine with nothing started yet."""
    work = work or workload([mapping("m", "8 MiB")])
    return Machine(machine_topology or topology(), work, Seeds(seed), before_change)


def migrator(
    machine_topology: Topology | None = None,
    work: Workload | None = None,
    seed: int = 1,
    huge: bool = False,
) -> Migrator:
    """The moving hand over empty memory; a folio takes a microsecond to move."""
    work = work or workload([mapping("m", "8 MiB")])
    space = PageSpace(work, Seeds(seed), huge)
    memory = Memory(machine_topology or topology(), space.nr_pages, work.frame_bytes)
    return Migrator(memory, space, Law(space, 0, 0), lambda s, t, o: 1000, lambda: None)


def touch_all(hand: Migrator, index: int = 0, home: int = 0, now_ns: int = 1000) -> np.ndarray:
    """First touch of a whole mapping; its pages."""
    pages = hand.space.mappings[index]
    hand.first_touch(pages, 0, pages.nr, home, pages.mapping.policy, 0, now_ns)
    return np.arange(pages.first, pages.last)


def check(hand: Migrator) -> None:
    """Everything about placement that must hold at any time, recounted from the two maps."""
    memory, space = hand.memory, hand.space
    present = np.flatnonzero(memory.frame_of >= 0)
    frames = memory.frame_of[present]
    assert len(np.unique(frames)) == len(frames), "a frame is held twice"
    assert (memory.page_of[frames] == present).all(), "page_of is not the inverse of frame_of"
    assert (memory.page_of >= 0).sum() == len(present), "a frame holds a page that is not there"
    for zone in memory.zones:
        inside = np.concatenate([memory.page_of[a:b] for a, b in zone.runs])
        assert (inside == -1).sum() == zone.available, "a zone's free count is wrong"
        assert zone.free >= 0 and zone.in_pcp >= 0, "a zone is overfilled"
        free = np.concatenate([np.empty(0, np.int64), *zone.frames.all()])
        assert len(np.unique(free)) == len(free) == zone.available, (
            "a free frame is lost or doubled"
        )
        assert (memory.page_of[free] == -1).all(), "a frame on the free list is in use"
    counts = np.zeros_like(hand.node_counts)
    np.add.at(counts, (memory.node_of(frames), space.class_of[present]), 1)
    assert (counts == hand.node_counts).all(), "counts by node are wrong"
    for kept, slots in ((hand.frame_counts, frames), (hand.page_counts, present)):
        if kept is None:
            continue
        blocks = np.zeros((kept.nr_blocks, space.nr_classes), np.int64)
        np.add.at(blocks, (slots // kept.block_slots, space.class_of[present]), 1)
        assert (blocks == kept.by_block()).all(), "counts by block are wrong"
        assert (kept.totals() == blocks.sum(axis=0)).all()
    # a folio lies in aligned neighbouring frames
    per_bit = space.pages_per_bit[space.class_of[present]]
    heads = space.folio_heads(present)
    offset = memory.frame_of[present] - memory.frame_of[heads]
    assert (offset == present - heads).all(), "a folio is torn"
    assert (memory.frame_of[heads] % per_bit == 0).all(), "a folio is not aligned"


def document(**more: Any) -> dict[str, Any]:
    """A scenario of a second: cold data fills the fast node, hot data lands on the slow one."""
    common = {"bandwidth": "50 GB/s", "at": "socket0"}
    nodes = [
        {"name": "fast", "capacity": "16 MiB", "latency": "100 ns", **common},
        {"name": "slow", "capacity": "64 MiB", "latency": "300 ns", **common},
    ]
    kernel = {"min_free_kbytes": 256, "transparent_hugepage": "never"}
    accessors = [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}]
    machine = {"name": "small", "nodes": nodes, "accessors": accessors, "kernel": kernel}
    hot = {"pattern": "uniform", "mapping": "hot", "lines": 4}
    cold = {"pattern": "uniform", "mapping": "cold", "visits": 0.001}
    app = {
        "name": "app",
        "mappings": [mapping("cold", "16 MiB"), mapping("hot", "8 MiB")],
        "actors": [
            {"name": "main", "threads": 2, "phases": [{"compute": "1 us", "access": [hot, cold]}]}
        ],
    }
    work = {"name": "small", "processes": [app]}
    return {"topology": machine, "workload": work, "duration": "1 s", "record": "100 ms", **more}


def tiering(**more: Any) -> dict[str, Any]:
    """A policy that moves things in such a scenario."""
    return {
        "kind": "tpp_damon", "free": "10 %", "used": "95 %", "quota": "4 MiB",
        "interval": "100 ms", **more,
    }  # fmt: skip
