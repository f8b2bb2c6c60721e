"""A front that turns to one page after the other, for ever."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, check_range, register, window
from numasim.units import Ratio


@register("sweep")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Sweep(Pattern):
    """A sequential pass over a range, repeated: strict period, nothing random.

    The touched share of the range grows linearly with the window of observation until the period.
    One front passes over the range whatever the number of threads.

    Parameters
    ----------
    first, last : float
        The range, as shares of the mapping.
    """

    first: Ratio = 0.0
    last: Ratio = 1.0
    lines: Annotated[float, Field(gt=0)] = 64.0
    parallelism: Annotated[float, Field(gt=0)] = 16.0
    overlap: Literal["dynamic", "barrier", "serial"] = "serial"

    sweep: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_range(self.first, self.last)
        return self

    def extents(self, nr_pages: int) -> list[Extent]:
        """The range swept."""
        return [Extent(*window(self.first, self.last, nr_pages))]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """All visits go to it."""
        return np.ones(1)
