"""Access-counter migration: a GPU's counters bring it the memory of others that it uses much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.hotness.counted import Counted, CountedRules
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.units import DurationNs


@register("access_counter_migration")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class AccessCounterMigration(Policy):
    """Migrate to a GPU's memory what its access counters report.

    Parameters
    ----------
    threshold : int
        Remote accesses to a 2 MiB block that make a notification.
    batch : int
        Notifications that the driver takes at once.
    drain : int
        How often it takes them, ns.
    notification : int
        CPU time of taking one, ns.
    interval : int
        How often what was notified is moved, ns.

    Notes
    -----
    Source: open GPU kernel modules (UVM), policies specification section 9: on by default on Grace
    Hopper only; the 64 KiB parts of a block that were touched move; nothing counts the CPU's
    accesses to HBM, so pages come back only when they are evicted. Assumption: `drain`,
    `notification` and `interval`.
    """

    threshold: Annotated[int, Field(ge=1, le=65_535)] = 256
    batch: Annotated[int, Field(ge=1)] = 256
    drain: Annotated[DurationNs, Field(gt=0)] = 1_000_000
    notification: DurationNs = 500
    interval: Annotated[DurationNs, Field(gt=0)] = 10_000_000

    observes: ClassVar[str] = "GPU access counters: accesses to others' memory by 2 MiB block"
    moves: ClassVar[str] = (
        "touched 64 KiB parts to the GPU; the oldest blocks away where it is full"
    )
    unit: ClassVar[str] = "64 KiB in 2 MiB"
    hot_criterion: ClassVar[str] = "256 remote accesses"
    cold_criterion: ClassVar[str] = "least recently brought 2 MiB block"
    rate_control: ClassVar[str] = "batches of 256 notifications"
    multi_accessor: ClassVar[str] = "GPU against CPU, one way"
    has_agents: ClassVar[bool] = True

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """One driver thread for each GPU."""
        rules = CountedRules(
            self.threshold, self.batch, self.drain, self.notification, self.interval
        )
        gpus = [a for a, one in enumerate(stage.topology.accessors) if one.kind == "GPU"]
        return tuple(Counted(stage, rules, gpu, now_ns) for gpu in gpus)

    def remark(self, topology: Topology) -> str:
        gpus = any(a.kind == "GPU" for a in topology.accessors)
        return "" if gpus else "does nothing here: there is no GPU"
