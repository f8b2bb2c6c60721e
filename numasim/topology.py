"""A machine as a graph: which accessor reaches which memory over which links, how fast, and where
each node's frames lie. A tier is a relation: `Topology.tiers(accessor)` ranks nodes for that one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.checking import build
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.hardware import (
    CONFIG,
    Accessor,
    Link,
    Node,
    Zone,
)
from numasim.kernel import CostSettings, KernelSettings
from numasim.layout import lay_out, min_free_kbytes, overlaps
from numasim.units import Bandwidth, DurationNs
from numasim.wholes import checked, known

PAIRS = ("latency", "bandwidth", "declared_latency")
"""Tables of measured or declared values of a pair: accessor → node."""


class Step(NamedTuple):
    """One link on the way from an accessor to a node, and whether it is walked forward."""

    link: int
    forward: bool


@dataclass(frozen=True, config=CONFIG)
class Topology:
    """Nodes, accessors and links of one machine. Nodes and accessors are numbered by order.

    Attributes
    ----------
    latency, bandwidth : dict of str to dict of str to value
        Measured idle latency (ns) and cap on bandwidth (bytes/ns) of a pair, accessor → node; wins
        over what the graph gives.
    declared_latency : dict of str to dict of str to int
        What the firmware tells the kernel (HMAT), where that is not the truth, ns; only `tiers`
        believes it.
    distances : tuple of tuple of int
        Linux's node distance table (SLIT). Left out: derived, see `node_distances`.
    """

    name: str
    nodes: tuple[Node, ...]
    accessors: tuple[Accessor, ...]
    links: tuple[Link, ...] = ()
    latency: dict[str, dict[str, DurationNs]] = Field(default_factory=dict)
    bandwidth: dict[str, dict[str, Bandwidth]] = Field(default_factory=dict)
    declared_latency: dict[str, dict[str, DurationNs]] = Field(default_factory=dict)
    distances: tuple[tuple[Annotated[int, Field(ge=10, le=255)], ...], ...] = ()
    kernel: KernelSettings = KernelSettings()
    costs: CostSettings = Field(default_factory=CostSettings)
    description: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, Any], source: str = "") -> Topology:
        """A topology from plain data, as its YAML gives it.

        Parameters
        ----------
        data : dict
        source : str
            File name for complaints.

        Returns
        -------
        Topology

        Raises
        ------
        ConfigError
            With every mistake found.
        """
        made = build(cls, data, source)
        object.__setattr__(made, "_plain", data)  # for provenance; not a field
        return made

    @property
    def checks(self) -> tuple[Callable[[Topology], Iterator[Problem]], ...]:
        """What is checked of the whole; see `checking.checked`."""
        pairs = [partial(_unknown_pairs, table=table) for table in PAIRS]
        names = [partial(_repeated, what=what) for what in ("nodes", "accessors")]
        return (
            *names, _shared_cpus, _loops, *pairs, _bad_distances, _unreachable, _overlapping
        )  # fmt: skip

    _checked = model_validator(mode="after")(checked)

    # -- names ---------------------------------------------------------------------------------

    def node_id(self, node: str | int) -> int:
        """Number of a node, given its name or number.

        Raises
        ------
        ConfigError
            If there is none.
        """
        return _index("node", node, [n.name for n in self.nodes])

    def accessor_id(self, accessor: str | int) -> int:
        """Number of an accessor, given its name or number.

        Raises
        ------
        ConfigError
            If there is none.
        """
        return _index("accessor", accessor, [a.name for a in self.accessors])

    # -- speed ---------------------------------------------------------------------------------

    @cached_property
    def _ways(self) -> list[dict[str, tuple[int, tuple[Step, ...]]]]:
        return [shortest_ways(self.links, accessor.at) for accessor in self.accessors]

    def path(self, accessor: str | int, node: str | int) -> tuple[Step, ...]:
        """Links from an accessor to a node, the way of least latency; ties go to fewer links.

        Returns
        -------
        tuple of Step
            Empty for memory at the accessor's own vertex, and for a pair that only the measured
            matrix joins.
        """
        ways = self._ways[self.accessor_id(accessor)]
        return ways.get(self.nodes[self.node_id(node)].at, (0, ()))[1]

    @cached_property
    def idle_latency_ns(self) -> np.ndarray:
        """float64[accessor, node], ns; read-only."""
        matrix = np.array(
            [
                [self._latency_ns(a, n) for n in range(len(self.nodes))]
                for a in self._each_accessor()
            ],
            dtype=np.float64,
        )
        return _frozen(matrix)

    @cached_property
    def peak_bandwidth_bytes_per_ns(self) -> np.ndarray:
        """float64[accessor, node], what reads of one accessor alone can reach; read-only."""
        matrix = np.array(
            [
                [self._read_peak(a, n) for n in range(len(self.nodes))]
                for a in self._each_accessor()
            ],
            dtype=np.float64,
        )
        return _frozen(matrix)

    def tiers(self, accessor: str | int) -> tuple[int, ...]:
        """Nodes from nearest to farthest for that accessor: by idle latency, then by number."""
        a = self.accessor_id(accessor)
        declared = self.declared_latency.get(self.accessors[a].name, {})
        row = [
            declared.get(node.name, latency)
            for node, latency in zip(self.nodes, self.idle_latency_ns[a], strict=True)
        ]
        return tuple(sorted(range(len(row)), key=lambda n: (row[n], n)))

    def cap_bytes_per_ns(self, accessor: int, node: int) -> float | None:
        """The measured cap of a pair, if one is given."""
        given = self.bandwidth.get(self.accessors[accessor].name, {})
        return given.get(self.nodes[node].name)

    def _latency_ns(self, accessor: int, node: int) -> float:
        given = self.latency.get(self.accessors[accessor].name, {}).get(self.nodes[node].name)
        if given is not None:
            return float(given)
        own = self.nodes[node].latency
        return float(own or 0) + self._ways[accessor][self.nodes[node].at][0]

    def _read_peak(self, accessor: int, node: int) -> float:
        rates = [self.nodes[node].bandwidth.read]
        for step in self.path(accessor, node):
            link = self.links[step.link].bandwidth  # data come back against the walk
            rates.append(link.backward if step.forward else link.forward)
        cap = self.cap_bytes_per_ns(accessor, node)
        return min(rates if cap is None else [*rates, cap])

    def _each_accessor(self) -> range:
        return range(len(self.accessors))

    # -- distances -----------------------------------------------------------------------------

    @property
    def distances_derived(self) -> bool:
        """Whether `node_distances` follows from latencies, not from a given table."""
        return not self.distances

    @cached_property
    def node_distances(self) -> np.ndarray:
        """int64[node, node], Linux's distances; 10 is local; read-only.

        Notes
        -----
        Assumption: a table not given is ten times the latency seen from the row's vertex over the
        latency of the fastest node there, made symmetric by the larger one, and 11..254 off the
        diagonal.
        """
        if self.distances:
            return _frozen(np.array(self.distances, dtype=np.int64))
        size = len(self.nodes)
        seen = np.full((size, size), np.inf)
        for i, here in enumerate(self.nodes):
            ways = shortest_ways(self.links, here.at)
            for j, there in enumerate(self.nodes):
                if there.at in ways:
                    seen[i, j] = self._own_latency_ns(j) + ways[there.at][0]
        relative = 10 * seen / np.min(seen, axis=1)[:, None]
        table = np.clip(np.rint(np.maximum(relative, relative.T)), 11, 254).astype(np.int64)
        np.fill_diagonal(table, 10)
        return _frozen(table)

    def fallback_order(self, node: str | int) -> tuple[int, ...]:
        """Where an allocation preferring this node goes: itself, then by distance, then number."""
        nid = self.node_id(node)
        rest = [n for n in range(len(self.nodes)) if n != nid]
        return (nid, *sorted(rest, key=lambda n: (int(self.node_distances[nid, n]), n)))

    def _own_latency_ns(self, node: int) -> float:
        own = self.nodes[node].latency
        return float(own) if own is not None else float(self.idle_latency_ns[:, node].min())

    def service_latency_ns(self, node: int) -> float:
        """Idle latency of the node itself, without links; what a curve's `service_ratio` scales."""
        return self._own_latency_ns(node)

    # -- physical layout -----------------------------------------------------------------------

    @cached_property
    def zones(self) -> tuple[tuple[Zone, ...], ...]:
        """Zones of every node; a node without explicit ones is one zone Normal."""
        return lay_out(self.nodes)

    def node_ranges(self, node: str | int) -> list[tuple[int, int]]:
        """Physical memory of a node as [start, end) in bytes, ascending."""
        nid = self.node_id(node)
        given = self.nodes[nid].ranges
        return sorted(given) if given else [(z.start, z.end_addr) for z in self.zones[nid]]

    def node_of_ranges(self, ranges: Sequence[tuple[int, int]]) -> int | None:
        """The node whose memory is exactly these ranges, if there is one."""
        wanted = sorted(tuple(r) for r in ranges)
        return next((n for n in range(len(self.nodes)) if self.node_ranges(n) == wanted), None)

    def default_range(self) -> tuple[int, int]:
        """First to last byte of memory, holes included: what damo monitors physically if not told.

        Notes
        -----
        Source: damo 3.4.3 without ``--numa_node`` and ``--regions``.
        """
        ranges = [r for nid in range(len(self.nodes)) for r in self.node_ranges(nid)]
        return min(start for start, _ in ranges), max(end for _, end in ranges)

    def managed_pages(self, node: str | int) -> int:
        """Pages of a node that its allocator hands out."""
        return sum(zone.managed_pages for zone in self.zones[self.node_id(node)])

    def min_free_kbytes(self) -> int:
        """The kernel's min_free_kbytes, KiB; see `layout.min_free_kbytes`."""
        return min_free_kbytes(self.kernel, (zone for node in self.zones for zone in node))


