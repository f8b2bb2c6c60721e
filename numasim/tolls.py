"""What observers take from applications: faults, interrupts, drained records. Charged once.

A toll is owed when it falls due and paid by threads that do not work for so long. As speeds hold
between two settlings, what a window of sampling cost is paid over as long a time after it (a tenth
of a second at least): owed and paid differ by about one window, and by nothing in the long run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numasim.actors import ActorState

MOST = 0.9
"""Share of an actor's threads that may be paying at once; what is left stays owed."""
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
    waiting : float64[A]
        Share of each actor's other threads that waits for something else now, such as a fault of a
        GPU; whoever says so keeps the account.
    """

    def __init__(self, actors: Sequence[ActorState], now_ns: int) -> None:
        self._actors, self._since_ns, self._span_ns = actors, now_ns, PAY_OVER_NS
        self.owed_ns, self.paid_ns = np.zeros(len(actors)), np.zeros(len(actors))
        self.paying = np.zeros(len(actors))
        self._threads = np.array([float(a.actor.threads) for a in actors])
        self.waiting = np.zeros(len(actors))

    def charge(self, thread_ns: np.ndarray, span_ns: int) -> None:
        """So much thread time (float64[A]) fell due in a window of that length."""
        self.owed_ns += thread_ns
        self._span_ns = max(PAY_OVER_NS, span_ns)

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
        paid = self.paid_by(now_ns)
        most = MOST * self._threads
        due: np.ndarray = np.clip((self.owed_ns - paid) / self._span_ns, 0.0, most)
        return due

    def changed(self, now_ns: int) -> bool:
        """Whether others should pay than do, by enough to find speeds anew."""
        gap = np.abs(self._due(now_ns) - self.paying)
        return bool((gap > np.maximum(TOLERANCE * self.paying, LEAST * self._threads)).any())

    def paid_off_ns(self) -> float:
        """When somebody will have paid all that is owed, and a little more; infinite if nobody.

        The little (a tenth of what falls due in a window) lets the next window's toll come first:
        only where none comes, as when a source was switched off, does paying have to be stopped.
        """
        if not (payers := np.flatnonzero(self.paying > 0)).size:
            return np.inf
        left = np.maximum(self.owed_ns - self.paid_ns, 0.0)[payers] / self.paying[payers]
        return float(self._since_ns + left.min() + SPARE * self._span_ns)

    def working_share(self, actor: int) -> float:
        """Part of an actor's threads that neither pays nor waits."""
        free = 1.0 - float(self.paying[actor] / self._threads[actor])
        return free * (1.0 - float(self.waiting[actor]))
