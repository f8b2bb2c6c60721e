"""Time × address: where accesses go, and what DAMON sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator

from numasim.report.furniture import byte_axis, nothing, short_number, tell, timeline_of
from numasim.report.grids import Area, Grid, areas, pairs_of_nodes, seen, watchers
from numasim.report.moved import moved_in_area, moved_of_node
from numasim.report.series import Clock, rate, times, tried
from numasim.report.style import (
    DEMOTION,
    FAILED,
    GOOD,
    MUTED,
    PROMOTION,
    heat_colours,
    shade,
    styled,
)
from numasim.result import Result
from numasim.units import format_bytes, format_duration

TITLE = "Where the accesses go, and what DAMON sees of it"
DECADES = 5
MOST_MARKS = 600
TRIANGLES = {"promotion": "^", "demotion": "v"}
MARK_COLOURS = {"promotion": "#3ff0d0", "demotion": "#ffffff"}
MARKS = "▲▼ promoted and demoted from here, ● came here (cyan promoted); larger is more"


@dataclass(frozen=True)
class Row:
    """One stretch of addresses: the truth, and DAMON's view where a context looks there."""

    title: str
    unit: str
    truth: Grid | None
    view: Grid | None
    node: str | None
    kdamonds: tuple[str, ...] = ()
    looked: str = ""
    area: Area | None = None


@dataclass(frozen=True)
class Cell:
    """One heat panel: a row's truth, or DAMON's view of it."""

    row: Row
    true: bool

    @property
    def grid(self) -> Grid | None:
        """What is drawn."""
        return self.row.truth if self.true else self.row.view


@styled
def heatmap(result: Result) -> Figure:
    """Heat over time and address, for every node and for the largest areas of virtual targets.

    Left the truth, right what DAMON's snapshots say; nodes at which no context looks stand side by
    side. One colour scale: accesses to a page per second. Beneath a node's truth, what migration
    brought and took away; beneath DAMON's view, what schemes tried and applied. Nodes that are
    never accessed are left out, and named.
    """
    rows, idle = _rows(result)
    if not rows:
        return nothing(result, "No access was recorded in this run.", TITLE)
    lines = _lines(rows)
    moved = {row.node for row in rows if row.node and _flows(result, row).any()}
    strips = [any(cell.row.node in moved for cell in line) for line in lines]
    height = max(1.15, min(2.5, 8.5 / len(lines)))
    heights = [h for strip in strips for h in ([height, 0.45] if strip else [height])]
    columns = max(len(line) for line in lines)
    title = TITLE if any(row.view for row in rows) else "Where the accesses go"
    told = [f"never accessed: {', '.join(idle)}"] if idle else []
    told += [MARKS] if len(result.moves_by_frame) else []
    about = "; ".join(told)
    fig, panels, clock = timeline_of(result, title, heights, columns, about)
    norm, at, image = _norm(rows), 0, None
    for line, strip in zip(lines, strips, strict=True):
        for c in range(columns):
            if c >= len(line):
                for axes in panels[at : at + 1 + strip, c]:
                    axes.remove()
                continue
            image = _cell(panels[at, c], line[c], norm, clock) or image
            if line[c].true and line[c].grid is not None:
                _overlay(panels[at, c], result, line[c].row, clock)
            if strip:
                _strip(panels[at + 1, c], result, line[c], clock)
        at += 1 + strip
    beside = [axes for axes in panels[:, -1] if axes.figure is not None]
    shrink = min(1.0, 4.0 / sum(heights))
    if image is not None:
        _scale(fig.colorbar(image, ax=beside, shrink=shrink, aspect=30, pad=0.01))
    return fig


def _lines(rows: list[Row]) -> list[list[Cell]]:
    """Panels of the page line by line: pairs of both views, then truths alone, two in a line."""
    pairs = [[Cell(row, True), Cell(row, False)] for row in rows if row.view is not None]
    alone = [Cell(row, True) for row in rows if row.view is None]
    columns = 2 if pairs or len(alone) > 4 else 1
    return pairs + [alone[i : i + columns] for i in range(0, len(alone), columns)]


def _rows(result: Result) -> tuple[list[Row], list[str]]:
    """What to draw, and names of nodes that nothing ever accessed."""
    parts, found = seen(result), []
    nodes, idle = pairs_of_nodes(result, parts)
    for node in nodes:
        part, rest = format_bytes(node.truth.size_bytes), ""
        if node.cut:
            part, rest = f"{part} of {format_bytes(node.whole_bytes)}", "; the rest is idle"
        title = f"{node.name}  ({part} {node.kind}{rest})"
        own = watchers(result, node.name, parts)
        looked = _looked(result, own)
        frames = "frames of the node"
        found.append(Row(title, frames, node.truth, node.view, node.name, own, looked))
    return found + [_area(result, area) for area in areas(result, parts)], idle


def _area(result: Result, area: Area) -> Row:
    own = (area.kdamond,)
    return Row(
        area.title,
        "virtual addresses",
        area.truth,
        area.view,
        None,
        own,
        _looked(result, own),
        area,
    )


