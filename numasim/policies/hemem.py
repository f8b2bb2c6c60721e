"""HeMem: samples of loads and stores, counted by 2 MiB; what is hot goes to the fast tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.hotness.balance import Balance
from numasim.hotness.packing import Packing, PackingRules
from numasim.policies import STRICT, Policy, register
from numasim.units import Bandwidth, Bytes, DurationNs


@register("hemem")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Hemem(Policy):
    """Keep the most sampled 2 MiB pages in the fast tier.

    Parameters
    ----------
    unit_size : int
        Bytes that are counted and moved as one.
    least : int
        Mappings smaller than that stay where first touch put them.
    load_period, store_period : float
        Events per sample: loads that missed the caches, retired stores.
    hot_reads, hot_writes : int
        Samples from which a page is hot.
    cooling : int
        A count above it halves all counts, by a clock: each page's when it is next touched.
    interval : int
        Of the policy thread, ns.
    rate : float
        Most that is moved, bytes per ns.
    copy_threads : int
        Threads that copy.
    accessor : int
        Whose tiers.

    Notes
    -----
    Source: HeMem (SOSP'21), policies specification section 8. The artifact of Colloid runs it with
    periods of 5003 and cooling at 18. The pages of a mapping should be of 2 MiB: HeMem's are.
    Assumptions: the sampling thread takes a core; copying by four threads.
    """

    unit_size: Annotated[Bytes, Field(ge=4096)] = 2 << 20
    least: Bytes = 1_000_000_000
    load_period: Annotated[float, Field(ge=1)] = 10_007
    store_period: Annotated[float, Field(ge=1)] = 10_007
    hot_reads: Annotated[int, Field(ge=1)] = 8
    hot_writes: Annotated[int, Field(ge=1)] = 4
    cooling: Annotated[int, Field(ge=1)] = 10
    interval: Annotated[DurationNs, Field(gt=0)] = 10_000_000
    rate: Annotated[Bandwidth, Field(gt=0)] = 10.0
    copy_threads: Annotated[int, Field(ge=1)] = 4
    accessor: Annotated[int, Field(ge=0)] = 0

    observes: ClassVar[str] = "PEBS samples of missing loads and retired stores"
    moves: ClassVar[str] = "hot pages of the slow tier up, for a cold page down where it is full"
    unit: ClassVar[str] = "2 MiB"
    hot_criterion: ClassVar[str] = "8 read or 4 write samples"
    cold_criterion: ClassVar[str] = "below, longest on the list first"
    rate_control: ClassVar[str] = "10 ms thread, 10 GB/s"
    multi_accessor: ClassVar[str] = "no"
    has_agents: ClassVar[bool] = True
    balance_weight: ClassVar[float] = 0.0625

    def rules(self) -> PackingRules:
        """The same for the agent."""
        return PackingRules(
            self.unit_size, self.least, self.load_period, self.store_period, self.hot_reads,
            self.hot_writes, self.cooling, self.interval, self.rate, self.copy_threads,
            self.accessor,
        )  # fmt: skip

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """Its policy thread, which reads the samples."""
        return (Packing(stage, self.rules(), now_ns),)

    def balanced(self, stage: Stage, now_ns: int, balance: Balance) -> Sequence[Agent]:
        """The same under Colloid's law."""
        return (Packing(stage, self.rules(), now_ns, balance, "colloid+hemem"),)
