"""Memory tiers as the kernel forms them, and where each node's cold pages are demoted to.

Unlike `Topology.tiers`, which ranks nodes for one accessor, these are the kernel's own: one order
of nodes for the whole machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.topology import Topology

DRAM_ADISTANCE = 4 * 128 + 64
TIER_CHUNK = 128


@dataclass(frozen=True)
class MemoryTiers:
    """The kernel's tiers of one machine.

    Attributes
    ----------
    adistance : tuple of int
        Abstract distance of each node; smaller is faster.
    rank : tuple of int
        Tier of each node, 0 the fastest.
    top : tuple of bool
        Whether a node is top tier: promotion goes there, and only from below.
    preferred : tuple of tuple of int
        Of each node: nodes of the next lower tier at least distance; empty in the lowest tier.
    lower : tuple of tuple of int
        Of each node: all nodes of all lower tiers.
    """

    adistance: tuple[int, ...]
    rank: tuple[int, ...]
    top: tuple[bool, ...]
    preferred: tuple[tuple[int, ...], ...]
    lower: tuple[tuple[int, ...], ...]

    def demotion_order(
        self, node: int, distances: np.ndarray, rng: np.random.Generator
    ) -> list[int]:
        """Nodes to try one after another for what `node` demotes; empty if there are none.

        Parameters
        ----------
        node : int
        distances : int64[N, N]
            Linux's node distances.
        rng : numpy.random.Generator
            Drawn from only where several preferred nodes are at the same distance.

        Notes
        -----
        Source: numa-balancing-tiering specification, sections 5.1 and 5.2 (Linux 7.3.4).
        """
        targets = self.preferred[node]
        if not targets:
            return []
        first = targets[0] if len(targets) == 1 else targets[int(rng.integers(len(targets)))]
        rest = [n for n in self.lower[node] if n != first]
        return [first, *sorted(rest, key=lambda n: (int(distances[node, n]), n))]


def abstract_distances(topology: Topology) -> tuple[int, ...]:
    """The abstract distance of every node.

    Parameters
    ----------
    topology : Topology

    Returns
    -------
    tuple of int

    Notes
    -----
    Source: numa-balancing-tiering specification, section 5.1 (Linux 7.3.4): nodes with CPUs are the
    default DRAM, others scale with latency and bandwidth, in integers from left to right.
    Assumption: a CPU's nearest node is the one that it belongs to; the firmware tells what the
    nearest CPU sees (in ns and MB/s, `declared_latency` first), and writes like reads.
    """
    kinds = [accessor.kind for accessor in topology.accessors]
    cpus = [a for a, kind in enumerate(kinds) if kind == "CPU"] or list(range(len(kinds)))
    with_cpus = {topology.tiers(a)[0] for a in cpus}
    latency = topology.idle_latency_ns[cpus].copy()
    for row, a in enumerate(cpus):
        for name, told in topology.declared_latency.get(topology.accessors[a].name, {}).items():
            latency[row, topology.node_id(name)] = told
    nearest = np.argmin(latency, axis=0)
    nodes = range(len(topology.nodes))
    times = [2 * round(float(latency[nearest[n], n])) for n in nodes]
    speeds = topology.peak_bandwidth_bytes_per_ns[cpus]
    rates = [2 * max(1, round(1000 * float(speeds[nearest[n], n]))) for n in nodes]
    dram = min(with_cpus)
    return tuple(
        DRAM_ADISTANCE
        if n in with_cpus
        else DRAM_ADISTANCE * times[n] // max(1, times[dram]) * rates[dram] // rates[n]
        for n in nodes
    )


def memory_tiers(topology: Topology, adistance: tuple[int, ...] | None = None) -> MemoryTiers:
    """Tiers and demotion targets of a machine.

    Parameters
    ----------
    topology : Topology
    adistance : tuple of int, optional
        Instead of `abstract_distances`.

    Returns
    -------
    MemoryTiers

    Notes
    -----
    Source: numa-balancing-tiering specification, section 5.1 (Linux 7.3.4).
    """
    found = abstract_distances(topology) if adistance is None else adistance
    starts = [one // TIER_CHUNK for one in found]
    ranks = [sorted(set(starts)).index(start) for start in starts]
    kinds = [accessor.kind for accessor in topology.accessors]
    near = [topology.tiers(a)[0] for a in range(len(kinds)) if kinds[a] == "CPU"]
    slowest_with_cpus = max((ranks[n] for n in near), default=0)
    preferred, lower = [], []
    for node, rank in enumerate(ranks):
        below = [n for n, other in enumerate(ranks) if other > rank]
        following = min((ranks[n] for n in below), default=rank)
        candidates = [n for n in below if ranks[n] == following]
        distances = topology.node_distances[node]
        least = min((int(distances[n]) for n in candidates), default=0)
        preferred.append(tuple(n for n in candidates if int(distances[n]) == least))
        lower.append(tuple(below))
    return MemoryTiers(
        adistance=tuple(found),
        rank=tuple(ranks),
        top=tuple(rank <= slowest_with_cpus for rank in ranks),
        preferred=tuple(preferred),
        lower=tuple(lower),
    )
