"""Any kdamonds, as given by a damo command or a kdamonds file."""

from __future__ import annotations

from typing import ClassVar

from pydantic.dataclasses import dataclass

from numasim.damon.spec import Kdamond
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology


@register("damos")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Damos(Policy):
    """What the user wrote for damo, run as it is.

    Parameters
    ----------
    threads : tuple of Kdamond
        In YAML: ``damo: "start --numa_node 0 …"`` or ``file: my.kdamonds.yaml``.
    """

    threads: tuple[Kdamond, ...] = ()

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = "folios of regions that match a scheme, under its quota and filters"
    unit: ClassVar[str] = "region, then folio"
    hot_criterion: ClassVar[str] = "ranges of access rate and age, as given"
    cold_criterion: ClassVar[str] = "ranges of access rate and age, as given"
    rate_control: ClassVar[str] = "size and time quota, priority, goals, as given"

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """The threads given."""
        return self.threads
