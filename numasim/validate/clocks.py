"""How late a recorded kdamond's samples were, window by window: a clock for the simulated one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.damon.spec import Attrs
from numasim.timer import wake_ns
from numasim.validate.recording import KdamondRecord, Snapshot

SLACK_NS = 300_000
CHECK_NS = 6_000
PAGE_NS = 50_000  # a page tried, at most: tested and moved
BUSY_RATIO = 0.02  # of a window: applying schemes for longer hides how late its samples were
STAT_S = 0.02  # statistics of an application follow the snapshot that it precedes


def clock_of(
    kdamond: KdamondRecord,
    attrs: Attrs,
    hz: int,
    still_s: list[tuple[float, float]],
    zero_s: float,
) -> dict[str, Any]:
    """Plain data of the kdamond's `ClockRecord`.

    Parameters
    ----------
    kdamond : KdamondRecord
    attrs : Attrs
        As it was started.
    hz : int
    still_s : list of (float, float)
        When the machine stood still, in the recording's time.
    zero_s : float
        Instant of the run at which the recording's time is 0.

    Notes
    -----
    A window between two snapshots lasts as long as its samples: what the timers, the checks and the
    standstills do not explain is lateness, shared evenly; where the program lost more time than the
    window took, the thread stood still for that part of it only. Windows in which schemes worked
    long tell nothing; there the other windows' lateness (their median) and share of standstills
    hold. Not all lost time is a standstill of the machine: a program whose pages migrate waits.
    """
    nr_samples = max(1, attrs.aggr_us // max(1, attrs.sample_us))
    gaps = [_gap(kdamond, *pair, attrs, hz, still_s) for pair in _windows(kdamond)]
    telling = [gap for gap in gaps if not gap.busy]
    lost = sum(gap.lost_s for gap in telling)
    share = sum(gap.held(nr_samples) * gap.lost_s for gap in telling) / lost if lost > 0 else 1.0
    lateness = [gap.late_ns(nr_samples) for gap in telling]
    usual = float(np.median(lateness)) if lateness else 0.0
    late, still = [], []
    for gap in gaps:
        held = share if gap.busy else gap.held(nr_samples)
        late.append((gap.begin_s, usual if gap.busy else gap.late_ns(nr_samples)))
        still += [(a, a + held * (b - a)) for a, b in gap.still_s]
    return {
        "late": [[_at(t, zero_s), round(ns)] for t, ns in late],
        "still": [[_at(a, zero_s), _at(b, zero_s)] for a, b in still if b - a > 1e-6],
    }


@dataclass(frozen=True)
class _Gap:
    """Between two snapshots: `lost_s` is what standstills explain of each aggregation interval."""

    begin_s: float
    span_s: float
    period_ns: float
    still_s: list[tuple[float, float]]
    lost_s: float
    busy: bool

    def held(self, nr_samples: int) -> float:
        """Share of the program's standstills for which the thread stood still, too."""
        excess_s = self.span_s - nr_samples * self.period_ns / 1e9
        return min(1.0, max(0.0, excess_s) / self.lost_s) if self.lost_s > 0 else 1.0

    def late_ns(self, nr_samples: int) -> float:
        """How late each sample was beside that."""
        moving_s = self.span_s - self.held(nr_samples) * self.lost_s
        return moving_s * 1e9 / nr_samples - self.period_ns


def _gap(
    kdamond: KdamondRecord, before: Snapshot, after: Snapshot, attrs: Attrs, hz: int,
    still_s: list[tuple[float, float]],
) -> _Gap:  # fmt: skip
    nr = max(1, after.index - before.index)
    work = CHECK_NS * _after_split(len(before.regions), attrs.max_nr_regions)
    period = _period_ns(_sample_us(kdamond, after.t_s, attrs.sample_us), work, hz)
    own = [(a, b) for a, b in still_s if before.t_s <= a < after.t_s]
    lost = sum(_stretch(b - a, period / 1e9) for a, b in own) / nr
    span = (after.t_s - before.t_s) / nr
    busy = _tried(kdamond, before.t_s, after.t_s) * PAGE_NS > BUSY_RATIO * span * nr * 1e9
    return _Gap(before.t_s, span, period, own, lost, busy)


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


def _tried(kdamond: KdamondRecord, from_s: float, to_s: float) -> float:
    """Pages that schemes tried between two snapshots."""
    from_s, to_s = from_s + STAT_S, to_s + STAT_S
    pages = sum(int(regions[:, 1].sum()) for t, _, regions in kdamond.applied if from_s < t <= to_s)
    tried = 0
    for series in kdamond.stats.values():
        before = [c["sz_tried"] for t, c in series if t <= from_s]
        by_end = [c["sz_tried"] for t, c in series if t <= to_s]
        if by_end:
            tried += (by_end[-1] - (before[-1] if before else 0)) // 4096
    return float(max(pages, tried))
