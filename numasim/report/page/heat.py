"""Time × address: truth beside DAMON's view, and where migration took pages from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from numasim.report.furniture import short_number
from numasim.report.grids import Area, Grid, Pair, areas, pairs_of_nodes, seen
from numasim.report.page.charts import Trace, layout, line, packed, rounded, with_marks
from numasim.report.page.content import Chart, Section, joined, records
from numasim.report.series import Clock, Mark, marks, rate, times, topology
from numasim.report.style import DEMOTION, PROMOTION, heat_colours
from numasim.result import Result
from numasim.units import format_bytes

DECADES = 5
MOST_MOVES = 1500
MOVES = {
    "migrate_hot": ("hot region, pages taken from here", "triangle-up", "#3ff0d0"),
    "migrate_cold": ("cold region, pages taken from here", "triangle-down", "#ffffff"),
}
OTHER_MOVE = ("pages taken from here", "diamond", "#7fd1ff")


@dataclass(frozen=True)
class Scale:
    """Colours of all panels of a run: the top decades of what was true."""

    low: float
    high: float


def heat_section(result: Result, clock: Clock) -> Section | None:
    """Panels of every node that was accessed and of the largest virtual areas; None if none was."""
    parts = seen(result)
    nodes, idle = pairs_of_nodes(result, parts)
    virtual = areas(result, parts)
    if not nodes and not virtual:
        return None
    true = [n.truth.heat for n in nodes] + [a.truth.heat for a in virtual if a.truth]
    seen_only = [a.view.heat for a in virtual if not a.truth]
    hottest = max((float(np.nanmax(h, initial=0.0)) for h in true or seen_only), default=0.0)
    scale = Scale((hottest or 10.0) * 1.05 / 10**DECADES, (hottest or 10.0) * 1.05)
    told, charts = marks(result), []
    for node in nodes:
        charts += _node(result, node.name, node.truth, node.view, _title(node), scale, clock, told)
    for area in virtual:
        charts += _area(area, scale, clock, told)
    note = "Colour: accesses to one page per second, in powers of ten; grey is not monitored."
    if idle:
        note += f" Never accessed: {', '.join(idle)}."
    note += _without_address(result)
    return Section("Where the accesses go, and what moved", note, charts)


def _without_address(result: Result) -> str:
    """Whose moves no panel shows: only schemes of DAMON leave the regions that they acted on."""
    moved = result.moves[result.moves.bytes > 0]
    causes = sorted({str(cause) for cause in moved.cause} - {str(k) for k in result.tried.kdamond})
    if not causes:
        return ""
    return (
        f" The tables have no addresses of what {joined(causes)} moved: "
        "it is in the curves, not in the colours."
    )


def _title(node: Pair) -> str:
    if node.cut:
        shown = format_bytes(node.truth.size_bytes)
        return f"{node.name}, {shown} of {format_bytes(node.whole_bytes)}"
    return f"{node.name} ({format_bytes(node.whole_bytes)} {node.kind})"


def _node(
    result: Result, node: str, true: Grid, view: Grid | None, title: str, scale: Scale,
    clock: Clock, told: list[Mark],
) -> list[Chart]:  # fmt: skip
    """Truth and view of a node, with the regions migrated, and beneath them how much moved."""
    place = f"node {node}"
    over = _regions_moved(result, node, true.size_bytes, clock)
    charts = [_panel(f"{title}: the truth", true, scale, clock, over, place, told)]
    if view is not None:
        charts.append(_panel(f"{title}: what DAMON saw", view, scale, clock, over, place, told))
    moves = result.moves
    into, out = (rate(result, moves[moves[side] == node]) for side in ("target", "source"))
    if into.any() or out.any():
        at = times(result) * clock.scale
        data = [
            line("migrated here", at, into, PROMOTION, "B/s", step=True, fill=True),
            line("migrated away", at, -out, DEMOTION, "B/s", position=1, step=True, fill=True),
        ]
        figure = {"data": data, "layout": layout(clock, "bytes/s", low=None)}
        charts.append(
            Chart(f"{node}: migrated here (up) and away (down)", with_marks(figure, told, clock),
                  time="time", height=180)
        )  # fmt: skip
    return charts


def _area(area: Area, scale: Scale, clock: Clock, told: list[Mark]) -> list[Chart]:
    place, charts = f"area {area.kdamond} {area.title}", []
    if area.truth is not None:
        charts.append(_panel(f"{area.title}: the truth", area.truth, scale, clock, [], place, told))
    title = f"{area.title}: what {area.kdamond} saw"
    return [*charts, _panel(title, area.view, scale, clock, [], place, told)]


def _panel(
    title: str, grid: Grid, scale: Scale, clock: Clock, over: list[Trace], place: str,
    told: list[Mark],
) -> Chart:  # fmt: skip
    rows, columns = grid.heat.shape
    decades = [v for v in 10.0 ** np.arange(-6, 16) if scale.low <= v <= scale.high]
    trace: Trace = {
        "type": "heatmap",
        "z": packed(grid.heat, scale.low),
        "x0": grid.end_s * clock.scale / columns / 2,
        "dx": grid.end_s * clock.scale / columns,
        "y0": grid.size_bytes / rows / 2,
        "dy": grid.size_bytes / rows,
        "zmin": float(np.log10(scale.low)),
        "zmax": float(np.log10(scale.high)),
        "colorscale": _colours(),
        "showlegend": False,
        "hovertemplate": f"%{{x:.4~g}} {clock.unit}, %{{text}}<extra></extra>",
        "colorbar": {
            "thickness": 10, "outlinewidth": 0, "len": 1.0,
            "tickvals": [float(np.log10(v)) for v in decades],
            "ticktext": [short_number(v) for v in decades],
        },
    }  # fmt: skip
    made = layout(clock, "", low=0.0, high=float(grid.size_bytes))
    made |= {"hovermode": "closest", "plot_bgcolor": "@unseen"}
    made["yaxis"] |= {"showgrid": False, "title": {"text": "address"}} | _bytes(grid.size_bytes)
    made["xaxis"]["showgrid"] = False
    figure: dict[str, Any] = with_marks({"data": [trace, *over], "layout": made}, told, clock)
    return Chart(title, figure, time="time", place=place, half=True, height=330)


def _colours() -> list[list[object]]:
    """The colours of our pictures, dark to bright: even steps of lightness."""
    at = np.linspace(0.0, 1.0, 17)
    colours = heat_colours()
    return [[float(a), to_hex(colours(float(a)))] for a in at]


def _bytes(size: float) -> dict[str, Any]:
    """Ticks at round sizes of powers of two."""
    step = 2.0 ** np.ceil(np.log2(max(size, 1.0) / 6))
    at = np.arange(0.0, size * 1.0001, step)
    return {"tickvals": at.tolist(), "ticktext": [format_bytes(v) if v else "0" for v in at]}


def _regions_moved(result: Result, node: str, size_bytes: int, clock: Clock) -> list[Trace]:
    """Regions of which schemes migrated pages: where they lay, when, and how many bytes."""
    ranges = topology(result).node_ranges(node)
    rows = result.tried[(result.tried.applied_bytes > 0) & _within(result.tried, ranges)]
    if not len(rows):
        return []
    actions = result.schemes.groupby(["kdamond", "scheme"]).action.last()
    rows = rows.nlargest(MOST_MOVES, "applied_bytes").sort_values("t_s", kind="stable")
    known = np.array(ranges, np.int64).reshape(-1)
    place = np.repeat(np.cumsum([0] + [end - start for start, end in ranges]), 2)[1:-1]
    rows = rows.assign(
        low=np.interp(rows.start, known, place), high=np.interp(rows.end, known, place),
        action=[actions.get(k, "") for k in zip(rows.kdamond, rows.scheme, strict=True)],
    )  # fmt: skip
    rows = rows[rows.low < size_bytes]
    found = []
    for action, own in rows.groupby("action", sort=True):
        name, symbol, colour = MOVES.get(str(action), OTHER_MOVE)
        found += _segments(own, name, symbol, colour, clock)
    return found


def _within(rows: pd.DataFrame, ranges: list[tuple[int, int]]) -> np.ndarray:
    inside = np.zeros(len(rows), dtype=bool)
    for start, end in ranges:
        inside |= ((rows.start < end) & (rows.end > start)).to_numpy()
    return inside


def _segments(rows: pd.DataFrame, name: str, symbol: str, colour: str, clock: Clock) -> list[Trace]:
    """A line from start to end of each region, and a mark in its middle."""
    t = rows.t_s.to_numpy(float) * clock.scale
    low, high = rows.low.to_numpy(float), rows.high.to_numpy(float)
    gap = np.full(len(t), np.nan)
    lines: Trace = {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "name": name, "legendgroup": name,
        "x": rounded(np.stack([t, t, gap], 1).reshape(-1)),
        "y": rounded(np.stack([low, high, gap], 1).reshape(-1)),
        "line": {"color": f"@{colour}", "width": 1}, "showlegend": False, "opacity": 0.6,
    }  # fmt: skip
    marks_: Trace = {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": name,
        "x": rounded(t), "y": rounded((low + high) / 2),
        "marker": {"symbol": symbol, "size": 8, "color": f"@{colour}",
                   "line": {"color": "@#000000", "width": 1}},
        "text": [
            f"{format_bytes(r.applied_bytes)} moved; nr_accesses {r.nr_accesses}, age {r.age}"
            for r in records(rows)
        ],
        "hovertemplate": f"%{{x:.4~g}} {clock.unit}: %{{text}}<extra></extra>",
    }  # fmt: skip
    return [lines, marks_]
