"""Marks over the heat: where migration took pages from, and where they came to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from numasim.report.grids import Area
from numasim.report.moved import marked, moved_in_area, moved_of_node
from numasim.report.page.charts import Trace, rounded, safe
from numasim.report.page.content import records
from numasim.report.series import Clock, contexts, topology
from numasim.result import Result
from numasim.units import format_bytes

MOST_MOVES = 1500
SMALLEST, LARGEST = 4.0, 11.0
MOVES = {
    "migrate_hot": ("hot region, pages taken from here", "triangle-up", "#3ff0d0"),
    "migrate_cold": ("cold region, pages taken from here", "triangle-down", "#ffffff"),
}
OTHER_MOVE = ("pages taken from here", "diamond", "#7fd1ff")
TAKEN = {
    "promotion": ("promoted from here", "triangle-up", "#3ff0d0"),
    "demotion": ("demoted from here", "triangle-down", "#ffffff"),
}
CAME = {
    "promotion": ("promoted to here", "circle", "#3ff0d0"),
    "demotion": ("demoted to here", "circle", "#ffffff"),
}
MOVED = {
    "promotion": ("promoted", "triangle-up", "#3ff0d0"),
    "demotion": ("demoted", "triangle-down", "#ffffff"),
}


def marks_of_node(result: Result, node: str, size_bytes: int, clock: Clock) -> list[Trace]:
    """What moved from and to a node's frames; of schemes, the regions that pages were taken of.

    Parameters
    ----------
    result : Result
    node : str
    size_bytes : int
        As much of it as is shown.
    clock : Clock
    """
    regions, told = _regions_moved(result, node, size_bytes, clock)
    taken = moved_of_node(result, node, "source", size_bytes, MOST_MOVES)
    came = moved_of_node(result, node, "target", size_bytes, MOST_MOVES)
    return [
        *_by_direction(came, CAME, clock), *regions,
        *_by_direction(marked(taken, told), TAKEN, clock),
    ]  # fmt: skip


def marks_of_area(result: Result, area: Area, clock: Clock) -> list[Trace]:
    """What moved of a stretch of virtual addresses."""
    return _by_direction(moved_in_area(result, area, MOST_MOVES), MOVED, clock)


def _by_direction(
    rows: pd.DataFrame, looks: dict[str, tuple[str, str, str]], clock: Clock
) -> list[Trace]:
    found = []
    for direction, look in looks.items():
        own = rows[rows.direction == direction]
        if len(own):
            texts = [
                f"{format_bytes(r.bytes)} {direction[:-3]}ed from {safe(r.source)} to "
                f"{safe(r.target)} by {safe(r.cause)}"
                for r in records(own)
            ]
            found += _segments(own, own.bytes, texts, *look, clock)
    return found


def _regions_moved(
    result: Result, node: str, size_bytes: int, clock: Clock
) -> tuple[list[Trace], set[str]]:
    """Regions of which schemes migrated pages, and the kdamonds whose schemes they are."""
    ranges = topology(result).node_ranges(node)
    virtual = [name for name, context in contexts(result).items() if context.ops != "paddr"]
    rows = result.tried[(result.tried.applied_bytes > 0) & ~result.tried.kdamond.isin(virtual)]
    rows = rows[_within(rows, ranges)]
    if not len(rows):
        return [], set()
    kdamonds = {str(k) for k in rows.kdamond}
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
        texts = [
            f"{format_bytes(r.applied_bytes)} moved; nr_accesses {r.nr_accesses}, age {r.age}"
            for r in records(own)
        ]
        found += _segments(own, own.applied_bytes, texts, name, symbol, colour, clock)
    return found, kdamonds


def _within(rows: pd.DataFrame, ranges: list[tuple[int, int]]) -> np.ndarray:
    inside = np.zeros(len(rows), dtype=bool)
    for start, end in ranges:
        inside |= ((rows.start < end) & (rows.end > start)).to_numpy()
    return inside


def _segments(
    rows: pd.DataFrame, nr_bytes: pd.Series, texts: list[str], name: str, symbol: str, colour: str,
    clock: Clock,
) -> list[Trace]:  # fmt: skip
    """A line from start to end of each stretch, and a mark in its middle: the more, the larger."""
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
        "marker": {"symbol": symbol, "size": _sizes(nr_bytes), "color": f"@{colour}",
                   "line": {"color": "@#000000", "width": 1}},
        "text": texts,
        "hovertemplate": f"%{{x:.4~g}} {clock.unit}: %{{text}}<extra></extra>",
    }  # fmt: skip
    return [lines, marks_]


def _sizes(nr_bytes: pd.Series) -> list[float]:
    """Pixels of marks: areas go with what moved, and the least can still be seen."""
    share = nr_bytes.to_numpy(float) / max(float(nr_bytes.max()), 1.0)
    return [round(float(v), 1) for v in np.maximum(SMALLEST, LARGEST * np.sqrt(share))]
