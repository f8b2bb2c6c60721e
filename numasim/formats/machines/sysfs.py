"""Linux's /sys: nodes with CPUs, memory, distances, and what HMAT says of the best initiators.

Only the best initiators of a node are published, so pairs across sockets are missing. ``access1``
counts initiators that have CPUs, ``access0`` any. Latencies in ns, bandwidths in MiB/s.
Source: Linux, Documentation/admin-guide/mm/numaperf.rst and ABI/stable/sysfs-devices-node.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.description import Description, NodeSaid, Number, Origin
from numasim.formats.machines.reading import (
    BANDWIDTH,
    CAPACITY,
    LATENCY_NS,
    MOST_NODES,
    Complaints,
    cpus_of,
    mask_of,
    square,
)
from numasim.formats.machines.sysfs_files import Files, from_data, from_folder

NODE = "devices/system/node/node"
MIB_PER_S = (1 << 20) / 1e9  # bytes/ns
KIB = 1024


def read(data: bytes, source: str) -> Description:
    """A machine from a dump or archive of /sys, such as hwloc-gather-topology makes.

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
        If it holds no nodes, is cut off, or contradicts itself.
    """
    return _described(from_data(data, source), source)


def read_folder(root: Path, source: str) -> Description:
    """A machine from a folder with ``sys/`` in it; see `read`."""
    return _described(from_folder(root), source)


def read_host(root: Path = Path("/")) -> Description:
    """The machine this runs on.

    Parameters
    ----------
    root : Path
        Where its file system begins; for tests.

    Returns
    -------
    Description

    Notes
    -----
    A kernel without NUMA, and many containers, show no nodes: then it is one node with all CPUs
    and what /proc/meminfo counts.
    """
    try:
        return read_folder(root, "this machine")
    except ConfigError:
        found = Description("this machine")
        cpus = tuple(range(os.cpu_count() or 1))
        total = re.search(r"MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text())
        size = int(total[1]) * KIB if total else 0
        capacity = Number(size, Origin.KERNEL, "/proc/meminfo") if size else None
        found.nodes[0] = NodeSaid(True, cpus, capacity, where="CPUs of this machine")
        found.notes.append("this machine shows no NUMA nodes; it is taken as one")
        return found


def _described(files: Files, source: str) -> Description:
    complaints, found = Complaints(source), Description(source, whole=True)
    names = {m[1] for m in (re.match(rf"{NODE}(\d{{1,4}})/", name) for name in files) if m}
    present = nodes = sorted(int(name) for name in names)
    if not nodes:
        hint = "expected files of /sys/devices/system/node"
        raise ConfigError(Problem("", "holds no nodes", hint), source)
    online = files.get("devices/system/node/online")
    if online is not None:
        announced = cpus_of(online.strip(), complaints, "online")
        if missing := sorted(set(announced) - set(nodes)):
            complaints.add("", f"node {missing[0]} is online, but not there", "is it cut off?")
        nodes = [nid for nid in nodes if nid in announced]
    if nodes and nodes[-1] >= MOST_NODES:
        complaints.add(f"node{nodes[-1]}", f"expected a node number below {MOST_NODES}")
    complaints.done()
    own = _by_node(files)
    block = files.get("devices/system/memory/block_size_bytes", "").strip()
    for nid in nodes:
        _node(own.get(nid, {}), nid, block, found, complaints)
    possible = cpus_of(
        files.get("devices/system/node/possible", "").strip(), complaints, "possible"
    )
    _distances(files, nodes, (tuple(present), possible), found, complaints)
    for nid in nodes:
        _access(own.get(nid, {}), nid, found, complaints)
    complaints.done()
    found.notes += _remarks(files)
    return found


def _by_node(files: Files) -> dict[int, Files]:
    """Files of each node, by their names below its folder."""
    own: dict[int, Files] = {}
    for name, text in files.items():
        if match := re.match(rf"{NODE}(\d{{1,4}})/", name):
            own.setdefault(int(match[1]), {})[name[match.end() :]] = text
    return own


def _node(files: Files, nid: int, block: str, found: Description, complaints: Complaints) -> None:
    said, place = found.node(nid), f"node{nid}/cpulist"
    cpus, mask = (files.get(name) for name in ("cpulist", "cpumap"))
    if cpus is not None or mask is not None:
        if cpus is not None:
            said.cpus = cpus_of(cpus.strip(), complaints, place)
        else:  # older kernels have no list
            place = f"node{nid}/cpumap"
            said.cpus = tuple(sorted(mask_of((mask or "").strip(), complaints, place)))
        said.has_cpus, said.where = bool(said.cpus), f"{found.source}, {place}"
        taken = {c for n, other in found.nodes.items() if n != nid for c in other.cpus or ()}
        if shared := taken & set(said.cpus):
            complaints.add(place, f"CPU {min(shared)} belongs to another node already")
    total = re.search(r"MemTotal:\s+(\d{1,15}) kB", files.get("meminfo", ""))
    if total and int(total[1]) == 0:
        said.capacity = Number(0.0, Origin.KERNEL, f"{found.source}, node{nid}/meminfo")
    elif total:
        place = f"node{nid}/meminfo"
        value = complaints.number(total[1], CAPACITY, place, "a size", KIB)
        if value is not None:
            said.capacity = Number(value, Origin.KERNEL, f"{found.source}, {place} MemTotal")
    elif (nr := sum(name.startswith("memory") for name in files)) and re.fullmatch(
        r"[0-9a-f]{1,12}", block
    ):  # its memory blocks, where its meminfo is not there
        where = f"{found.source}, {nr} memory blocks of node{nid}"
        said.capacity = Number(nr * int(block, 16), Origin.KERNEL, where)


def _distances(
    files: Files,
    nodes: list[int],
    columns: tuple[tuple[int, ...], ...],
    found: Description,
    complaints: Complaints,
) -> None:
    """Distances of the nodes online; a row may have a column for those offline too, or possible."""
    rows: dict[int, list[float]] = {}
    for nid in nodes:
        text = files.get(f"{NODE}{nid}/distance", "")
        row = [float(word) for word in text.split() if re.fullmatch(r"\d{1,4}", word)]
        fits = next((numbers for numbers in columns if len(numbers) == len(row)), ())
        if fits:
            row = [value for value, n in zip(row, fits, strict=True) if n in nodes]
        if any(row):  # all zero: the firmware has no table
            rows[nid] = row
    if not rows:
        found.notes.append(f"{found.source} has no node distances")
        return
    for pair, value in square(rows, nodes, complaints, "distance").items():
        where = f"{found.source}, node{pair[0]}/distance"
        found.distances[pair] = Number(value, Origin.FIRMWARE, where)


def _access(files: Files, nid: int, found: Description, complaints: Complaints) -> None:
    """What the firmware says of access to a node from its best initiators with CPUs."""
    for access in ("access1", "access0"):
        base = f"{access}/initiators/"
        values = {key: files[base + key].strip() for key in KEYS if base + key in files}
        initiators = _initiators(files, base, nid, found)
        if not initiators or not values:
            continue
        if not found.nodes[nid].has_cpus:
            found.nodes[nid].home = min(initiators)
        for key, text in values.items():
            place = f"node{nid}/{access}/initiators/{key}"
            table, bounds, scale, unit = KEYS[key]
            if text in ("", "0"):
                continue  # the firmware does not say
            value = complaints.number(text, bounds, place, "a value", scale)
            if value is not None:
                where = f"{found.source}, node{nid} {key} {text} {unit}"
                for initiator in initiators:
                    getattr(found, table)[initiator, nid] = Number(value, Origin.FIRMWARE, where)
        return


def _initiators(files: Files, base: str, nid: int, found: Description) -> list[int]:
    """Nodes with CPUs that values hold for.

    They are links, which a dump made by grep lacks: then the node itself, or the nearest.
    """
    named = [re.fullmatch(re.escape(base) + r"node(\d+)", name) for name in files]
    linked = [int(m[1]) for m in named if m]
    if linked:
        return [n for n in linked if n in found.nodes and found.nodes[n].has_cpus]
    near = [n for n, said in found.nodes.items() if said.has_cpus]
    near.sort(key=lambda n: found.distances[n, nid].value if (n, nid) in found.distances else 0)
    return near[:1]


KEYS = {
    "read_latency": ("latency", LATENCY_NS, 1.0, "ns"),
    "read_bandwidth": ("read_bandwidth", BANDWIDTH, MIB_PER_S, "MiB/s"),
    "write_bandwidth": ("write_bandwidth", BANDWIDTH, MIB_PER_S, "MiB/s"),
}


def _remarks(files: Files) -> list[str]:
    """What a topology does not hold, for its head."""
    notes = []
    tiers = sorted(
        (int(m[1]), files[name].strip())
        for name in files
        if (m := re.search(r"memory_tier(\d+)/nodelist$", name))
    )
    if tiers:
        told = ", ".join(f"{tier}: nodes {nodes[:80]}" for tier, nodes in tiers)
        notes.append(f"memory tiers of the kernel: {told}")
    weights = sorted(
        (int(m[1]), files[name].strip()[:8])
        for name in files
        if (m := re.search(r"weighted_interleave/node(\d+)$", name))
    )
    if weights:
        told = ", ".join(f"node {nid}: {weight}" for nid, weight in weights)
        notes.append(f"weights of interleaving: {told}")
    if (enabled := files.get("kernel/mm/numa/demotion_enabled")) is not None:
        notes.append(f"demotion_enabled: {enabled.strip()[:8]}")
    return notes
