"""Filling the gaps of a description, every guess with its rule; and who hangs beside whom.

A number that no file gives is guessed from distances (latency grows as the distance does), and a
bandwidth from latencies (as many bytes in flight on the longer way). Rules with a number of our own
say so. Nothing is guessed where something is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.curve import Fit, fit
from numasim.formats.machines.description import Description, Number, Origin, Pair

LOCAL_DISTANCE, REMOTE_DISTANCE = 10.0, 20.0  # Linux's, where the firmware has none
LOCAL_NS = 100.0
NEAR_BYTES_PER_NS, FAR_BYTES_PER_NS = 200.0, 26.0
CAPACITY_BYTES = float(64 << 30)
CORES = 16
MOST_TOGETHER = 128  # nodes; every pair has its numbers
SLOWER, FASTER = 1.25, 1.5
"""A node without CPUs is called CXL from so much more latency than the DRAM beside it, and HBM from
so much more bandwidth. Assumption."""


@dataclass(frozen=True)
class Complete:
    """A machine without gaps.

    Parameters
    ----------
    said : Description
        Every pair of an initiator and a node with memory has its latency and bandwidth.
    initiators, memories : list of int
        Nodes with CPUs, and nodes with memory.
    home : dict of int to int
        Node with CPUs beside which each node with memory hangs.
    kinds : dict of int to (str, str)
        Kind of each memory, and how it is known.
    distances : list of list of float
        By `memories`; empty where the table is not known as a whole.
    curve : Fit or None
        Loaded latency of the memories of nodes with CPUs.
    """

    said: Description
    initiators: list[int]
    memories: list[int]
    home: dict[int, int]
    kinds: dict[int, tuple[str, str]]
    distances: list[list[float]]
    curve: Fit | None


def completed(said: Description) -> Complete:
    """The description with every gap filled.

    Raises
    ------
    ConfigError
        If there is no memory, or nobody to access it.
    """
    memories = sorted(n for n, s in said.nodes.items() if s.capacity is None or s.capacity.value)
    initiators = sorted(n for n, s in said.nodes.items() if s.has_cpus)
    if memories and not initiators and all(s.has_cpus is None for s in said.nodes.values()):
        initiators = memories[:1]
        said.notes.append(
            f"nobody says where CPUs are; all are taken to be on node {initiators[0]}"
        )
    problems = []
    if len(said.nodes) > MOST_TOGETHER:
        message = f"has {len(said.nodes)} nodes, expected {MOST_TOGETHER} at most"
        problems.append(Problem("", message))
    if not memories:
        problems.append(Problem("", "no node has memory"))
    if not initiators:
        problems.append(Problem("", "no node has CPUs"))
    if problems:
        raise ConfigError(problems, said.source)
    for nid in memories:
        node = said.nodes[nid]
        where = f"nothing says how large node {nid} is; {CAPACITY_BYTES / 2**30:g} GiB stands in"
        node.capacity = node.capacity or Number(CAPACITY_BYTES, Origin.GUESSED, where)
    home = {nid: _home(said, nid, initiators) for nid in memories}
    _latencies(said, initiators, memories, home)
    _bandwidths(said, initiators, memories, home)
    kinds = {nid: _kind(said, nid, home[nid], initiators) for nid in memories}
    _writes(said, memories, home, kinds)
    return Complete(
        said,
        initiators,
        memories,
        home,
        kinds,
        _table(said, memories),
        _curve(said, memories, home),
    )


def _home(said: Description, nid: int, initiators: list[int]) -> int:
    """The node with CPUs that a memory hangs beside: itself, as told, the nearest, the first."""
    if nid in initiators:
        return nid
    told = said.nodes[nid].home
    if told in initiators:
        return told
    for table in (said.latency, said.distances):
        known = {i: table[i, nid].value for i in initiators if (i, nid) in table}
        if known:
            return min(known, key=lambda i: (known[i], i))
    return initiators[0]


def _latencies(
    said: Description, initiators: list[int], memories: list[int], home: dict[int, int]
) -> None:
    local = {i: _local(said, i, initiators) for i in initiators}
    for nid in memories:
        for i in sorted(initiators, key=lambda i: i != home[nid]):  # from beside it first
            if (i, nid) in said.latency:
                continue
            if i == nid:
                said.latency[i, nid] = local[i]
                continue
            distance, told = _distance(said, i, nid)
            value = local[i].value * distance / LOCAL_DISTANCE
            where = f"from {told}, {local[i].value:g} ns x {distance:g}/10"
            said.latency[i, nid] = Number(value, Origin.GUESSED, where)


def _local(said: Description, nid: int, initiators: list[int]) -> Number:
    """Latency of a node's CPUs to its own memory: known, as on other nodes, or ours."""
    own = said.latency.get((nid, nid))
    if own is not None:
        return own
    others = [said.latency[i, i].value for i in initiators if (i, i) in said.latency]
    if others:
        return Number(sum(others) / len(others), Origin.GUESSED, "as other nodes with CPUs")
    where = f"{LOCAL_NS:g} ns is usual for local DRAM of servers"
    return Number(LOCAL_NS, Origin.GUESSED, where)


