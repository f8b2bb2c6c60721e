"""What pictures share: time axes, events above them, bytes on axes, labels at the ends of lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from numasim.report.series import Clock, Mark, marks, subtitle
from numasim.report.style import INK, LIMIT, MUTED, note, page, quiet
from numasim.result import Result
from numasim.units import format_bytes

LETTER_IN = 0.066  # mean width of a letter at LABEL_SIZE
LABEL_SIZE = 7.5
ROW_IN = 0.15
MAX_ROWS = 3
STEM = "#8b95a1"
CLOSE = (
    300.0  # ends of a logarithmic axis, over each other, that leave room for ticks between powers
)


def timeline(
    title: str,
    subtitle: str,
    heights_in: Sequence[float],
    clock: Clock,
    marks: Sequence[Mark] = (),
    columns: int = 1,
    widths: Sequence[float] | None = None,
) -> tuple[Figure, np.ndarray]:
    """A page of panels over one time axis, with what happened written above and drawn through.

    Parameters
    ----------
    title, subtitle : str
    heights_in : sequence of float
        Height of each row of panels, inches.
    clock : Clock
    marks : sequence of Mark
    columns : int
    widths : sequence of float, optional
        Relative widths of the columns.

    Returns
    -------
    (Figure, object[rows, columns] of Axes)
    """
    labels = place_labels(marks, clock.span_s, 8.4 / columns)
    heights = ([strip_height(labels)] if labels else []) + list(heights_in)
    fig = page(sum(heights) + 0.45 + 0.1 * len(heights), title, subtitle)
    grid = fig.add_gridspec(len(heights), columns, height_ratios=heights, width_ratios=widths)
    panels = np.empty((len(heights_in), columns), dtype=object)
    for c in range(columns):
        for r in range(len(heights_in)):
            axes = fig.add_subplot(grid[r + bool(labels), c])
            last = r == len(heights_in) - 1
            _time_axis(axes, clock, labelled=last)
            draw_marks(axes, marks, clock)
            panels[r, c] = axes
        if labels:
            _strip(fig.add_subplot(grid[0, c]), labels, clock)
    return fig, panels


def timeline_of(
    result: Result, title: str, heights_in: Sequence[float], columns: int = 1, about: str = ""
) -> tuple[Figure, np.ndarray, Clock]:
    """The timeline of one run: its clock, its events, and what it was beneath the title.

    Parameters
    ----------
    result : Result
    title : str
    heights_in : sequence of float
    columns : int
    about : str
        Said after what the run was.

    Returns
    -------
    (Figure, object[rows, columns] of Axes, Clock)
    """
    clock = Clock.of(result)
    told = subtitle(result) + (f" · {about}" if about else "")
    return *timeline(title, told, heights_in, clock, marks(result), columns), clock


def nothing(result: Result, message: str, title: str) -> Figure:
    """A small figure that says why a run has nothing to draw here."""
    return note(message, title, subtitle(result))


def _time_axis(axes: Axes, clock: Clock, labelled: bool) -> None:
    axes.set_xlim(*clock.limits)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10]))
    if labelled:
        axes.set_xlabel(clock.label)
    else:
        axes.tick_params(axis="x", labelbottom=False, length=0)


def draw_marks(axes: Axes, marks: Iterable[Mark], clock: Clock, colour: str = STEM) -> None:
    """A thin line through a panel at every event but those at the very beginning."""
    for mark in marks:
        if mark.t_s > 0.002 * clock.span_s:
            axes.axvline(mark.t_s * clock.scale, color=colour, lw=0.7, ls=(0, (3, 2)), zorder=0.5)


@dataclass(frozen=True)
class Label:
    """Where the text of an event stands: its instant, row and reach on a strip, inches."""

    mark: Mark
    at: float
    left: float
    right: float
    row: int = 0


def place_labels(marks: Sequence[Mark], span_s: float, width_in: float) -> list[Label]:
    """Rows for the labels of events, so that no text meets another or another's stem.

    Notes
    -----
    A label that would leave the page stands left of its instant. Where `MAX_ROWS` rows are not
    enough, the least weighty events stay without a label.
    """
    chosen = [m for m in marks if 0 <= m.t_s <= span_s]
    while True:
        labels = [_label(m, span_s, width_in) for m in chosen]
        rows = _settle(labels)
        if max(rows, default=0) < MAX_ROWS:
            return [replace(one, row=row) for one, row in zip(labels, rows, strict=True)]
        crowded = [
            i for i, row in enumerate(rows) if row > 0 or any(_meet(labels[i], o) for o in labels)
        ]
        chosen.pop(min(crowded, key=lambda i: (chosen[i].weight, -rows[i])))


def _label(mark: Mark, span_s: float, width_in: float) -> Label:
    at = mark.t_s / span_s * width_in
    reach = len(mark.text) * LETTER_IN + 0.14
    if at + reach > width_in + 0.3 and at > width_in / 2:
        return Label(mark, at, at - reach, at)
    return Label(mark, at, at, at + reach)


def _meet(a: Label, b: Label) -> bool:
    return a is not b and a.left < b.right and b.left < a.right


def _settle(labels: Sequence[Label]) -> list[int]:
    """Row of each label: above the stems that pass through it, and beside no other text."""
    rows = [0] * len(labels)
    for _ in range(2 * len(labels)):
        before = list(rows)
        for i, one in enumerate(labels):
            for j, other in enumerate(labels):
                through = one.left < other.at < one.right
                clash = (
                    _meet(one, other)
                    and rows[i] == rows[j]
                    and not other.left < one.at < other.right
                )
                if (through and rows[i] <= rows[j]) or (clash and i < j):
                    rows[i] = rows[j] + 1
        if rows == before or max(rows) > MAX_ROWS + 1:
            break
    return rows


def _strip(axes: Axes, labels: Sequence[Label], clock: Clock) -> None:
    """The labels above the panels, each with a stem down to its line."""
    quiet(axes)
    axes.set_xlim(*clock.limits)
    axes.set_ylim(0, strip_height(labels))
    for label in labels:
        x, y = label.mark.t_s * clock.scale, label.row * ROW_IN + 0.02
        leftwards = label.left < label.at
        axes.plot([x, x], [-0.02, y + 0.1], color=STEM, lw=0.7, clip_on=False)
        text = axes.annotate(
            label.mark.text,
            (x, y),
            (-3 if leftwards else 3, 0),
            textcoords="offset points",
            size=LABEL_SIZE,
            color=INK if label.mark.weight >= 2 else MUTED,
            ha="right" if leftwards else "left",
            annotation_clip=False,
        )
        text.set_in_layout(False)


def strip_height(labels: Sequence[Label]) -> float:
    """Inches that the labels need."""
    return ROW_IN * (max(label.row for label in labels) + 1) + 0.03 if labels else 0.0


# -- axes of bytes ---------------------------------------------------------------------------------


def byte_ticks(high: float, low: float = 0.0, most: int = 5) -> np.ndarray:
    """Round binary sizes between two bounds: multiples of the smallest fitting power of two."""
    span = max(high - low, 1e-9)
    step = 2.0 ** math.ceil(math.log2(span / most))
    return np.arange(math.ceil(low / step), math.floor(high / step + 1e-9) + 1) * step


def byte_axis(axis: Axis, high: float, low: float = 0.0, per: str = "", most: int = 5) -> None:
    """Ticks at round binary sizes."""
    axis.set_major_locator(FixedLocator(byte_ticks(high, low, most).tolist()))
    axis.set_major_formatter(FuncFormatter(lambda v, _: format_bytes(abs(v)) + per if v else "0"))


def log_byte_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic y axis of sizes, ticks every factor of 32 or 1024."""
    axes.set_yscale("log", base=2)
    axes.set_ylim(low, high)
    step = 5 if math.log2(high / low) <= 40 else 10
    powers = range(0, 63, step)
    axes.yaxis.set_major_locator(FixedLocator([2.0**p for p in powers if low <= 2.0**p <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: format_bytes(v)))
    axes.yaxis.set_minor_locator(NullLocator())


def percent_axis(axis: Axis) -> None:
    """Shares as percent."""
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g} %"))


