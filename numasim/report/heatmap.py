"""Time × address: where accesses go, and what DAMON sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from numasim.report.furniture import byte_axis, halo, short_number, timeline
from numasim.report.grids import Area, Grid, areas, seen, truth, view_of_node, watchers
from numasim.report.series import Clock, marks, rate, subtitle, times, topology, tried
from numasim.report.style import (
    DEMOTION,
    FAILED,
    GOOD,
    MUTED,
    PROMOTION,
    heat_colours,
    note,
    shade,
    styled,
)
from numasim.result import Result
from numasim.units import format_bytes, format_duration

TITLE = "Where the accesses go, and what DAMON sees of it"
DECADES = 5


@dataclass(frozen=True)
class Row:
    """One stretch of addresses: the truth beside DAMON's view."""

    title: str
    unit: str
    truth: Grid | None
    view: Grid | None
    node: str | None
    kdamonds: tuple[str, ...] = ()
    looked: str = ""


@styled
def heatmap(result: Result) -> Figure:
    """Heat over time and address, for every node and for the largest areas of virtual targets.

    Parameters
    ----------
    result : Result

    Returns
    -------
    matplotlib.figure.Figure
        Left the truth, right what DAMON's snapshots say (left alone if no DAMON ran), one colour
        scale: accesses to a page per second. Beneath a node, what migration brought and took away.
    """
    rows = _rows(result)
    if not rows:
        return note("No heat was recorded in this run.", TITLE, subtitle(result))
    watched = any(row.view for row in rows)
    moved = len(result.moves) > 0
    height = max(1.15, min(2.5, 8.5 / len(rows)))
    heights = [h for row in rows for h in ([height, 0.45] if moved and row.node else [height])]
    clock = Clock.of(result)
    title = TITLE if watched else "Where the accesses go"
    fig, panels = timeline(title, subtitle(result), heights, clock, marks(result), 1 + watched)
    norm = _norm(rows)
    at = 0
    for row in rows:
        image = _row(panels[at], row, norm, clock)
        if moved and row.node:
            _strips(panels[at + 1], result, row, clock)
            at += 1
        at += 1
    bar = fig.colorbar(
        image, ax=panels[:, -1].tolist(), shrink=min(1.0, 4.0 / sum(heights)), aspect=30, pad=0.01
    )
    _scale(bar, norm)
    return fig


