"""Access sources: how accesses become visible to DAMON. One file registers one source.

A source answers, for a context's regions, in how many ticks of a window the sampled address was
found accessed, and what the looking cost. DAMON never sees traffic except through a source.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from numasim.law import Law
from numasim.registry import Registry
from numasim.view import View


class Ticking(Protocol):
    """A window of sampling ticks: when addresses were chosen and were checked, int64[T]."""

    @property
    def starts_ns(self) -> np.ndarray:
        """Instants at which addresses were chosen."""
        ...

    @property
    def ends_ns(self) -> np.ndarray:
        """Instants at which they were checked."""
        ...


class AccessSource(Protocol):
    """What a monitoring context asks.

    A scenario names it (``access_source``); it is made once per context, with keywords ``views``
    (one `View` per target), ``law``, ``rng``, ``check_cost_ns``, ``addr_unit`` and ``exact_ticks``.
    `views` and `addr_unit` change when the context is tuned.
    """

    kind: ClassVar[str]
    views: list[View]
    addr_unit: int

    def __init__(
        self,
        *,
        views: list[View],
        law: Law,
        rng: np.random.Generator,
        check_cost_ns: int,
        addr_unit: int,
        exact_ticks: bool,
    ) -> None: ...

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Ticking
    ) -> np.ndarray:
        """int64[R]: ticks in which each region ``[start, end)`` was found accessed.

        Parameters
        ----------
        start, end : int64[R]
            Addresses in bytes.
        target : int64[R]
            Index of each region's target.
        window : Ticking
        """
        ...

    def check_ns(self, nr_regions: int) -> int:
        """CPU time of preparing and checking that many regions once."""
        ...


registry: Registry[AccessSource] = Registry("access source", "numasim.sources", "numasim.sources")
register = registry.register
