"""What hint faults will take of threads' time, before they come: storms that stop a program.

A page that is armed and hot faults at once. Faults take a thread longer than its accesses do, so
that armed memory lets a program get on only as fast as its faults are handled. What it touches in
a window follows from its progress, and its progress from what faults leave of the window: both are
found together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.agents import Stage
from numasim.balancing.hinting import Ahead, Hinting

AHEAD = 0.25
"""Share of a window that faults at full speed would have to take to be paid while they come; less
is paid afterwards. Below it the two differ by nothing that could be seen."""
STEPS = 12  # halvings: progress is found to a part in 4,000
LEAST = 1e-6
SETTLED = 64  # faults after which a mean cost counts as known


@dataclass(frozen=True)
class Runner:
    """An actor at the speed it would have if nothing stopped it.

    Parameters
    ----------
    index : int
    operations : float
        In the window.
    work_ns : float
        Thread time that they take.
    thread_ns, free_ns : float
        Thread time of the window, all and what nothing owed before has claimed.
    """

    index: int
    operations: float
    work_ns: float
    thread_ns: float
    free_ns: float


class Foresight:
    """Foresees how many threads faults will keep busy.

    Parameters
    ----------
    stage : Stage

    Attributes
    ----------
    fault_ns : float64[A]
        Thread time that a fault of each actor took of late, with what it decided.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.fault_ns = np.full(len(stage.actors), float(stage.costs.hint_fault))

    def learn(self, actor: np.ndarray, took_ns: np.ndarray) -> None:
        """Faults of actors (int64[N]) took so much thread time (float64[A])."""
        nr = np.bincount(actor, minlength=len(self.fault_ns)).astype(float)
        weight = nr / (nr + SETTLED)
        own = np.flatnonzero(nr)
        news = took_ns[own] / nr[own]
        self.fault_ns[own] += weight[own] * (news - self.fault_ns[own])

    def threads(self, hinting: Hinting, now_ns: int, span_ns: int) -> np.ndarray:
        """Threads of each actor that faults will keep busy in the window that begins now.

        Parameters
        ----------
        hinting : Hinting
        now_ns, span_ns : int

        Returns
        -------
        float64[A]
            0 where they take less than `AHEAD` of the threads' time.

        Notes
        -----
        Actors that touch the same armed pages are taken to be held up alike.
        """
        found = np.zeros(len(self._stage.actors))
        if not hinting.nr_armed or span_ns <= 0:
            return found
        runners = [one for one in self._runners(now_ns, span_ns) if self._matters(hinting, one)]
        if not runners:
            return found
        ahead = hinting.ahead({one.index: one.operations for one in self._runners(now_ns, span_ns)})
        for one in runners:
            whole = self._cost_ns(ahead, one, 1.0)
            if whole <= AHEAD * one.thread_ns:
                continue
            busy_ns = whole
            if one.work_ns + whole > one.free_ns:
                busy_ns = one.free_ns - self._progress(ahead, one) * one.work_ns
                busy_ns = max(busy_ns, LEAST * one.thread_ns)  # who only pays debts is held up too
            found[one.index] = busy_ns / span_ns
        return found

    def _runners(self, now_ns: int, span_ns: int) -> list[Runner]:
        stage = self._stage
        debts = np.maximum(stage.observing.tolls.debt(now_ns), 0.0)
        found = []
        for actor in stage.actors:
            op_ns = float(actor.op_ns[0])
            if actor.state != "running" or actor.course is not None or op_ns <= 0:
                continue
            threads = float(actor.actor.threads)
            pace = actor.current.pace
            speed = min(threads / op_ns, np.inf if pace is None else pace / 1e9)
            free = max(threads - float(debts[actor.index]), 0.0)
            found.append(Runner(
                actor.index, speed * span_ns, speed * op_ns * span_ns, threads * span_ns,
                free * span_ns,
            ))  # fmt: skip
        return found

    def _matters(self, hinting: Hinting, one: Runner) -> bool:
        most_ns = float(self.fault_ns[one.index]) * hinting.nr_armed
        return most_ns > AHEAD * one.thread_ns

    def _cost_ns(self, ahead: Ahead, one: Runner, progress: float) -> float:
        return float(self.fault_ns[one.index] * ahead.nr(one.index, progress))

    def _progress(self, ahead: Ahead, one: Runner) -> float:
        """Share of its operations that an actor gets done beside the faults that they meet."""
        low, high = 0.0, 1.0
        for _ in range(STEPS):
            middle = (low + high) / 2
            fits = middle * one.work_ns + self._cost_ns(ahead, one, middle) <= one.free_ns
            low, high = (middle, high) if fits else (low, middle)
        return low
