"""Counters of the memory path, as uncore hardware keeps them: requests in flight, and their rate.

A socket's home agents count, for each tier, reads that arrive and reads in flight summed over time.
Both follow from the cost model: in a stretch of constant speed, reads arrive at the rate of misses
and each is in flight for the loaded latency.
"""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage


class TierCounters:
    """Reads of one accessor's actors by node, integrated since the counters were last read.

    Parameters
    ----------
    stage : Stage
    accessor : int
        Whose socket counts.

    Notes
    -----
    Assumption: counters see the reads of all programs on the accessor, not the few of migrations,
    which the model puts on the nodes alone. Between two readings the latency is that of the later
    one; whoever changes speeds reads before he does.
    """

    def __init__(self, stage: Stage, accessor: int) -> None:
        self._stage, self._accessor = stage, accessor
        nr = len(stage.topology.nodes)
        self._lines = self._now()
        self._occupied, self._arrived = np.zeros(nr), np.zeros(nr)

    def _now(self) -> np.ndarray:
        own = [a.lines for a in self._stage.actors if a.accessor == self._accessor]
        found: np.ndarray = (
            np.sum(own, axis=0) if own else np.zeros(len(self._stage.topology.nodes))
        )
        return found

    def accumulate(self) -> None:
        """Bring the counters up to now, before anything changes."""
        lines = self._now()
        latency_ns = self._stage.observing.latency_ns[self._accessor]
        self._arrived += lines - self._lines
        self._occupied += (lines - self._lines) * latency_ns
        self._lines = lines

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Occupancy x time (lines x ns) and arrivals (lines) by node, float64[N]; set to zero."""
        self.accumulate()
        found = self._occupied, self._arrived
        self._occupied, self._arrived = np.zeros_like(found[0]), np.zeros_like(found[1])
        return found
