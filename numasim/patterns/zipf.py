"""Popularity that falls with rank."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, Spread, register

NR_CLASSES = 30


@register("zipf")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Zipf(Pattern):
    """Page of rank r is visited in proportion to r to the power of -exponent; ranks lie anywhere.

    Parameters
    ----------
    exponent : float
        Skew; 0 is uniform, YCSB uses 0.99.
    shuffle : str
        Another word gives another permutation of the ranks.

    Notes
    -----
    Ranks are grouped in thirty classes of geometrically growing size, each at its mean rate.
    """

    exponent: Annotated[float, Field(ge=0, le=10)] = 0.99
    shuffle: str = ""

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent of all pages, in classes of like rank."""
        edges = np.unique(np.round(np.geomspace(1, nr_pages + 1, NR_CLASSES + 1))) - 1
        rates = [_mass(a, b, self.exponent) / (b - a) for a, b in pairwise(edges)]
        key = f"zipf/{self.shuffle}/{nr_pages}"
        scaled = tuple((edges / nr_pages).tolist())
        return [Extent(0, nr_pages, Spread(key, scaled, tuple(rates)))]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """All visits go to that extent."""
        return np.ones(1)


def _mass(first: float, last: float, exponent: float) -> float:
    """Sum of rank**-exponent over ranks first+1 … last (Euler–Maclaurin beyond 64 ranks)."""
    head = np.arange(first + 1, min(last, first + 64) + 1)
    total = float(np.sum(head**-exponent))
    a, b = first + 64, last
    if b <= a:
        return total
    area = (
        np.log(b / a)
        if exponent == 1
        else (b ** (1 - exponent) - a ** (1 - exponent)) / (1 - exponent)
    )
    return total + float(area + (b**-exponent - a**-exponent) / 2)
