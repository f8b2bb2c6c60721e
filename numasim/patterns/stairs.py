"""A staircase of rates."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, register


@register("stairs")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Stairs(Pattern):
    """Equal steps side by side; each is visited `ratio` times as often as the one before it.

    Parameters
    ----------
    steps : int
    ratio : float
    """

    steps: Annotated[int, Field(ge=1)] = 8
    ratio: Annotated[float, Field(gt=0)] = 0.5

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent per step."""
        bounds = np.linspace(0, nr_pages, self.steps + 1).round().astype(int).tolist()
        return [Extent(a, b) for a, b in pairwise(bounds) if a < b]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """Each step `ratio` times the visits of the one before it."""
        weights = self.ratio ** np.arange(len(self.extents(nr_pages)), dtype=float)
        shares: np.ndarray = weights / weights.sum()
        return shares
