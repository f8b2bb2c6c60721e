"""Caption's tuner: which share of new pages goes to the slow tier, by trying.

Source: Caption (MICRO'23), by notes of it; policies specification section 8.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import gcd

import numpy as np

from numasim.agents import Stage
from numasim.hotness.worker import Worker
from numasim.mapping import Mempolicy
from numasim.topology import Topology

WINDOW = 5
"""Samples of the moving average; a step is judged when all of them are its own."""
PARTS = 100


@dataclass
class RatioTuner:
    """A greedy walk: go on while it gets better, else turn round with half the step.

    Parameters
    ----------
    ratio : float
        Share of new pages for the slow tier.
    step : float
        The next change of it.
    least : float
        No step is smaller.

    Notes
    -----
    Assumption: at 0 and at 1 the walk turns round without halving.
    """

    ratio: float
    step: float
    least: float = 0.09
    _best: float | None = None

    def judge(self, estimate: float) -> float:
        """Take up the throughput that was estimated at the present ratio; the next ratio."""
        if self._best is not None and estimate < self._best:
            half = max(abs(self.step) / 2, self.least)
            self.step = -half if self.step > 0 else half
        self._best = estimate
        if not 0.0 <= self.ratio + self.step <= 1.0 and self.ratio in (0.0, 1.0):
            self.step = -self.step
        self.ratio = min(max(self.ratio + self.step, 0.0), 1.0)
        return self.ratio


@dataclass
class Estimator:
    """A linear estimate of throughput from counters, each relative to its first window.

    Parameters
    ----------
    weights : (float, float, float)
        Of instructions per cycle, and of (minus) the latencies of first-level misses and of reads
        from the default tier.
    """

    weights: tuple[float, float, float]
    _samples: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _first: np.ndarray | None = None

    def add(self, counters: np.ndarray) -> None:
        """A sample of the three counters, float64[3]."""
        self._samples.append(counters)

    def estimate(self) -> float | None:
        """The estimate from a full window, after which a new one begins; None before."""
        if len(self._samples) < WINDOW:
            return None
        mean = np.mean(self._samples, axis=0)
        self._samples.clear()
        if self._first is None:
            self._first = np.where(mean > 0, mean, 1.0)
        return float(np.array(self.weights) * [1.0, -1.0, -1.0] @ (mean / self._first))


def split_policy(topology: Topology, accessor: int, ratio: float) -> Mempolicy:
    """First touch that gives a share of pages to the second tier of an accessor.

    Parameters
    ----------
    topology : Topology
    accessor : int
    ratio : float

    Returns
    -------
    Mempolicy
        Weights are hundredths in lowest terms.
    """
    slow = round(ratio * PARTS)
    fast, other = (topology.nodes[n].name for n in topology.tiers(accessor)[:2])
    if slow in (0, PARTS):
        return Mempolicy(mode="preferred", nodes=(other if slow else fast,))
    by = gcd(slow, PARTS)
    weights = ((PARTS - slow) // by, slow // by)
    return Mempolicy(mode="weighted_interleave", nodes=(fast, other), weights=weights)


class Tuned(Worker):
    """The thread that reads counters and sets the weights for pages to come.

    Parameters
    ----------
    stage : Stage
    tuner : RatioTuner
    estimator : Estimator
    now_ns : int
    period_ns : int
    accessor : int

    Notes
    -----
    Instructions per cycle of the running threads go with operations per second and thread, as an
    operation's instructions are always the same.
    """

    def __init__(
        self,
        stage: Stage,
        tuner: RatioTuner,
        estimator: Estimator,
        now_ns: int,
        period_ns: int,
        accessor: int,
    ) -> None:
        super().__init__(stage, "caption", now_ns, period_ns)
        self.tuner, self._estimator, self._accessor = tuner, estimator, accessor
        self._before = self._now()

    def _now(self) -> np.ndarray:
        own = [a for a in self.stage.actors if a.accessor == self._accessor]
        rows = [[a.operations, a.lines.sum() if len(a.lines) else 0.0, a.line_wait_ns] for a in own]
        found: np.ndarray = np.array(rows, float).reshape(-1, 3)
        return found

    def counters(self) -> dict[str, int]:
        """Share of new pages for the slow tier, in basis points."""
        return {"slow_share_bp": round(self.tuner.ratio * 10_000)}

    def step(self, now_ns: int) -> int:
        """Read the counters; after a full window, judge the ratio and set the next."""
        now = self._now()
        done, lines, waited = (now - self._before).T
        self._before = now
        if not done.any():
            return 0
        running = [a for a in self.stage.actors if a.accessor == self._accessor and a.rate_per_ns]
        threads = max(1, sum(a.actor.threads for a in running))
        misses = waited.sum() / lines.sum() if lines.sum() > 0 else 0.0
        near = self.stage.topology.tiers(self._accessor)[0]
        default_ns = self.stage.observing.latency_ns[self._accessor, near]
        self._estimator.add(np.array([done.sum() / threads / self.period_ns, misses, default_ns]))
        estimate = self._estimator.estimate()
        if estimate is not None:
            ratio = self.tuner.judge(estimate)
            new = split_policy(self.stage.topology, self._accessor, ratio)
            for pages in self.stage.space.mappings:
                if pages.mapping.policy.mode == "local":
                    self.stage.policies[pages.first] = new
        return 0
