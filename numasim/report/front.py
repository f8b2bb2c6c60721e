"""The trade-off of a search: what every trial came to, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from numasim.report.furniture import byte_axis
from numasim.report.page.numbers import title, write
from numasim.report.style import GOOD, INK, MUTED, PAPER, page, shade, styled

Point = tuple[Mapping[str, float], Mapping[str, Any], bool]
"""Values by objective, parameters, and whether nothing beats it."""

ROOM = (0.16, 0.13)
"""Of a label, as a share of the axes."""
HEIGHT_IN = 4.2


@styled
def front(name: str, objectives: Mapping[str, str], points: Sequence[Point]) -> Figure:
    """Trials of a search over its first two objectives, and the front of those that nothing beats.

    Parameters
    ----------
    name : str
        Of the search.
    objectives : mapping of str to str
        Numbers to ``maximize`` or ``minimize``, at least two; the first one goes up the page.
    points : sequence of Point
        Finished trials.

    Returns
    -------
    Figure
        The front is drawn in steps: what lies between two trials is not known to be reachable.
    """
    (up, upwards), (across, rightwards), *more = objectives.items()
    best = sorted((p for p in points if p[2]), key=lambda p: p[0][across])
    about = f"{len(points)} trials; nothing beats {len(best)} of them"
    about += f" (two of {len(objectives)} objectives are drawn)" if more else ""
    fig = page(HEIGHT_IN, f"{name}: what is gained, and what it costs", about)
    axes = fig.add_subplot()
    axes.grid(True, axis="both")
    rest = [p for p in points if not p[2]]
    axes.plot(
        [p[0][across] for p in rest], [p[0][up] for p in rest],
        "o", ms=5.0, mfc=shade(MUTED, 0.55), mec=PAPER, mew=0.6,
    )  # fmt: skip
    x, y = ([p[0][key] for p in best] for key in (across, up))
    if not more:
        axes.plot(x, y, color=GOOD, drawstyle="steps-post" if _cheap(rightwards) else "steps-pre")
    axes.plot(x, y, "o", ms=7.0, mfc=GOOD, mec=PAPER, mew=0.8)
    axes.margins(0.12, 0.12)
    axes.autoscale_view()
    inside = axes.transLimits.transform(np.column_stack((x, y))).tolist() if best else []
    places = [(float(a), float(b)) for a, b in inside]
    for i in _told(places):
        _label(axes, x[i], y[i], best[i][1], places[i][0] > 0.7)
    for axis, key, direction in ((axes.xaxis, across, rightwards), (axes.yaxis, up, upwards)):
        _name(axis, key, direction)
    return fig


def _cheap(direction: str) -> bool:
    return direction == "minimize"


def _name(axis: Axis, metric: str, direction: str) -> None:
    better = "less is better" if _cheap(direction) else "more is better"
    axis.set_label_text(f"{title(metric)} ({better})")
    low, high = axis.get_view_interval()
    if metric.endswith("_bytes"):
        byte_axis(axis, high, low)
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: write(metric, value)))


def _told(places: Sequence[tuple[float, float]]) -> list[int]:
    """Which of some places, in shares of the axes, have room for a label: both ends, and others."""
    ends = [0, len(places) - 1] if places else []
    found: list[int] = []
    for i in dict.fromkeys([*ends, *range(len(places))]):
        x, y = places[i]
        near = (abs(places[j][0] - x) < ROOM[0] and abs(places[j][1] - y) < ROOM[1] for j in found)
        if not any(near):
            found.append(i)
    return found


def _label(axes: Axes, x: float, y: float, parameters: Mapping[str, Any], at_end: bool) -> None:
    """Parameters below and to the right of their trial; to the left where the axes end."""
    text = "\n".join(f"{key.removeprefix('policy.')} {value}" for key, value in parameters.items())
    axes.annotate(
        text, (x, y), xytext=(-8, 4) if at_end else (7, -4), textcoords="offset points",
        ha="right" if at_end else "left", va="center" if at_end else "top", color=INK, size=7.5,
        path_effects=[withStroke(linewidth=2.5, foreground=PAPER)],
    )  # fmt: skip
