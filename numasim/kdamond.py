"""A kdamond as a thread: when its sampling ticks happen, and what they cost.

It sleeps *after* its work, so its true period is interval plus timer slack plus the time of the
checks; short sleeps end late, long ones on the timer wheel. Source: Linux 7.3.4 DAMON core.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.ops import Window
from numasim.damon.spec import Kdamond
from numasim.timer import is_wheel, wake_ns

MAX_TICKS_AHEAD = 256
PACES_KEPT = 2048  # some kilobytes each at most

Ticking = tuple[np.ndarray, np.ndarray, np.ndarray]
"""int64[T] each, ns: when addresses are chosen, when checked, and when all regions are."""


def _none() -> np.ndarray:
    return np.empty(0, np.int64)


class TickTimes(Protocol):
    """When a kdamond's ticks truly happen."""

    def ticks(self, now_ns: int, nr: int, sample_us: int, work_ns: int) -> Ticking:
        """The next `nr` ticks of a thread that is free now and works `work_ns` in each."""
        ...

    def finish(self, now_ns: int, busy_ns: int) -> int:
        """When work of that length is done that begins now."""
        ...


def _regular(nr: int, first_ns: int, period_ns: int, work_ns: int) -> np.ndarray:
    """int64[3, nr]: `Ticking` from now on, the first checked at `first_ns`."""
    ticks = np.empty((3, nr), np.int64)
    ticks[1] = np.arange(first_ns, first_ns + nr * period_ns, period_ns, dtype=np.int64)
    ticks[2] = ticks[1] + (work_ns - work_ns // 2)
    ticks[0, 0], ticks[0, 1:] = 0, ticks[2, :-1]
    return ticks


@lru_cache(maxsize=PACES_KEPT)
def _pace(nr: int, sleep_ns: int, work_ns: int) -> np.ndarray:
    """The same where every sleep is of one length: it does not depend on the instant."""
    ticks = _regular(nr, work_ns // 2 + sleep_ns, work_ns + sleep_ns, work_ns)
    ticks.flags.writeable = False
    return ticks


@dataclass(frozen=True)
class Clock:
    """Tick times of a kernel thread that sleeps after its work.

    Parameters
    ----------
    hz : int
        Timer ticks per second.
    slack_ns : int
        How late a high-resolution timer fires.
    """

    hz: int
    slack_ns: int

    def ticks(self, now_ns: int, nr: int, sample_us: int, work_ns: int) -> Ticking:
        """The next `nr` ticks of a thread that is free now and works `work_ns` in each.

        Notes
        -----
        Regions are prepared one after the other and checked in the same order, so each has from its
        own preparation to its own check as long as the first. From the first wake-up on, which may
        be one of the timer wheel, every tick is as long as the one before.
        """
        if not is_wheel(sample_us, self.hz):
            sleep_ns = wake_ns(0, sample_us, self.hz, self.slack_ns)
            starts, ends, done = now_ns + _pace(nr, sleep_ns, work_ns)
            return starts, ends, done
        first = wake_ns(now_ns + work_ns // 2, sample_us, self.hz, self.slack_ns)
        period = wake_ns(first + work_ns, sample_us, self.hz, self.slack_ns) - first
        starts, ends, done = now_ns + _regular(nr, first - now_ns, period, work_ns)
        return starts, ends, done

    def finish(self, now_ns: int, busy_ns: int) -> int:
        """When work of that length is done that begins now: nothing holds it up."""
        return now_ns + busy_ns


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
    clock : TickTimes
    starts, ends, done : int64[T]
        Planned ticks: addresses chosen, checked, and all regions checked.
    until_ns : int
        Instant at which the last planned tick is done.
    absorbed : int
        Ticks the context has counted.
    cpu_ns : int
        CPU time so far.
    """

    name: str
    spec: Kdamond
    context: ContextState
    rank: int
    clock: TickTimes
    starts: np.ndarray = field(default_factory=_none)
    ends: np.ndarray = field(default_factory=_none)
    done: np.ndarray = field(default_factory=_none)
    until_ns: int = 0
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
        sample_us = context.attrs.sample_us
        self.starts, self.ends, self.done = self.clock.ticks(now_ns, nr, sample_us, work)
        self.absorbed, self.until_ns = 0, int(self.done[-1])
        return min(1.0, work * nr / max(1, self.until_ns - now_ns))

    def shorten(self, now_ns: int) -> None:
        """Keep only the tick in progress: something waits for the end of it."""
        keep = int(np.searchsorted(self.done, now_ns, "right")) + 1
        self.starts, self.ends, self.done = self.starts[:keep], self.ends[:keep], self.done[:keep]
        self.until_ns = int(self.done[-1])

    def absorb(self, until_ns: int) -> None:
        """Account for the ticks that are over: their world is about to change, or is complete."""
        ends, over = self.ends, len(self.ends)
        if over and ends[-1] > until_ns:
            over = int(ends.searchsorted(until_ns, "right"))
        if over <= self.absorbed:
            return
        first, self.absorbed = self.absorbed, over
        context = self.context
        self.cpu_ns += context.source.check_ns(context.nr_regions) * (over - first)
        if over - first == len(ends):
            context.absorb(Window(self.starts, ends))
        else:
            context.absorb(Window(self.starts[first:over], ends[first:over]))


def next_step(steps: Generator[int, int | None, None], resumed_ns: int | None) -> int | None:
    """How long the next action of a kdamond keeps it, ns; None once there is no more.

    Parameters
    ----------
    steps : generator
        `ContextState.due`.
    resumed_ns : int or None
        When it went on after the action before; None at first.
    """
    try:
        return steps.send(resumed_ns)
    except StopIteration:
        return None
