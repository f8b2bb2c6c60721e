"""Colloid on TPP: hint faults move pages towards the tier of lower loaded latency, either way.

Source: policies specification, section 8 (Colloid, SOSP'24).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numasim.agents import Stage
from numasim.balancing.active import ActiveFirst
from numasim.balancing.batch import Batch
from numasim.hotness.balance import LINE_BYTES
from numasim.hotness.measured import Measured
from numasim.reclaim.tiers import memory_tiers

QUANTUM_NS = 100_000_000
"""Assumption: the balance decides so often."""


class Steered:
    """TPP's criterion under a balance: which way hot pages go, and how many bytes of them.

    Parameters
    ----------
    stage : Stage
    rule : ActiveFirst
    measured : Measured
        Reads the counters of the memory path.

    Attributes
    ----------
    wanted : float
        Change of the default tier's share of accesses; its sign is the way.

    Notes
    -----
    All nodes are scanned. A fault on an active page moves it up while the default tier has the
    lower latency, and down while it has the higher one. Assumption: within a quantum the first
    pages that fault are the hottest, and so many go as have the bytes that the balance allows; what
    a single page is worth is not estimated.
    """

    mark = "min"

    def __init__(self, stage: Stage, rule: ActiveFirst, measured: Measured) -> None:
        self._stage, self._rule, self._measured = stage, rule, measured
        self.name = rule.name
        self.spared = np.zeros(len(stage.topology.nodes), bool)
        preferred = memory_tiers(stage.topology).preferred
        self._below = np.array([row[0] if row else n for n, row in enumerate(preferred)])
        self.next_ns: float = 0
        self._left = 0
        self.wanted = 0.0

    def decide(self, batch: Batch, now_ns: int) -> tuple[Batch, np.ndarray]:
        """Hot pages go the way that the balance wants, as long as its bytes last."""
        batch, hot = self._rule.decide(batch, now_ns)
        near = np.flatnonzero(self._rule.top[batch.source])
        active = self._rule.is_active(batch.head[near])
        self._rule.activate(batch.at(near[~active]), now_ns)
        if self.wanted < 0:
            hot = np.zeros(len(hot), bool)
            hot[near[active]] = True
            down = np.where(self._rule.top[batch.source], self._below[batch.source], batch.target)
            batch = replace(batch, target=down)
            hot &= batch.target != batch.source
        pages = np.cumsum(np.where(hot, batch.nr, 0))
        hot &= pages * 4096 <= self._left
        self._left -= int(batch.nr[hot].sum()) * 4096
        return batch, hot

    def tick(self, now_ns: int) -> None:
        """Keep the demotion mark; once a quantum, ask the balance."""
        self._rule.tick(now_ns)
        if now_ns >= self.next_ns:
            self.next_ns = now_ns + QUANTUM_NS
            balance, arrived = self._measured.balance, self._measured.take_arrived()
            self.wanted = balance.decide()
            self._left = int(min(balance.most_bytes, abs(self.wanted) * arrived * LINE_BYTES))

    def counters(self) -> dict[str, int]:
        """Those of TPP."""
        return self._rule.counters()