def shortest_ways(links: Sequence[Link], start: str) -> dict[str, tuple[int, tuple[Step, ...]]]:
    """Least latency (ns) and path from one vertex to every vertex that can be reached.

    Parameters
    ----------
    links : sequence of Link
    start : str
        A vertex.

    Returns
    -------
    dict of str to (int, tuple of Step)
    """
    found: dict[str, tuple[int, tuple[Step, ...]]] = {}
    queue: list[tuple[int, int, tuple[Step, ...], str]] = [(0, 0, (), start)]
    while queue:
        latency, hops, path, vertex = heapq.heappop(queue)
        if vertex in found:
            continue
        found[vertex] = (latency, path)
        for i, link in enumerate(links):
            if vertex in link.between:
                forward = vertex == link.between[0]
                other = link.between[forward]
                step = (*path, Step(i, forward))
                heapq.heappush(queue, (latency + link.latency, hops + 1, step, other))
    return found


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _index(what: str, wanted: str | int, names: list[str]) -> int:
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
        raise ConfigError(Problem("", f'unknown {what} "{wanted}"', did_you_mean(wanted, names)))
    if 0 <= wanted < len(names):
        return int(wanted)
    raise ConfigError(Problem("", f"no {what} {wanted}", f"there are {len(names)}"))


