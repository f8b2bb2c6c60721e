"""Hot memory held at a split between two nodes: Micron's follow-up to its interleaving (2026)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.damon.attrs import least_samples
from numasim.damon.spec import (
    AccessPattern,
    Attrs,
    Context,
    Filter,
    IntervalsGoal,
    Kdamond,
    Quota,
    QuotaGoal,
    Scheme,
    Target,
)
from numasim.policies import STRICT, Policy, register
from numasim.policies.limits import Hot, check_interval, check_quota
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs, Ratio
from numasim.wholes import checked

TUNED = IntervalsGoal(access_bp=400, aggrs=3, min_sample_us=5_000, max_sample_us=10_000_000)


@register("push_pull")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class PushPull(Policy):
    """Push hot pages off the near node, or pull them there, until its share is the wanted one.

    Parameters
    ----------
    near, far : str or int or None
        The two nodes; the accessor's nearest and next nearest if None.
    share : float or None
        Of all hot memory on both, what belongs on the near node. None: its share of bandwidth.
    accessor : int
        Whose nearest nodes, and whose bandwidth to them, count.
    hot : float
        Access rate from which memory is hot, as a share of samples, rounded up to
        whole ones.
    quota : int
        Most bytes either direction may try per `interval`; the goals decide how much of it.
    interval : int
        Quota window, ns.
    apply : int
        How often schemes are applied, ns. Each round of interval tuning puts the next time off, so
        it has to be shorter than three of the shortest aggregations, 300 ms.
    tuner : str
        How goals steer quotas: ``temporal`` all or nothing, which settles to within a window's
        quota; ``consist`` by degrees: it winds up while its goal is missed, so that the two
        schemes overshoot in turn and the split swings widely.

    Notes
    -----
    Source: R. Jonnalagadda's goals node_eligible_mem_bp and node_ineligible_mem_bp (policies
    specification, section 6), with 70 % as the authors' example. Assumption: one kdamond monitors
    both nodes, as eligible memory is counted within a context; each scheme is kept to the node
    that it takes from by address filters, so that quota is not spent on pages already there;
    the tuner is our choice.
    """

    near: str | int | None = None
    far: str | int | None = None
    share: Annotated[Ratio, Field(gt=0, lt=1)] | None = None
    accessor: Annotated[int, Field(ge=0)] = 0
    hot: Hot = 0.05
    quota: Bytes = 200 << 20
    interval: DurationNs = 1_000_000_000
    apply: DurationNs = 200_000_000
    tuner: Literal["consist", "temporal"] = "temporal"

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = "hot folios either way, until the near node has its share of them"
    unit: ClassVar[str] = "region, then folio"
    hot_criterion: ClassVar[str] = "access rate of 5 % or more"
    rate_control: ClassVar[str] = "goals of eligible memory; 200 MiB/s"
    bandwidth_aware: ClassVar[str] = "by a given split of hot memory, closed loop"

    checks: ClassVar = (check_quota, check_interval)
    _checked = model_validator(mode="after")(checked)

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One over both nodes, with a scheme for each direction."""
        near, far = self._nodes(topology)
        share = round(self.wanted(topology) * 10_000)
        elsewhere = QuotaGoal("node_ineligible_mem_bp", 10_000 - share, nid=near)
        here = QuotaGoal("node_eligible_mem_bp", share, nid=near)
        regions = sorted(topology.node_ranges(near) + topology.node_ranges(far))
        attrs = Attrs(intervals_goal=TUNED)
        schemes = (
            self._scheme(topology, near, far, elsewhere),
            self._scheme(topology, far, near, here),
        )
        return (Kdamond((Context("paddr", (Target(regions=tuple(regions)),), attrs, schemes),)),)

    def wanted(self, topology: Topology) -> float:
        """The near node's share of hot memory."""
        if self.share is not None:
            return self.share
        peaks = topology.peak_bandwidth_bytes_per_ns[self.accessor]
        near, far = self._nodes(topology)
        return float(peaks[near] / (peaks[near] + peaks[far]))

    def remark(self, topology: Topology) -> str:
        near, far = (topology.nodes[n].name for n in self._nodes(topology))
        return f"{self.wanted(topology):.1%} of hot memory on {near}, the rest on {far}; an RFC"

    def _nodes(self, topology: Topology) -> tuple[int, int]:
        ranked = topology.tiers(self.accessor)
        near = ranked[0] if self.near is None else topology.node_id(self.near)
        others = [n for n in ranked if n != near] or [near]
        return near, others[0] if self.far is None else topology.node_id(self.far)

    def _scheme(self, topology: Topology, source: int, target: int, goal: QuotaGoal) -> Scheme:
        return Scheme(
            action="migrate_hot",
            pattern=AccessPattern(min_nr_accesses=least_samples(self.hot, Attrs())),
            apply_interval_us=self.apply // 1_000,
            quota=Quota(
                sz=self.quota,
                reset_interval_ms=self.interval // 1_000_000,
                goals=(goal,),
                goal_tuner=self.tuner,
                weight_sz=1,
                weight_nr_accesses=1,
                weight_age=1,
            ),
            filters=tuple(
                Filter("addr", matching=True, allow=True, start=start, end=end)
                for start, end in topology.node_ranges(source)
            ),
            target_nid=target,
        )
