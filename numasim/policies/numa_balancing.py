"""NUMA balancing as Linux has it: pages near their users, or hot pages up from slow tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.balancing.balancer import Balancer
from numasim.balancing.tunables import NS_PER_MS, SYSCTLS, TIERING, Tunables
from numasim.policies import STRICT, Policy, register
from numasim.units import DurationNs


@register("numa_balancing")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class NumaBalancing(Policy):
    """Hint faults on pages that a scan made inaccessible say who uses them, and how soon.

    Parameters
    ----------
    mode : int
        ``kernel.numa_balancing``, a bit mask: 1 moves pages to who uses them, 2 promotes hot pages
        from slow tiers (memory tiering), 3 is both, 0 waits for an event that writes the sysctl.
    scan_delay, scan_period_min, scan_period_max : int
        A new process is scanned so late, and each thread so often at most and least, ns.
    scan_size : int
        MiB of address space for one scan.
    hot_threshold : int
        A slow page whose fault comes sooner after arming is hot, ns.
    promote_rate_limit : int
        MiB of promotion candidates per second and node.
    demotion : bool
        ``numa/demotion_enabled``, written when the policy begins.
    batch : int
        Hint faults are handled so often, ns; up to ten times later while they are few.
    interrupt : int
        What a TLB flush takes from every other running thread of the process, ns.
    max_cpus : int
        CPUs that the kernel is configured for: access times wrap at 256 ms times that many.

    Notes
    -----
    Source: numa-balancing-tiering specification, sections 1 to 3 (Linux 7.3.4). Demotion is
    reclaim's. Assumption: `interrupt`; `max_cpus` is that of distributions' kernels. With a tenth
    of the default `batch` throughput differs by a thousandth and counters by less than a percent.
    Within a batch faults and the kswapd that makes room for them come in order of time.
    """

    mode: Annotated[int, Field(ge=0, le=3)] = TIERING
    scan_delay: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    scan_period_min: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    scan_period_max: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 60_000 * NS_PER_MS
    scan_size: Annotated[int, Field(ge=1)] = 256
    hot_threshold: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    promote_rate_limit: Annotated[int, Field(ge=0)] = 65_536
    demotion: bool = False
    batch: Annotated[DurationNs, Field(ge=10_000)] = 10 * NS_PER_MS
    interrupt: DurationNs = 500
    max_cpus: Annotated[int, Field(ge=2, le=8192)] = 8192

    observes: ClassVar[str] = "the first access after a scan: who, and how soon"
    moves: ClassVar[str] = "each page on its fault, while the thread waits"
    unit: ClassVar[str] = "folio, on its fault"
    hot_criterion: ClassVar[str] = "mode 2: fault sooner than the threshold after arming"
    cold_criterion: ClassVar[str] = "reclaim's"
    rate_control: ClassVar[str] = "candidates per second; threshold adapts to it"
    multi_accessor: ClassVar[str] = "mode 1: page follows who touched it last and before"
    has_agents: ClassVar[bool] = True
    sysctls: ClassVar[frozenset[str]] = frozenset(SYSCTLS)

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The scanner and what hint faults do."""
        tunables = Tunables.of(
            self,
            self.mode,
            hot_threshold_ms=self.hot_threshold // NS_PER_MS,
            rate_limit_mbps=self.promote_rate_limit,
        )
        return [Balancer(stage, now_ns, tunables, self.batch, self.interrupt, self.max_cpus)]
