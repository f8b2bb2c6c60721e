"""The recorded machine as a topology: zones, distances, kernel, and what its own work costs."""

from __future__ import annotations

from typing import Any

from numasim.errors import ConfigError, Problem
from numasim.layout import merge_ranges
from numasim.units import parse_cpulist
from numasim.validate.model import Model
from numasim.validate.others import atomic_reserve
from numasim.validate.paced import ACCESS_NS
from numasim.validate.recording import Recording
from numasim.validate.setup import Setup

PAGE = 4096
NATURAL_FLUSH_US = 4000
"""How long the recorded emulator keeps translations when nobody flushes them: about one timer tick.
Calibrated on recording E1f, where accesses seen are 4 % fewer at 100 a second, 10 % at 200."""


_FAST = {"bandwidth": "1 GB/s"}


def topology_of(recording: Recording, model: Model) -> dict[str, Any]:
    """Plain data of a topology, as its YAML would give it.

    Notes
    -----
    Bandwidth is an assumption that decides nothing, and so is latency where programs go at their
    recorded speed; else it is what an access takes on the emulator. Costs are those of the recorded
    emulator: 5 us for each region's check (E7: 5.8 at 600 regions, 4.4 at 26,000) and 300 us of
    timer slack (E7), 35 us of CPU time to migrate a page (E7, back and forth; standstills come on
    top), 8 us to test one for the young filter (estimated from E3e). From E6_nb2 r1: 20 us for a
    hint fault that moves nothing (17 to 22 us in stretches without promotions), 450 ns to arm a
    page and 195 ns to pass one over (after a scan that arms 65,536 pages the next one comes 1.05 s
    later, after one that passes over 460,000 2.93 s, at 32 times what a scan takes).
    """
    setup = recording.setup
    accessors, declared = [], {}
    for n, cpus in enumerate(setup.cpus_of_node):
        if cpus:
            name = f"cpu{n}"
            tlb = {} if model.no_tlb else {"flush_interval": f"{_flush_us(setup)} us"}
            accessors.append(
                {
                    "name": name, "kind": "CPU", "cpus": cpus, "at": f"socket{n}",
                    "max_outstanding": 1, "tlb": tlb,
                }
            )  # fmt: skip
            declared[name] = {
                f"node{m}": f"{ns:g} ns" for (i, m), ns in setup.latency_ns.items() if i == n
            }
    home = [n for n, cpus in enumerate(setup.cpus_of_node) if cpus]
    nodes = [_node(recording, n, home) for n in range(setup.nr_nodes)]
    found: dict[str, Any] = {
        "name": "recorded_machine",
        "nodes": nodes,
        "accessors": accessors,
        "links": [
            {"between": [f"socket{home[0]}", f"socket{n}"], "latency": "1 ns"} | _FAST
            for n in home[1:]
        ],
        "distances": [list(row) for row in setup.distances],
        "kernel": {"hz": setup.hz, "timer_slack": _slack(model), "transparent_hugepage": "madvise"},
        "costs": {
            "check_paddr": _check(model), "check_vaddr": _check(model), "young_check": "8 us",
            "migrate_folio": {0: "35 us"}, "copy_share": {0: 0},
            "minor_fault": f"{_fault_ns(setup)} ns", "pte_scan": "450 ns", "pte_walk": "195 ns",
            "hint_fault": "20 us",
        },
    }  # fmt: skip
    if all(len(row) == setup.nr_nodes for row in declared.values()):
        found["declared_latency"] = declared
    return found


def cpu_name(setup: Setup, cpu: int) -> str:
    """Name of the accessor that a kernel CPU belongs to."""
    for n, cpus in enumerate(setup.cpus_of_node):
        if cpus and cpu in parse_cpulist(cpus):
            return f"cpu{n}"
    raise ConfigError(Problem("config.json", f"no node has CPU {cpu}, on which a program ran"))


def _slack(model: Model) -> str:
    return "0 us" if model.nominal_periods else "300 us"


def _check(model: Model) -> str:
    return "0 us" if model.nominal_periods else "5 us"


def _flush_us(setup: Setup) -> int:
    """How long a cached translation lasts at most."""
    flushes = [p.tlbflush_every_quanta * p.quantum_us for p in setup.programs]
    return min([f for f in flushes if f], default=NATURAL_FLUSH_US)


FAULT_NS = 25_000
"""A first touch where a recording does not tell how long populating took; measured in E3e."""


def _fault_ns(setup: Setup) -> int:
    """Time of a first touch, from how long populating took."""
    known = [p for p in setup.programs if p.populate_s > 0]
    pages = sum(r.pages for p in known for r in p.regions)
    return round(sum(p.populate_s for p in known) * 1e9 / pages) if pages else FAULT_NS


def _node(recording: Recording, n: int, home: list[int]) -> dict[str, Any]:
    setup = recording.setup
    zones = [z for z in setup.zones if z.node == n]
    spans = [(z.start_pfn * PAGE, (z.start_pfn + z.spanned) * PAGE) for z in zones]
    pieces = [(max(a, low), min(b, high)) for a, b in setup.ram for low, high in spans]
    ranges = merge_ranges([_whole(a, b) for a, b in pieces if b > a])
    capacity = sum(b - a for a, b in ranges)
    near = n if n in home else min(home, key=lambda h: setup.distances[h][n])
    return {
        "name": f"node{n}",
        "kind": "DRAM" if n in home else "CXL",
        "capacity": f"{capacity} B",
        "latency": f"{ACCESS_NS} ns",
        "bandwidth": "1 GB/s",
        "duplex": False,
        "at": f"socket{near}",
        "other_memory": {
            "bytes": f"{setup.used_bytes[n] // PAGE * PAGE} B",
            "atomic_reserve": f"{atomic_reserve(recording, n)} B",
        },
        "zones": [
            {"name": z.name, "start": a, "end": b, "managed": z.managed}
            for z, (a, b) in zip(zones, spans, strict=True)
        ],
        "ranges": [list(r) for r in ranges],
    }


def _whole(start: int, end: int) -> tuple[int, int]:
    return -(-start // PAGE) * PAGE, end // PAGE * PAGE
