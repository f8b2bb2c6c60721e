"""DAMON_RECLAIM: page out what was idle for long, while memory is neither plenty nor scarce."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

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
    Watermarks,
)
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.units import Bytes, DurationNs

Permil = Annotated[int, Field(ge=0, le=1000)]
PAGE_BYTES = 4096
US = 1_000
AUTOTUNED = IntervalsGoal(40, 3, 5_000, 10_000_000)


@register("damon_reclaim")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class DamonReclaim(Policy):
    """The kernel's module of that name; its parameters and their defaults, times in ns.

    Parameters
    ----------
    min_age : int
        Idle time from which a region is paged out.
    quota_ms, quota_sz : int
        Milliseconds and bytes per `quota_reset_interval`.
    quota_reset_interval : int
        Window of the quota.
    quota_mem_pressure_us : int
        Goal: memory stalls per reset interval, us; 0 for none.
    quota_autotune_feedback : int
        Goal: this value is 10,000; 0 for none.
    wmarks_interval : int
        Free memory is looked at so often.
    wmarks_high, wmarks_mid, wmarks_low : int
        Free memory in permil: it stops above high or below low, and starts between mid and low.
    skip_anon : bool
        Leave anonymous pages alone.
    autotune_monitoring_intervals : bool
        Let monitoring tune its own intervals.

    Notes
    -----
    Source: DAMON core specification, section 14 (Linux 7.3.4). Pages go to the swap space of the
    machine's kernel settings; without any, nothing can be paged out.
    """

    min_age: DurationNs = 120_000_000_000
    quota_ms: Annotated[int, Field(ge=0)] = 10
    quota_sz: Bytes = 128 << 20
    quota_reset_interval: DurationNs = 1_000_000_000
    quota_mem_pressure_us: Annotated[int, Field(ge=0)] = 0
    quota_autotune_feedback: Annotated[int, Field(ge=0)] = 0
    wmarks_interval: DurationNs = 5_000_000_000
    wmarks_high: Permil = 500
    wmarks_mid: Permil = 400
    wmarks_low: Permil = 200
    skip_anon: bool = False
    autotune_monitoring_intervals: bool = False

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = "idle folios into swap, under size and time quota"
    unit: ClassVar[str] = "region, then folio"
    cold_criterion: ClassVar[str] = "access rate 0 for 120 s, and not young"
    rate_control: ClassVar[str] = "10 ms and 128 MiB per s; free memory of 20 % to 50 %"

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One, over all memory from the first range to the last."""
        attrs = Attrs(ops_update_us=0)
        if self.autotune_monitoring_intervals:
            attrs = Attrs(ops_update_us=0, intervals_goal=AUTOTUNED)
        goals: list[QuotaGoal] = []
        if self.quota_mem_pressure_us:
            goals.append(QuotaGoal("some_mem_psi_us", self.quota_mem_pressure_us))
        if self.quota_autotune_feedback:
            goals.append(QuotaGoal("user_input", 10_000, self.quota_autotune_feedback))
        quota = Quota(
            ms=self.quota_ms,
            sz=self.quota_sz,
            reset_interval_ms=self.quota_reset_interval // 1_000_000,
            goals=tuple(goals),
            weight_age=1,
        )
        marks = (self.wmarks_high, self.wmarks_mid, self.wmarks_low)
        scheme = Scheme(
            action="pageout",
            pattern=AccessPattern(
                min_sz=PAGE_BYTES,
                max_nr_accesses=0,
                min_age=self.min_age // US // attrs.aggr_us,
            ),
            quota=quota,
            wmarks=Watermarks("free_mem_rate", self.wmarks_interval // US, *marks),
            filters=(Filter("anon", matching=True, allow=False),) if self.skip_anon else (),
        )
        target = Target(regions=(topology.default_range(),))
        return (Kdamond((Context("paddr", (target,), attrs, (scheme,)),)),)

    def remark(self, topology: Topology) -> str:
        if topology.kernel.swap is not None:
            return ""
        return "the machine has no swap, so nothing can be paged out: give kernel.swap a size"
