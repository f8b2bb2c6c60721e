"""How late a recorded kdamond's samples were, window by window: a clock for the simulated one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.damon.spec import Context
from numasim.recorder import COUNTERS
from numasim.timer import wake_ns
from numasim.validate.recording import KdamondRecord, Snapshot

PAGE = 4096
SLACK_NS = 300_000
CHECK_NS = 5_000
TEST_S, MOVE_S = 8e-6, 35e-6  # of a page, in a young filter and to another node; see `hardware`
BUSY_RATIO = 0.02  # of a window: applying schemes for longer hides how late its samples were
STAT_S = 0.02  # statistics of an application follow the snapshot that it precedes


def clock_of(
    kdamond: KdamondRecord,
    context: Context,
    hz: int,
    still_s: list[tuple[float, float]],
    zero_s: float,
) -> dict[str, Any]:
    """Plain data of the kdamond's `ClockRecord`.

    Parameters
    ----------
    kdamond : KdamondRecord
    context : Context
        As it was started.
    hz : int
    still_s : list of (float, float)
        When the program stood still, in the recording's time.
    zero_s : float
        Instant of the run at which the recording's time is 0.

    Notes
    -----
    A window between two snapshots lasts as long as its samples and what its schemes did. What
    timers, checks, pages and standstills do not explain is lateness, shared evenly among samples;
    where the program lost more time than is left, the thread stood still for that part of it only
    (not all lost time is a standstill of the machine: a program whose pages migrate waits, too).
    Windows in which schemes worked long tell nothing of lateness; the median of the others holds.
    """
    nr_samples = max(1, context.attrs.aggr_us // max(1, context.attrs.sample_us))
    gaps = [_gap(kdamond, *pair, context, hz, still_s) for pair in _windows(kdamond)]
    lateness = [gap.late_ns(nr_samples) for gap in gaps if not gap.busy]
    usual = float(np.median(lateness)) if lateness else 0.0
    late, still = [], []
    for gap in gaps:
        held = gap.held(nr_samples)
        late.append((gap.begin_s, usual if gap.busy else gap.late_ns(nr_samples)))
        still += [(a, a + held * (b - a)) for a, b in gap.still_s]
    return {
        "late": [[_at(t, zero_s), round(ns)] for t, ns in late],
        "still": [[_at(a, zero_s), _at(b, zero_s)] for a, b in still if b - a > 1e-6],
    }


@dataclass(frozen=True)
class _Gap:
    """Between two snapshots: time, work, and what standstills can explain, all per interval."""

    begin_s: float
    span_s: float
    period_ns: float
    work_s: float
    still_s: list[tuple[float, float]]
    lost_s: float

    @property
    def busy(self) -> bool:
        """Whether schemes worked so long that nothing is known of lateness."""
        return self.work_s > BUSY_RATIO * self.span_s

    def held(self, nr_samples: int) -> float:
        """Share of the program's standstills for which the thread stood still, too."""
        excess_s = self.span_s - nr_samples * self.period_ns / 1e9 - self.work_s
        return min(1.0, max(0.0, excess_s) / self.lost_s) if self.lost_s > 0 else 1.0

    def late_ns(self, nr_samples: int) -> float:
        """How late each sample was beside that."""
        sampling_s = self.span_s - self.held(nr_samples) * self.lost_s - self.work_s
        return sampling_s * 1e9 / nr_samples - self.period_ns


def _gap(
    kdamond: KdamondRecord, before: Snapshot, after: Snapshot, context: Context, hz: int,
    still_s: list[tuple[float, float]],
) -> _Gap:  # fmt: skip
    nr = max(1, after.index - before.index)
    checks = CHECK_NS * _after_split(len(before.regions), context.attrs.max_nr_regions)
    period = _period_ns(_sample_us(kdamond, after.t_s, context.attrs.sample_us), checks, hz)
    span = (after.t_s - before.t_s) / nr
    work = _work_s(kdamond, context, before.t_s, after.t_s) / nr
    own = [(a, b) for a, b in still_s if before.t_s <= a < after.t_s]
    # a standstill holds work up for all of it, and a thread that sleeps for what is left over
    awake = min(1.0, work / span) if span > 0 else 0.0
    lost = sum(awake * (b - a) + (1 - awake) * _stretch(b - a, period / 1e9) for a, b in own) / nr
    return _Gap(before.t_s, span, period, work, own, lost)


def _at(t_s: float, zero_s: float) -> str:
    return f"{max(0, round((t_s + zero_s) * 1e9))} ns"


def _windows(kdamond: KdamondRecord) -> list[tuple[Snapshot, Snapshot]]:
    """Snapshots one after the other, of the first target."""
    own = [s for s in kdamond.snapshots if s.target == kdamond.snapshots[0].target]
    return list(itertools.pairwise(own))


def _after_split(nr: int, most: int) -> int:
    """Regions that are sampled once `nr` merged ones were split."""
    if nr >= most:
        return nr
    return 2 * nr if nr <= most // 2 else nr + nr // (most // (most - nr))


def _sample_us(kdamond: KdamondRecord, before_s: float, first_us: int) -> int:
    """Sampling interval in force just before an instant at which an aggregation ended."""
    earlier = [us for t, us in kdamond.tunings if t < before_s - 1e-3]
    return earlier[-1] if earlier else first_us


def _period_ns(sample_us: int, work_ns: int, hz: int) -> float:
    """Time from tick to tick by the timers alone, starting at a tick's own wake-up."""
    at = wake_ns(0, sample_us, hz, SLACK_NS)
    return float(wake_ns(at + work_ns, sample_us, hz, SLACK_NS) - at)


def _stretch(still_s: float, period_s: float) -> float:
    """By how much a standstill delays a thread that sleeps most of the time, on average."""
    if still_s >= period_s:
        return still_s - period_s / 2
    return still_s * still_s / (2 * period_s)


def _work_s(kdamond: KdamondRecord, context: Context, from_s: float, to_s: float) -> float:
    """What schemes did between two snapshots: pages tested by young filters, and moved."""
    work = 0.0
    for s, series in kdamond.stats.items():
        before, by_end = (
            next((c for t, c in reversed(series) if t <= at + STAT_S), {}) for at in (from_s, to_s)
        )
        more = {name: by_end.get(name, 0) - before.get(name, 0) for name in COUNTERS}
        scheme = context.schemes[s] if s < len(context.schemes) else None
        tested = scheme is not None and any(f.type == "young" for f in scheme.filters)
        work += more["sz_tried"] / PAGE * TEST_S * tested + more["sz_applied"] / PAGE * MOVE_S
    return work
