"""Every topology, workload and policy runs for a moment; each pair of two of them, marked slow.

Machines and data are made smaller, all else is as shipped. Warnings fail (see pyproject.toml).
"""

from __future__ import annotations

import copy
import math
from itertools import product
from typing import Any

import pytest

import numasim as ns
from numasim import library
from numasim.loader import workload_data
from numasim.policies import registry
from numasim.result import COLUMNS
from numasim.units import parse_bytes

MIB = 1 << 20
LARGEST_NODE = 256 * MIB
LARGEST_MAPPING = 24 * MIB
LARGEST_FOOTPRINT = 80 * MIB
POLICIES: dict[str, list[Any]] = {
    "no_tiering": ["no_tiering"],
    "tpp_damon": ["tpp_damon", {"kind": "tpp_damon", "quota": "16 MiB", "interval": "100 ms"}],
    "damos": [
        "damo start --numa_node 0 --monitoring_intervals 5ms 100ms 1s",
        "damo start --target_pid 1000 --damos_action migrate_hot 0 --damos_access_rate 1% max",
    ],
    "holistic": [
        {"kind": "holistic", "apply": "200 ms"},
        {"kind": "holistic", "source": "pebs", "contended": "interleave", "others": "demote"},
    ],
    "bind": [{"kind": "bind", "nodes": [1, 0]}],
    "preferred_many": [{"kind": "preferred_many", "nodes": [1]}],
    "hmsdk": ["hmsdk", {"kind": "hmsdk", "region_max_size": "32 MiB"}],
    "dynamic_interleave": [
        {"kind": "dynamic_interleave", "sample": "5 ms", "aggregate": "100 ms", "interval": "1 s"}
    ],
    "oracle": ["oracle", {"kind": "oracle", "cost": "real"}],
}
"""How each registered policy is asked for; one that is not here is run with its defaults."""
TOPOLOGIES = library.names("topologies")
WORKLOADS = library.names("workloads")
MASIM = sorted(p.name for p in (library.folder("workloads") / "masim").glob("*.cfg"))


