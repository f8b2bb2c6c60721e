"""Latency balancing: which share of accesses should move between two tiers, and which way.

Loaded latencies follow from occupancy and rate by Little's law; a binary search with two watermarks
finds the share of accesses at which they are equal, and follows when it moves. Source: Colloid
(SOSP'24), policies specification section 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

LINE_BYTES = 64


@dataclass
class Balance:
    """State of the search.

    Parameters
    ----------
    idle_ns : float64[2]
        Unloaded latencies of the default and the alternate tier, for a tier never read yet.
    weight : float
        Of a new measurement in the moving averages.
    tolerance : float
        No move while the higher latency is at most so much above the lower (delta).
    collapsed : float
        A bracket narrower than this is opened again (epsilon).
    most_bytes : int
        Moved in one step.

    Attributes
    ----------
    share : float
        Of reads that go to the default tier (p).
    latency_ns : float64[2]
        As measured.

    Notes
    -----
    Assumption: the side that opens when the bracket has collapsed is the one that lies in the
    direction of the move; the specification marks it as remembered.
    """

    idle_ns: np.ndarray
    weight: float = 0.0625
    tolerance: float = 0.05
    collapsed: float = 0.01
    most_bytes: int = 100 << 20
    low: float = 0.0
    high: float = 1.0
    share: float = 1.0
    latency_ns: np.ndarray = field(default_factory=lambda: np.zeros(2))
    _mean: np.ndarray | None = None

    def measure(self, occupied: np.ndarray, arrived: np.ndarray) -> None:
        """Take up a measurement.

        Parameters
        ----------
        occupied : float64[2]
            Lines in flight summed over time (lines x ns), default tier first.
        arrived : float64[2]
            Lines.
        """
        new = np.stack([occupied, arrived])
        if self._mean is None:
            self._mean = new
        self._mean = self._mean + self.weight * (new - self._mean)
        flight, rate = self._mean
        if rate.sum() > 0:
            measured = np.divide(flight, rate, out=np.zeros(2), where=rate > 0)
            self.latency_ns = np.where(rate > 0, measured, self.idle_ns)
            self.share = float(rate[0] / rate.sum())

    def counters(self) -> dict[str, int]:
        """Share of the default tier in basis points, latencies as measured in ns."""
        here, there = self.latency_ns.tolist()
        return {
            "default_share_bp": round(self.share * 10_000),
            "default_latency_ns": round(here),
            "alternate_latency_ns": round(there) if np.isfinite(there) else 0,
        }

    def decide(self) -> float:
        """The change of `share` that is wanted now, in -1..1."""
        here, there = self.latency_ns.tolist()
        if max(here, there) <= (1 + self.tolerance) * min(here, there):
            return 0.0
        inward = here < there
        if inward:
            self.low = self.share
        else:
            self.high = self.share
        if self.high < self.low + self.collapsed:
            if inward:
                self.high = 1.0
            else:
                self.low = 0.0
        wanted = abs((self.low + self.high) / 2 - self.share)
        return wanted if inward else -wanted


def hottest_that_fit(weights: np.ndarray, most: float, most_nr: int) -> np.ndarray:
    """Which units to move: hottest first, as long as each fits into what is left.

    Parameters
    ----------
    weights : float64[N]
        Access probability of each candidate; those without accesses are left out.
    most : float
        Sum that must not be exceeded.
    most_nr : int

    Returns
    -------
    int64[<=most_nr]
        Indices, hottest first; at equal weight the first.
    """
    order = np.argsort(-weights, kind="stable")
    falling = -weights[order]
    end = int(np.searchsorted(falling, 0.0))
    chosen: list[int] = []
    at = 0
    while len(chosen) < most_nr:
        at = max(at, int(np.searchsorted(falling, -most)))
        if at >= end:
            break
        run = order[at : at + most_nr - len(chosen)]
        run = run[: max(0, end - at)]
        total = np.cumsum(weights[run])
        fits = int(np.searchsorted(total, most, "right"))
        if fits == 0:
            break
        chosen += run[:fits].tolist()
        most -= float(total[fits - 1])
        at += fits
    return np.array(chosen, np.int64)
