"""Alto's thread: measures what a miss costs after overlap, and hands the throttle on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numasim.agents import Agent, Stage
from numasim.hotness.throttle import StallCounters, Throttle
from numasim.hotness.worker import Worker


class Alto(Worker):
    """Measures once a period and throttles others.

    Parameters
    ----------
    stage : Stage
    throttle : Throttle
    own : sequence of Agent
        Of the policy beneath. Those that have a `throttle` take their budgets from it; if none
        has, promotions are refused one by one where pages are moved.
    now_ns : int
    period_ns : int
    accessor : int
    """

    def __init__(
        self,
        stage: Stage,
        throttle: Throttle,
        own: Sequence[Agent],
        now_ns: int,
        period_ns: int,
        accessor: int,
    ) -> None:
        super().__init__(stage, "alto", now_ns, period_ns)
        self.throttle, self._accessor = throttle, accessor
        actors = [a for a in stage.actors if a.accessor == accessor]
        clock_ghz = stage.topology.accessors[accessor].clock_ghz
        self.stalls = StallCounters(actors, clock_ghz)
        self.cycles, self.refused = 0.0, 0
        willing = [agent for agent in own if hasattr(agent, "throttle")]
        for agent in willing:
            agent.throttle = throttle
        if not willing:
            self._before = stage.migrator.allowed
            stage.migrator.allowed = self.allowed

    def counters(self) -> dict[str, int]:
        """Amortised latency in cycles, share of promotions let through, folios refused."""
        return {
            "amortised_cycles": round(self.cycles),
            "promotion_share_bp": round(self.throttle.share * 10_000),
            "refused_folios": self.refused,
        }

    def step(self, now_ns: int) -> int:
        """Measure."""
        self.cycles = self.stalls.amortised_latency()
        self.throttle.measure(self.cycles)
        return 0

    def allowed(self, heads: np.ndarray, target: int, cause: str) -> np.ndarray:
        """Which folios may go to a node: of promotions the first, as many as the share says.

        Parameters
        ----------
        heads : int64[N]
        target : int
        cause : str

        Returns
        -------
        bool[N]
        """
        free = np.ones(len(heads), bool)
        if self._before is not None:
            free = self._before(heads, target, cause)
        latency_ns = self.stage.topology.idle_latency_ns[self._accessor]
        promoted = np.flatnonzero(
            free & (latency_ns[target] < latency_ns[self.stage.nodes_of(heads)])
        )
        refused = promoted[self.throttle.take(len(promoted)) :]
        free[refused] = False
        self.refused += len(refused)
        return free
