"""Closed-loop queueing: how fast everybody goes when all wait for the same few resources.

Each of A actors has threads that repeat operations. An operation takes a fixed time plus a wait at
every resource (a node's channel, a direction of a link), and puts bytes on it. Waiting grows with
utilisation, throughput falls with waiting; the answer is where the two agree.

The delay of a resource at utilisation rho is ::

    alpha * m*rho / (2 * (1 - m*rho))  +  beta * rho / (1 - rho)

an M/D/1 queue whose service capacity 1/m lies above the achievable peak, plus a term that diverges
at the peak. The second one makes a closed loop settle below its capacity; with beta = S / 3000 it
adds 0.1 % of the idle latency at half load, and the capacity is reached to within 0.2 %.

Uniqueness. In y = log(throughput) every equation is convex (the delays are power series with
positive coefficients). If each actor waits in proportion to the load it brings (all its misses
have one parallelism), the equations are the gradient of one strictly convex function, a form of
proportional fairness, so that there is exactly one answer. With several parallelisms, or barriers,
several answers are possible in principle (two actors that each stream where the other chases
pointers); the solver then still gives one, the one found from its fixed start: no history.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_MAX_ITERATIONS = 80
_MAX_HALVINGS = 40
_STEP_TOLERANCE = 1e-13
_NEARLY_FULL = 1 - 1e-13


@dataclass(frozen=True)
class Resources:
    """Things that are shared and can fill up. All arrays have one entry per resource.

    Attributes
    ----------
    names : tuple of str
    capacity : float64[R]
        Bytes per ns.
    alpha, beta : float64[R]
        Weights of the two terms of the delay, ns.
    scale : float64[R]
        m: capacity over service capacity, below 1.
    """

    names: tuple[str, ...]
    capacity: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    scale: np.ndarray

    def delay_ns(self, rho: np.ndarray) -> np.ndarray:
        """Queueing delay of every resource at utilisation ``rho`` (float64[R], below 1)."""
        inner = self.scale * rho
        delay: np.ndarray = self.alpha * inner / (2 * (1 - inner)) + self.beta * rho / (1 - rho)
        return delay

    def slope_ns(self, rho: np.ndarray) -> np.ndarray:
        """Derivative of `delay_ns` with respect to utilisation."""
        inner = self.scale * rho
        md1 = self.alpha * self.scale / (2 * (1 - inner) ** 2)
        slope: np.ndarray = md1 + self.beta / (1 - rho) ** 2
        return slope


@dataclass(frozen=True)
class Barrier:
    """Misses of one actor of which only those to the slowest node count.

    Attributes
    ----------
    actor : int
    rounds : float
        Misses per operation over parallelism.
    idle_ns : float64[K]
        Idle latency of each node used.
    waits : float64[K, R]
        How often one miss to that node waits for each resource.
    """

    actor: int
    rounds: float
    idle_ns: np.ndarray
    waits: np.ndarray


@dataclass
class Loop:
    """One closed-loop problem of A actors and R resources.

    Attributes
    ----------
    threads : float64[A]
        Threads that make progress at once, above 0.
    pace_per_ns : float64[A]
        Most operations per ns; may be infinite.
    fixed_ns : float64[A]
        Time per operation without any waiting.
    waits : float64[A, R]
        Times an operation waits for each resource, divided by its parallelism.
    loads : float64[A, R]
        Bytes an operation puts on each resource.
    background : float64[R]
        Bytes per ns that are there anyway, below capacity.
    barriers : list of Barrier
    """

    threads: np.ndarray
    pace_per_ns: np.ndarray
    fixed_ns: np.ndarray
    waits: np.ndarray
    loads: np.ndarray
    background: np.ndarray
    barriers: list[Barrier] = field(default_factory=list)

    def times(self, delay_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Time per operation (float64[A]) and its derivative to every delay (float64[A, R])."""
        total = self.fixed_ns + self.waits @ delay_ns
        weights = self.waits
        if self.barriers:
            weights = weights.copy()
            for barrier in self.barriers:
                latency = barrier.idle_ns + barrier.waits @ delay_ns
                slowest = int(np.argmax(latency))
                total[barrier.actor] += barrier.rounds * latency[slowest]
                weights[barrier.actor] += barrier.rounds * barrier.waits[slowest]
        return total, weights


