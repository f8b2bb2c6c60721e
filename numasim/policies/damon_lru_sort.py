"""DAMON_LRU_SORT: tell reclaim what is hot and what is cold, and let it move pages when it must."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.damon.spec import (
    AccessPattern,
    Attrs,
    Context,
    Filter,
    Kdamond,
    Quota,
    QuotaGoal,
    Scheme,
    Target,
    Watermarks,
)
from numasim.policies import STRICT, Policy, register
from numasim.policies.damon_reclaim import AUTOTUNED, US, Permil
from numasim.topology import Topology
from numasim.units import DurationNs


@register("damon_lru_sort")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class DamonLruSort(Policy):
    """The kernel's module of that name; its parameters and their defaults, times in ns.

    Parameters
    ----------
    hot_thres_access_freq : int
        Access rate from which a region is hot, in permil of samples, rounded down as the module
        does: below 50, one of 20 samples, every region is hot.
    cold_min_age : int
        Idle time from which a region is cold.
    quota_ms : int
        Milliseconds per `quota_reset_interval`; half of them for either scheme.
    quota_reset_interval : int
        Window of the quota.
    active_mem_bp : int
        Goal: share of LRU pages that are active, in basis points; 0 for none.
    filter_young_pages : bool
        Look at a page's bit before it is sorted.
    wmarks_interval : int
        Free memory is looked at so often.
    wmarks_high, wmarks_mid, wmarks_low : int
        Free memory in permil: it stops above high or below low, and starts between mid and low.
    autotune_monitoring_intervals : bool
        Let monitoring tune its own intervals.

    Notes
    -----
    Source: DAMON core specification, section 15 (Linux 7.3.4). What comes of it depends on reclaim:
    switch on demotion, or give the machine swap.
    """

    hot_thres_access_freq: Permil = 500
    cold_min_age: DurationNs = 120_000_000_000
    quota_ms: Annotated[int, Field(ge=0)] = 10
    quota_reset_interval: DurationNs = 1_000_000_000
    active_mem_bp: Annotated[int, Field(ge=0, le=10_000)] = 0
    filter_young_pages: bool = False
    wmarks_interval: DurationNs = 5_000_000_000
    wmarks_high: Permil = 200
    wmarks_mid: Permil = 150
    wmarks_low: Permil = 50
    autotune_monitoring_intervals: bool = False

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = "nothing itself; folios within the kernel's LRU lists"
    unit: ClassVar[str] = "region, then folio"
    hot_criterion: ClassVar[str] = "access rate of 50 % or more"
    cold_criterion: ClassVar[str] = "access rate 0 for 120 s"
    rate_control: ClassVar[str] = "10 ms per s; free memory of 5 % to 20 %"

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One with two schemes, hot and cold, over all memory."""
        attrs = Attrs()
        if self.autotune_monitoring_intervals:
            attrs = Attrs(intervals_goal=AUTOTUNED)
        samples = attrs.aggr_us // attrs.sample_us
        threshold = samples * self.hot_thres_access_freq // 1000
        hot = AccessPattern(min_sz=4096, min_nr_accesses=threshold)
        age = self.cold_min_age // US // attrs.aggr_us
        cold = AccessPattern(min_sz=4096, max_nr_accesses=0, min_age=age)
        aim = self.active_mem_bp
        schemes = (
            self._scheme("lru_prio", hot, "active_mem_bp", aim),
            self._scheme("lru_deprio", cold, "inactive_mem_bp", 10_000 - aim + 2),
        )
        target = Target(regions=(topology.default_range(),))
        return (Kdamond((Context("paddr", (target,), attrs, schemes),)),)

    def _scheme(self, action: str, pattern: AccessPattern, metric: str, aim: int) -> Scheme:
        quota = Quota(
            ms=self.quota_ms // 2,
            reset_interval_ms=self.quota_reset_interval // 1_000_000,
            goals=(QuotaGoal(metric, aim),) if self.active_mem_bp else (),
            weight_nr_accesses=1,
            weight_age=1,
        )
        marks = (self.wmarks_high, self.wmarks_mid, self.wmarks_low)
        young = Filter("young", matching=action == "lru_deprio", allow=False)
        return Scheme(
            action=action,
            pattern=pattern,
            quota=quota,
            wmarks=Watermarks("free_mem_rate", self.wmarks_interval // US, *marks),
            filters=(young,) if self.filter_young_pages else (),
        )
