"""What monitoring saw: regions, counts, ages, profiles, and how soon it found what is hot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from numasim.validate.exact import NEAR_S
from numasim.validate.metrics.boundaries import boundaries
from numasim.validate.metrics.case import Case, Look, Measured, kdamond_of
from numasim.validate.observed import KdamondSeen, Observed, Watch
from numasim.validate.terrain import Phase, Terrain, owner_bins, profile

FOUND = (0.5, 0.8)
SLACK_S = 0.5
"""How much later than the recording's last snapshot a simulated one may come."""
LEAST_WINDOWS = 5
PERIOD_RESOLUTION = 0.01
"""Of the sampling period: what the host did besides is not in the recording."""
DISTANCE_RESOLUTION = 0.1
TIME_RESOLUTION = 0.25
"""Of a time until something is seen, which is seen by snapshots only."""
BYTES_RESOLUTION = 0.05
"""Percent of the data."""


def monitoring(case: Case, seen: Observed) -> Iterator[Measured]:
    """Metrics of each target's snapshots while the workload ran."""
    for look in case.looks:
        watch = look.watch(seen)
        prefix = f"{look.label} " if len(case.looks) > 1 else ""
        found = _nothing() if watch is None else _of_watch(case, look, seen, watch)
        for one in found:
            yield replace(one, name=prefix + one.name)


def _nothing() -> Iterator[Measured]:
    yield Measured("snapshots", 0.0, "", False)


def _of_watch(case: Case, look: Look, seen: Observed, watch: Watch) -> Iterator[Measured]:
    counted = np.flatnonzero(
        (watch.t_s >= look.from_s - 1e-6) & (watch.t_s <= look.until_s + SLACK_S)
    )
    yield Measured("snapshots", float(len(counted)), "", False)
    yield period(case, look, seen, watch)
    if not len(counted) or look.terrain is None:
        return
    yield from counts(look.terrain, watch, counted, kdamond_of(look, seen).aggr_samples)
    yield from boundaries(look.terrain, watch, counted)
    yield from ages(look.terrain, watch, counted)
    yield from profiles(case, look, seen, watch, counted)
    yield from delays(case, look, seen, watch)


def period(case: Case, look: Look, seen: Observed, watch: Watch) -> Measured:
    """True over nominal sampling period: median over the windows of the last half.

    Windows in which schemes tried anything do not count: they last as long as that took. Where
    hardly any other is recorded, the metric decides nothing.
    """
    kdamond = kdamond_of(look, seen)
    steps = np.diff(watch.index) if len(watch) > 1 else np.ones(0)
    true_us = np.diff(watch.t_s) * 1e6 / kdamond.aggr_samples / np.maximum(steps, 1)
    ratio = true_us / kdamond.sample_us_at(watch.t_s[1:])
    middle = (look.from_s + look.until_s) / 2
    chosen = (watch.t_s[1:] >= middle) & _at_rest(kdamond, watch)
    enough = int(chosen.sum()) >= LEAST_WINDOWS
    late = ratio[chosen] if enough else ratio
    value = float(np.median(late)) if len(late) else float("nan")
    return Measured(
        "true/nominal period", value, "", enough, log=True, resolution=PERIOD_RESOLUTION
    )


def _at_rest(kdamond: KdamondSeen, watch: Watch) -> np.ndarray:
    """Windows between snapshots in which no scheme tried anything. bool[S - 1]"""
    found = np.ones(max(len(watch) - 1, 0), bool)
    for scheme in kdamond.schemes:
        tried = np.append(0, scheme.counter("sz_tried"))
        before = np.searchsorted(scheme.t_s, watch.t_s - NEAR_S, "right")
        after = np.searchsorted(scheme.t_s, watch.t_s + NEAR_S, "right")
        found &= tried[after[1:]] == tried[before[:-1]]
    return found


