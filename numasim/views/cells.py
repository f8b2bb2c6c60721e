"""Regions of uneven sizes onto equal cells of addresses."""

from __future__ import annotations

import numpy as np


def in_cells(
    edges: np.ndarray, start: np.ndarray, end: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What regions amount to in each cell.

    Parameters
    ----------
    edges : float64[C + 1]
        Ends of the cells, ascending.
    start, end : int64[R]
        Regions, ascending and apart.
    values : float64[R]
        Of every byte of a region.

    Returns
    -------
    covered : float64[C]
        Bytes of each cell that lie in regions.
    total : float64[C]
        Values summed over these bytes.
    """
    bounds = np.stack([start, end], axis=1).reshape(-1).astype(float)
    size = (end - start).astype(float)
    covered, total = (
        np.diff(np.interp(edges, bounds, np.repeat(np.r_[0, np.cumsum(part)], 2)[1:-1]))
        for part in (size, size * values)
    )
    return covered, total


def mean_in_cells(
    edges: np.ndarray, start: np.ndarray, end: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """float64[C]: mean value over the covered part of each cell, NaN where there is none."""
    covered, total = in_cells(edges, start, end, values)
    return np.where(covered > 0, total / np.where(covered > 0, covered, 1.0), np.nan)
