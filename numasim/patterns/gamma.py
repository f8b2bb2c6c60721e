"""Pages of one extent are not alike: rates follow a gamma distribution."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from numasim.patterns import STRICT, Extent, Pattern, Spread, register

NR_CLASSES = 30


@register("gamma")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Gamma(Pattern):
    """Random visits whose page rates are gamma distributed.

    Parameters
    ----------
    shape : float
        Shape k; about 1 fits the heap of a key-value store, infinity would be uniform.
    shuffle : str
        Another word gives another assignment of rates to pages.
    """

    shape: Annotated[float, Field(ge=0.01, le=1e4)] = 1.0
    shuffle: str = ""

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent of all pages, whose rates follow the distribution."""
        # half of the classes share the tail of the hottest tenth, where the visits are
        edges = np.r_[
            np.linspace(0, 0.9, NR_CLASSES // 2, endpoint=False),
            1 - 0.1 * 0.6 ** np.arange(NR_CLASSES // 2),
            1.0,
        ]
        special = import_module("scipy.special")  # late: a fifth of a second that few runs need
        bounds = np.r_[special.gammaincinv(self.shape, edges[:-1]), np.inf]
        share = np.diff(np.r_[special.gammainc(self.shape + 1, bounds[:-1]), 1.0])
        rates = share / np.diff(edges)
        key = f"gamma/{self.shuffle}/{self.shape!r}"
        return [Extent(0, nr_pages, Spread(key, tuple(edges.tolist()), tuple(rates.tolist())))]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """All visits go to that extent."""
        return np.ones(1)
