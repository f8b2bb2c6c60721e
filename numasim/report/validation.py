"""Recorded runs and the same runs simulated, side by side; and how far apart they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from numasim.report.furniture import log_axis, percent_axis
from numasim.report.style import (
    DEMOTION,
    GOOD,
    INK,
    LIMIT,
    MUTED,
    PAPER,
    file_stem,
    heat_colours,
    note,
    page,
    save,
    shade,
    styled,
)
from numasim.validate.judge import BEYOND, MetricVerdict
from numasim.validate.metrics import Case, case
from numasim.validate.metrics.case import Look
from numasim.validate.metrics.placement import near_share
from numasim.validate.observed import Observed, Watch
from numasim.validate.terrain import Terrain
from numasim.validate.validating import Plan
from numasim.validate.verdict import Verdict

KERNEL, OURS = INK, GOOD
COLUMNS, ROWS = 400, 200
MIB = 1024 * 1024
MOST_Z = 6.0
"""Larger deviations are drawn at the edge."""


def write_validation(verdict: Verdict, plan: Plan, out: Path) -> list[Path]:
    """Write the overview, and two pictures of each run, as PNG and SVG.

    Returns
    -------
    list of pathlib.Path
    """
    files = save(deviations(verdict), out, "deviations")
    trials = plan.trials(out)
    for recording in plan.recordings:
        own = [trial.seen(recording) for trial in trials if trial.folder == recording.folder]
        sims = [seen for seen in own if seen is not None]
        if not sims:
            continue
        prepared, stem = case(recording), file_stem(plan.names[recording.folder])
        if any(look.terrain is not None for look in prepared.looks):
            files += save(side_by_side(prepared, sims[0]), out / stem, "heat")
        if series_of(prepared):
            files += save(courses(prepared, sims), out / stem, "courses")
    return files


# -- what was seen, side by side -------------------------------------------------------------------


@styled
def side_by_side(case: Case, sim: Observed) -> Figure:
    """Time × data, as each kdamond saw it: the kernel's left, one simulated run right."""
    looks = [look for look in case.looks if look.terrain is not None]
    title = f"What DAMON saw in {case.recording.name}"
    if not looks:
        return note("No kdamond looked at the workload's data.", title)
    fig = page(2.2 * len(looks) + 0.4, title, "left the kernel, right a simulated run of it")
    panels = fig.subplots(len(looks), 2, squeeze=False, sharex="row", sharey="row")
    image = None
    for line, look in zip(panels, looks, strict=True):
        for axes, seen, whose in zip(line, (case.seen, sim), ("kernel", "simulated"), strict=True):
            watch = look.watch(seen)
            label = f"{look.label}: {whose}" if len(looks) > 1 else whose
            axes.set_title(label)
            if watch is not None:
                most = seen.kdamonds[look.kdamond].aggr_samples
                image = _heat(axes, look, watch, most)
            axes.grid(False)
        _names(line[0], look.terrain)
        line[0].set_ylabel("data in address order (MiB)")
        for axes in line:
            axes.set_xlabel("time (s)")
    if image is not None:
        bar = fig.colorbar(image, ax=panels, shrink=0.8, aspect=30, pad=0.01)
        bar.set_label("positive samples")
        percent_axis(bar.ax.yaxis)
    return fig


def _heat(axes: Axes, look: Look, watch: Watch, most: int) -> AxesImage:
    assert look.terrain is not None
    low_s, high_s = float(watch.t_s[0]), max(look.until_s, float(watch.t_s[0]) + 0.1)
    grid = heat_grid(look.terrain, watch, most, low_s, high_s)
    return axes.imshow(
        grid, origin="lower", aspect="auto", cmap=heat_colours(), vmin=0.0, vmax=1.0,
        extent=(low_s, high_s, 0.0, look.terrain.total * 4 / 1024),
    )  # fmt: skip


