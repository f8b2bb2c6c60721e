"""Estimates with intervals, one below the other: as a chart, and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from numasim.report.furniture import log_axis
from numasim.report.page.charts import Trace, brief, safe
from numasim.report.page.content import Chart
from numasim.report.style import INK, LIMIT, MUTED, POLICIES, page, styled

ROW_PX, MARGIN_PX = 34, 90
LONGEST = 60


@dataclass(frozen=True)
class Estimate:
    """A line of the picture.

    Parameters
    ----------
    name : str
    mean, low, high : float
        NaN where not known.
    text : str
        The same in words.
    colour : str
    each : tuple of float
        What it is the mean of, such as one per seed.
    """

    name: str
    mean: float
    low: float
    high: float
    text: str
    colour: str = POLICIES[1]
    each: tuple[float, ...] = ()


def forest_chart(
    title: str, axis: str, rows: Sequence[Estimate], line: float, log: bool = True, note: str = ""
) -> Chart:
    """Estimates as an interactive chart, the first on top.

    Parameters
    ----------
    title, axis : str
    rows : sequence of Estimate
    line : float
        Where there is no difference.
    log : bool
        Whether ratios are shown, of which half and double are equally far.
    note : str
    """
    at = list(range(len(rows)))[::-1]
    data: list[Trace] = []
    for y, row in zip(at, rows, strict=True):
        if row.each:
            each = [v for v in row.each if math.isfinite(v)]
            data.append({
                "type": "scatter", "mode": "markers", "x": each, "y": [y] * len(each),
                "marker": {"symbol": "line-ns-open", "size": 10, "color": f"@{row.colour}"},
                "opacity": 0.6, "hoverinfo": "skip", "showlegend": False,
            })  # fmt: skip
        if not math.isfinite(row.mean):
            continue
        trace: Trace = {
            "type": "scatter", "mode": "markers", "x": [row.mean], "y": [y], "showlegend": False,
            "marker": {"size": 10, "color": f"@{row.colour}"}, "text": [safe(row.text)],
            "hovertemplate": f"{safe(row.name)}: %{{text}}<extra></extra>",
        }  # fmt: skip
        if math.isfinite(row.low) and math.isfinite(row.high):
            trace["error_x"] = {
                "type": "data", "symmetric": False, "array": [row.high - row.mean],
                "arrayminus": [row.mean - row.low], "thickness": 2.5, "width": 0,
                "color": f"@{row.colour}",
            }  # fmt: skip
        data.append(trace)
    layout = {
        "xaxis": {"title": {"text": safe(axis)}, "type": "log" if log else "linear",
                  "tickformat": ".6~g", "nticks": 6, "rangemode": "normal" if log else "tozero"},
        "yaxis": {"tickvals": at, "ticktext": [brief(row.name) for row in rows],
                  "range": [-0.6, len(rows) - 0.4], "showgrid": False, "zeroline": False,
                  "fixedrange": True},
        "hovermode": "closest",
        "shapes": [{"type": "line", "x0": line, "x1": line, "yref": "paper", "y0": 0, "y1": 1,
                    "line": {"color": "@muted", "width": 1, "dash": "dash"}}],
    }  # fmt: skip
    height = MARGIN_PX + ROW_PX * max(2, len(rows))
    return Chart(title, {"data": data, "layout": layout}, note, height=height)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


@styled
def forest_picture(
    title: str, axis: str, rows: Sequence[Estimate], line: float, log: bool = True
) -> Figure:
    """The same as a picture, with the numbers in words.

    Parameters
    ----------
    title, axis : str
    rows : sequence of Estimate
    line : float
    log : bool
    """
    fig = page(0.36 * max(2, len(rows)) + 0.7, title, axis)
    axes = fig.add_subplot()
    at = list(range(len(rows)))[::-1]
    axes.axvline(line, color=LIMIT, lw=1.0, ls=(0, (6, 2)))
    for y, row in zip(at, rows, strict=True):
        if math.isfinite(row.low) and math.isfinite(row.high):
            axes.plot([row.low, row.high], [y, y], color=row.colour, lw=3)
        if math.isfinite(row.mean):
            axes.plot([row.mean], [y], "o", color=row.colour, mec="white")
        where = axes.get_yaxis_transform()
        axes.text(1.02, y, row.text, transform=where, va="center", size=8, color=INK)
    if log:
        log_axis(axes.xaxis)
    axes.set_yticks(at, [_short(row.name) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.minorticks_off()
    axes.set_xlabel(axis, color=MUTED)
    return fig
