"""TPP-DAMON: demote cold pages of a fast node, promote hot ones of a slow node, by two goals."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

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
from numasim.policies.limits import Hot, check_interval, check_quota, check_weights
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs, Ratio
from numasim.wholes import checked


@register("tpp_damon")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class TppDamon(Policy):
    """One kdamond per direction between neighbouring tiers of one accessor.

    Parameters
    ----------
    free : float
        Goal of demotion: share of the faster node that is free.
    used : float
        Goal of promotion: share of the faster node that is used. The two overlap on purpose, so
        that both schemes stay slowly active.
    hot : float
        Access rate from which a region is promoted, as a share of samples, rounded up.
    quota : int
        Most bytes either direction may try per `interval`.
    interval : int
        Apply interval and quota window, ns.
    weights : tuple of int
        Priority weights of size, access rate and age, in permil.
    accessor : int
        Whose tiers.

    Notes
    -----
    Source: SeongJae Park, TPP-DAMON RFC (2025) and damo's memory-tiering script: with the defaults
    it is the published command, option for option. On more than two tiers the pair of schemes is
    repeated for each neighbouring pair of nodes.
    """

    free: Ratio = 0.005
    used: Ratio = 0.997
    hot: Hot = 0.05
    quota: Bytes = 200 << 20
    interval: DurationNs = 1_000_000_000
    weights: tuple[int, int, int] = (1, 1, 1)
    accessor: Annotated[int, Field(ge=0)] = 0

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = (
        "cold folios one tier down, hot ones one tier up, under goal-tuned quotas"
    )
    unit: ClassVar[str] = "region, then folio"
    hot_criterion: ClassVar[str] = "access rate of 5 % or more, and young"
    cold_criterion: ClassVar[str] = "access rate 0, and not young"
    rate_control: ClassVar[str] = "goals 99.7 % used and 0.5 % free; 200 MiB/s"
    multi_accessor: ClassVar[str] = "no: one accessor is assumed"

    checks: ClassVar = (check_quota, check_interval, check_weights)
    _checked = model_validator(mode="after")(checked)

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """Two for each pair of neighbouring tiers: one demotes, one promotes."""
        threads = []
        for fast, slow in pairwise(topology.tiers(self.accessor)):
            goal = QuotaGoal("node_mem_free_bp", round(self.free * 10_000), nid=fast)
            cold = AccessPattern(max_nr_accesses=0)
            threads.append(
                self._thread(topology, fast, "migrate_cold", slow, cold, goal, allow=False)
            )
            goal = QuotaGoal("node_mem_used_bp", round(self.used * 10_000), nid=fast)
            hot = AccessPattern(min_nr_accesses=least_samples(self.hot, Attrs()))
            threads.append(self._thread(topology, slow, "migrate_hot", fast, hot, goal, allow=True))
        return tuple(threads)

    def remark(self, topology: Topology) -> str:
        nr = len(topology.tiers(self.accessor)) - 1
        if nr == 1 and len(topology.accessors) == 1:
            return ""
        whose = f"accessor {self.accessor} ({topology.accessors[self.accessor].name})"
        if nr == 1:
            return f"the tiers are those of {whose}; others may rank the nodes otherwise"
        return (
            f"not the published command of two kdamonds for two tiers, but that pair repeated "
            f"for the {nr} pairs of neighbouring tiers of {whose}"
        )

    def _thread(
        self,
        topology: Topology,
        node: int,
        action: str,
        target: int,
        pattern: AccessPattern,
        goal: QuotaGoal,
        allow: bool,
    ) -> Kdamond:
        quota = Quota(
            sz=self.quota,
            reset_interval_ms=self.interval // 1_000_000,
            goals=(goal,),
            weight_sz=self.weights[0],
            weight_nr_accesses=self.weights[1],
            weight_age=self.weights[2],
        )
        scheme = Scheme(
            action=action,
            pattern=pattern,
            apply_interval_us=self.interval // 1_000,
            quota=quota,
            filters=(Filter("young", matching=True, allow=allow),),
            target_nid=target,
        )
        attrs = Attrs(intervals_goal=IntervalsGoal(400, 3, 5_000, 10_000_000))
        regions = tuple(topology.node_ranges(node))
        return Kdamond((Context("paddr", (Target(regions=regions),), attrs, (scheme,)),))
