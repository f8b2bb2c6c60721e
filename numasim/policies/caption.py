"""Caption: tune which share of new pages goes to the slow tier; nothing that is there moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.hotness.ratio import Estimator, RatioTuner, Tuned, split_policy
from numasim.mapping import Mapping, Mempolicy
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.units import DurationNs, Ratio


@register("caption")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Caption(Policy):
    """Weighted interleave of new pages whose ratio is found by measuring.

    Parameters
    ----------
    ratio : float
        Share of new pages for the second tier to begin with.
    step : float
        First change of it.
    least : float
        Smallest step.
    interval : int
        Between two readings of the counters, ns; five make an estimate.
    weights : (float, float, float)
        Of instructions per cycle, latency of first-level misses and read latency of the default
        tier in the estimate of throughput.
    accessor : int
        Whose counters and tiers.

    Notes
    -----
    Source: Caption (MICRO'23), by notes of it: counters every second, moving average over 5
    samples, linear estimate, greedy steps that turn round and halve, smallest step 9 %, new
    allocations only. Assumption: the published coefficients were not seen; instructions per cycle
    alone is the default. The first step, and that a step is judged by five samples of its own, too.
    """

    ratio: Ratio = 0.0
    step: Ratio = 0.18
    least: Annotated[Ratio, Field(gt=0)] = 0.09
    interval: Annotated[DurationNs, Field(gt=0)] = 1_000_000_000
    weights: tuple[float, float, float] = (1.0, 0.0, 0.0)
    accessor: Annotated[int, Field(ge=0)] = 0

    observes: ClassVar[str] = "counters of cores and of the memory path"
    moves: ClassVar[str] = "nothing; new pages go by weights that change"
    rate_control: ClassVar[str] = "steps of 9 % or more, one per 5 s"
    bandwidth_aware: ClassVar[str] = "yes: by its effect"
    multi_accessor: ClassVar[str] = "no"
    has_agents: ClassVar[bool] = True

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        """The first ratio, for every mapping that the program leaves to the system."""
        if len(topology.nodes) < 2 or mapping.policy.mode != "local":
            return mapping.policy
        return split_policy(topology, self.accessor, self.ratio)

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The tuner."""
        if len(stage.topology.nodes) < 2:
            return ()
        tuner = RatioTuner(self.ratio, self.step, self.least)
        estimator = Estimator(self.weights)
        return (Tuned(stage, tuner, estimator, now_ns, self.interval, self.accessor),)
