"""Rates given block by block, as measured or drawn elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.errors import Problem
from numasim.patterns import STRICT, Extent, Pattern, register
from numasim.wholes import checked

MOST_BLOCKS = 1024  # each is a rate class of its own


@register("blocks")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Blocks(Pattern):
    """Blocks of equal size side by side, each with its share of the visits.

    Parameters
    ----------
    weights : tuple of float
        One for each block, in proportion; at most 1024. The last block may be shorter.
    """

    weights: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1, max_length=MOST_BLOCKS)
    ]

    def _check_weights(self) -> Iterator[Problem]:
        if not any(self.weights):
            yield Problem("weights", "are all 0, expected some visits")

    checks: ClassVar = (_check_weights,)
    _checked = model_validator(mode="after")(checked)

    def extents(self, nr_pages: int) -> list[Extent]:
        """One extent per block that holds a page."""
        each = -(-nr_pages // len(self.weights))
        bounds = [min(i * each, nr_pages) for i in range(len(self.weights) + 1)]
        return [Extent(a, b) for a, b in pairwise(bounds) if a < b]

    def shares(self, work: float, nr_pages: int) -> np.ndarray:
        """Each block its weight."""
        weights = np.array(self.weights[: len(self.extents(nr_pages))])
        total = weights.sum()
        shares: np.ndarray = weights / total if total else np.full(len(weights), 1 / len(weights))
        return shares


def joined(weights: np.ndarray, most: int = MOST_BLOCKS) -> np.ndarray:
    """Weights (float64[N]) of fewer blocks: neighbours are added up until they are few enough."""
    while len(weights) > most:
        weights = np.add.reduceat(weights, np.arange(0, len(weights), 2))
    return weights
