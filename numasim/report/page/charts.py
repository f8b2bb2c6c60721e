"""Traces and layouts as Plotly takes them, with colours by role so that the page follows its theme.

A colour is written ``@name`` or ``@#rrggbb``; the page looks it up in the palette of the theme in
force. Large arrays are packed. Plotly reads a little HTML in every text, so names are escaped here
a first time; the page's JSON is escaped a second time against ending its script.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numasim.report.series import Clock, Mark, thin

DIGITS = 5
LONGEST_NAME = 44
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GAP = -32768
PLAIN, PLAIN_UNITS = ",.4~r", {"%", "ns", "ms", ""}
"""Numbers of these units are written out; of others with k, M, G."""
STEPS_PER_DECADE = 1000

Trace = dict[str, Any]


def safe(text: object) -> str:
    """A text that Plotly shows as it is: no tag, no formula, no ``%{variable}``."""
    escaped = html.escape(str(text), quote=False)
    return escaped.replace("$", "&#36;").replace("%{", "%&#123;")


def brief(text: object) -> str:
    """The same, cut to what a legend has room for."""
    whole = str(text)
    return safe(whole if len(whole) <= LONGEST_NAME else f"{whole[: LONGEST_NAME - 1]}…")


def rounded(values: np.ndarray) -> list[float | None]:
    """Numbers with as many digits as a picture can show; gaps are None."""
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in values.tolist()]


def line(
    name: str,
    t: ArrayLike,
    values: ArrayLike,
    colour: str,
    unit: str,
    *,
    position: int = 0,
    step: bool = False,
    fill: bool = False,
    stack: str = "",
    form: str = "",
) -> Trace:
    """A curve over time.

    Parameters
    ----------
    name : str
    t, values : float64[T]
    colour : str
    unit : str
        Behind the number that hovering shows.
    position : int
        Of the curve among those beside it: chooses the dashes, so that colour is not all.
    step, fill : bool
        Constant up to each instant; filled down to zero.
    stack : str
        Curves of the same name are put on each other.
    form : str
        How Plotly writes the number; left out, it follows from the unit.
    """
    form = form or (PLAIN if unit.strip() in PLAIN_UNITS else ".4s")
    at, shown = thin(np.asarray(t, dtype=float), np.asarray(values, dtype=float))
    trace: Trace = {
        "type": "scatter",
        "mode": "lines",
        "name": brief(name),
        "x": rounded(at),
        "y": rounded(shown),
        "line": {
            "color": f"@{colour}",
            "width": 1.8,
            "dash": "solid" if fill else DASHES[position % len(DASHES)],
            "shape": "vh" if step else "linear",
        },
        "hovertemplate": f"%{{y:{form}}}{safe(unit)}",
    }
    if fill or stack:
        trace["fill"] = "tonexty" if stack else "tozeroy"
        trace["line"]["width"] = 1.0
    if stack:
        trace["stackgroup"] = stack
        trace["line"]["dash"] = "solid"
    return trace


def layout(
    clock: Clock, unit: str, *, low: float | None = 0.0, high: float | None = None, form: str = ""
) -> dict[str, Any]:
    """Axes of a chart over time.

    Parameters
    ----------
    clock : Clock
    unit : str
        Title of the y axis.
    low, high : float or None
        Ends of the y axis; None lets the data decide.
    form : str
        How Plotly writes the numbers of the y axis; left out, it follows from the unit.
    """
    form = form or (PLAIN if unit.strip() in PLAIN_UNITS else "~s")
    y: dict[str, Any] = {"title": {"text": safe(unit)}, "tickformat": form}
    if high is not None:
        y["range"] = [low, high]
    elif low is not None:
        y["rangemode"] = "tozero"
    x = {"title": {"text": safe(clock.label)}, "range": list(clock.limits)}
    return {"xaxis": x, "yaxis": y, "hovermode": "x unified"}


def with_marks(figure: dict[str, Any], marks: Sequence[Mark], clock: Clock) -> dict[str, Any]:
    """The same with what happened: a line for each event, told when it is hovered over."""
    told = [m for m in marks if 0 <= m.t_s <= clock.span_s]
    if not told:
        return figure
    figure["layout"]["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
         "x0": m.t_s * clock.scale, "x1": m.t_s * clock.scale,
         "line": {"color": "@muted", "width": 1, "dash": "dot"}}
        for m in told
    ]  # fmt: skip
    figure["layout"]["yaxis2"] = {
        "overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True,
    }  # fmt: skip
    figure["data"].append({
        "type": "scatter", "mode": "markers", "yaxis": "y2", "showlegend": False, "name": "event",
        "x": [m.t_s * clock.scale for m in told], "y": [0.99] * len(told),
        "text": [safe(m.text) for m in told], "hovertemplate": "%{text}", "cliponaxis": False,
        "marker": {"symbol": "triangle-down", "size": 9, "color": "@muted"},
    })  # fmt: skip
    return figure


def packed(heat: np.ndarray, low: float) -> dict[str, Any]:
    """Heat as logarithms in 16 bits: thousandths of a decade, `GAP` where nobody looked.

    Parameters
    ----------
    heat : float64[rows, columns]
    low : float
        Everything below is shown as this.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log10(np.maximum(heat, low))
    known = np.isfinite(heat)
    steps = np.full(heat.shape, GAP, dtype="<i2")
    steps[known] = np.rint(np.where(known, logs, 0.0) * STEPS_PER_DECADE)[known].astype("<i2")
    return {"$heat": base64.b64encode(steps.tobytes()).decode("ascii"), "shape": list(heat.shape)}
