"""Micron's dynamic interleaving: hot pages spread over nodes by weights that may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.damon.attrs import least_samples
from numasim.damon.spec import (
    AccessPattern,
    Attrs,
    Context,
    Dest,
    IntervalsGoal,
    Kdamond,
    Quota,
    Scheme,
    Target,
)
from numasim.errors import Problem
from numasim.interleaving import Rule, weights_on
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs, Ratio
from numasim.wholes import checked

TUNED = IntervalsGoal(access_bp=400, aggrs=3, min_sample_us=5_000, max_sample_us=10_000_000)
UPDATE_NS = 1_000_000_000  # damo: how often the address ranges of a process are read


@register("dynamic_interleave")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class DynamicInterleave(Policy):
    """A kdamond over processes that moves what is hot to where weighted interleave would have it.

    Parameters
    ----------
    pids : tuple of int
        Processes. Those of a workload are numbered from 1000 where they do not say.
    nodes : tuple of str or int
        Names or numbers, in this order; the accessor's two nearest if empty.
    weights : tuple of int
        One for each node, not all zero. If empty: from bandwidth, by `rule`.
    rule : str
        ``kernel`` or ``bwactl``; see `numasim.interleaving`.
    accessor : int
        Whose nearest nodes, and whose bandwidth to them, count.
    hot : float
        Access rate from which a region is moved, as a share of samples, at least one of them; 0
        moves everything.
    quota : int
        Most bytes tried per `interval`; 0: no limit.
    interval : int
        Quota window, ns; schemes are applied as often.
    sample, aggregate : int
        Intervals of monitoring, ns. Zero: 5 ms and 100 ms, tuned for 4 % of accesses; where so much
        is hot that they stay there, each round of tuning puts an `interval` of 300 ms or more off.
    min_regions, max_regions : int
        Bounds of the number of regions.

    Notes
    -----
    To change weights at run time, as a user of the real thing does: ``damo tune`` with the same
    options but other weights, as a timed event. A page has one place for each set of weights, so
    that only pages whose turn changes are moved. Source: Micron's patches (policies specification,
    section 6): the example scheme under the intervals and regions of their tests. With intervals
    of zero, 10 to 1000 regions and weights of 3 and 1 it is damo's example, option for option.
    """

    pids: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1000,)
    nodes: tuple[str | int, ...] = ()
    weights: tuple[Annotated[int, Field(ge=0)], ...] = ()
    rule: Rule = "kernel"
    accessor: Annotated[int, Field(ge=0)] = 0
    hot: Ratio = 0.05
    quota: Bytes = 200 << 20
    interval: DurationNs = 1_000_000_000
    sample: DurationNs = 500_000_000
    aggregate: DurationNs = 5_000_000_000
    min_regions: Annotated[int, Field(ge=3)] = 20
    max_regions: Annotated[int, Field(ge=3)] = 50

    observes: ClassVar[str] = "page-table accessed bits of sampled regions of processes"
    moves: ClassVar[str] = "hot folios to the node that is their turn by weights"
    unit: ClassVar[str] = "region, then folio by its offset"
    hot_criterion: ClassVar[str] = "access rate of 5 % or more"
    rate_control: ClassVar[str] = "200 MiB/s"
    bandwidth_aware: ClassVar[str] = "by weights, open loop"

    def _check_weights(self) -> Iterator[Problem]:
        if self.weights and len(self.weights) != len(self.nodes):
            message = f"got {len(self.weights)} for {len(self.nodes)} nodes, expected one each"
            yield Problem("weights", message, "name the nodes" if not self.nodes else "")
        elif self.weights and not any(self.weights):
            yield Problem("weights", "are all zero, then nothing has a place")

    def _check_intervals(self) -> Iterator[Problem]:
        if bool(self.sample) != bool(self.aggregate) or self.aggregate < self.sample:
            message = "expected both intervals, or none, and aggregation to be the longer one"
            yield Problem("aggregate", message)

    checks: ClassVar = (_check_weights, _check_intervals)
    _checked = model_validator(mode="after")(checked)

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One, with a target for each process."""
        attrs = self._attrs()
        us = self.interval // 1_000
        quota = Quota(0, self.quota, us // 1_000, (), "consist", 1, 1, 1) if self.quota else Quota()
        nodes, weights = self.split(topology)
        scheme = Scheme(
            action="migrate_hot",
            pattern=AccessPattern(min_nr_accesses=least_samples(self.hot, attrs)),
            apply_interval_us=us,
            quota=quota,
            dests=tuple(Dest(n, w) for n, w in zip(nodes, weights, strict=True)),
        )
        targets = tuple(Target(pid) for pid in self.pids)
        return (Kdamond((Context("vaddr", targets, attrs, (scheme,)),)),)

    def split(self, topology: Topology) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The nodes and their weights."""
        named = self.nodes or topology.tiers(self.accessor)[:2]
        nodes = tuple(topology.node_id(node) for node in named)
        return nodes, self.weights or weights_on(topology, self.accessor, nodes, self.rule)

    def remark(self, topology: Topology) -> str:
        pairs = zip(*self.split(topology), strict=True)
        return "weights: " + ", ".join(f"{topology.nodes[n].name} {w}" for n, w in pairs)

    def _attrs(self) -> Attrs:
        bounds = (self.min_regions, self.max_regions)
        if not self.sample:
            return Attrs(5_000, 100_000, UPDATE_NS // 1000, *bounds, TUNED)
        update = max(UPDATE_NS, 4 * self.aggregate)
        return Attrs(self.sample // 1_000, self.aggregate // 1_000, update // 1_000, *bounds)
