"""CUDA managed memory: pages follow whoever faults on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.agents import Agent, Stage
from numasim.hotness.managed import Managed, ManagedRules
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology
from numasim.units import DurationNs


@register("cuda_managed")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class CudaManaged(Policy):
    """Migrate on fault between a GPU and others, 64 KiB grown to 2 MiB where it is dense.

    Parameters
    ----------
    mappings : tuple of str
        Managed mappings by name; empty: all.
    batch : int
        Faults that the driver serves together.
    prefetch : bool
        Whether dense subtrees of a 2 MiB block are brought whole.
    thrash_faults : int
        Times that a block is taken from the other side, each within `thrash_lapse` of the last,
        before it stays where it is for `pin` and is used remotely.
    thrash_lapse, pin : int
        ns.
    look : int
        Shortest time between two looks at the fault buffer, ns.

    Notes
    -----
    Source: open GPU kernel modules (UVM), policies specification section 9; the cost of a far fault
    is the machine's ``gpu_fault``. Assumption: `look`, and what `numasim.hotness.managed` notes.
    """

    mappings: tuple[str, ...] = ()
    batch: Annotated[int, Field(ge=1)] = 256
    prefetch: bool = True
    thrash_faults: Annotated[int, Field(ge=1)] = 3
    thrash_lapse: DurationNs = 500_000
    pin: DurationNs = 300_000_000
    look: Annotated[DurationNs, Field(gt=0)] = 100_000

    observes: ClassVar[str] = "faults of GPUs and CPUs on memory of the other"
    moves: ClassVar[str] = "faulting pages to who faulted; the oldest blocks away where it is full"
    unit: ClassVar[str] = "64 KiB to 2 MiB"
    hot_criterion: ClassVar[str] = "any fault"
    cold_criterion: ClassVar[str] = "least recently brought 2 MiB block"
    rate_control: ClassVar[str] = "batches of 256 faults; thrashing blocks are pinned"
    multi_accessor: ClassVar[str] = "yes (ping-pong)"
    has_agents: ClassVar[bool] = True

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The driver."""
        if not any(a.kind == "GPU" for a in stage.topology.accessors):
            return ()
        rules = ManagedRules(
            self.batch, stage.costs.gpu_fault, self.look, self.thrash_faults, self.thrash_lapse,
            self.pin, self.prefetch,
        )  # fmt: skip
        return (Managed(stage, rules, self.mappings, now_ns),)

    def remark(self, topology: Topology) -> str:
        gpus = any(a.kind == "GPU" for a in topology.accessors)
        return "" if gpus else "does nothing here: there is no GPU"
