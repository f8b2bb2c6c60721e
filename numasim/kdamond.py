"""A kdamond as a thread: when its sampling ticks happen, and what they cost.

It sleeps *after* its work, so its true period is interval plus timer slack plus the time of the
checks; short sleeps end late, long ones on the timer wheel. Source: Linux 7.3.4 DAMON core.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.ops import Window
from numasim.damon.spec import Kdamond
from numasim.kernel import KernelSettings
from numasim.timer import wake_ns

MAX_TICKS_AHEAD = 256


def _none() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass
class Thread:
    """A running kdamond.

    Parameters
    ----------
    name : str
    spec : Kdamond
    context : ContextState
    rank : int
        Its order among kdamonds of one instant.
    kernel : KernelSettings
    starts, ends, done : int64[T]
        Planned ticks: addresses chosen, checked, and all regions checked.
    absorbed : int
        Ticks the context has counted.
    cpu_ns : int
        CPU time so far.
    """

    name: str
    spec: Kdamond
    context: ContextState
    rank: int
    kernel: KernelSettings
    starts: np.ndarray = field(default_factory=_none)
    ends: np.ndarray = field(default_factory=_none)
    done: np.ndarray = field(default_factory=_none)
    absorbed: int = 0
    cpu_ns: int = 0
    asleep: bool = False
    stopping: bool = False
    ended: bool = False

    def plan(self, now_ns: int) -> float:
        """Fix the true times of the ticks until the next iteration that does more than sample.

        Returns
        -------
        float
            Share of a CPU that the checks take meanwhile.
        """
        context = self.context
        work = context.source.check_ns(context.nr_regions)
        nr = min(context.samples_until_due(), MAX_TICKS_AHEAD)
        sample_us, at = context.attrs.sample_us, now_ns
        starts, ends, done = [], [], []
        for _ in range(nr):
            # regions are prepared one after the other and checked in the same order, so each has
            # from its own preparation to its own check as long as the first
            starts.append(at)
            wake = wake_ns(at + work // 2, sample_us, self.kernel.hz, self.kernel.timer_slack)
            ends.append(wake)
            at = wake + work - work // 2
            done.append(at)
        self.starts, self.ends, self.done = (np.array(x, np.int64) for x in (starts, ends, done))
        self.absorbed = 0
        return min(1.0, work * nr / max(1, at - now_ns))

    @property
    def until_ns(self) -> int:
        """Instant at which the last planned tick is done."""
        return int(self.done[-1])

    def shorten(self, now_ns: int) -> None:
        """Keep only the tick in progress: something waits for the end of it."""
        keep = int(np.searchsorted(self.done, now_ns, "right")) + 1
        self.starts, self.ends, self.done = self.starts[:keep], self.ends[:keep], self.done[:keep]

    def absorb(self, until_ns: int) -> None:
        """Account for the ticks that are over: their world is about to change, or is complete."""
        over = int(np.searchsorted(self.ends, until_ns, "right"))
        if over <= self.absorbed:
            return
        part = slice(self.absorbed, over)
        self.absorbed = over
        context = self.context
        self.cpu_ns += context.source.check_ns(context.nr_regions) * (part.stop - part.start)
        context.absorb(Window(self.starts[part], self.ends[part]))
