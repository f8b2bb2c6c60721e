"""Fewer promotions where misses overlap well: Alto's step function of amortised latency.

A miss whose latency is hidden behind others costs little wherever its page lies. Source: SOAR and
Alto (OSDI'25), policies specification section 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actors import ActorState


@dataclass
class Throttle:
    """The share of promotions that is let through, and what of it has been used.

    Parameters
    ----------
    low, high : float
        Amortised latency, in cycles, from below which nothing is promoted, and above which all is.
    steps : int
        Equal steps between.

    Attributes
    ----------
    share : float

    Notes
    -----
    Assumption: the steps between the two thresholds are equal; their number is not published in
    what the specification has seen. Before anything was measured all is let through.
    """

    low: float
    high: float
    steps: int = 4
    share: float = 1.0
    _credit: float = 0.0

    def measure(self, cycles: float) -> float:
        """Take up the amortised latency of the last second; the new share."""
        if cycles < self.low:
            self.share = 0.0
        elif cycles >= self.high:
            self.share = 1.0
        else:
            done = int((cycles - self.low) / (self.high - self.low) * self.steps)
            self.share = done / self.steps
        return self.share

    def take(self, nr: int) -> int:
        """How many of `nr` promotions may go; parts of one are kept for the next time."""
        self._credit = min(self._credit, 1.0) + nr * self.share
        allowed = min(nr, int(self._credit))
        self._credit -= allowed
        return allowed


class StallCounters:
    """Cycles in which a core waits for at least one missing load, and the misses.

    Parameters
    ----------
    actors : sequence of ActorState
        Those of one accessor.
    clock_ghz : float

    Notes
    -----
    The model's operation computes, then waits for its misses: what is left of an operation's time
    is the time with at least one miss outstanding. Assumption: a phase's computing time holds for
    all operations since the last reading.
    """

    def __init__(self, actors: list[ActorState], clock_ghz: float) -> None:
        self._actors, self._clock_ghz = actors, clock_ghz
        self._before = self._now()

    def _now(self) -> np.ndarray:
        rows = [
            [a.op_times[0], a.operations, a.lines.sum() if len(a.lines) else 0.0]
            for a in self._actors
        ]
        return np.array(rows, float).reshape(-1, 3)

    def amortised_latency(self) -> float:
        """Cycles per miss since the last reading (AOL); 0 where nothing missed."""
        now = self._now()
        times, done, lines = (now - self._before).T
        self._before = now
        compute = np.array([float(a.current.compute) for a in self._actors])
        waited = np.maximum(times - done * compute, 0.0)
        return float(waited.sum() / lines.sum() * self._clock_ghz) if lines.sum() > 0 else 0.0