def _rows(result: Result) -> list[Row]:
    parts = seen(result)
    found = []
    for node in topology(result).nodes:
        true = truth(result, node.name)
        if true is None:
            continue
        whole = true.size_bytes
        view = view_of_node(result, node.name, parts, whole)
        used = max(true.used_bytes(), view.used_bytes() if view else 0)
        shown, title = whole, f"{node.name}  ({format_bytes(whole)} {node.kind})"
        if used < 0.6 * whole:
            shown = min(whole, max(int(used * 1.12), whole // 64))
            true = true.cropped(shown)
            shown = true.size_bytes
            view = view_of_node(result, node.name, parts, shown)
            title = f"{node.name}  ({format_bytes(shown)} of {format_bytes(whole)} {node.kind}; the rest is idle)"
        own = watchers(result, node.name, parts)
        found.append(
            Row(title, "frames of the node", true, view, node.name, own, _looked(result, own))
        )
    found += [_area(result, area) for area in areas(result, parts)]
    return found


def _area(result: Result, area: Area) -> Row:
    own = (area.kdamond,)
    return Row(
        area.title, "virtual addresses", area.truth, area.view, None, own, _looked(result, own)
    )


def _looked(result: Result, kdamonds: tuple[str, ...]) -> str:
    """How often, which bounds the heat that DAMON can see."""
    own = result.kdamonds.sample_us[result.kdamonds.kdamond.isin(kdamonds)]
    if not len(own):
        return ""
    low, high = (format_duration(1000 * float(f"{v:.2g}")) for v in (own.min(), own.max()))
    return f": at most one access per {low}" + (f" … {high}" if high != low else "")


def _norm(rows: list[Row]) -> LogNorm:
    """Colours over the top decades of the truth, or of what was seen where there is no truth."""
    grids = [g.heat for r in rows for g in ((r.truth,) if r.truth else (r.view,)) if g is not None]
    hottest = max((float(np.nanmax(g, initial=0.0)) for g in grids), default=0.0) or 10.0
    return LogNorm(hottest * 1.05 / 10**DECADES, hottest * 1.05)


def _row(panels: np.ndarray, row: Row, norm: LogNorm, clock: Clock):  # type: ignore[no-untyped-def]
    image = None
    for axes, (grid, true) in zip(panels, ((row.truth, True), (row.view, False)), strict=False):
        axes.set_title(row.title if true else f"seen by DAMON{row.looked}")
        axes.grid(False)
        if grid is None:
            _nothing(axes, "the truth is not known here" if true else "no DAMON context looks here")
            continue
        image = _draw(axes, grid, norm, clock)
        if true:
            axes.set_ylabel(row.unit)
        else:
            axes.tick_params(axis="y", labelleft=False)
            _tell_unseen(axes, grid, clock)
    return image


def _draw(axes: Axes, grid: Grid, norm: LogNorm, clock: Clock):  # type: ignore[no-untyped-def]
    heat = np.where(np.isfinite(grid.heat), np.maximum(grid.heat, norm.vmin / 2), np.nan)
    image = axes.imshow(
        heat,
        cmap=heat_colours(),
        norm=norm,
        origin="lower",
        aspect="auto",
        extent=(0, grid.end_s * clock.scale, 0, grid.size_bytes),
        zorder=0,
    )
    axes.set_xlim(*clock.limits)
    axes.set_ylim(0, grid.size_bytes)
    byte_axis(axes.yaxis, grid.size_bytes)
    for line in axes.lines:
        line.set(color="white", alpha=0.65, zorder=2)
    return image


def _nothing(axes: Axes, message: str) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _tell_unseen(axes: Axes, grid: Grid, clock: Clock) -> None:
    """Write "not monitored" into the grey part, where there is room."""
    blind = np.isnan(grid.heat).all(axis=0)
    if not blind.any():
        return
    edges = np.flatnonzero(np.diff(np.r_[0, blind.astype(int), 0]))
    first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda e: e[1] - e[0])
    if last - first > 0.12 * len(blind):
        x = (first + last) / 2 / len(blind) * grid.end_s * clock.scale
        axes.text(
            x, grid.size_bytes / 2, "not\nmonitored", ha="center", va="center", color=MUTED, size=8
        )


def _strips(panels: np.ndarray, result: Result, row: Row, clock: Clock) -> None:
    """Beneath a node: what migration brought and took away; beneath DAMON's view: what schemes did."""
    moves = result.moves
    into, out = (rate(result, moves[moves[side] == row.node]) for side in ("target", "source"))
    _mirror(panels[0], into, out, clock, times(result))
    if len(panels) < 2:
        return
    wanted, done = tried(result, row.kdamonds)
    x, axes = times(result) * clock.scale, panels[1]
    axes.fill_between(x, wanted, step="pre", color=shade(FAILED, 0.35), lw=0.3)
    axes.fill_between(x, done, step="pre", color=GOOD, lw=0.3)
    high = max(1.0, float(wanted.max(initial=0.0)))
    axes.set_ylim(0, 1.9 * high)
    axes.grid(False)
    axes.set_yticks([high], [f"{format_bytes(high)}/s"], size=6.5)
    for x0, text, colour in ((0.006, "■ tried by DAMOS here", MUTED), (0.3, "■ applied", GOOD)):
        halo(axes.text(x0, 0.95, text, transform=axes.transAxes, size=6.8, color=colour, va="top"))


def _mirror(axes: Axes, into: np.ndarray, out: np.ndarray, clock: Clock, at: np.ndarray) -> None:
    axes.fill_between(at * clock.scale, into, step="pre", color=PROMOTION, lw=0.3)
    axes.fill_between(at * clock.scale, -out, step="pre", color=DEMOTION, lw=0.3)
    axes.axhline(0, color=MUTED, lw=0.6)
    high = max(1.0, float(into.max(initial=0.0)), float(out.max(initial=0.0)))
    axes.set_ylim(-1.5 * high, 1.5 * high)
    axes.grid(False)
    axes.set_yticks([-high, high], ["", f"{format_bytes(high)}/s"], size=6.5)
    for y, text, colour, side in (
        (0.97, "▲ migrated here", PROMOTION, "top"),
        (0.03, "▼ migrated away", DEMOTION, "bottom"),
    ):
        halo(axes.text(0.006, y, text, transform=axes.transAxes, size=6.8, color=colour, va=side))


def _scale(bar, norm: LogNorm) -> None:  # type: ignore[no-untyped-def]
    bar.set_label("accesses to a page per second", color=MUTED)
    bar.ax.yaxis.set_major_locator(LogLocator(10))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: short_number(v)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
