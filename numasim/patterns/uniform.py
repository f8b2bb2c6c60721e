"""Every page of a range alike."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, check_range, register, window
from numasim.units import Ratio


@register("uniform")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Uniform(Pattern):
    """Uniformly random visits to a range of the mapping.

    Parameters
    ----------
    first, last : float
        The range, as shares of the mapping.
    """

    first: Ratio = 0.0
    last: Ratio = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_range(self.first, self.last)
        return self

    def extents(self, nr_pages: int) -> list[Extent]:
        """The range visited."""
        return [Extent(*window(self.first, self.last, nr_pages))]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """All visits go to it."""
        return np.ones(1)
