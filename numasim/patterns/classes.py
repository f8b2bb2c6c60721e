"""Pages of one mapping in classes of like rate, scattered over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import Problem
from numasim.patterns import STRICT, Extent, Pattern, Spread, register
from numasim.seeds import Seeds
from numasim.wholes import checked

MOST_CLASSES = 64
WHOLE = 1e-6


@register("classes")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Classes(Pattern):
    """Random visits whose page rates are given by class; pages of every class lie anywhere.

    Parameters
    ----------
    pages : tuple of float
        Share of the pages in each class; together 1.
    rates : tuple of float
        Rate of a page of each class, in proportion; above 0, however little.
    run : int
        Pages side by side that are in the same class.
    shuffle : str
        Another word puts other pages in the classes. Patterns of equal shares, runs and words have
        the same pages in them.
    """

    pages: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...],
        Field(min_length=1, max_length=MOST_CLASSES),
    ]
    rates: tuple[Annotated[float, Field(gt=0)], ...]
    run: Annotated[int, Field(ge=1)] = 1
    shuffle: str = ""

    def _check_pages(self) -> Iterator[Problem]:
        total = sum(self.pages)
        if abs(total - 1) > WHOLE:
            yield Problem("pages", f"add up to {total:g}, expected 1")

    def _check_rates(self) -> Iterator[Problem]:
        if len(self.rates) != len(self.pages):
            message = f"got {len(self.rates)} for {len(self.pages)} classes, expected one each"
            yield Problem("rates", message)

    checks: ClassVar = (_check_pages, _check_rates)
    _checked = model_validator(mode="after")(checked)

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent of all pages, in classes."""
        inner = np.minimum(np.cumsum(self.pages[:-1]), 1.0).tolist()
        key, quantiles = f"classes/{self.shuffle}/{self.run}/{self.pages!r}", None
        if self.run > 1:
            nr_runs = -(-nr_pages // self.run)
            order = Seeds(0).stream(f"{key}/{nr_runs}").permutation(nr_runs)
            quantiles = np.repeat((order + 0.5) / nr_runs, self.run)[:nr_pages]
        return [Extent(0, nr_pages, Spread(key, (0.0, *inner, 1.0), self.rates, quantiles))]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """All visits go to that extent."""
        return np.ones(1)
