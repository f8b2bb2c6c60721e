"""Tick times of a kdamond as a real machine had them: later than its timers, and still at times."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from numasim.hardware import CONFIG
from numasim.kdamond import Clock, TickTimes
from numasim.kernel import KernelSettings
from numasim.timer import is_wheel, wake_ns, wheel_ns
from numasim.units import DurationNs


@checked_dataclass(frozen=True, config=CONFIG)
class ClockRecord:
    """How the ticks of one kdamond were late on a real machine.

    Parameters
    ----------
    late : tuple of (int, int)
        Instant of the run and, from then on, how much later than its timer each tick ended: ns.
    still : tuple of (int, int)
        Begin and end of moments at which the machine stood still, ns, ascending, not overlapping.
    """

    late: tuple[tuple[DurationNs, int], ...] = ()
    still: tuple[tuple[DurationNs, Annotated[DurationNs, Field(gt=0)]], ...] = ()


def clock_of(kernel: KernelSettings, record: ClockRecord | None) -> TickTimes:
    """The clock of a kdamond: as the kernel's timers have it, or late as recorded."""
    if record is None:
        return Clock(kernel.hz, kernel.timer_slack)
    return RecordedClock(kernel.hz, kernel.timer_slack, record)


@dataclass
class RecordedClock:
    """Tick times by the timers of the kernel and a record of lateness.

    Parameters
    ----------
    hz, slack_ns : int
    record : ClockRecord

    Notes
    -----
    What a tick lasted longer or shorter than timers and usual checks say is shared by its sleep and
    its checks as their lengths are, but no sleep is shorter than asked for; a wake-up on the timer
    wheel slips a whole step whenever lateness has added up to one. Nothing ends while the machine
    stands still.
    """

    hz: int
    slack_ns: int
    record: ClockRecord

    def __post_init__(self) -> None:
        self._late_from = [at for at, _ in self.record.late]
        self._still_from = [at for at, _ in self.record.still]
        self._owed = 0

    def ticks(
        self, now_ns: int, nr: int, sample_us: int, work_ns: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next `nr` ticks of a thread that is free now and works `work_ns` in each."""
        starts, ends, done = [], [], []
        at = now_ns
        for _ in range(nr):
            starts.append(at)
            asleep_late, checks_late = self._shared(self._late(at), sample_us, work_ns)
            work = max(0, work_ns + checks_late)
            wake = self._moving(self._wake(at + work // 2, sample_us, asleep_late))
            ends.append(wake)
            at = self._moving(wake + work - work // 2)
            done.append(at)
        return np.array(starts, np.int64), np.array(ends, np.int64), np.array(done, np.int64)

    def finish(self, now_ns: int, busy_ns: int) -> int:
        """When work of that length is done that begins now: it stands still with the machine."""
        at, left = now_ns, busy_ns
        place = max(0, bisect_right(self._still_from, now_ns) - 1)
        for begin, end in self.record.still[place:]:
            if end <= at:
                continue
            if at + left <= begin:
                break
            left -= max(0, begin - at)
            at = end
        return at + left

    def _shared(self, late_ns: int, sample_us: int, work_ns: int) -> tuple[int, int]:
        """What of a tick's lateness is its sleep's, and what its checks'."""
        if is_wheel(sample_us, self.hz):
            return late_ns, 0
        asleep = late_ns * sample_us * 1000 // max(1, sample_us * 1000 + work_ns)
        asleep = max(asleep, -self.slack_ns)
        return asleep, late_ns - asleep

    def _wake(self, asleep_ns: int, sample_us: int, late: int) -> int:
        wake = wake_ns(asleep_ns, sample_us, self.hz, self.slack_ns)
        if not is_wheel(sample_us, self.hz):
            return wake + late
        step = wheel_ns(sample_us, self.hz)
        self._owed = max(0, self._owed + late)
        slips, self._owed = divmod(self._owed, step)
        return wake + slips * step

    def _late(self, at_ns: int) -> int:
        place = bisect_right(self._late_from, at_ns) - 1
        return self.record.late[max(place, 0)][1] if self.record.late else 0

    def _moving(self, at_ns: int) -> int:
        """The first instant from `at_ns` on at which the machine does not stand still."""
        place = bisect_right(self._still_from, at_ns) - 1
        return max(at_ns, self.record.still[place][1]) if place >= 0 else at_ns