def counts(terrain: Terrain, watch: Watch, counted: np.ndarray, most: int) -> Iterator[Measured]:
    """Regions that hold data; data by class of access count; mean count of each mapping."""
    inside = np.isin(watch.snapshot_of, counted)
    rows = watch.regions[inside]
    data = terrain.data(rows)
    nr = float((data > 0).sum()) / len(counted)
    yield Measured("regions", nr, "", True, log=True, resolution=0.01)
    for low, high in classes(most):
        own = (rows[:, 2] >= low) & (rows[:, 2] <= high)
        share = 100 * float(data[own].sum()) / (terrain.total * len(counted))
        name = f"data at {low}" + (f"-{high}" if high > low else "") + f" of {most}"
        yield Measured(name, share, "%", True, resolution=BYTES_RESOLUTION, events=low > 0)
    for owner, (program, mapping) in enumerate(terrain.keys):
        own_data = terrain.data(rows, owner)
        mean = float((own_data * rows[:, 2]).sum() / (terrain.pages[owner] * len(counted)))
        whose = f"{program}:" if program else ""
        yield Measured(f"mean count in {whose}{mapping}", mean, f"of {most}", False)


def classes(most: int) -> list[tuple[int, int]]:
    """Classes of access counts: none, one, and doubling up to all samples."""
    found, low = [(0, 0)], 1
    while low <= most:
        high = min(2 * low - 1, most)
        if 2 * high >= most:
            high = most
        found.append((low, high))
        low = high + 1
    return found


def ages(terrain: Terrain, watch: Watch, counted: np.ndarray) -> Iterator[Measured]:
    """Mean age of regions with and without accesses, in aggregation intervals."""
    rows = watch.regions[np.isin(watch.snapshot_of, counted)]
    rows = rows[terrain.data(rows) > 0]
    for name, own in (("zero", rows[rows[:, 2] == 0]), ("non-zero", rows[rows[:, 2] > 0])):
        if len(own):
            mean = float(own[:, 3].mean())
            yield Measured(f"mean {name} age", mean, "intervals", True, resolution=0.02)


def profiles(
    case: Case, look: Look, seen: Observed, watch: Watch, counted: np.ndarray
) -> Iterator[Measured]:
    """Address × rate: the profile of each phase, and its distance from the truth."""
    terrain = look.terrain
    assert terrain is not None
    kdamond = kdamond_of(look, seen)
    most = kdamond.aggr_samples
    moves = any(s.action.startswith("migrate") for s in kdamond.context.schemes) if (
        kdamond.context
    ) else bool(kdamond.schemes)  # fmt: skip
    physical = bool(kdamond.context and kdamond.context.ops == "paddr")
    for phase, own in _by_phase(case, terrain, watch, counted):
        rows = watch.regions[np.isin(watch.snapshot_of, own)]
        seen_rate = profile(terrain, rows, rows[:, 2] / most) / len(own)
        where = f" in {case.label_of(phase)}" if len(case.phases) > 1 else ""
        for distance in ("l1", "emd"):
            yield Measured(
                f"profile{where} ({distance})", seen_rate, "", True, log=True,
                resolution=DISTANCE_RESOLUTION, distance=distance,
            )  # fmt: skip
        true = _true_profile(case, terrain, watch, own, most)
        fair = not (physical and moves)  # pages that moved are no longer where they were
        for distance in ("l1", "emd"):
            apart = distance_between(seen_rate, true, distance)
            name = f"profile{where} against the truth ({distance})"
            yield Measured(name, max(apart, 1e-6), "", fair, log=True, resolution=0.05)


def _by_phase(
    case: Case, terrain: Terrain, watch: Watch, counted: np.ndarray
) -> Iterator[tuple[Phase, np.ndarray]]:
    programs = {program for program, _ in terrain.keys}
    for phase in case.phases:
        t = watch.t_s[counted]
        own = counted[(t > phase.begin_s) & (t <= phase.end_s + SLACK_S)]
        if phase.program in programs and len(own):
            yield phase, own


