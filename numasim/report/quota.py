"""The effective quota of every scheme, and the goal that steers it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numasim.damon.spec import Scheme
from numasim.hardware import PAGE_BYTES
from numasim.report.furniture import (
    duration,
    halo,
    limit_line,
    log_byte_axis,
    nothing,
    tell,
    timeline_of,
)
from numasim.report.series import Clock, contexts
from numasim.report.style import GOOD, INK, LIMIT, OVER, STALL, shade, styled
from numasim.result import Result
from numasim.units import format_bytes

TITLE = "How much each scheme may do: its effective quota, and the goal that steers it"
MOST_SCHEMES = 8
TOLD_FROM = 0.1  # share of the run from which a stall is worth a sentence
UNLIMITED = 2**61
FINEST = 0.001


@dataclass(frozen=True)
class Stall:
    """The longest time for which a quota was below one page although its goal was not met.

    Parameters
    ----------
    begin_s, end_s : float
    low_bytes, high_bytes : float
        The quota at both ends.
    page_after_s : float
        How much longer until one page fits, at the growth of the last row; infinite if it does not
        grow, zero if the stall ended within the run.
    """

    begin_s: float
    end_s: float
    low_bytes: float
    high_bytes: float
    page_after_s: float

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.end_s - self.begin_s

    @property
    def wound_up(self) -> bool:
        """Whether the quota got well on its way in that time."""
        return self.high_bytes >= 64 * max(1.0, self.low_bytes)


def longest_stall(
    t_s: np.ndarray, esz: np.ndarray, score: np.ndarray, window_s: float
) -> Stall | None:
    """Where a quota kept a scheme from working; None if it never did.

    Parameters
    ----------
    t_s, esz, score : float64[T]
        Instants, effective quota in bytes (zero: not computed yet), goal score (NaN without goal).
    window_s : float
        Quota window.

    Notes
    -----
    Source: Linux 7.3.4: each window the quota grows by ``1 − score`` of itself while the goal is
    not met (the default tuner), so below one page the wait follows from score and quota.
    """
    stuck = stuck_rows(esz, score)
    edges = np.flatnonzero(np.diff(np.r_[0, stuck.astype(int), 0]))
    if not len(edges):
        return None
    spans = [
        (first, min(last, len(t_s) - 1))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
    first, last = max(spans, key=lambda e: t_s[e[1]] - t_s[e[0]])
    known = esz[first : last + 1][stuck[first : last + 1] & (esz[first : last + 1] > 0)]
    low, high = (float(known[0]), float(known[-1])) if len(known) else (0.0, 0.0)
    after = 0.0
    if stuck[-1] and last == len(t_s) - 1:
        growth = math.log1p(min(1.0, 1 - score[-1])) / window_s if score[-1] < 1 else 0.0
        after = math.log(PAGE_BYTES / max(high, 1.0)) / growth if growth > 0 else math.inf
    return Stall(float(t_s[first]), float(t_s[last]), low, high, after)


def stuck_rows(esz: np.ndarray, score: np.ndarray) -> np.ndarray:
    """bool[T]: below one page although the goal is not met."""
    return (esz < PAGE_BYTES) & ~(score >= 1)


@styled
def effective_quota(result: Result) -> Figure:
    """Effective quota of every scheme over time, with its goal's score beneath.

    Two panels per scheme. Below 4 KiB, where no page can move, the line is red.
    """
    groups = list(result.schemes.groupby(["kdamond", "scheme"], sort=True))[:MOST_SCHEMES]
    if not groups:
        return nothing(result, "No scheme ran.", TITLE)
    known = contexts(result)
    columns = 2 if len(groups) > 1 else 1
    lines = -(-len(groups) // columns)
    heights = [h for _ in range(lines) for h in (2.2, 1.1)]
    fig, panels, clock = timeline_of(result, TITLE, heights, columns)
    for i in range(lines * columns):
        upper, lower = (
            panels[2 * (i // columns), i % columns],
            panels[2 * (i // columns) + 1, i % columns],
        )
        if i >= len(groups):
            upper.remove()
            lower.remove()
            continue
        (kdamond, _), rows = groups[i]
        number = int(rows.scheme.iloc[0])
        context = known.get(str(kdamond))
        spec = context.schemes[number] if context and number < len(context.schemes) else None
        _quota(upper, rows, spec, clock, labelled=i % columns == 0)
        _score(lower, rows, clock, labelled=i % columns == 0)
        action = rows.action.iloc[0]
        upper.set_title(f"{kdamond}: {action}" + (f" #{number}" if number else ""))
    return fig


def _quota(
    axes: Axes, rows: pd.DataFrame, spec: Scheme | None, clock: Clock, labelled: bool
) -> None:
    t, esz = rows.t_s.to_numpy(float), rows.esz.to_numpy(float)
    cap = spec.quota.sz if spec and spec.quota.sz else None
    window_s = spec.quota.reset_interval_ms / 1000 if spec else 1.0
    limited = esz[esz < UNLIMITED]
    top = max(8.0 * PAGE_BYTES, cap or 0.0, limited.max(initial=0.0))
    log_byte_axis(axes, 0.5, top * 12)
    axes.axhspan(0.5, PAGE_BYTES, color=shade(STALL, 0.9), lw=0, zorder=0)
    if cap:
        limit_line(axes, cap, f"cap {format_bytes(cap)} per {window_s:g} s")
    shown = np.clip(np.where(esz > 0, esz, 0.5), 0.5, top * 10)
    stuck = stuck_rows(esz, _scores(rows))
    x = t * clock.scale
    axes.step(x, shown, where="post", color=GOOD, lw=1.8)
    red = stuck | np.r_[False, stuck[:-1] & (esz[1:] < PAGE_BYTES)]
    axes.step(x, np.where(red, shown, np.nan), where="post", color=STALL, lw=2.8)
    limit_line(axes, PAGE_BYTES, "4 KiB, one page: below this nothing can move", STALL, True)
    if not len(limited):
        tell(axes, 0.5, 0.6, "no limit", ha="center", size=9)
    if labelled:
        axes.set_ylabel("effective quota (log)")
    stall = longest_stall(t, esz, _scores(rows), window_s)
    if stall is not None and stall.length_s > TOLD_FROM * clock.span_s and not stall.wound_up:
        _tell(axes, stall, clock)


def _tell(axes: Axes, stall: Stall, clock: Clock) -> None:
    """Say in words how long the stall is, and how long it would go on."""
    low, high = format_bytes(stall.low_bytes), format_bytes(stall.high_bytes)
    low = low.split()[0] if low != high and low.split()[1] == high.split()[1] else low
    size = f"at {low}" if low == high else f"at {low} to {high}"
    text = f"stuck {size} for {duration(stall.length_s)}"
    if stall.page_after_s == math.inf:
        text += "\nand not growing"
    elif stall.page_after_s > 0:
        text += f"\nat this pace a page fits in {duration(stall.page_after_s)}"
    x = (stall.begin_s + stall.end_s) / 2 / clock.span_s
    look = {"ha": "center", "va": "center", "size": 8.5, "linespacing": 1.35}
    halo(tell(axes, min(max(x, 0.3), 0.7), 0.21, text, color=STALL, weight="bold", **look), width=3)


def _scores(rows: pd.DataFrame) -> np.ndarray:
    """float64[T]: the goal's present value over its target; NaN without a goal."""
    current, target = rows.goal_current.to_numpy(float), rows.goal_target.to_numpy(float)
    good = (target > 0) & (rows.goal.to_numpy(str) != "")
    score = np.full(len(rows), np.nan)
    score[good] = current[good] / target[good]
    return score