def _repeated(topology: Topology, what: str) -> Iterator[Problem]:
    names = [known(one, "name") for one in getattr(topology, what)]
    if not names:
        yield Problem(what, "expected at least one")
    for i, name in enumerate(names):
        if name is not None and names.count(name) > 1:
            yield Problem(f"{what}[{i}].name", f'"{name}" is taken more than once')


def _shared_cpus(topology: Topology) -> Iterator[Problem]:
    owner: dict[int, str] = {}
    for i, accessor in enumerate(topology.accessors):
        name = known(accessor, "name") or f"accessors[{i}]"
        for cpu in known(accessor, "cpus") or ():
            if cpu in owner:
                message = f"CPU {cpu} already belongs to {owner[cpu]}"
                yield Problem(f"accessors[{i}].cpus", message)
                break
            owner[cpu] = name


def _loops(topology: Topology) -> Iterator[Problem]:
    for i, link in enumerate(topology.links):
        ends = known(link, "between")
        if ends is not None and ends[0] == ends[1]:
            yield Problem(f"links[{i}].between", "expected two different vertices")


def _unknown_pairs(topology: Topology, table: str) -> Iterator[Problem]:
    accessors = {a.name for a in topology.accessors}
    nodes = {n.name for n in topology.nodes}
    for accessor, row in getattr(topology, table).items():
        if accessor not in accessors:
            place, hint = f"{table}.{accessor}", did_you_mean(accessor, accessors)
            yield Problem(place, "unknown accessor", hint)
        for node, value in row.items():
            place = f"{table}.{accessor}.{node}"
            if node not in nodes:
                yield Problem(place, "unknown node", did_you_mean(node, nodes))
            if not value > 0:
                yield Problem(place, f"got {value}, expected more than 0")


def _bad_distances(topology: Topology) -> Iterator[Problem]:
    size = len(topology.nodes)
    table = topology.distances
    if not table:
        return
    if len(table) != size or any(len(row) != size for row in table):
        yield Problem("distances", f"expected {size} rows of {size}, one per node")
        return
    for i, row in enumerate(table):
        if row[i] != 10:
            yield Problem(f"distances[{i}][{i}]", f"got {row[i]}, expected 10 (local)")


def _unreachable(topology: Topology) -> Iterator[Problem]:
    for i, node in enumerate(topology.nodes):
        for a, accessor in enumerate(topology.accessors):
            if node.name in topology.latency.get(accessor.name, {}):
                continue
            if node.at not in topology._ways[a]:
                message = f'no path from accessor {accessor.name} at "{accessor.at}"'
                hint = "add a link, or the pair to latency"
                yield Problem(
                    f"nodes[{i}].at", f'{message} to node {node.name} at "{node.at}"', hint
                )
            elif node.latency is None:
                hint = f"give it, or latency.{accessor.name}.{node.name}"
                yield Problem(f"nodes[{i}].latency", "is missing", hint)


def _overlapping(topology: Topology) -> Iterator[Problem]:
    yield from overlaps(topology.nodes, topology.zones)
