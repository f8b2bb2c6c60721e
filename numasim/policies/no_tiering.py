"""First touch decides, and nothing ever moves: the baseline."""

from __future__ import annotations

from typing import ClassVar

from pydantic.dataclasses import dataclass

from numasim.policies import STRICT, Policy, register


@register("no_tiering")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class NoTiering(Policy):
    """Linux without demotion, NUMA balancing or DAMON: pages stay where first touch put them.

    Memory policies that the workload gives its mappings hold; `first_touch` sets them aside.
    """

    multi_accessor: ClassVar[str] = "by the accessor that touches first"