def _distance(said: Description, i: int, nid: int) -> tuple[float, str]:
    for pair in ((i, nid), (nid, i)):
        if pair in said.distances:
            return said.distances[pair].value, "distance"
    return REMOTE_DISTANCE, "Linux's default distance"


def _bandwidths(
    said: Description, initiators: list[int], memories: list[int], home: dict[int, int]
) -> None:
    table = said.read_bandwidth
    own = {nid: table.get((home[nid], nid)) for nid in memories}
    for nid in memories:
        has_cpus = nid in initiators
        if own[nid] is not None:
            continue
        alike = [n.value for m, n in own.items() if n and (m in initiators) == has_cpus]
        if alike:
            number = Number(sum(alike) / len(alike), Origin.GUESSED, "as nodes of its kind")
        else:
            value = NEAR_BYTES_PER_NS if has_cpus else FAR_BYTES_PER_NS
            what = "DRAM of a socket" if has_cpus else "memory without CPUs"
            number = Number(value, Origin.GUESSED, f"{value:g} GB/s stands in for {what}")
        table[home[nid], nid] = number
    for nid in memories:
        near = table[home[nid], nid]
        for i in initiators:
            if (i, nid) not in table:
                ratio = said.latency[home[nid], nid].value / said.latency[i, nid].value
                where = "from latency, as many bytes in flight as from beside it"
                table[i, nid] = Number(near.value * min(1.0, ratio), Origin.GUESSED, where)


def _kind(said: Description, nid: int, home: int, initiators: list[int]) -> tuple[str, str]:
    """DRAM, CXL or HBM, and how it is known."""
    told = said.nodes[nid].kind
    if told:
        return told, f"firmware: {said.nodes[nid].where}"
    if nid in initiators:
        return "DRAM", "guessed: it has CPUs"
    near: Pair = (home, home)
    latency, speed = said.latency, said.read_bandwidth
    if near in speed and speed[home, nid].value >= FASTER * speed[near].value:
        return "HBM", "guessed: no CPUs, and more bandwidth than the memory beside it"
    if near in latency and latency[home, nid].value >= SLOWER * latency[near].value:
        return "CXL", "guessed: no CPUs, and slower than the memory beside it"
    return "DRAM", "guessed: as fast as the memory beside it"


def _writes(
    said: Description, memories: list[int], home: dict[int, int], kinds: dict[int, tuple[str, str]]
) -> None:
    """Write bandwidth of a node: known, from mixes of traffic, or as fast as reading."""
    ratio = _write_ratio(said)
    for nid in memories:
        pair = (home[nid], nid)
        read, write = said.read_bandwidth[pair], said.write_bandwidth.get(pair)
        if write is not None and write.origin >= read.origin:
            continue
        if ratio is not None and kinds[nid][0] == "DRAM" and read.origin == Origin.MEASURED:
            where = f"{ratio:.3g} of reading, from all reads against 1:1 on the whole machine"
            said.write_bandwidth[pair] = Number(read.value * ratio, Origin.MEASURED, where)
        elif (share := said.write_share.get(pair)) is not None:
            where = f"{share.value:.3g} of reading, as in {share.where}"
            value = read.value * share.value
            said.write_bandwidth[pair] = Number(value, share.origin, where)
        else:
            said.write_bandwidth[pair] = Number(read.value, Origin.GUESSED, "as fast as reading")


def _write_ratio(said: Description) -> float | None:
    """Write over read bandwidth of DRAM, from peaks of the whole machine.

    Notes
    -----
    A byte takes 1/R of the time of all channels if read, 1/W if written; at 1:1 the total T obeys
    2/T = 1/R + 1/W.
    """
    reads, mixed = said.peaks.get("read"), said.peaks.get("1:1")
    if not reads or not mixed or mixed >= reads or 2 * reads <= mixed:
        return None
    ratio = 1 / (2 * reads / mixed - 1)
    return ratio if ratio >= 0.1 else None


def _table(said: Description, memories: list[int]) -> list[list[float]]:
    pairs = said.distances
    if not pairs or any((a, b) not in pairs for a in memories for b in memories):
        return []
    return [[pairs[a, b].value for b in memories] for a in memories]


def _curve(said: Description, memories: list[int], home: dict[int, int]) -> Fit | None:
    """The measured curve is of local memory: every node's CPUs read their own."""
    if said.loaded is None:
        return None
    local = [said.read_bandwidth[n, n] for n in memories if home[n] == n]
    measured = sum(n.value for n in local if n.origin == Origin.MEASURED)
    peak = max([measured, said.peaks.get("read", 0.0), *(b for b, _ in said.loaded.points)])
    return fit(said.loaded, peak)
