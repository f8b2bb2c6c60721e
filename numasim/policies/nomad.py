"""Nomad: promotion as a transaction beside the program, and copies that make demotion free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.balancing.active import ActiveFirst, advice, residents_of
from numasim.balancing.balancer import Balancer
from numasim.balancing.shadows import Shadows
from numasim.balancing.transactions import Promoter, Queueing
from numasim.balancing.tunables import NS_PER_MS, SYSCTLS, Tunables
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.units import DurationNs

THREAD = "nomad/promotion"


@register("nomad")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Nomad(Policy):
    """Non-exclusive tiering: hot pages are copied up while in use, their old frames are kept.

    Parameters
    ----------
    demote_scale_factor : int
        kswapd of fast nodes demotes until so much of each zone is free, in 1/10000.
    scan_delay, scan_period_min, scan_period_max : int
        A new process is scanned so late, and each thread so often at most and least, ns.
    scan_size : int
        MiB of address space for one scan, which arms slow pages only.
    batch : int
        Hint faults are handled so often, ns; up to ten times later while they are few.
    interrupt : int
        What a TLB flush takes from every other running thread of the process, ns.

    Notes
    -----
    Source: Nomad (OSDI'24), policies specification section 8: TPP's criterion for hot pages, on a
    queue of its own, so that activations do not wait for a CPU's batch. Assumption: TPP's demotion
    mark; no page is mapped by several processes, so that none takes the synchronous path.
    """

    demote_scale_factor: Annotated[int, Field(ge=0, le=10_000)] = 200
    scan_delay: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    scan_period_min: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    scan_period_max: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 60_000 * NS_PER_MS
    scan_size: Annotated[int, Field(ge=1)] = 256
    batch: Annotated[DurationNs, Field(ge=10_000)] = 10 * NS_PER_MS
    interrupt: DurationNs = 500

    observes: ClassVar[str] = "the first access after a scan of slow nodes; the LRU; dirty bits"
    moves: ClassVar[str] = "hot pages up by a thread, unless written to; down by reclaim"
    unit: ClassVar[str] = "folio, by a queue of candidates"
    hot_criterion: ClassVar[str] = "as TPP: the second fault"
    cold_criterion: ClassVar[str] = "tail of the inactive list; clean ones go back to their copies"
    rate_control: ClassVar[str] = "aborts on writes; one thread"
    multi_accessor: ClassVar[str] = "page goes to the nearest node of the CPU that faults"
    has_agents: ClassVar[bool] = True
    sysctls: ClassVar[frozenset[str]] = frozenset(SYSCTLS)

    @property
    def demotion(self) -> bool:
        """Reclaim demotes."""
        return True

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The scanner, and the thread that promotes."""
        reclaimer = residents_of(stage)
        rule = ActiveFirst(stage, reclaimer, "nomad", 1, self.demote_scale_factor)
        promoter = Promoter(stage, Shadows(stage, reclaimer, THREAD, now_ns), THREAD)
        tunables = Tunables.of(self)
        judge = Queueing(rule, promoter)
        balancer = Balancer(stage, now_ns, tunables, self.batch, self.interrupt, judge=judge)
        return [balancer, promoter]

    def remark(self, topology: Topology) -> str:
        """What to know of it on that machine."""
        return advice(topology)
