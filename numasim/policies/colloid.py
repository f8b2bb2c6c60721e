"""Colloid: balance the loaded latencies of two tiers, with another policy's eyes and hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.errors import ConfigError, Problem
from numasim.hotness.balance import Balance
from numasim.mapping import Mapping, Mempolicy
from numasim.policies import STRICT, Policy, register
from numasim.policies.composed import chosen_policy
from numasim.topology import Topology
from numasim.units import Bytes, Ratio


def _balanced(value: Any) -> Any:
    made = chosen_policy(value)
    if not hasattr(made, "balanced"):
        raise ConfigError(
            Problem("", f'Colloid cannot run on "{made.kind}"', "known: hemem, memtis, tpp")
        )
    return made


@register("colloid")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Colloid(Policy):
    """Move accesses towards the tier with the lower loaded latency until both are equal.

    Parameters
    ----------
    on : policy
        Whose counts or faults say how hot pages are, and whose hands move them: ``hemem``,
        ``memtis`` or ``tpp``, by name or with parameters (``{kind: hemem, cooling: 18}``).
    weight : float or None
        Of a new measurement in the moving averages of occupancy and rate; None: 1/16 on HeMem,
        1/32 on MEMTIS and TPP, as on all policies of the kernel.
    tolerance : float
        Latencies that differ by no more than that are equal (delta).
    collapsed : float
        Width of the bracket below which the search starts over (epsilon).
    most : int
        Most bytes moved in one step.

    Notes
    -----
    Source: Colloid (SOSP'24), policies specification section 8. Latencies come from the socket's
    counters of requests in flight and of their rate, for the default tier and for all others.
    Assumption: a tier that no read has gone to yet is taken to be unloaded.
    """

    on: Annotated[Any, BeforeValidator(_balanced), Field(validate_default=True)] = "hemem"
    weight: Annotated[float, Field(gt=0, le=1)] | None = None
    tolerance: Ratio = 0.05
    collapsed: Ratio = 0.01
    most: Annotated[Bytes, Field(gt=0)] = 100 << 20

    observes: ClassVar[str] = "what the policy beneath observes, and occupancy and rate per tier"
    moves: ClassVar[str] = "the hottest pages that fit, towards the tier of lower loaded latency"
    unit: ClassVar[str] = "of the policy beneath"
    hot_criterion: ClassVar[str] = "access probability, gated by the balance of latencies"
    cold_criterion: ClassVar[str] = "of the policy beneath"
    rate_control: ClassVar[str] = "share of accesses and bytes per step"
    bandwidth_aware: ClassVar[str] = "yes: loaded latencies"
    multi_accessor: ClassVar[str] = "no"
    has_agents: ClassVar[bool] = True

    @property
    def demotion(self) -> bool:
        """As the policy beneath."""
        found: bool = self.on.demotion
        return found

    def mempolicy(self, topology: Topology, mapping: Mapping) -> Mempolicy:
        """That of the policy beneath."""
        found: Mempolicy = self.on.mempolicy(topology, mapping)
        return found

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The thread of the policy beneath, under this law."""
        accessor = self.on.accessor
        idle = stage.topology.idle_latency_ns[accessor]
        tiers = stage.topology.tiers(accessor)
        rest = idle[list(tiers[1:])].min() if len(tiers) > 1 else np.inf
        weight = self.on.balance_weight if self.weight is None else self.weight
        balance = Balance(
            np.array([idle[tiers[0]], rest]), weight, self.tolerance, self.collapsed, self.most
        )
        found: Sequence[Agent] = self.on.balanced(stage, now_ns, balance)
        return found