def _true_profile(
    case: Case, terrain: Terrain, watch: Watch, own: np.ndarray, most: int
) -> np.ndarray:
    """Share of samples that Poisson accesses at the true rates would leave positive."""
    end = watch.t_s[own]
    usual = float(np.median(np.diff(watch.t_s))) if len(watch) > 1 else 0.1
    begin = np.where(own > 0, watch.t_s[np.maximum(own - 1, 0)], end - usual)
    period = (end - begin) / most
    shares = [
        float(np.mean(-np.expm1(-case.truth.rate(key, begin, end) * period)))
        for key in terrain.keys
    ]
    found: np.ndarray = np.array(shares) @ owner_bins(terrain)
    return found


def distance_between(a: np.ndarray, b: np.ndarray, distance: str) -> float:
    """How far two profiles are apart, 0 (equal) to 1.

    Parameters
    ----------
    a, b : float64[B]
    distance : str
        ``"l1"``: what differs as a share of both together. ``"emd"``: how far the accesses of one
        would have to be carried to make the other, as a share of all data (both scaled to 1).
    """
    total_a, total_b = float(a.sum()), float(b.sum())
    if distance == "l1":
        both = total_a + total_b
        return float(np.abs(a - b).sum() / both) if both > 0 else 0.0
    if total_a <= 0 or total_b <= 0:
        return 0.0 if total_a == total_b else 1.0
    return float(np.abs(np.cumsum(a / total_a - b / total_b)).mean())


def delays(case: Case, look: Look, seen: Observed, watch: Watch) -> Iterator[Measured]:
    """Time from the start of monitoring, or of a phase, until half (and 80 %) of what is hot then
    is seen as hot: at no less than half of the count that its true rate gives.

    The end of the phase counts where that never happened.
    """
    terrain = look.terrain
    assert terrain is not None
    most = kdamond_of(look, seen).aggr_samples
    before: tuple[object, ...] = ()
    for phase in (p for p in case.phases if any(p.program == q for q, _ in terrain.keys)):
        hot = case.hot(phase)
        owners = [terrain.keys.index(key) for key in hot if key in terrain.keys]
        changed, before = hot != before, hot
        total = sum(terrain.pages[o] for o in owners)
        if not changed or not total or total > 0.5 * terrain.total:
            continue
        from_s = max(phase.begin_s, look.from_s)
        until_s = min(phase.end_s, look.until_s)
        if until_s <= from_s:
            continue
        rate = np.mean([case.rate(key, phase) for key in hot])
        share = _seen_hot(terrain, watch, owners, float(rate), most) / total
        t = watch.t_s
        where = f" in {case.label_of(phase)}" if len(case.phases) > 1 else ""
        for part in FOUND:
            at = np.flatnonzero((share >= part) & (t >= from_s) & (t <= until_s))
            took = float(t[at[0]] if len(at) else until_s) - from_s
            usual = float(np.median(np.diff(t))) if len(t) > 1 else 0.1
            yield Measured(
                f"time to {part:.0%} found{where}", max(took, usual), "s", True, log=True,
                resolution=TIME_RESOLUTION,
            )  # fmt: skip


def _seen_hot(
    terrain: Terrain, watch: Watch, owners: list[int], rate: float, most: int
) -> np.ndarray:
    """Pages of some mappings in regions with at least half the count of that rate. float64[S]"""
    usual = np.diff(watch.t_s, prepend=watch.t_s[0] - 0.1) / most
    expected = -most * np.expm1(-rate * usual)
    least = np.maximum(1, expected / 2)[watch.snapshot_of]
    hot = watch.regions[:, 2] >= least
    pages = sum((terrain.data(watch.regions, owner) for owner in owners), np.zeros(len(hot)))
    found: np.ndarray = np.bincount(watch.snapshot_of, pages * hot, minlength=len(watch))
    return found
