"""A topology as resources that fill up, and what a line from each node occupies on its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.hardware import Curve
from numasim.queueing import Resources
from numasim.topology import Topology

MIN_SERVICE_NS = 1.0
"""Service time behind the saturating term of a resource without latency of its own."""


@dataclass(frozen=True)
class Plumbing:
    """Resources of a machine and who uses them.

    Attributes
    ----------
    resources : Resources
        ``node:read`` and ``node:write`` of a full-duplex node, ``node`` of a half-duplex one,
        ``link>`` and ``link<`` of a link, ``accessor/node:read`` and ``:write`` of a measured cap.
    node_reads, node_writes : float64[N, R]
        Load on the node alone of one byte read from it or written to it.
    reads, writes : float64[accessor, N, R]
        The same with the way between.
    links : int64[L, 2]
        Index of the resources of each link, forward and backward.
    """

    resources: Resources
    node_reads: np.ndarray
    node_writes: np.ndarray
    reads: np.ndarray
    writes: np.ndarray
    links: np.ndarray


def plumb(topology: Topology) -> Plumbing:
    """The resources of a machine.

    Parameters
    ----------
    topology : Topology

    Returns
    -------
    Plumbing

    Notes
    -----
    Assumption: on a half-duplex node a byte written takes read/write bandwidth of a byte read. A
    measured cap adds no waiting below saturation: the node's and the links' curves already do.
    """
    rows: list[tuple[str, float, float, float, float]] = []
    node_use = [
        _add_node(rows, topology, n) for n in range(len(topology.nodes))
    ]  # per node: (index, weight) of a read and of a write
    links = [_add_link(rows, topology, i) for i in range(len(topology.links))]
    caps = {
        (a, n): _add_cap(rows, topology, a, n)
        for a in range(len(topology.accessors))
        for n in range(len(topology.nodes))
        if topology.cap_bytes_per_ns(a, n) is not None
    }
    node_reads = np.zeros((len(node_use), len(rows)))
    node_writes = np.zeros_like(node_reads)
    for n, ((read_at, read), (write_at, write)) in enumerate(node_use):
        node_reads[n, read_at], node_writes[n, write_at] = read, write
    reads = np.repeat(node_reads[None], len(topology.accessors), axis=0)
    writes = np.repeat(node_writes[None], len(topology.accessors), axis=0)
    for a in range(len(topology.accessors)):
        for n in range(len(topology.nodes)):
            for link, forward in topology.path(a, n):
                reads[a, n, links[link][int(forward)]] = 1  # data come back against the walk
                writes[a, n, links[link][int(not forward)]] = 1
            if (a, n) in caps:
                reads[a, n, caps[a, n][0]] = writes[a, n, caps[a, n][1]] = 1
    return Plumbing(
        _resources(rows), node_reads, node_writes, reads, writes,
        np.array(links, dtype=np.int64).reshape(-1, 2),
    )  # fmt: skip


def _add_node(
    rows: list[tuple[str, float, float, float, float]], topology: Topology, n: int
) -> tuple[tuple[int, float], tuple[int, float]]:
    node = topology.nodes[n]
    terms = _terms(node.curve, topology.service_latency_ns(n))
    at = len(rows)
    if node.is_duplex:
        rows.append((f"{node.name}:read", node.bandwidth.read, *terms))
        rows.append((f"{node.name}:write", node.bandwidth.write, *terms))
        return (at, 1.0), (at + 1, 1.0)
    rows.append((node.name, node.bandwidth.read, *terms))
    return (at, 1.0), (at, node.bandwidth.read / node.bandwidth.write)


def _add_link(
    rows: list[tuple[str, float, float, float, float]], topology: Topology, i: int
) -> tuple[int, int]:
    link = topology.links[i]
    terms = _terms(link.curve, link.latency)
    rows.append((f"{link.label}>", link.bandwidth.forward, *terms))
    rows.append((f"{link.label}<", link.bandwidth.backward, *terms))
    return len(rows) - 2, len(rows) - 1


def _add_cap(
    rows: list[tuple[str, float, float, float, float]], topology: Topology, a: int, n: int
) -> tuple[int, int]:
    name = f"{topology.accessors[a].name}/{topology.nodes[n].name}"
    _, beta, scale = _terms(topology.nodes[n].curve, topology.service_latency_ns(n))
    cap = topology.cap_bytes_per_ns(a, n) or np.inf
    rows.append((f"{name}:read", cap, 0.0, beta, scale))
    rows.append((f"{name}:write", cap, 0.0, beta, scale))
    return len(rows) - 2, len(rows) - 1


def _terms(curve: Curve, latency_ns: float) -> tuple[float, float, float]:
    service = curve.service if curve.service is not None else curve.service_ratio * latency_ns
    return float(service), curve.saturation * max(float(service), MIN_SERVICE_NS), curve.scale


def _resources(rows: list[tuple[str, float, float, float, float]]) -> Resources:
    columns = np.array([row[1:] for row in rows], dtype=np.float64).T
    return Resources(tuple(row[0] for row in rows), *columns)