def log_axis(axis: Axis, form: Callable[[float], str] | None = None) -> None:
    """A logarithmic axis with its ticks in words: names are shown as they are, so powers cannot be.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    form : callable, optional
        A tick's text; `short_number` if not given.
    """
    told = short_number if form is None else form
    x = axis is axis.axes.xaxis
    (axis.axes.set_xscale if x else axis.axes.set_yscale)("log")
    low, high = axis.get_view_interval()
    if high / low < CLOSE:
        axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: told(value)))


def short_number(value: float) -> str:
    """A count for people: ``"8.5 M"``."""
    if not math.isfinite(value):
        return "–"
    for size, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"


def short_bytes(value: float) -> str:
    """A size in three digits: ``"5.48 GiB"``."""
    number, unit = format_bytes(value).split()
    return f"{float(f'{float(number):.3g}'):g} {unit}"


# -- labels ----------------------------------------------------------------------------------------


def spread(wanted: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Positions as near as can be to the wanted ones, at least `gap` apart, within bounds.

    Notes
    -----
    Neighbours that collide are put around their common middle (pool adjacent violators); where
    there is not room for all, the gap shrinks.
    """
    nr = len(wanted)
    if nr == 0:
        return []
    gap = min(gap, (high - low) / max(1, nr - 1)) if nr > 1 else gap
    order = sorted(range(nr), key=lambda i: wanted[i])
    blocks: list[list[float]] = []  # sum of (wanted − own offset), count
    for rank, i in enumerate(order):
        blocks.append([min(high, max(low, wanted[i])) - rank * gap, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    placed = [0.0] * nr
    bases = [b[0] / b[1] for b in blocks for _ in range(int(b[1]))]
    for rank, (i, base) in enumerate(zip(order, bases, strict=True)):
        placed[i] = min(max(base, low), high - (nr - 1) * gap) + rank * gap
    return placed


def label_ends(axes: Axes, labels: Sequence[tuple[float, str, Any]], size: float = 8.0) -> None:
    """Names at the right end of lines instead of a legend.

    Parameters
    ----------
    axes : Axes
        With its final limits.
    labels : sequence of (float, str, colour)
        Value at the end of the line (data units), name, colour.
    size : float
        Points.
    """
    if not labels:
        return
    to_axes = axes.transScale + axes.transLimits
    wanted = [
        float(to_axes.transform((1.0, y))[1]) if math.isfinite(y) else 0.5 for y, _, _ in labels
    ]
    figure: Any = axes.get_figure(root=True)
    inches = figure.get_size_inches()[1] * axes.get_position().height
    height = size / 72 * 1.25 / max(inches, 0.1)
    lines = max((text.count("\n") + 1 for _, text, _ in labels), default=1)
    low = height * (lines - 1) / 2  # more lines than one stay above the ticks of the time axis
    for y, (_, text, colour) in zip(spread(wanted, height * lines, low), labels, strict=True):
        axes.annotate(
            text, (1.0, y), (5, 0), xycoords="axes fraction", textcoords="offset points",
            size=size, color=colour, va="center", ha="left", annotation_clip=False, linespacing=1.1,
        )  # fmt: skip


def tell(axes: Axes, x: float, y: float, text: str, **look: Any) -> Text:
    """Write on a panel, at a place given as shares of it; readable on whatever is behind."""
    usual: dict[str, Any] = {"size": LABEL_SIZE, "color": MUTED, "transform": axes.transAxes}
    written = axes.text(x, y, text, **(usual | look))
    written.set_in_layout(False)
    return halo(written)


def limit_line(
    axes: Axes, y: float, text: str, colour: str = LIMIT, below_right: bool = False
) -> None:
    """A horizontal line with its meaning written on it."""
    axes.axhline(y, color=colour, lw=1.0, ls=(0, (6, 2)), zorder=1.5)
    written = axes.annotate(
        text,
        (0.99 if below_right else 0.005, y),
        (0, -3) if below_right else (2, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        size=LABEL_SIZE,
        color=colour,
        va="top" if below_right else "bottom",
        ha="right" if below_right else "left",
    )
    halo(written).set_in_layout(False)


def duration(seconds: float) -> str:
    """A long time for people: ``"230 s"``, ``"42 min"``, ``"3.1 h"``."""
    for top, unit, name in ((180, 1, "s"), (3 * 3600, 60, "min"), (72 * 3600, 3600, "h")):
        if seconds < top:
            return f"{round(seconds / unit, 1 if seconds < 10 * unit else None):g} {name}"
    return f"{short_number(seconds / 86400)} days"


def halo(text: Text, colour: str = "white", width: float = 2.5) -> Text:
    """A soft outline, so that a label stays readable on whatever is behind it."""
    text.set_path_effects([withStroke(linewidth=width, foreground=colour)])
    return text
