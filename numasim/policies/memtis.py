"""MEMTIS: a histogram of sampled hotness, thresholds from the size of the fast tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.hotness.balance import Balance
from numasim.hotness.heat import HUGE_PAGES
from numasim.hotness.measured import Measured
from numasim.hotness.migrated import Migrated
from numasim.hotness.sampled import Sampled, SampledRules
from numasim.hotness.splitting import Splitting
from numasim.policies import STRICT, Policy, register
from numasim.units import Bandwidth, DurationNs, Ratio

RUNGS = 30


def ladder(shortest: float, longest: float) -> tuple[float, ...]:
    """Periods between two, each longer than the one before by the same factor."""
    return tuple(np.geomspace(shortest, longest, RUNGS).round().tolist())


@register("memtis")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Memtis(Policy):
    """Keep in the fast tier what a histogram of samples says is hottest and fits.

    Parameters
    ----------
    load_periods, store_periods : (float, float)
        Shortest and longest number of events per sample: loads that missed the caches, retired
        stores.
    cpu, cpu_slack : float
        Share of a core that the sampling thread is held to, within, by changing the periods.
    cooling : int
        Samples after which all counts are halved.
    adaptation : int
        Samples between new thresholds.
    interval : int
        Of the migration thread, ns.
    rate : float
        Most that it moves, bytes per ns.
    split : bool
        Whether skewed huge pages are split.
    fast_latency, slow_latency : int
        As the policy assumes them for splits, ns.
    accessor : int
        Whose tiers.

    Notes
    -----
    Source: MEMTIS (SOSP'23) and its artifact, policies specification section 8; the latencies are
    its constants for DRAM and CXL. Assumption: thirty periods in equal ratios between the ends that
    the specification gives. Pages of one huge folio have equal rates in this simulator's workloads,
    so what splits are made, noise makes.
    """

    load_periods: tuple[float, float] = (199, 19_997)
    store_periods: tuple[float, float] = (100_003, 1_500_003)
    cpu: Ratio = 0.03
    cpu_slack: Ratio = 0.005
    cooling: Annotated[int, Field(ge=1)] = 2_000_000
    adaptation: Annotated[int, Field(ge=1)] = 100_000
    interval: Annotated[DurationNs, Field(gt=0)] = 500_000_000
    rate: Annotated[Bandwidth, Field(gt=0)] = 2048 * (1 << 20) / 1e9
    split: bool = True
    fast_latency: Annotated[DurationNs, Field(gt=0)] = 80
    slow_latency: Annotated[DurationNs, Field(gt=0)] = 170
    accessor: Annotated[int, Field(ge=0)] = 0

    observes: ClassVar[str] = "PEBS samples of missing loads and retired stores"
    moves: ClassVar[str] = "hot folios up; cold, then warm ones down to make room"
    unit: ClassVar[str] = "4 KiB and 2 MiB, split where skewed"
    hot_criterion: ClassVar[str] = "logarithmic bin from which on everything fits the fast tier"
    cold_criterion: ClassVar[str] = "below the warm bin"
    rate_control: ClassVar[str] = "500 ms thread, 2048 MB/s; sampling at 3 % of a core"
    has_agents: ClassVar[bool] = True
    balance_weight: ClassVar[float] = 1 / 32

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The sampling and the migration thread."""
        return self._threads(stage, now_ns, None, "memtis")

    def balanced(self, stage: Stage, now_ns: int, balance: Balance) -> Sequence[Agent]:
        """The same under Colloid's law."""
        return self._threads(stage, now_ns, balance, "colloid+memtis")

    def _threads(
        self, stage: Stage, now_ns: int, balance: Balance | None, name: str
    ) -> Sequence[Agent]:
        rules = SampledRules(
            ladder(*self.load_periods), ladder(*self.store_periods), self.cpu, self.cpu_slack,
            self.cooling, self.adaptation, self.accessor,
        )  # fmt: skip
        huge = any(m.folio_pages == HUGE_PAGES for m in stage.space.mappings)
        splitting = None
        if self.split and huge:
            splitting = Splitting(stage, self.fast_latency, self.slow_latency)
        eye = Sampled(stage, rules, now_ns, splitting, name)
        if balance is None:
            return (eye, Migrated(stage, eye, now_ns, self.interval, self.rate, None, name))
        measured = Measured(stage, balance, self.accessor, now_ns, name)
        mover = Migrated(stage, eye, now_ns, self.interval, self.rate, measured, name)
        return (measured, eye, mover)
