"""What a recorded program did, as courses: operations done by instants, standstills included."""

from __future__ import annotations

import numpy as np
import pandas as pd

MEAN_STALL_S = 0.03
"""Mean length of a standstill. Estimate: sampling windows of 5 ms stretch by 0.8 to 1.0 of the time
lost in them (recordings E1), which pauses of less than 15 ms would not do."""


def stalls_of(
    truth: pd.DataFrame, rng: np.random.Generator, mean_s: float = MEAN_STALL_S
) -> list[tuple[float, float]]:
    """When the program stood still, drawn: lost time is a few whole pauses, not slowness.

    Parameters
    ----------
    truth : pandas.DataFrame
        Indexed by the end of each row in seconds; `late_us` is the time lost in it.
    rng : numpy.random.Generator
    mean_s : float

    Returns
    -------
    list of (float, float)
        Begin and end in seconds, ascending, not overlapping.
    """
    found: list[tuple[float, float]] = []
    ends = truth.index.to_numpy(float)
    begins = np.r_[min(0.0, ends[0] - 0.1), ends[:-1]]
    for begin, end, late in zip(begins, ends, truth.late_us.to_numpy(float) / 1e6, strict=True):
        lost = min(late, 0.98 * (end - begin))
        if lost <= 0:
            continue
        nr = 1 + rng.poisson(max(lost / mean_s - 1.0, 0.0))
        lengths = rng.dirichlet(np.ones(nr)) * lost
        gaps = rng.dirichlet(np.ones(nr + 1)) * (end - begin - lost)
        at = begin
        for gap, length in zip(gaps, lengths, strict=False):
            found.append((at + gap, at + gap + length))
            at += gap + length
    return found


def course(
    truth: pd.DataFrame, line: int, phase: int, stalls: list[tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Accesses of one line of a phase by instants.

    Parameters
    ----------
    truth : pandas.DataFrame
    line, phase : int
    stalls : list of (float, float)
        From `stalls_of`; empty where lost time is to be spread evenly.

    Returns
    -------
    times_s : float64[N]
        Ascending; the phase's rows and the edges of standstills.
    done : float64[N]
        Accesses by then.
    """
    rows = truth.index.to_numpy(float)
    edges = np.r_[min(0.0, rows[0] - 0.1), rows]  # the first row begins with phase 0
    column = f"acc{line}"
    counts = truth[column].fillna(0).to_numpy(float) if column in truth else np.zeros(len(rows))
    counts = np.where(truth.phase.to_numpy() == phase, counts, 0.0)
    still = np.array(stalls).reshape(-1, 2)
    times = np.unique(np.round(np.r_[edges, still.reshape(-1)], 7))
    # time that counts: what passed by each instant without the standstills so far
    lost = np.r_[0.0, np.cumsum(still[:, 1] - still[:, 0])]
    knots = np.r_[edges[0], still.reshape(-1), max(edges[-1], still.max(initial=edges[-1]) + 1e-9)]
    ran = knots - np.r_[0.0, np.repeat(lost, 2)[1:]]
    own, of_rows = np.interp(times, knots, ran), np.interp(edges, knots, ran)
    done = np.maximum.accumulate(np.interp(own, of_rows, np.r_[0.0, np.cumsum(counts)]))
    active = np.flatnonzero(np.diff(done) > 0)
    if not len(active):
        return edges[[0, -1]], np.zeros(2)
    part = slice(active[0], active[-1] + 2)
    return times[part], done[part]
