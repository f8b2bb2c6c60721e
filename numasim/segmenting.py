"""Where a series changes for good: parts with means of their own, no more than noise allows.

Optimal partitioning: of all ways to cut the series, the one with the least squared distance from
the means of its parts plus a price for every cut. The price is that of the Bayesian information
criterion for a shift of the mean, so that noise alone is hardly ever cut.
"""

from __future__ import annotations

import numpy as np

LEAST_NOISE = 1e-3
"""Of the range of a column: less counts as this much, for what is exact would be cut anywhere."""


def change_points(series: np.ndarray, most: int = 0, least: int = 1) -> list[int]:
    """First rows of the parts after the first.

    Parameters
    ----------
    series : float64[T] or float64[T, D]
        Rows in the order of time or place.
    most : int
        Parts at most; the price is raised until they are so few. 0: any number.
    least : int
        Rows of a part, at least.

    Returns
    -------
    list of int
        Ascending; empty if nothing changes.

    Notes
    -----
    Noise of each column: half of the mean squared difference of neighbours (von Neumann's); seldom
    changes add little to it, and what goes up and down all the time counts as noise. Price of a
    cut: ``(D + 2) ln T`` in units of that noise. Source: Jackson et al. (2005), "An algorithm for
    optimal partitioning of data on an interval"; Zhang and Siegmund (2007), whose price is
    ``3 ln T`` for one column.
    """
    table = np.asarray(series, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    nr = len(table)
    span = np.ptp(table, axis=0) if nr else np.zeros(0)
    table = table[:, span > 0]
    if nr < 2 * least or not table.shape[1]:
        return []
    noise = np.sqrt((np.diff(table, axis=0) ** 2).mean(axis=0) / 2)
    scaled = table / np.maximum(noise, LEAST_NOISE * span[span > 0])
    price = (scaled.shape[1] + 2) * float(np.log(nr))
    while True:
        found = _cuts(scaled, price, least)
        if not most or len(found) < most:
            return found
        price *= 1.5


def _cuts(table: np.ndarray, price: float, least: int) -> list[int]:
    """The best cuts at a price: the best way to each row goes over the best way to an earlier."""
    nr = len(table)
    sums = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((table**2).sum(axis=1))])
    best, came = np.full(nr + 1, np.inf), np.zeros(nr + 1, np.int64)
    best[0] = -price
    for end in range(least, nr + 1):
        starts = end - least + 1
        length = end - np.arange(starts)
        inside = squares[end] - squares[:starts]
        cost = inside - ((sums[end] - sums[:starts]) ** 2).sum(axis=1) / length
        total = best[:starts] + cost + price
        came[end] = int(np.argmin(total))
        best[end] = total[came[end]]
    found, at = list[int](), int(came[nr])
    while at > 0:
        found.append(at)
        at = int(came[at])
    return found[::-1]
