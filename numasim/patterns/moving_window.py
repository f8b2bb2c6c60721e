"""A hot window that moves on."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, register, steps_done
from numasim.units import Ratio


@register("moving_window")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class MovingWindow(Pattern):
    """Uniform visits to a window that hops through the mapping and wraps at its end.

    Parameters
    ----------
    cells : int
        The mapping is cut into that many equal cells.
    width : int
        Cells in the window.
    hop_every : float
        Operations between hops of one cell.
    outside : float
        Share of the visits that goes to the rest of the mapping.
    """

    cells: Annotated[int, Field(ge=2, le=512)] = 16
    width: Annotated[int, Field(ge=1)] = 4
    hop_every: Annotated[float, Field(gt=0)] = 1e9
    outside: Ratio = 0.0

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent per cell."""
        bounds = np.linspace(0, nr_pages, self.cells + 1).round().astype(int).tolist()
        return [Extent(a, b) for a, b in pairwise(bounds) if a < b]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """The window cells evenly; `outside` of the visits to the other cells."""
        n = len(self.extents(nr_pages))
        width = min(self.width, n)
        inside = (steps_done(work, self.hop_every) + np.arange(width)) % n
        shares = np.full(n, self.outside / (n - width) if n > width else 0.0)
        shares[inside] = (1 - self.outside if n > width else 1.0) / width
        return shares

    def next_change(self, work: float) -> float:
        """The work at which the window hops next."""
        return (steps_done(work, self.hop_every) + 1) * self.hop_every
