"""The thread that reads the memory path's counters for a balance, oftener than pages are moved."""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.hotness.balance import Balance
from numasim.hotness.tier_counters import TierCounters
from numasim.hotness.worker import Worker

PERIOD_NS = 10_000_000
"""Assumption: as often as the variant on HeMem reads them."""


class Measured(Worker):
    """Keeps a balance's moving averages.

    Parameters
    ----------
    stage : Stage
    balance : Balance
    accessor : int
    now_ns : int
    name : str
    """

    def __init__(
        self, stage: Stage, balance: Balance, accessor: int, now_ns: int, name: str
    ) -> None:
        super().__init__(stage, f"{name}/counters", now_ns, PERIOD_NS)
        self.balance = balance
        tiers = stage.topology.tiers(accessor)
        self._fast, self._slow = tiers[0], list(tiers[1:])
        self._tiers = TierCounters(stage, accessor)
        self._arrived = 0.0

    def counters(self) -> dict[str, int]:
        """What the balance knows."""
        return self.balance.counters()

    def act(self, now_ns: int) -> bool:
        """As every worker; the hardware's counters are read before speeds change."""
        self._tiers.accumulate()
        return super().act(now_ns)

    def step(self, now_ns: int) -> int:
        """Hand a measurement on."""
        occupied, arrived = (
            np.array([x[self._fast], x[self._slow].sum()]) for x in self._tiers.read()
        )
        self._arrived += float(arrived.sum())
        self.balance.measure(occupied, arrived)
        return 0

    def take_arrived(self) -> float:
        """Lines that were read since last asked."""
        found, self._arrived = self._arrived, 0.0
        return found