@dataclass(frozen=True)
class Answer:
    """Where a loop settles.

    Attributes
    ----------
    rate_per_ns : float64[A]
        Operations per ns.
    time_ns : float64[A]
        Time one thread needs for an operation.
    delay_ns, utilisation : float64[R]
    residual : float
        Largest relative disagreement left.
    iterations : int
    """

    rate_per_ns: np.ndarray
    time_ns: np.ndarray
    delay_ns: np.ndarray
    utilisation: np.ndarray
    residual: float
    iterations: int


def settle(resources: Resources, loop: Loop, start_per_ns: np.ndarray | None = None) -> Answer:
    """Solve a loop: Newton's method on log throughputs, kept inside the capacities.

    Parameters
    ----------
    resources : Resources
    loop : Loop
    start_per_ns : float64[A], optional
        Throughputs to start from; for tests. The answer does not depend on it where it is unique.

    Returns
    -------
    Answer
    """
    log_rate = np.log(_inside(resources, loop, start_per_ns))
    state = _State(resources, loop, log_rate)
    iterations = 0
    while iterations < _MAX_ITERATIONS:
        iterations += 1
        step = state.newton_step()
        after = _line_search(resources, loop, state, step)
        moved = float(np.max(np.abs(after.log_rate - state.log_rate), initial=0.0))
        state = after
        if moved <= _STEP_TOLERANCE:
            break
    return Answer(
        rate_per_ns=np.exp(state.log_rate),
        time_ns=state.time_ns,
        delay_ns=state.delay_ns,
        utilisation=state.rho,
        residual=float(np.max(np.abs(state.gap), initial=0.0)),
        iterations=iterations,
    )


class _State:
    """One trial point: throughputs, the delays they cause, and how far both disagree."""

    def __init__(self, resources: Resources, loop: Loop, log_rate: np.ndarray) -> None:
        self.resources, self.loop, self.log_rate = resources, loop, log_rate
        self.rate = np.exp(log_rate)
        self.rho = (loop.background + self.rate @ loop.loads) / resources.capacity
        self.feasible = bool(np.all(self.rho < _NEARLY_FULL))
        if not self.feasible:
            self.merit = np.inf
            return
        self.delay_ns = resources.delay_ns(self.rho)
        self.time_ns, self._weights = loop.times(self.delay_ns)
        busy = log_rate + np.log(self.time_ns / loop.threads)
        held = log_rate - np.log(loop.pace_per_ns)
        self._paced = held > busy
        self.gap = np.where(self._paced, held, busy)
        self.merit = float(self.gap @ self.gap)

    def newton_step(self) -> np.ndarray:
        slope = self.resources.slope_ns(self.rho) / self.resources.capacity
        gain = (self._weights * slope) @ (self.loop.loads.T * self.rate)
        matrix = gain / self.time_ns[:, None]
        matrix[self._paced] = 0.0
        matrix[np.diag_indices_from(matrix)] += 1.0
        step: np.ndarray = np.linalg.solve(matrix, -self.gap)
        return step


def _inside(resources: Resources, loop: Loop, start_per_ns: np.ndarray | None) -> np.ndarray:
    """A starting point that fits all capacities; from idle speeds unless another is given."""
    if start_per_ns is None:
        rate = np.minimum(loop.pace_per_ns, loop.threads / loop.times(0 * resources.capacity)[0])
    else:
        rate = np.array(start_per_ns, dtype=np.float64)
    room = resources.capacity - loop.background
    wanted = (rate @ loop.loads) / room
    crowd = np.max(np.where(loop.loads > 0, wanted, 0.0), axis=1, initial=0.0)
    return rate / (1 + crowd)


def _line_search(resources: Resources, loop: Loop, state: _State, step: np.ndarray) -> _State:
    """The next point along a Newton step: nearer to agreement, and below every capacity."""
    length = min(1.0, 8.0 / max(float(np.max(np.abs(step), initial=0.0)), 1e-300))
    smallest = _STEP_TOLERANCE / 4
    best = state
    for _ in range(_MAX_HALVINGS):
        trial = _State(resources, loop, state.log_rate + length * step)
        if trial.merit < best.merit:
            return trial
        if length * float(np.max(np.abs(step), initial=0.0)) < smallest:
            break
        length *= 0.5
    return best
