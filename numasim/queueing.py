"""Closed-loop queueing: how fast everybody goes when all wait for the same few resources.

Each of A actors has threads that repeat operations. An operation takes a fixed time plus a wait at
every resource (a node's channel, a direction of a link), and puts bytes on it. Waiting grows with
utilisation, throughput falls with waiting; the answer is where the two agree.

The delay of a resource at utilisation rho is ::

    alpha * m*rho / (2 * (1 - m*rho))  +  beta * rho / (1 - rho)

an M/D/1 queue whose service capacity 1/m lies above the achievable peak, plus a term that diverges
at the peak. The second one makes a closed loop settle below its capacity; with beta = S / 3000 it
adds 0.1 % of the idle latency at half load, and the capacity is reached to within 0.2 %.

Uniqueness. If each actor waits in proportion to the load it brings (all its misses have one
parallelism and one share of writes), the delays minimise one strictly convex function, and the
throughputs are proportionally fair: there is exactly one answer. With several parallelisms, or
barriers, more than one is possible in principle (two actors that each stream where the other
chases pointers), though none was met in thousands of random machines; the search always starts
from an idle machine, so that the answer depends on the question and on no history.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from statistics import NormalDist

import numpy as np

_MAX_ITERATIONS = 60
_MAX_HALVINGS = 12
_PATIENCE = 16  # iterations after which a slow search gets a turn of bisection
_TOLERANCE = 1e-13
_ROUNDING = 4e-16
_STALLED = 1e-12
_MOST_NS = 1e12
_LARGE_SHAPE = 64.0  # from here on the expansion is right to 1e-12 between chances 0.1 and 0.99
_EXPANSION = (  # see `gamma_quantile`; every second power of z, from z or z^0 on
    (1,),
    (-1 / 3, 1 / 3),
    (-7 / 36, 1 / 36),
    (8 / 405, -7 / 810, -1 / 270),
    (-433 / 38880, 8 / 1215, 1 / 4320),
    (184 / 25515, -923 / 204120, -1 / 840, 1 / 17010),
    (289717 / 146966400, 289517 / 146966400, -1451 / 48988800, -139 / 5443200),
    (2248 / 3444525, -104989 / 55112400, -151 / 874800, 769 / 9185400, 1 / 204120),
    (
        *(1500053 / 846526464, 219257 / 661348800, -30469 / 235146240, -1087 / 41990400),
        -571 / 2351462400,
    ),
    (
        *(-19006408 / 15345358875, -96026707 / 280600848000, 101251277 / 654735312000),
        *(997903 / 15588936000, 49271 / 15588936000, -281 / 1515591000),
    ),
)


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

    def utilisation(self, delay_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of `delay_ns`: utilisation at which each delay is reached, and its slope."""
        linear, offset, least = self._quadratic
        root = np.hypot(delay_ns * (1 - self.scale) + offset, least)
        rho = 2 * delay_ns / (linear + delay_ns * (1 + self.scale) + root)
        return rho, (1 - self.scale * rho) * (1 - rho) / root

    @cached_property
    def _quadratic(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the inverse, the smaller root of a quadratic, needs of the parameters."""
        half = self.alpha * self.scale / 2
        return half + self.beta, self.beta - half, 2 * np.sqrt(half * self.beta)


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
        Largest disagreement left between load and delay, as utilisation.
    iterations : int
    """

    rate_per_ns: np.ndarray
    time_ns: np.ndarray
    delay_ns: np.ndarray
    utilisation: np.ndarray
    residual: float
    iterations: int


def settle(
    resources: Resources, loop: Loop, start_delay_ns: np.ndarray | float | None = None
) -> Answer:
    """Solve a loop for its delays: Newton's method with backtracking, bisection where it stalls.

    Parameters
    ----------
    resources : Resources
    loop : Loop
    start_delay_ns : float64[R] or float, optional
        Delays to start from; for tests. Left out: an idle machine.

    Returns
    -------
    Answer

    Notes
    -----
    The delays are the unknowns because they stay well scaled when a resource is full, where a
    millionth of utilisation decides over hundreds of nanoseconds.
    """
    delay = np.zeros(len(resources.names))
    if start_delay_ns is not None:
        delay = np.where(loop.loads.any(axis=0) | (loop.background > 0), start_delay_ns, delay)
    point = _Point(resources, loop, delay)
    iterations = 0
    while iterations < _MAX_ITERATIONS and not point.settled:
        iterations += 1
        nearer = None if iterations % _PATIENCE == 0 else _newton(point)
        if nearer is None and np.abs(point.gap).max(initial=0.0) <= _STALLED:
            break  # only rounding is left
        point = nearer or _one_by_one(point)
    return Answer(
        rate_per_ns=point.rate,
        time_ns=point.time_ns,
        delay_ns=point.delay_ns,
        utilisation=point.used,
        residual=float(np.max(np.abs(point.gap), initial=0.0)),
        iterations=iterations,
    )


class _Point:
    """Trial delays, the speeds they allow, and how far the loads then are from causing them."""

    def __init__(self, resources: Resources, loop: Loop, delay_ns: np.ndarray) -> None:
        self.resources, self.loop, self.delay_ns = resources, loop, delay_ns
        self.time_ns, self._weights = loop.times(delay_ns)
        free = _over(loop.threads, self.time_ns, np.inf)  # no time at all: only a pace holds it
        self.rate = np.minimum(free, loop.pace_per_ns)
        self._waiting = np.where(free <= loop.pace_per_ns, _over(self.rate, self.time_ns, 0.0), 0.0)
        self.used = (loop.background + self.rate @ loop.loads) / resources.capacity
        rho, self._slope = resources.utilisation(delay_ns)
        self.gap = rho - self.used
        self.merit = float(self.gap @ self.gap)
        enough = _ROUNDING + _TOLERANCE * self._slope * delay_ns
        self.settled = bool((np.abs(self.gap) <= enough).all())

    def at(self, delay_ns: np.ndarray) -> _Point:
        return _Point(self.resources, self.loop, delay_ns)

    def newton_step(self) -> np.ndarray:
        loads = self.loop.loads / self.resources.capacity
        matrix = (loads * self._waiting[:, None]).T @ self._weights
        matrix.flat[:: len(self._slope) + 1] += self._slope
        step: np.ndarray = np.linalg.solve(matrix, -self.gap)
        return step


def _over(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    """The quotient, or `otherwise` where there is nothing to divide by."""
    quotient: np.ndarray = np.full(whole.shape, otherwise)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def _newton(point: _Point) -> _Point | None:
    """The next point along Newton's direction that is nearer to agreement, if any."""
    step = point.newton_step()
    for halving in range(_MAX_HALVINGS):
        moved = point.delay_ns + step * 0.5**halving
        trial = point.at(np.clip(moved, 0.1 * point.delay_ns, _MOST_NS))
        if trial.merit < point.merit:
            return trial
    return None


def _one_by_one(point: _Point) -> _Point:
    """Every delay in turn put where its own resource agrees, the others held: bisection."""
    delay = point.delay_ns.copy()
    for r in np.flatnonzero(point.used > 0):
        low, high = 0.0, max(2 * float(delay[r]), 1.0)
        while _gap_at(point, delay, int(r), high) < 0:
            low, high = high, 4 * high
        for _ in range(100):
            middle = 0.5 * (low + high)
            if _gap_at(point, delay, int(r), middle) < 0:
                low = middle
            else:
                high = middle
        delay[r] = high
    return point.at(delay)


def _gap_at(point: _Point, delay_ns: np.ndarray, resource: int, value_ns: float) -> float:
    delay_ns[resource] = value_ns
    return float(point.at(delay_ns).gap[resource])


def gamma_quantile(shape: np.ndarray, share: float) -> np.ndarray:
    """float64[N]: what gamma variates of mean 1 do not exceed with a chance of `share`.

    Parameters
    ----------
    shape : float64[N]
        Mean squared over variance.
    share : float
        Inside (0, 1).

    Notes
    -----
    Source: for large shapes a, the expansion in powers of 1 / sqrt(a) whose coefficients are
    polynomials in the normal quantile z (E. A. Cornish, R. A. Fisher, 1938). They are derived by
    comparing powers in the differential equation x'' x + (a-1) x'^2 - x'^2 x + z x x' = 0, which
    is P(a, x(z)) = Phi(z) differentiated. For small shapes scipy is asked, which takes a fifth of
    a second to come up and is rarely needed: operations are sums of many waits.
    """
    found = np.empty_like(shape)
    large = shape >= _LARGE_SHAPE
    powers = np.power.outer(shape[large], -0.5 * np.arange(1, len(_EXPANSION) + 1))
    found[large] = 1.0 + powers @ _coefficients(share)
    if not large.all():
        small = shape[~large]
        found[~large] = import_module("scipy.special").gammaincinv(small, share) / small
    return found


@cache
def _coefficients(share: float) -> np.ndarray:
    """float64[K]: coefficients of the powers of 1 / sqrt(shape)."""
    z = NormalDist().inv_cdf(share)
    rows = enumerate(_EXPANSION, 1)
    return np.array([sum(c * z ** (k % 2 + 2 * i) for i, c in enumerate(row)) for k, row in rows])
