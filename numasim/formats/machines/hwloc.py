"""hwloc's XML (``lstopo topology.xml``): CPUs, sizes, distances, and memory attributes.

Memory attributes are what the firmware declares (HMAT), or what the user added with
hwloc-annotate: ns and MiB/s, from an initiator's CPUs to a NUMA node. Source: hwloc 2.x XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.description import Description, Number, Origin, Pair
from numasim.formats.machines.reading import (
    BANDWIDTH,
    CAPACITY,
    LATENCY_NS,
    Complaints,
    mask_of,
    square,
)
from numasim.formats.machines.xml_tree import Element, parse

MIB_PER_S = (1 << 20) / 1e9  # bytes/ns
KINDS = {
    "DRAM": "DRAM", "HBM": "HBM", "MCDRAM": "HBM", "NVM": "PMEM", "GPUMemory": "HBM",
    "SPM": "SPM", "CXL-DRAM": "CXL", "CXL-NVM": "CXL", "CXLMem": "CXL", "CXL": "CXL",
}  # fmt: skip
"""hwloc's subtypes of NUMA nodes, in our words."""
ATTRIBUTES = {
    "ReadLatency": "latency", "Latency": "latency", "ReadBandwidth": "read_bandwidth",
    "Bandwidth": "read_bandwidth", "WriteBandwidth": "write_bandwidth",
}  # fmt: skip
"""Attribute → table. ``Latency`` and ``Bandwidth`` are means, taken where no read value is."""


@dataclass
class _Numa:
    nid: int
    cpus: frozenset[int]  # of the machine, also those that a container does not allow
    allowed: frozenset[int]


def read(data: bytes, source: str) -> Description:
    """A machine from hwloc's XML.

    Parameters
    ----------
    data : bytes
    source : str

    Returns
    -------
    Description

    Raises
    ------
    ConfigError
        If it is no such XML, is cut off, or contradicts itself.

    Notes
    -----
    Assumption: of nodes beside the same CPUs, DRAM that is beside the fewest others owns them, and
    of equals the one with the lowest number; Linux numbers memory without CPUs last.
    """
    root = parse(data, source)
    if root.tag != "topology":
        hint = "expected a topology as lstopo exports it"
        raise ConfigError(Problem("", f'the root element is "{root.tag[:40]}"', hint), source)
    if not re.match(r"[23]\.", root.get("version")):
        hint = "export it anew with hwloc 2 (lstopo topology.xml)"
        raise ConfigError(
            Problem("", "is the XML of hwloc 1, which has no NUMA nodes", hint), source
        )
    complaints, found = Complaints(source), Description(source)
    numas = _nodes(root, found, complaints)
    _distances(root, found, complaints)
    for attribute in sorted(_named(root, "memattr"), key=lambda a: a.get("name")[:1] not in "RW"):
        _attribute(attribute, found, numas, complaints)
    if not found.nodes:
        complaints.add("", "has no NUMA node")
    complaints.done()
    return found


def _named(element: Element, tag: str) -> Iterator[Element]:
    """Elements of that name directly below the root."""
    return (child for child in element.children if child.tag == tag)


def _nodes(root: Element, found: Description, complaints: Complaints) -> dict[str, _Numa]:
    numas: dict[str, _Numa] = {}
    stack = list(_named(root, "object"))[::-1]
    while stack:
        element = stack.pop()
        if element.get("type") == "NUMANode":
            numa = _node(element, found, complaints)
            if numa is not None:
                numas[element.get("gp_index") or f"node {numa.nid}"] = numa
        stack += list(_named(element, "object"))[::-1]
    owner: dict[int, int] = {}
    for numa in sorted(numas.values(), key=lambda numa: _rank(found, numa)):
        said = found.node(numa.nid)
        said.where = f"{found.source}, NUMANode {numa.nid}"
        taken = [owner[cpu] for cpu in numa.cpus if cpu in owner]
        said.has_cpus = bool(numa.cpus) and not taken
        said.cpus = tuple(sorted(numa.cpus)) if said.has_cpus else ()
        said.home = min(taken, default=None)
        owner |= dict.fromkeys(said.cpus, numa.nid)
    if not any(said.capacity and said.capacity.value for said in found.nodes.values()):
        for said in found.nodes.values():
            said.capacity = None  # the file tells of no memory at all: unknown, not none
    return numas


