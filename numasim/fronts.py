"""Sweeps that are in one node at a time: several constant loops, averaged over the front's way.

A pattern whose misses are serial is now in this node and later in that one. Averaging its node
shares into one loop would let the saturation of one node hide behind the emptiness of another (a
factor of two). Every position of the fronts is a loop of its own; times add up by shares of work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np

from numasim.queueing import Answer, Barrier, Loop, Resources, settle

MAX_JOINT_STATES = 64
"""Joint positions of all fronts that are solved one by one; beyond it one front moves at a time
while the others are averaged."""
_AVERAGE = -1
_SWEEPS = 60


@dataclass
class Part:
    """What an operation, or a part of it, takes: fixed time, waits and bytes per resource."""

    fixed_ns: float
    waits: np.ndarray
    loads: np.ndarray

    def plus(self, other: Part, times: float = 1.0) -> Part:
        """Both together, the other one ``times`` times."""
        return Part(
            self.fixed_ns + times * other.fixed_ns,
            self.waits + times * other.waits,
            self.loads + times * other.loads,
        )


@dataclass
class Actor:
    """One actor of a loop, with the positions of its fronts.

    Attributes
    ----------
    threads, pace_per_ns : float
    base : Part
        What does not depend on any front.
    modes : list of (float, Part)
        Share of an operation's work, and what a whole operation at that position would add.
    barriers : list of (float, float64[K], float64[K, R])
        Rounds, idle latencies and waits, as in `queueing.Barrier`.
    """

    threads: float
    pace_per_ns: float
    base: Part
    modes: list[tuple[float, Part]] = field(default_factory=list)
    barriers: list[tuple[float, np.ndarray, np.ndarray]] = field(default_factory=list)

    def part(self, mode: int) -> Part:
        """What an operation takes with the fronts at that position, or on average."""
        if mode == _AVERAGE:
            total = self.base
            for share, part in self.modes:
                total = total.plus(part, share)
            return total
        return self.base.plus(self.modes[mode][1]) if self.modes else self.base

    @property
    def shares(self) -> np.ndarray:
        """Share of the work at every position, float64[K]."""
        return np.array([share for share, _ in self.modes] or [1.0])


@dataclass(frozen=True)
class Mixed:
    """What all positions together give; delays and utilisations are averages over time."""

    rate_per_ns: np.ndarray
    time_ns: np.ndarray
    variance_ns2: np.ndarray
    delay_ns: np.ndarray
    residual: float
    iterations: int


def mix(
    resources: Resources,
    actors: list[Actor],
    background: np.ndarray,
    start_delay_ns: np.ndarray | float | None = None,
) -> Mixed:
    """Solve the loops of all positions and average them.

    Parameters
    ----------
    resources : Resources
    actors : list of Actor
    background : float64[R]
        Bytes per ns that are there anyway.
    start_delay_ns : float64[R] or float, optional
        Delays to start every search from; for tests.

    Returns
    -------
    Mixed

    Notes
    -----
    Assumption: fronts of different actors are at independent positions, each there for as long as
    its share of the work takes.
    """
    states = _states([len(actor.shares) for actor in actors])
    answers = [_solve(resources, actors, state, background, start_delay_ns) for state in states]
    if len(states) == 1:
        only = answers[0]
        none = np.zeros(len(actors))
        return Mixed(
            only.rate_per_ns, only.time_ns, none, only.delay_ns, only.residual, only.iterations
        )
    rates = np.array([answer.rate_per_ns for answer in answers])
    times = np.array([answer.time_ns for answer in answers])
    delays = np.array([answer.delay_ns for answer in answers])
    presence = _presence(actors, states, rates)
    rate, time, variance = np.empty((3, len(actors)))
    for k, actor in enumerate(actors):
        pace = _at_positions(k, actor, states, presence, rates)
        at = _at_positions(k, actor, states, presence, times)
        rate[k] = min(1 / np.sum(actor.shares / pace), actor.pace_per_ns)
        time[k] = actor.shares @ at
        variance[k] = actor.shares @ (at - time[k]) ** 2
    chance = np.array([_chance(state, presence) for state in states])
    return Mixed(
        rate, time, variance, chance @ delays / chance.sum(),
        max(answer.residual for answer in answers), max(answer.iterations for answer in answers),
    )  # fmt: skip


def _states(sizes: list[int]) -> list[tuple[int, ...]]:
    """Which positions to solve: all joint ones, or one actor's at a time."""
    if prod(sizes) <= MAX_JOINT_STATES:
        return list(product(*(range(size) for size in sizes)))
    resting = [_AVERAGE if size > 1 else 0 for size in sizes]
    return [
        tuple(mode if j == k else other for j, other in enumerate(resting))
        for k, size in enumerate(sizes)
        if size > 1
        for mode in range(size)
    ]


def _solve(
    resources: Resources,
    actors: list[Actor],
    state: tuple[int, ...],
    background: np.ndarray,
    start_delay_ns: np.ndarray | float | None,
) -> Answer:
    parts = [actor.part(mode) for actor, mode in zip(actors, state, strict=True)]
    size = (len(actors), len(resources.names))
    loop = Loop(
        threads=np.array([actor.threads for actor in actors]),
        pace_per_ns=np.array([actor.pace_per_ns for actor in actors]),
        fixed_ns=np.array([part.fixed_ns for part in parts]),
        waits=np.array([part.waits for part in parts]).reshape(size),
        loads=np.array([part.loads for part in parts]).reshape(size),
        background=background,
        barriers=[
            Barrier(k, *barrier) for k, actor in enumerate(actors) for barrier in actor.barriers
        ],
    )
    return settle(resources, loop, start_delay_ns)


def _presence(
    actors: list[Actor], states: list[tuple[int, ...]], rates: np.ndarray
) -> list[np.ndarray]:
    """Share of time every actor's fronts are at each position."""
    presence = [actor.shares for actor in actors]
    for _ in range(_SWEEPS):
        moved = 0.0
        for k, actor in enumerate(actors):
            if len(actor.shares) == 1:
                continue
            stay = actor.shares / _at_positions(k, actor, states, presence, rates)
            stay /= stay.sum()
            moved = max(moved, float(np.max(np.abs(stay - presence[k]))))
            presence[k] = stay
        if moved < 1e-14:
            break
    return presence


def _at_positions(
    k: int,
    actor: Actor,
    states: list[tuple[int, ...]],
    presence: list[np.ndarray],
    values: np.ndarray,
) -> np.ndarray:
    """Mean of actor k's column of ``values`` at each of its positions, over where others are."""
    total = np.zeros(len(actor.shares))
    weight = np.zeros(len(actor.shares))
    for state, row in zip(states, values, strict=True):
        if state[k] == _AVERAGE:
            continue
        chance = _chance(state, presence, leave_out=k)
        total[state[k]] += chance * row[k]
        weight[state[k]] += chance
    return total / weight


def _chance(state: tuple[int, ...], presence: list[np.ndarray], leave_out: int = -1) -> float:
    return prod(
        float(presence[j][mode])
        for j, mode in enumerate(state)
        if j != leave_out and mode != _AVERAGE
    )
