"""Where moves took pages from and put them, as stretches of addresses over time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from numasim.report.grids import Area
from numasim.result import Result

KEYS = ["t_s", "direction", "cause", "source", "target"]
STEP = 4.0
"""Parts join only while they moved about as much: within such a factor."""


def stretches(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Neighbouring parts that moved about as much become one; those with most bytes, by time.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `moves_by_frame` or `moves_by_page`, with places ``low`` and ``high`` in bytes.
    most : int
        How many are kept.

    Returns
    -------
    pandas.DataFrame
        ``t_s, direction, cause, source, target, low, high, bytes``.
    """
    rows = rows.sort_values([*KEYS, "low"], kind="stable")
    share = np.maximum(rows.bytes.to_numpy(float) / (rows.high - rows.low).to_numpy(float), 1e-9)
    rows = rows.assign(level=np.round(np.log(share) / np.log(STEP)))
    same = [*KEYS, "level"]
    new = (rows[same] != rows[same].shift()).any(axis=1) | (rows.low != rows.high.shift())
    found = rows.groupby(new.cumsum()).agg(
        {**dict.fromkeys(KEYS, "first"), "low": "min", "high": "max", "bytes": "sum"}
    )
    kept = found.nlargest(most, "bytes") if len(found) > most else found
    return kept.sort_values("t_s", kind="stable", ignore_index=True)


def moved_of_node(result: Result, node: str, side: str, size_bytes: int, most: int) -> pd.DataFrame:
    """What was taken from the first bytes of a node's frames, or came there.

    Parameters
    ----------
    result : Result
    node : str
    side : str
        ``source`` or ``target``.
    size_bytes : int
        As much of the node as is shown.
    most : int
        See `stretches`.
    """
    rows = result.moves_by_frame
    rows = rows[(rows.node == node) & (rows[side] == node) & (rows.start < size_bytes)]
    return stretches(rows.rename(columns={"start": "low", "end": "high"}), most)


def moved_in_area(result: Result, area: Area, most: int) -> pd.DataFrame:
    """What moved of a stretch of virtual addresses, with places from its beginning on.

    Parameters
    ----------
    result : Result
    area : Area
    most : int
        See `stretches`.
    """
    parts = []
    for process, mapping, address in area.mappings:
        rows = result.moves_by_page
        rows = rows[(rows.process == process) & (rows.mapping == mapping)]
        offset = address - area.view.start
        parts.append(rows.assign(low=rows.start + offset, high=rows.end + offset))
    rows = pd.concat(parts) if parts else result.moves_by_page.assign(low=0, high=0)
    inside = (rows.high > 0) & (rows.low < area.view.size_bytes)
    return stretches(rows[inside.astype(bool)], most)


def marked(rows: pd.DataFrame, but: set[str]) -> pd.DataFrame:
    """Rows whose cause is none of these."""
    return rows[~rows.cause.isin(list(but))] if but else rows