def small_machine(name: str) -> dict[str, Any]:
    """A shipped topology whose nodes are small; where frames lie is left alone if it is given."""
    data = library.read(library.find("topologies", name))
    sizes = [parse_bytes(node["capacity"]) for node in data["nodes"]]
    for node, size in zip(data["nodes"], sizes, strict=True):
        if not node.keys() & {"zones", "ranges"}:
            scaled = max(48 * MIB, LARGEST_NODE * size // max(sizes))
            node["capacity"] = f"{scaled // MIB} MiB"
            node.pop("other_memory", None)
    return data


def small_workload(name: str) -> dict[str, Any]:
    """A shipped workload with less data, no waiting before it starts, and short phases."""
    data = copy.deepcopy(workload_data(name))
    nr = sum(len(process["mappings"]) for process in data["processes"])
    largest = min(LARGEST_MAPPING, LARGEST_FOOTPRINT // nr // (2 * MIB) * (2 * MIB))
    for process in data["processes"]:
        process["start"] = "0 s"
        for mapping in process["mappings"]:
            size = min(parse_bytes(mapping["size"]), largest)
            mapping["size"] = f"{size // MIB} MiB"
        for actor in process["actors"]:
            for phase in actor["phases"]:
                if "duration" in phase:
                    phase["duration"] = "400 ms"
    return data


def goes_together(topology: str, workload: str) -> bool:
    """Whether the machine has the accessors and nodes that the workload names."""
    machine, programs = ns.load_topology(topology), ns.load_workload(workload)
    kinds = [accessor.kind for accessor in machine.accessors]
    for process in programs.processes:
        for actor in process.actors:
            kind, _, number = actor.on.partition("[")
            if kinds.count(kind) <= int(number.rstrip("]") or 0):
                return False
        for mapping in process.mappings:
            if any(int(node) >= len(machine.nodes) for node in mapping.policy.nodes):
                return False
    return True


def choices() -> list[Any]:
    """Every way in which every registered policy is asked for."""
    return [way for name in registry.names() for way in POLICIES.get(name, [{"kind": name}])]


def covering() -> list[tuple[str, str, Any]]:
    """Every topology with every workload; policies in turn, so that each meets all others."""
    ways, found = choices(), []
    pairs = [pair for pair in product(TOPOLOGIES, WORKLOADS) if goes_together(*pair)]
    for i, (topology, workload) in enumerate(pairs):
        found.append((topology, workload, ways[(i + i // len(ways)) % len(ways)]))
    for i, (topology, way) in enumerate(product(TOPOLOGIES, ways)):
        if not any(t == topology and w == way for t, _, w in found):
            own = [w for t, w in pairs if t == topology]
            found.append((topology, own[i % len(own)], way))
    for i, (workload, way) in enumerate(product(WORKLOADS, ways)):
        if not any(w == workload and v == way for _, w, v in found):
            own = [t for t, w in pairs if w == workload]
            found.append((own[i % len(own)], workload, way))
    return found


def marked(found: list[tuple[str, str, Any]]) -> list[Any]:
    """Those in which something is met for the first time; the others are slow only together."""
    met: set[tuple[int, str]] = set()
    cases = []
    for case in found:
        own = {(i, str(part)) for i, part in enumerate(case)}
        cases.append(pytest.param(*case, marks=[] if own - met else pytest.mark.slow))
        met |= own
    return cases


COVER = marked(covering())


def name_of(value: Any) -> str:
    return str(value).split(" --mon")[0].replace(" ", "_")[:60]


def sane(found: ns.Result) -> None:
    """What holds for any run."""
    assert set(found.tables) == set(COLUMNS)
    for name, columns in COLUMNS.items():
        assert found.tables[name].columns.tolist() == columns.split()
    last = found.nodes[found.nodes.t_s == found.nodes.t_s.max()]
    assert (last.free_bytes >= 0).all()
    assert (last.free_bytes + last.workload_bytes <= last.managed_bytes).all()
    footprint = found.scenario().workload.footprint_bytes
    assert last.workload_bytes.sum() == footprint, "every page is somewhere, once"
    residency = found.residency[found.residency.t_s == found.residency.t_s.max()]
    assert residency.bytes.sum() == footprint
    assert (found.actors.groupby("actor").operations.diff().dropna() >= 0).all()
    summary = found.summary()
    assert summary["throughput_ops_per_s"] > 0
    shares = [summary["local_share"], summary["f1"], summary["emd"], summary["shifts_followed"]]
    assert all(math.isnan(share) or 0 <= share <= 1 for share in shares), summary
    assert (found.events.t_s.diff().dropna() >= 0).all()


@pytest.mark.parametrize(("topology", "workload", "policy"), COVER, ids=name_of)
def test_a_moment_of_everything(topology, workload, policy):
    found = ns.run(
        small_machine(topology), small_workload(workload), policy, duration="3 s", record="500 ms"
    )
    sane(found)


@pytest.mark.parametrize("name", MASIM)
def test_a_moment_of_masim(name):
    damo = "damo start --target_pid 1000 --monitoring_intervals 5ms 100ms 1s"
    machine = small_machine("dram_cxl")
    for node in machine["nodes"]:
        node["capacity"] = "2 GiB"
    found = ns.run(machine, name, damo, duration="3 s", record="500 ms")
    sane(found)
    assert (found.snapshots.nr_accesses > 0).any()


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_topology_loads_at_full_size(name):
    topology = ns.load_topology(name)
    assert topology.name == name
    assert topology.idle_latency_ns.min() > 0
    for accessor in range(len(topology.accessors)):
        assert sorted(topology.tiers(accessor)) == list(range(len(topology.nodes)))


def test_every_policy_names_kdamonds_that_can_run_everywhere():
    for name, topology in product(registry.names(), TOPOLOGIES):
        made = registry.build(name, {})
        for kdamond in made.kdamonds(ns.load_topology(topology)):
            assert len(kdamond.contexts) == 1