def _rank(found: Description, numa: _Numa) -> tuple[bool, int, int]:
    """Who owns CPUs that several nodes are beside: DRAM, the closest, the lowest number."""
    return found.node(numa.nid).kind not in ("", "DRAM"), len(numa.cpus), numa.nid


def _node(element: Element, found: Description, complaints: Complaints) -> _Numa | None:
    place = f"NUMANode {element.get('os_index')[:10]}"
    nid = complaints.node(element.get("os_index"), place)
    if nid is None:
        return None
    if nid in found.nodes:
        complaints.add(place, "is there twice")
        return None
    said = found.node(nid)
    size = element.get("local_memory") or "0"
    value = 0.0 if size == "0" else complaints.number(size, CAPACITY, place, "local_memory")
    if value is not None:
        said.capacity = Number(value, Origin.KERNEL, f"{found.source}, local_memory of node {nid}")
    said.kind = KINDS.get(element.get("subtype"), "")
    allowed = mask_of(element.get("cpuset"), complaints, place)
    whole = element.get("complete_cpuset")
    return _Numa(nid, mask_of(whole, complaints, place) if whole else allowed, allowed)


def _distances(root: Element, found: Description, complaints: Complaints) -> None:
    for table in _named(root, "distances2"):
        latency = table.get("name") in ("NUMALatency", "") and table.get("type") == "NUMANode"
        if not latency or table.get("indexing") != "os" or found.distances:
            continue
        indexes = _numbers(table, "indexes")
        values = _numbers(table, "u64values")
        nodes = [int(nid) for nid in indexes]
        if sorted(nodes) != sorted(found.nodes) or len(values) != len(nodes) ** 2:
            complaints.add(
                "distances2", f"has {len(values)} values of {len(nodes)} nodes", "is it cut off?"
            )
            continue
        size = len(nodes)
        rows = {nid: values[i * size : (i + 1) * size] for i, nid in enumerate(nodes)}
        for pair, value in square(rows, nodes, complaints, "distances2").items():
            found.distances[pair] = Number(value, Origin.FIRMWARE, f"{found.source}, NUMALatency")


def _numbers(table: Element, tag: str) -> list[float]:
    """Numbers of all elements of that name, in order."""
    words = [word for part in _named(table, tag) for word in part.text.split()]
    return [float(word) for word in words if re.fullmatch(r"\d{1,9}", word)]


def _attribute(
    attribute: Element, found: Description, numas: dict[str, _Numa], complaints: Complaints
) -> None:
    name = attribute.get("name")
    if name == "WriteLatency":
        found.notes.append(f"{found.source} also has write latencies; a topology has read latency")
    if name not in ATTRIBUTES:
        return
    table: dict[Pair, Number] = getattr(found, ATTRIBUTES[name])
    latency = ATTRIBUTES[name] == "latency"
    for one in _named(attribute, "memattr_value"):
        place = f"memattr {name}"
        target = numas.get(one.get("target_obj_gp_index"))
        if target is None:
            complaints.add(
                place, f"is of gp_index {one.get('target_obj_gp_index')[:20]!r}, no node"
            )
            continue
        if not one.get("initiator_cpuset"):
            found.notes.append(f"{found.source}: {name} seen by something that is no CPU left out")
            continue
        cpus = mask_of(one.get("initiator_cpuset"), complaints, place)
        bounds, scale = (LATENCY_NS, 1.0) if latency else (BANDWIDTH, MIB_PER_S)
        value = complaints.number(one.get("value"), bounds, place, "a value", scale)
        if value is None:
            continue
        unit = "ns" if latency else "MiB/s"
        where = f"{found.source}, {name} {one.get('value')} {unit}"
        for numa in numas.values():
            if found.nodes[numa.nid].has_cpus and cpus >= (numa.allowed or numa.cpus):
                table.setdefault((numa.nid, target.nid), Number(value, Origin.FIRMWARE, where))
