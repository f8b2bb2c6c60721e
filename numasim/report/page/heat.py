"""Time × address: truth beside DAMON's view, and where migration took pages from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from numasim.report.furniture import short_number
from numasim.report.grids import Area, Grid, Pair, areas, pairs_of_nodes, seen
from numasim.report.page.charts import Trace, layout, line, packed, with_marks
from numasim.report.page.content import Chart, Section
from numasim.report.page.moves import marks_of_area, marks_of_node
from numasim.report.series import Clock, Mark, marks, rate, times
from numasim.report.style import DEMOTION, PROMOTION, heat_colours
from numasim.result import Result
from numasim.units import format_bytes

DECADES = 5
HEIGHT = 330


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
        charts += _area(result, area, scale, clock, told)
    note = "Colour: accesses to one page per second, in powers of ten; grey is not monitored. "
    note += "Marks: what moved, where it lay or where it came to; the legend switches them off."
    if idle:
        note += f" Never accessed: {', '.join(idle)}."
    return Section("Where the accesses go, and what moved", note, charts)


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
    over = marks_of_node(result, node, true.size_bytes, clock)
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
                  time="time", half=view is None, height=180 if view is not None else HEIGHT)
        )  # fmt: skip
    return charts


def _area(result: Result, area: Area, scale: Scale, clock: Clock, told: list[Mark]) -> list[Chart]:
    place, charts = f"area {area.kdamond} {area.title}", []
    over = marks_of_area(result, area, clock)
    if area.truth is not None:
        title = f"{area.title}: the truth"
        charts.append(_panel(title, area.truth, scale, clock, over, place, told))
    title = f"{area.title}: what {area.kdamond} saw"
    return [*charts, _panel(title, area.view, scale, clock, over, place, told)]


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
    return Chart(title, figure, time="time", place=place, half=True, height=HEIGHT)


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