def heat_grid(terrain: Terrain, watch: Watch, most: int, low_s: float, high_s: float) -> np.ndarray:
    """Share of positive samples at instants and data coordinates. float64[ROWS, COLUMNS]"""
    times = np.linspace(low_s, high_s, COLUMNS)
    places = (np.arange(ROWS) + 0.5) / ROWS * terrain.total
    grid = np.full((ROWS, COLUMNS), np.nan)
    at = np.searchsorted(watch.t_s, times, "left")
    for snapshot in np.unique(at[at < len(watch)]):
        rows = watch.rows(int(snapshot))
        end = terrain.below(rows[:, 0] + rows[:, 1])
        region = np.minimum(np.searchsorted(end, places, "right"), len(rows) - 1)
        grid[:, at == snapshot] = (rows[region, 2] / most)[:, None]
    return grid


def _names(axes: Axes, terrain: Terrain | None) -> None:
    """Names of mappings, where each is one stretch that is high enough to be labelled."""
    assert terrain is not None
    if len(terrain.start) > len(terrain.keys):
        return
    edges = np.append(0.0, np.cumsum((terrain.end - terrain.start) * terrain.weight))
    for first, last, owner in zip(edges, edges[1:], terrain.owner, strict=False):
        if last - first > 0.05 * terrain.total:
            middle = (first + last) / 2 * 4 / 1024
            axes.text(
                0.01, middle, terrain.keys[int(owner)][1], color=PAPER, size=7.5, va="center",
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip


# -- courses over time -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Course:
    """One panel: a quantity over time of any run.

    Parameters
    ----------
    title, unit : str
    of : callable
        ``of(seen)`` → instants and values, each kept until the next.
    log : bool
    """

    title: str
    unit: str
    of: Callable[[Observed], tuple[np.ndarray, np.ndarray]]
    log: bool = False


def series_of(case: Case) -> list[Course]:
    """What there is to draw over time of a recording."""
    found = [
        Course(f"Regions that hold data, {look.label}", "", _regions(look))
        for look in case.looks
        if look.terrain is not None and not case.seen.kdamonds[look.kdamond].schemes
    ]
    for k, kdamond in enumerate(case.seen.kdamonds):
        if len(kdamond.tuned_us):
            found.append(Course(f"Sampling interval of {kdamond.name}", "ms", _tuned(k), log=True))
        for s in range(len(kdamond.schemes)):
            action = kdamond.context.schemes[s].action if kdamond.context else f"scheme {s}"
            name = f"{kdamond.name} {action}"
            if len(kdamond.schemes[s].esz):
                found.append(Course(f"Effective quota, {name}", "bytes", _quota(k, s), log=True))
            found.append(Course(f"Applied in all, {name}", "MiB", _applied(k, s)))
    if case.seen.pages and any(kdamond.schemes for kdamond in case.seen.kdamonds):
        hot = dict.fromkeys(key for phase in case.phases for key in case.hot(phase))
        found += [
            Course(f"{key[1]} on nodes with processors", "%", _near(case, key))
            for key in hot
            if key in case.seen.pages
        ]
    return found


def _regions(look: Look) -> Callable[[Observed], tuple[np.ndarray, np.ndarray]]:
    def of(seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        watch, terrain = look.watch(seen), look.terrain
        if watch is None or terrain is None:
            return np.zeros(0), np.zeros(0)
        holds = terrain.data(watch.regions) > 0
        return watch.t_s, np.bincount(watch.snapshot_of, holds, minlength=len(watch))

    return of


def _tuned(k: int) -> Callable[[Observed], tuple[np.ndarray, np.ndarray]]:
    return lambda seen: (seen.kdamonds[k].tuned_s, seen.kdamonds[k].tuned_us / 1000)


def _quota(k: int, s: int) -> Callable[[Observed], tuple[np.ndarray, np.ndarray]]:
    def of(seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        scheme = seen.kdamonds[k].schemes[s]
        return scheme.esz_s, np.maximum(scheme.esz, 1.0)

    return of


def _applied(k: int, s: int) -> Callable[[Observed], tuple[np.ndarray, np.ndarray]]:
    def of(seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        scheme = seen.kdamonds[k].schemes[s]
        return scheme.t_s, scheme.counter("sz_applied") / MIB

    return of


def _near(case: Case, key: tuple[int, str]) -> Callable[[Observed], tuple[np.ndarray, np.ndarray]]:
    return lambda seen: (seen.pages_s, near_share(case, seen, key))


@styled
def courses(case: Case, sims: Sequence[Observed]) -> Figure:
    """Quantities over time: the kernel's line, the range of all simulated runs and their median."""
    found = series_of(case)
    title = f"{case.recording.name}, recorded and simulated"
    if not found:
        return note("Nothing of this run changed over time.", title)
    about = f"dark: the kernel; blue: {len(sims)} simulated runs, their range and median"
    columns = min(2, len(found))
    lines = -(-len(found) // columns)
    fig = page(1.75 * lines + 0.3, title, about)
    panels = fig.subplots(lines, columns, squeeze=False).ravel()
    for axes, course in zip(panels, found, strict=False):
        _course(axes, course, case, sims)
    for axes in panels[len(found) :]:
        axes.remove()
    return fig


def _course(axes: Axes, course: Course, case: Case, sims: Sequence[Observed]) -> None:
    t, values = course.of(case.seen)
    last = max((look.until_s for look in case.looks), default=case.recording.last_s)
    first = float(t[0]) if len(t) else 0.0
    grid = np.linspace(first, last, 300)
    rows = np.array([_held(*course.of(sim), grid) for sim in sims])
    known = np.isfinite(rows).any(axis=0)
    if known.any():
        low, middle, high = np.nanquantile(rows[:, known], [0.0, 0.5, 1.0], axis=0)
        axes.fill_between(grid[known], low, high, color=shade(OURS, 0.75), lw=0)
        axes.plot(grid[known], middle, color=OURS, lw=1.2)
    if len(t):
        shown = np.append(t, last), np.append(values, values[-1])
        axes.step(*shown, where="post", color=KERNEL, lw=1.1)
    for phase in case.phases:
        if phase.begin_s > first:
            axes.axvline(phase.begin_s, color=LIMIT, lw=0.7, ls=(0, (3, 2)))
    axes.set_title(course.title + (f" ({course.unit})" if course.unit else ""))
    if course.log:
        log_axis(axes.yaxis)
    axes.set_xlabel("time (s)")


def _held(t: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A series at instants: its last value before each. float64[T]"""
    if not len(t):
        return np.full(len(at), np.nan)
    index = np.searchsorted(t, at, "right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)].astype(float), np.nan)


# -- how far apart ---------------------------------------------------------------------------------


@styled
def deviations(verdict: Verdict) -> Figure:
    """Every judged metric of every run as the kernel's deviation from the simulated runs."""
    runs = [run for e in verdict.experiments for run in e.runs if run.scores is not None]
    title = "How far the kernel lies from its simulation"
    if not runs:
        return note("Nothing was simulated.", title)
    about = (
        "each mark a metric: deviation from the mean of simulated runs, in standard deviations; "
        "filled: outside the 1-99 % range"
    )
    fig = page(0.34 * len(runs) + 0.6, title, about)
    axes = fig.subplots()
    for limit in (-BEYOND, BEYOND):
        axes.axvline(limit, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.axvline(0.0, color=MUTED, lw=0.8)
    for y, run in enumerate(runs):
        judged = [m for m in run.metrics if m.gated]
        for good in (True, False):
            own = [m for m in judged if m.ok == good]
            axes.scatter(
                [_clipped(m) for m in own], [y] * len(own), s=18, lw=0.8,
                facecolors="none" if good else DEMOTION, edgecolors=OURS if good else DEMOTION,
            )  # fmt: skip
    axes.set_yticks(range(len(runs)), [run.name for run in runs])
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_xlim(-MOST_Z - 0.3, MOST_Z + 0.3)
    axes.set_xlabel(f"z (beyond {MOST_Z:g} drawn at the edge)")
    return fig


def _clipped(metric: MetricVerdict) -> float:
    return float(np.clip(metric.z, -MOST_Z, MOST_Z))