def near_one(score: np.ndarray) -> np.ndarray:
    """Place of a score on an axis that magnifies what is around 1: 0.99, 0.9, 0 at equal steps."""
    away = np.clip(score, 0.0, 2.0) - 1.0
    place: np.ndarray = np.sign(away) * np.log10(1 + np.abs(away) / FINEST)
    return place


def _score(axes: Axes, rows: pd.DataFrame, clock: Clock, labelled: bool) -> None:
    score = _scores(rows)
    if not np.isfinite(score).any():
        tell(axes, 0.5, 0.5, "no goal: the quota is fixed", size=9, ha="center", va="center")
        axes.set_yticks([])
        return
    x, y = rows.t_s.to_numpy(float) * clock.scale, near_one(score)
    axes.fill_between(x, 0, y, where=y < 0, step="post", color=shade(GOOD, 0.7), lw=0)
    axes.fill_between(x, 0, y, where=y >= 0, step="post", color=shade(OVER, 0.5), lw=0)
    axes.step(x, y, where="post", color=INK, lw=1.2)
    axes.axhline(0.0, color=LIMIT, lw=1.0)
    end = float(near_one(np.array(2.0)))
    axes.set_ylim(-1.1 * end, 1.1 * end)
    ticks = {0.0: "0", 0.9: "0.9", 0.99: "0.99", 1.0: "1", 1.01: "1.01", 1.1: "1.1", 2.0: "2+"}
    axes.set_yticks(near_one(np.array(list(ticks))).tolist(), list(ticks.values()), size=7)
    axes.set_title(_goal(rows), size=8.5)
    for place, words in (
        (0.94, "over the goal: the quota shrinks"),
        (0.06, "under the goal: it grows"),
    ):
        tell(axes, 0.01, place, words, va="top" if place > 0.5 else "bottom", size=7)
    if labelled:
        axes.set_ylabel("goal score")


def _goal(rows: pd.DataFrame) -> str:
    """``"node_mem_used_bp: 99.2 % in the end, wanted 99.7 %"``."""
    goal, last = str(rows.goal.iloc[-1]), rows.iloc[-1]
    percent = goal.endswith("_bp")
    now, wanted = (
        f"{v / 100:.4g} %" if percent else f"{v:,}" for v in (last.goal_current, last.goal_target)
    )
    return f"{goal}: {now} in the end, wanted {wanted}"
