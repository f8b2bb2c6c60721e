"""Data that grows while it is used."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, register, steps_done


@register("growth")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Growth(Pattern):
    """Uniform visits to the part of the mapping that exists; a slice is added from time to time.

    Parameters
    ----------
    slices : int
        The mapping is reached after that many additions.
    add_every : float
        Operations between additions.
    """

    slices: Annotated[int, Field(ge=1, le=512)] = 32
    add_every: Annotated[float, Field(gt=0)] = 1e9

    def _bounds(self, nr_pages: int) -> np.ndarray:
        return np.unique(np.linspace(0, nr_pages, self.slices + 1).round().astype(int))

    def _grown(self, work: float, nr_pages: int) -> int:
        return min(len(self._bounds(nr_pages)) - 1, steps_done(work, self.add_every) + 1)

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent per slice, in the order in which they are added."""
        bounds = self._bounds(nr_pages).tolist()
        return [Extent(a, b) for a, b in pairwise(bounds)]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """Visits in proportion to size among the slices that exist; none to the rest."""
        sizes = np.diff(self._bounds(nr_pages)).astype(float)
        sizes[self._grown(work, nr_pages) :] = 0.0
        shares: np.ndarray = sizes / sizes.sum()
        return shares

    def next_change(self, work: float) -> float:
        """The work at which the next slice is added; infinite once all exist."""
        done = steps_done(work, self.add_every)
        return math.inf if done >= self.slices - 1 else (done + 1) * self.add_every

    def populated_pages(self, work: float, nr_pages: int) -> int:
        """Pages of the slices that exist."""
        return int(self._bounds(nr_pages)[self._grown(work, nr_pages)])
