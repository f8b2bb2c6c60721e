"""Pages that are in swap, and what waiting for them costs an operation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from numasim.pages import CompiledPattern


class Swapped:
    """Pages of each rate class that are in swap now.

    Parameters
    ----------
    nr_classes : int

    Attributes
    ----------
    counts : int64[C]
    fault_ns : float
        How long a thread waits that touches one.
    """

    def __init__(self, nr_classes: int) -> None:
        self.counts = np.zeros(nr_classes, np.int64)
        self.fault_ns = 0.0

    def stall_ns(self, patterns: Iterable[CompiledPattern], weights: Iterable[np.ndarray]) -> float:
        """Waiting of one operation.

        Parameters
        ----------
        patterns : iterable of CompiledPattern
        weights : iterable of float64[C]
            Of each pattern: chance that a visit goes to one page of a class.

        Notes
        -----
        Assumption: a thread that faults waits until the page is there, and a page's other lines
        cost what they cost before; faults of one thread do not overlap.
        """
        if not self.fault_ns or not self.counts.any():
            return 0.0
        visits = sum(
            one.pattern.visits * float(self.counts @ w)
            for one, w in zip(patterns, weights, strict=True)
        )
        return float(visits * self.fault_ns)
