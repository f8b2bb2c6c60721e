"""DAMON_STAT: watch all memory, move nothing, and say how idle it is and how much is accessed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from numasim.damon.spec import Attrs, Context, IntervalsGoal, Kdamond, Target
from numasim.policies import STRICT, Policy, register
from numasim.topology import Topology


def estimated_memory_bandwidth(size: np.ndarray, nr_accesses: np.ndarray, aggr_us: int) -> int:
    """Bytes per second that seem to be accessed.

    Parameters
    ----------
    size : int64[R]
        Bytes of each region.
    nr_accesses : int64[R]
        Of the window in progress, so that it is too low in the midst of one.
    aggr_us : int

    Notes
    -----
    Source: DAMON core specification, section 15 (Linux 7.3.4).
    """
    return int((size * nr_accesses).sum()) * 1_000_000 // aggr_us


def idle_time_percentiles(
    size: np.ndarray, nr_accesses: np.ndarray, age: np.ndarray, aggr_us: int
) -> np.ndarray:
    """How long memory has been idle, by percentile of its bytes.

    Parameters
    ----------
    size, nr_accesses, age : int64[R]
        Of each region; age in aggregations.
    aggr_us : int

    Returns
    -------
    int64[101]
        Milliseconds; negative where it has been accessed for so long.

    Notes
    -----
    Source: DAMON core specification, section 15 (Linux 7.3.4).
    """
    idle = np.where(nr_accesses > 0, -(age + 1), age + 1)
    order = np.argsort(idle, kind="stable")
    found = np.zeros(101, np.int64)
    total, done, p = int(size.sum()), 0, 0
    for i in order.tolist():
        done += int(size[i])
        while p <= done * 100 // total and p <= 100:
            found[p] = int(int(idle[i]) * aggr_us / 1000)
            p += 1
    return found


@register("damon_stat")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class DamonStat(Policy):
    """The kernel's module of that name: one context over all memory, no scheme.

    Notes
    -----
    Source: DAMON core specification, section 15 (Linux 7.3.4).
    """

    observes: ClassVar[str] = "page-table accessed bits of sampled regions"
    moves: ClassVar[str] = "nothing"

    def kdamonds(self, topology: Topology) -> tuple[Kdamond, ...]:
        """One that monitors, its intervals tuned."""
        goal = IntervalsGoal(400, 3, 5_000, 10_000_000)
        attrs = Attrs(ops_update_us=60_000_000, intervals_goal=goal)
        target = Target(regions=(topology.default_range(),))
        return (Kdamond((Context("paddr", (target,), attrs),)),)
