"""What observers take from applications: faults, interrupts, drained records. Charged once.

A toll is owed when it falls due and paid by threads that do not work for so long. As speeds hold
between two settlings, what a window of sampling cost is paid over as long a time after it (a tenth
of a second at least): owed and paid differ by about one window, and by nothing in the long run.
Whoever sees what the next window will take says so (`foresee`): it is paid while it falls due.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numasim.actors import ActorState

MOST = 0.9
"""Share of an actor's threads that may pay afterwards at once; what is left stays owed."""
MOST_FORESEEN = 0.9999
"""The same where it is foreseen: threads may all but stop, as they do in storms of hint faults."""
PAY_OVER_NS = 100_000_000
"""Time over which a toll is paid, at least."""
SPARE = 0.1
TOLERANCE, LEAST = 0.02, 1e-6
"""Speeds are found anew when the paying share of threads changes by more than that."""


class Tolls:
    """Thread time owed and paid.

    Parameters
    ----------
    actors : sequence of ActorState
    now_ns : int

    Attributes
    ----------
    owed_ns, paid_ns : float64[A]
        Thread time owed so far, and paid when speeds were last found, by actor.
    paying : float64[A]
        Threads that pay now instead of working.
    foreseen : float64[A]
        Threads that will be kept busy until the next settling, whatever else is owed.
    waiting : float64[A]
        Share of each actor's other threads that waits for something else now, such as a fault of a
        GPU; whoever says so keeps the account.
    """

    def __init__(self, actors: Sequence[ActorState], now_ns: int) -> None:
        self._actors, self._since_ns, self._span_ns = actors, now_ns, PAY_OVER_NS
        self.owed_ns, self.paid_ns = np.zeros(len(actors)), np.zeros(len(actors))
        self.paying, self.foreseen = np.zeros(len(actors)), np.zeros(len(actors))
        self._foreseen_ns = now_ns
        self._threads = np.array([float(a.actor.threads) for a in actors])
        self.waiting = np.zeros(len(actors))

    def charge(self, thread_ns: np.ndarray, span_ns: int) -> None:
        """So much thread time (float64[A]) fell due in a window of that length."""
        self.owed_ns += thread_ns
        self._span_ns = max(PAY_OVER_NS, span_ns)

    def foresee(self, threads: np.ndarray, now_ns: int) -> None:
        """So many threads (float64[A]) will be busy from now on with what is charged later.

        Beside what is owed already; an actor of whom anything is foreseen may all but stop. What
        was foreseen until now has been charged.
        """
        self.foreseen, self._foreseen_ns = threads, now_ns

    def debt(self, now_ns: int) -> np.ndarray:
        """float64[A]: threads that would pay what is owed by now, if nothing more came."""
        owed = self.owed_ns + self.foreseen * (now_ns - self._foreseen_ns)
        left: np.ndarray = (owed - self.paid_by(now_ns)) / self._span_ns
        return left

    def settled(self, now_ns: int) -> None:
        """Speeds are found anew: what was paid since the last time, who pays from now on."""
        running = np.array([a.state == "running" and a.course is None for a in self._actors])
        self.paid_ns = self.paid_by(now_ns)
        self._since_ns = now_ns
        self.paying = np.where(running, self._due(now_ns), 0.0)

    def paid_by(self, now_ns: int) -> np.ndarray:
        """float64[A]: thread time paid by now."""
        paid: np.ndarray = self.paid_ns + self.paying * (now_ns - self._since_ns)
        return paid

    def _due(self, now_ns: int) -> np.ndarray:
        """float64[A]: threads that should pay."""
        most = np.where(self.foreseen > 0, MOST_FORESEEN, MOST) * self._threads
        due: np.ndarray = np.clip(self.debt(now_ns) + self.foreseen, 0.0, most)
        return due

    def changed(self, now_ns: int) -> bool:
        """Whether others should pay than do, by enough to find speeds anew."""
        gap = np.abs(self._due(now_ns) - self.paying)
        return bool((gap > np.maximum(TOLERANCE * self.paying, LEAST * self._threads)).any())

    def paid_off_ns(self) -> float:
        """When somebody will have paid all that is owed, and a little more; infinite if nobody.

        The little (a tenth of what falls due in a window) lets the next window's toll come first:
        only where none comes, as when a source was switched off, does paying have to be stopped.
        Who pays what is foreseen goes on until somebody foresees anew.
        """
        if not (payers := np.flatnonzero((self.paying > 0) & (self.foreseen == 0))).size:
            return np.inf
        left = np.maximum(self.owed_ns - self.paid_ns, 0.0)[payers] / self.paying[payers]
        return float(self._since_ns + left.min() + SPARE * self._span_ns)

    def working_share(self, actor: int) -> float:
        """Part of an actor's threads that neither pays nor waits."""
        free = 1.0 - float(self.paying[actor] / self._threads[actor])
        return free * (1.0 - float(self.waiting[actor]))
