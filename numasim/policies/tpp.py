"""TPP: cold pages go down before memory is short, pages that fault while active come up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.balancing.active import ActiveFirst, advice, residents_of
from numasim.balancing.balancer import Balancer
from numasim.balancing.judging import Judge
from numasim.balancing.steered import Steered
from numasim.balancing.tunables import NS_PER_MS, SYSCTLS, Tunables
from numasim.hotness.balance import Balance
from numasim.hotness.measured import Measured
from numasim.mapping import Mapping, Mempolicy
from numasim.policies import STRICT, Policy, register
from numasim.reclaim.tiers import memory_tiers
from numasim.topology import Topology
from numasim.units import DurationNs

PAGEVEC = 15


@register("tpp")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class TPP(Policy):
    """Transparent page placement: demotion by reclaim, promotion of active pages on hint faults.

    Parameters
    ----------
    demote_scale_factor : int
        kswapd of fast nodes demotes until so much of each zone is free, in 1/10000; allocation
        needs only what it always needs.
    pagevec : int
        Activations that a CPU collects before any takes effect.
    file_to_slow : bool
        Page-type-aware allocation: first touch asks the slow nodes for pages of files.
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
    Source: TPP (ASPLOS'23), policies specification section 3; `pagevec` is what Nomad's authors
    note of it. Scans are those of NUMA balancing, and skip what these skip, such as files that are
    not written to. Mappings with a memory policy of their own keep it.
    """

    demote_scale_factor: Annotated[int, Field(ge=0, le=10_000)] = 200
    pagevec: Annotated[int, Field(ge=1)] = PAGEVEC
    file_to_slow: bool = False
    scan_delay: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    scan_period_min: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 1000 * NS_PER_MS
    scan_period_max: Annotated[DurationNs, Field(ge=NS_PER_MS)] = 60_000 * NS_PER_MS
    scan_size: Annotated[int, Field(ge=1)] = 256
    batch: Annotated[DurationNs, Field(ge=10_000)] = 10 * NS_PER_MS
    interrupt: DurationNs = 500

    observes: ClassVar[str] = "the first access after a scan of slow nodes; the LRU"
    moves: ClassVar[str] = "each page up on its fault, while the thread waits; down by reclaim"
    unit: ClassVar[str] = "folio, on its fault"
    hot_criterion: ClassVar[str] = "fault while on the active list: the second fault"
    cold_criterion: ClassVar[str] = "tail of the inactive list"
    rate_control: ClassVar[str] = "watermarks only"
    multi_accessor: ClassVar[str] = "page goes to the nearest node of the CPU that faults"
    has_agents: ClassVar[bool] = True
    sysctls: ClassVar[frozenset[str]] = frozenset(SYSCTLS)
    balance_weight: ClassVar[float] = 1 / 32
    accessor: ClassVar[int] = 0

    @property
    def demotion(self) -> bool:
        """Reclaim demotes."""
        return True

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        """Files to the slow nodes first, if `file_to_slow`."""
        top = memory_tiers(topology).top
        slow = tuple(n for n in range(len(topology.nodes)) if not top[n])
        plain = mapping.policy.mode == "local"
        if self.file_to_slow and mapping.kind == "file" and plain and slow:
            return Mempolicy(mode="preferred_many", nodes=slow)
        return mapping.policy

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The scanner and what hint faults do."""
        return (self._balancer(stage, now_ns, self._rule(stage, "tpp")),)

    def balanced(self, stage: Stage, now_ns: int, balance: Balance) -> Sequence[Agent]:
        """The same under Colloid's law."""
        name = "colloid+tpp"
        measured = Measured(stage, balance, self.accessor, now_ns, name)
        judge = Steered(stage, self._rule(stage, name), measured)
        return (measured, self._balancer(stage, now_ns, judge))

    def _rule(self, stage: Stage, name: str) -> ActiveFirst:
        return ActiveFirst(stage, residents_of(stage), name, self.pagevec, self.demote_scale_factor)

    def _balancer(self, stage: Stage, now_ns: int, judge: Judge) -> Balancer:
        tunables = Tunables.of(self)
        return Balancer(stage, now_ns, tunables, self.batch, self.interrupt, judge=judge)

    def remark(self, topology: Topology) -> str:
        """What to know of it on that machine."""
        return advice(topology)
