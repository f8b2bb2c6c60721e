"""Alto: fewer promotions where the misses of programs overlap, on top of another policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.contention import Contention
from numasim.damon.spec import Kdamond
from numasim.hotness.alto import Alto as Thread
from numasim.hotness.throttle import Throttle
from numasim.mapping import Mapping, Mempolicy
from numasim.policies import STRICT, Policy, register
from numasim.policies.composed import chosen_policy
from numasim.topology import Topology
from numasim.units import DurationNs


@register("alto")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Alto(Policy):
    """Scale another policy's promotions by what a miss costs after overlap (AOL).

    Parameters
    ----------
    on : policy
        Any other, by name or with parameters (``{kind: colloid, on: memtis}``).
    low, high : float
        Amortised latency in cycles, below which nothing is promoted, and from which on all is.
    steps : int
        Equal steps between.
    interval : int
        Between two measurements, ns.
    accessor : int
        Whose cores are measured, and whose tiers say what a promotion is.

    Notes
    -----
    Source: SOAR and Alto (OSDI'25), policies specification section 8: 40 and 100 cycles on
    Skylake, 25 and 95 on Sapphire Rapids. HeMem, MEMTIS and Colloid get a smaller budget; of others
    that ask for promotions a share is refused. Assumption: the number of steps.
    """

    on: Annotated[Any, BeforeValidator(chosen_policy), Field(validate_default=True)] = "hemem"
    low: Annotated[float, Field(ge=0)] = 40.0
    high: Annotated[float, Field(gt=0)] = 100.0
    steps: Annotated[int, Field(ge=1)] = 4
    interval: Annotated[DurationNs, Field(gt=0)] = 1_000_000_000
    accessor: Annotated[int, Field(ge=0)] = 0

    observes: ClassVar[str] = "what the policy beneath observes, and stalls and misses of the cores"
    moves: ClassVar[str] = "what the policy beneath moves, fewer promotions"
    unit: ClassVar[str] = "of the policy beneath"
    hot_criterion: ClassVar[str] = "of the policy beneath"
    cold_criterion: ClassVar[str] = "of the policy beneath"
    rate_control: ClassVar[str] = "promotions scaled by amortised latency, every second"
    bandwidth_aware: ClassVar[str] = "indirectly: overlap of misses"
    has_agents: ClassVar[bool] = True

    @property
    def demotion(self) -> bool:
        """As the policy beneath."""
        found: bool = self.on.demotion
        return found

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """Those of the policy beneath."""
        found: tuple[Kdamond, ...] = self.on.kdamonds(topology)
        return found

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        """That of the policy beneath."""
        found: Mempolicy = self.on.mempolicy(topology, mapping)
        return found

    def contention(self, topology: Topology) -> Contention | None:
        """That of the policy beneath."""
        found: Contention | None = self.on.contention(topology)
        return found

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The measuring thread, then those of the policy beneath."""
        own = self.on.agents(stage, now_ns) if self.on.has_agents else ()
        throttle = Throttle(self.low, self.high, self.steps)
        return (Thread(stage, throttle, own, now_ns, self.interval, self.accessor), *own)