def _looked(result: Result, kdamonds: tuple[str, ...]) -> str:
    """How often, which bounds the heat that DAMON can see."""
    own = result.kdamonds.sample_us[result.kdamonds.kdamond.isin(kdamonds)]
    if not len(own):
        return ""
    low, high = (format_duration(1000 * float(f"{v:.2g}")) for v in (own.min(), own.max()))
    return f"  (a sample every {low}{f' … {high}' if high != low else ''})"


def _norm(rows: list[Row]) -> LogNorm:
    """Colours over the top decades of the truth, or of what was seen where there is no truth."""
    grids = [g.heat for r in rows for g in ((r.truth,) if r.truth else (r.view,)) if g is not None]
    hottest = max((float(np.nanmax(g, initial=0.0)) for g in grids), default=0.0) or 10.0
    return LogNorm(hottest * 1.05 / 10**DECADES, hottest * 1.05)


def _cell(axes: Axes, cell: Cell, norm: LogNorm, clock: Clock) -> AxesImage | None:
    axes.grid(False)
    row, grid = cell.row, cell.grid
    axes.set_title(row.title if cell.true else f"… seen by DAMON{row.looked}")
    if grid is None:
        axes.set_yticks([])
        tell(axes, 0.5, 0.5, "the truth is not known here", size=9, ha="center", va="center")
        return None
    image = _draw(axes, grid, norm, clock)
    if cell.true:
        axes.set_ylabel(row.unit)
    else:
        axes.tick_params(axis="y", labelleft=False)
        _tell_unseen(axes, grid, clock)
    return image


def _draw(axes: Axes, grid: Grid, norm: LogNorm, clock: Clock) -> AxesImage:
    heat = np.where(np.isfinite(grid.heat), np.maximum(grid.heat, (norm.vmin or 0.0) / 2), np.nan)
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


def _overlay(axes: Axes, result: Result, row: Row, clock: Clock) -> None:
    """Marks of what moved over the truth: triangles where it lay, dots where it came to."""
    if row.truth is None:
        return
    size = row.truth.size_bytes
    for side, marks in (("target", {"promotion": "o", "demotion": "o"}), ("source", TRIANGLES)):
        if row.node is not None:
            found = moved_of_node(result, row.node, side, size, MOST_MARKS)
        elif row.area is not None and side == "source":
            found = moved_in_area(result, row.area, MOST_MARKS)
        else:
            continue
        most = max(float(found.bytes.max()), 1.0) if len(found) else 1.0
        for direction, mark in marks.items():
            own = found[found.direction == direction]
            axes.scatter(
                own.t_s.to_numpy(float) * clock.scale, (own.low + own.high).to_numpy(float) / 2,
                s=np.maximum(4.0, 24.0 * own.bytes.to_numpy(float) / most), marker=mark,
                color=MARK_COLOURS[direction], edgecolors="black", linewidths=0.25, zorder=3,
            )  # fmt: skip


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


def _flows(result: Result, row: Row) -> np.ndarray:
    """float64[4, T]: bytes/s that came to a node, left it, were tried and applied by schemes."""
    moves = result.moves
    into, out = (rate(result, moves[moves[side] == row.node]) for side in ("target", "source"))
    return np.stack([into, out, *tried(result, row.kdamonds)])


def _strip(axes: Axes, result: Result, cell: Cell, clock: Clock) -> None:
    """Beneath a node's truth what migration brought and took; beneath DAMON's view what it did."""
    into, out, wanted, done = _flows(result, cell.row)
    x = times(result) * clock.scale
    axes.grid(False)
    small = {"size": 6.8, "va": "top"}
    if cell.true:
        high = max(1.0, float(into.max()), float(out.max()))
        axes.fill_between(x, into, step="pre", color=PROMOTION, lw=0.3)
        axes.fill_between(x, -out, step="pre", color=DEMOTION, lw=0.3)
        axes.axhline(0, color=MUTED, lw=0.6)
        axes.set_ylim(-2.1 * high, 2.1 * high)
        tell(axes, 0.006, 0.97, "▲ migrated here", color=PROMOTION, **small)
        tell(axes, 0.006, 0.03, "▼ migrated away", color=DEMOTION, **(small | {"va": "bottom"}))
    else:
        high = max(1.0, float(wanted.max()))
        axes.fill_between(x, wanted, step="pre", color=shade(FAILED, 0.35), lw=0.3)
        axes.fill_between(x, done, step="pre", color=GOOD, lw=0.3)
        axes.set_ylim(0, 1.9 * high)
        idle = high <= 1
        tell(axes, 0.006, 0.95, "DAMOS tried nothing here" if idle else "■ tried by DAMOS", **small)
        tell(axes, 0.31, 0.95, "" if idle else "■ applied", color=GOOD, **small)
    told = high > 1
    axes.set_yticks([high] * told, [f"{format_bytes(high)}/s"] * told, size=6.5)


def _scale(bar: Colorbar) -> None:
    bar.set_label("accesses to a page per second (DAMON finds at most one per sample)", color=MUTED)
    bar.ax.yaxis.set_major_locator(LogLocator(10))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: short_number(v)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
