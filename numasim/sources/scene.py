"""What a source that knows accessors is given beside what every source is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.damon.reports import Reports
from numasim.damon.sample_filters import Semantics, passes
from numasim.damon.spec import SampleFilter
from numasim.kernel import CostSettings
from numasim.observing import Observing


@dataclass
class Scene:
    """Where a source of one context looks from.

    Parameters
    ----------
    name : str
        The context's, for what it costs.
    observing : Observing
        What sources share.
    costs : CostSettings
    settings : Any
        The source's own parameters, an instance of its ``Settings``.
    filters : tuple of SampleFilter
    physical : bool
        Whether addresses are physical; else they are those of processes.
    jiffy_ns : int
    sample_us : callable
        The sampling interval in force.
    since_ns : int
        When the context was made.
    """

    name: str
    observing: Observing
    costs: CostSettings
    settings: Any
    filters: tuple[SampleFilter, ...]
    physical: bool
    jiffy_ns: int
    sample_us: Callable[[], int]
    since_ns: int

    def passes(self, reports: Reports, semantics: Semantics) -> np.ndarray:
        """bool[N]: which reports the context's filters let pass."""
        return passes(self.filters, reports.cpu, reports.tid, reports.is_write, semantics)

    def accepted(self, semantics: Semantics = "intent") -> np.ndarray:
        """float64[A, 2]: share of each actor's reads and writes that the filters let pass.

        Threads of an actor do the same, so the share is that of its threads.
        """
        found = np.zeros((len(self.observing.threads), 2))
        for a, threads in enumerate(self.observing.threads):
            for write in (False, True):
                kinds = np.full(len(threads.tids), write)
                found[a, int(write)] = passes(
                    self.filters, threads.cpus, threads.tids, kinds, semantics
                ).mean()
        return found

    def places_of(self, pages: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """int64[N]: places of bytes on the line of the views' slots, -1 where a page is absent."""
        memory = self.observing.memory
        slots = pages
        if self.physical:
            slots = memory.frame_of[pages].astype(np.int64)
        places: np.ndarray = np.where(slots >= 0, slots * memory.frame_bytes + offset, -1)
        return places
