"""What DAMON saw of a run, and what a recording says it could have seen, on one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.reels import Reel
from numasim.result import Result
from numasim.tape import Tape
from numasim.views.cells import mean_in_cells

PAGE_BYTES = 4096
ROWS, CELLS = 60, 128
TICKS = 20
"""Looked at in each row for the truth."""


@dataclass(frozen=True)
class View:
    """Heat over time and address: the share of samples that find a page accessed.

    Parameters
    ----------
    heat : float64[rows, cells]
    regions : float64[rows]
        Regions of a snapshot; 0 for the truth.
    working_set : float64[S]
        Share of the addresses found accessed at least once, of every snapshot (or row).
    """

    heat: np.ndarray
    regions: np.ndarray
    working_set: np.ndarray

    def hot(self, ratio: float) -> np.ndarray:
        """bool[rows, cells]: cells accessed in at least that share of samples."""
        found: np.ndarray = self.heat >= ratio
        return found


def truth(tape: Tape, intervals: float, sample: float, aggregation: float) -> View:
    """What samples find of a recording that is played evenly, on average.

    Parameters
    ----------
    tape : Tape
    intervals : float
        Played in all.
    sample, aggregation : float
        Lengths of a sampling and an aggregation interval, in intervals of the recording.
    """
    reel = Reel(tape, 0, 0)
    nr, pages = tape.header.pages, np.arange(tape.header.pages)
    cell = pages * CELLS // nr
    size = np.bincount(cell, minlength=CELLS)
    heat, working_set = np.zeros((ROWS, CELLS)), np.zeros(ROWS)
    for row in range(ROWS):
        begin, length = row * intervals / ROWS, intervals / ROWS
        for tick in range(TICKS):
            at = begin + (tick + 0.5) * length / TICKS
            heat[row] += np.bincount(cell, reel.chance(pages, at, at + sample), CELLS)
        missed = np.ones(nr)
        for tick in range(round(aggregation / sample)):
            at = begin + length / 2 + tick * sample
            missed *= 1 - reel.chance(pages, at, at + sample)
        working_set[row] = float(1 - missed.mean())
    return View(heat / TICKS / np.maximum(size, 1), np.zeros(ROWS), working_set)


def seen(result: Result, first: int, nr_bytes: int, span_s: float) -> View:
    """What the only kdamond of a run saw.

    Parameters
    ----------
    result : Result
        With all its snapshots.
    first, nr_bytes : int
        Addresses.
    span_s : float
        Length of the replay, from when its first phase began.
    """
    began = float(result.phases.began_s.min())
    edges = first + np.linspace(0, nr_bytes, CELLS + 1)
    heat, looked = np.zeros((ROWS, CELLS)), np.zeros(ROWS)
    regions, working_set = np.zeros(ROWS), []
    for seen_s, rows in result.snapshots.groupby("seen_s"):
        row = int((float(str(seen_s)) - began) / span_s * ROWS)
        if not 0 <= row < ROWS:
            continue
        start, end = rows.start.to_numpy(np.int64), rows.end.to_numpy(np.int64)
        share = (rows.nr_accesses / rows.max_nr_accesses).to_numpy(float)
        heat[row] += np.nan_to_num(mean_in_cells(edges, start, end, share))
        looked[row] += 1
        regions[row] += len(rows)
        working_set.append(float((end - start)[share > 0].sum()) / nr_bytes)
    many = np.maximum(looked, 1)
    return View(heat / many[:, None], regions / many, np.array(working_set))


# -- how far apart -------------------------------------------------------------------------------


def f1(truth: np.ndarray, called: np.ndarray) -> float:
    """F1 of what is called hot (bool) against what is; 1 where nothing is and nothing is called."""
    total = int(truth.sum() + called.sum())
    return float(2 * (truth & called).sum() / total) if total else 1.0


def emd(a: np.ndarray, b: np.ndarray) -> float:
    """Earth mover's distance along the addresses, as a share of them: mean of rows by heat.

    Parameters
    ----------
    a, b : float64[rows, cells]
        Each row scaled to one; rows of which one has no heat count as 1 apart, as 0 if neither has.
    """
    total_a, total_b = a.sum(axis=1), b.sum(axis=1)
    weight = total_a + total_b
    both = (total_a > 0) & (total_b > 0)
    scaled = [x / np.where(t > 0, t, 1.0)[:, None] for x, t in ((a, total_a), (b, total_b))]
    gaps = np.abs(np.cumsum(scaled[0] - scaled[1], axis=1)).mean(axis=1)
    far = np.where(both, gaps, (weight > 0).astype(float))
    return float(np.average(far, weights=weight)) if weight.sum() > 0 else 0.0


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein distance of two samples (float64[N], float64[M]): of their quantiles."""
    at = (np.arange(200) + 0.5) / 200
    if not len(a) or not len(b):
        return float("nan")
    return float(np.abs(np.quantile(a, at) - np.quantile(b, at)).mean())
