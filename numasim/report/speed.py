"""How fast actors worked, how much of it was local, how long they waited: policies side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numasim.comparison import Comparison
from numasim.report.furniture import label_ends, percent_axis, short_number, timeline
from numasim.report.series import Clock, common_marks, marks, speeds, subtitle, thin
from numasim.report.style import LIMIT, MUTED, line_of, note, styled
from numasim.result import Result

TITLE = "Throughput, local accesses and loaded latency"
MOST_ACTORS = 3
MEASURES = {
    "ops_per_s": ("Throughput", "operations per second"),
    "local_share": ("Accesses served by the nearest node", "share of missing lines"),
    "latency_ns": ("Loaded latency", "ns per missing line"),
}

Series = dict[str, list[dict[str, pd.DataFrame]]]
Runs = Comparison | Result | Iterable[Result] | Mapping[str, Result | Iterable[Result]]


@dataclass(frozen=True)
class Band:
    """One quantity of an actor under a policy: mean, least and greatest over seeds, float64[T]."""

    t_s: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def grouped(runs: Runs) -> dict[str, list[Result]]:
    """Runs by policy, in the order given.

    Parameters
    ----------
    runs : Comparison, Result, iterable of Result, or mapping of names to one or many of them
    """
    if isinstance(runs, Comparison):
        return {p: [runs.results[p, seed] for seed in runs.seeds] for p in runs.policies}
    if isinstance(runs, Result):
        return {runs.policy: [runs]}
    if isinstance(runs, Mapping):
        named: Mapping[str, Any] = runs
        return {str(n): [r] if isinstance(r, Result) else list(r) for n, r in named.items()}
    found: dict[str, list[Result]] = {}
    for result in runs:
        found.setdefault(result.policy, []).append(result)
    return found


@styled
def throughput(results: Runs) -> Figure:
    """Throughput, local share and loaded latency over time, all policies in one picture.

    Parameters
    ----------
    results : Comparison, Result, iterable of Result, or mapping of names to one or many of them
        Several runs of one policy give a mean with a band from the least to the greatest.

    Returns
    -------
    matplotlib.figure.Figure
        A column of three panels for each of the first three actors.
    """
    policies = grouped(results)
    everything = [r for runs in policies.values() for r in runs]
    series = {p: [speeds(r) for r in runs] for p, runs in policies.items()}
    actors = [a for a in dict.fromkeys(a for own in series.values() for run in own for a in run)][
        :MOST_ACTORS
    ]
    if not actors:
        return note("No actor worked.", TITLE)
    clock = Clock.of(*everything)
    told = marks(everything[0]) if len(policies) == 1 else common_marks(everything)
    fig, panels = timeline(TITLE, _about(policies), [2.2, 1.5, 1.5], clock, told, len(actors))
    for c, actor in enumerate(actors):
        for r, (measure, (title, unit)) in enumerate(MEASURES.items()):
            axes = panels[r, c]
            axes.set_title(title if len(actors) == 1 or r else f"{title} of {actor}")
            if c == 0:
                axes.set_ylabel(unit)
            _panel(axes, series, actor, measure, clock, labelled=c == len(actors) - 1)
        _best(panels[1, c], everything[0], actor, clock)
    return fig


def _about(policies: dict[str, list[Result]]) -> str:
    first = next(iter(policies.values()))[0]
    if len(policies) == 1 and len(next(iter(policies.values()))) == 1:
        return subtitle(first)
    where = " · ".join(subtitle(first).split(" · ")[:2])
    seeds = max(len(runs) for runs in policies.values())
    return where + (
        f" · mean of {seeds} seeds, band from the lowest to the highest" if seeds > 1 else ""
    )


def band(runs: list[dict[str, pd.DataFrame]], actor: str, measure: str) -> Band | None:
    """One quantity over time, over the seeds that have that actor."""
    own = [run[actor] for run in runs if actor in run]
    if not own:
        return None
    at = max((table.t_s.to_numpy(float) for table in own), key=len)
    rows = []
    for table in own:
        t, y = table.t_s.to_numpy(float), table[measure].to_numpy(float)
        rows.append(y if len(t) == len(at) else np.interp(at, t, y))
    values = np.stack([thin(at, row)[1] for row in rows])
    known = np.isfinite(values)
    some = known.any(axis=0)
    mean = np.where(known, values, 0).sum(axis=0) / np.where(some, known.sum(axis=0), np.nan)
    low = np.where(some, np.where(known, values, np.inf).min(axis=0), np.nan)
    high = np.where(some, np.where(known, values, -np.inf).max(axis=0), np.nan)
    return Band(thin(at, at)[0], mean, low, high)


def _panel(
    axes: Axes, series: Series, actor: str, measure: str, clock: Clock, labelled: bool
) -> None:
    labels, top = [], 0.0
    for i, (policy, runs) in enumerate(series.items()):
        found = band(runs, actor, measure)
        if found is None or not np.isfinite(found.mean).any():
            continue
        x, look = found.t_s * clock.scale, line_of(i + (len(series) == 1))
        if len(runs) > 1:
            axes.fill_between(
                x, found.low, found.high, step="pre", color=look["color"], alpha=0.22, lw=0
            )
        axes.step(x, found.mean, where="pre", lw=1.6, **look)
        known = found.mean[np.isfinite(found.mean)]
        labels.append((float(np.median(known[-max(1, len(known) // 20) :])), policy, look["color"]))
        top = max(top, float(np.nanmax(found.high)))
    if measure == "local_share":
        axes.set_ylim(0, 1.04)
        percent_axis(axes.yaxis)
    else:
        axes.set_ylim(0, max(top, 1e-9) * 1.08)
        axes.yaxis.set_major_formatter(lambda v, _: short_number(v) if v else "0")
    if labelled and len(series) > 1:
        label_ends(axes, labels)


def _best(axes: Axes, result: Result, actor: str, clock: Clock) -> None:
    """The local share that the best placement would give."""
    rows = result.actors[result.actors.actor == actor]
    best = rows.best_local_share.to_numpy(float)
    if not np.isfinite(best).any():
        return
    axes.step(
        rows.t_s.to_numpy(float) * clock.scale,
        best,
        where="post",
        color=LIMIT,
        lw=1.0,
        ls=(0, (1, 2)),
    )
    first = int(np.flatnonzero(np.isfinite(best))[0])
    low = best[first] > 0.85
    axes.annotate(
        "best possible placement", (rows.t_s.iloc[first] * clock.scale, best[first]),
        (3, -3 if low else 3),
        textcoords="offset points", size=7.5, color=MUTED, va="top" if low else "bottom",
    )  # fmt: skip
