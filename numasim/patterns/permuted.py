"""Equal regions whose weights are dealt anew from time to time."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, register, steps_done
from numasim.seeds import Seeds


@register("permuted")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Permuted(Pattern):
    """Regions side by side get visits in proportion to 0, 1, … N-1, in an order drawn per phase.

    Parameters
    ----------
    regions : int
    change_every : float
        Operations between two draws.
    shuffle : str
        Another word draws other orders.

    Notes
    -----
    Source: masim's generator of tiering tests (workloads specification, section 7).
    """

    regions: Annotated[int, Field(ge=2, le=512)] = 10
    change_every: Annotated[float, Field(gt=0)] = 1e9
    shuffle: str = ""

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent per region."""
        bounds = np.linspace(0, nr_pages, self.regions + 1).round().astype(int).tolist()
        return [Extent(a, b) for a, b in pairwise(bounds) if a < b]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """float64[regions]: the weights of the phase, their sum 1."""
        n = len(self.extents(nr_pages))
        if n == 1:
            return np.ones(1)
        phase = steps_done(work, self.change_every)
        rng = Seeds(0).stream(f"permuted/{self.shuffle}/{phase}")
        weights = rng.permutation(n).astype(float)
        shares: np.ndarray = weights / weights.sum()
        return shares

    def next_change(self, work: float) -> float:
        """The work at which the next order is drawn."""
        return (steps_done(work, self.change_every) + 1) * self.change_every
