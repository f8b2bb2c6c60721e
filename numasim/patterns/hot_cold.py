"""A hot set and the rest."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import ConfigError, Problem
from numasim.patterns import STRICT, Extent, Pattern, Spread, register, window
from numasim.units import Ratio


@register("hot_cold")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class HotCold(Pattern):
    """A share of the pages gets a share of the visits.

    Parameters
    ----------
    hot : float
        Share of the pages that is hot, above 0.
    hot_visits : float
        Share of the visits that goes to them.
    at : float
        Where the hot set begins, as a share of the mapping; it must end inside.
    scattered : bool
        Hot pages lie anywhere instead of side by side.
    """

    hot: Ratio = 0.1
    hot_visits: Ratio = 0.9
    at: Ratio = 0.0
    scattered: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hot <= 0:
            raise ConfigError(Problem("hot", "got 0, expected some pages", "or use uniform"))
        if not self.scattered and self.at + self.hot > 1 + 1e-9:
            raise ConfigError(
                Problem("at", f"the hot set ends at {self.at + self.hot:g}, beyond 1")
            )
        if self.hot >= 1 and self.hot_visits < 1:
            raise ConfigError(Problem("hot_visits", "is less than 1, but all pages are hot"))
        return self

    def _bounds(self, nr_pages: int) -> tuple[int, int]:
        return window(self.at, min(1.0, self.at + self.hot), nr_pages)

    def extents(self, nr_pages: int) -> list[Extent]:
        """The hot pages, then the cold on either side; one extent of both where scattered."""
        if self.scattered and self.hot >= 1:
            return [Extent(0, nr_pages)]
        if self.scattered:
            rates = (self.hot_visits / self.hot, (1 - self.hot_visits) / (1 - self.hot))
            key = f"hot_cold/{self.hot!r}"
            return [Extent(0, nr_pages, Spread(key, (0.0, self.hot, 1.0), rates))]
        first, last = self._bounds(nr_pages)
        cold = [Extent(a, b) for a, b in ((0, first), (last, nr_pages)) if a < b]
        return [Extent(first, last), *cold]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """`hot_visits` to the hot set, the rest to the cold in proportion to size."""
        if self.scattered:
            return np.ones(1)
        first, last = self._bounds(nr_pages)
        cold = np.array([b - a for a, b in ((0, first), (last, nr_pages)) if a < b], float)
        if not len(cold):
            return np.ones(1)
        shares: np.ndarray = np.r_[self.hot_visits, (1 - self.hot_visits) * cold / cold.sum()]
        return shares
