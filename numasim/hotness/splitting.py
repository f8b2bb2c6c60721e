"""Which huge pages to split: as many as the fast tier would gain hits by, the most skewed first.

Source: MEMTIS (SOSP'23), policies specification section 8.
"""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.hotness.heat import HUGE_PAGES, NR_BINS, Heat

GAMMA = 0.4
LEAST_GAIN = 0.03


def nr_splits(
    wanted_ratio: float,
    real_ratio: float,
    samples: int,
    mean_accesses: float,
    latency_gain: float,
) -> int:
    """How many huge pages should be split.

    Parameters
    ----------
    wanted_ratio : float
        Hits in the fast tier if base pages were placed each by itself (eHR).
    real_ratio : float
        Hits in it now (rHR).
    samples : int
        Since the last decision.
    mean_accesses : float
        Samples of a huge page in that time.
    latency_gain : float
        What a hit saves, in latencies of the fast tier.

    Returns
    -------
    int
        0 where the gain would be below 3 %.
    """
    gain = wanted_ratio - real_ratio
    if gain < LEAST_GAIN or mean_accesses <= 0:
        return 0
    return int(gain * samples / mean_accesses * latency_gain * GAMMA)


class Splitting:
    """Counts of base pages, and what of huge pages they say.

    Parameters
    ----------
    stage : Stage
    fast_latency, slow_latency : float
        As the policy assumes them, ns.

    Attributes
    ----------
    bases : Heat
        Of base pages, those within huge pages too.
    chosen : int64[N]
        First pages of folios to be split by whoever moves pages.
    nr_split : int

    Notes
    -----
    Skew of a huge page: the sum of squares of its pages' counts over the square of the number of
    pages that were touched. Assumption: that form; the specification says skewed only.
    """

    def __init__(self, stage: Stage, fast_latency: float, slow_latency: float) -> None:
        self._stage, self.nr_split = stage, 0
        self._latency_gain = (slow_latency - fast_latency) / fast_latency
        self.bases = Heat(stage.space.nr_pages)
        self._threshold = NR_BINS  # of base pages; there is none before the first decision
        self.chosen = np.zeros(0, np.int64)
        self._begin()

    def _begin(self) -> None:
        self._samples = self._in_fast = self._would_hit = self._of_huge = 0
        self._huge: list[np.ndarray] = []

    def count(self, pages: np.ndarray, fast: int) -> None:
        """Count samples by base page; hits in the fast tier, and hits there could be."""
        space = self._stage.space
        distinct, nr = np.unique(pages, return_counts=True)
        self.bases.add(distinct, nr * HUGE_PAGES, np.ones(len(distinct), np.int64))
        self._samples += len(pages)
        self._in_fast += int((self._stage.nodes_of(pages) == fast).sum())
        would = self.bases.bin_of(distinct) >= self._threshold
        self._would_hit += int(nr[would].sum())
        huge = space.pages_per_bit[space.class_of[distinct]] == HUGE_PAGES
        self._of_huge += int(nr[huge].sum())
        self._huge.append(np.unique(space.folio_heads(distinct[huge])))

    def decide(self, heat: Heat, capacity: int) -> None:
        """Choose folios to split, from the samples since the last decision."""
        space = self._stage.space
        huge = np.unique(np.concatenate(self._huge)) if self._huge else np.zeros(0, np.int64)
        huge = huge[space.pages_per_bit[space.class_of[huge]] == HUGE_PAGES]
        samples = max(1, self._samples)
        mean = self._of_huge / max(1, len(huge))
        nr = nr_splits(
            self._would_hit / samples, self._in_fast / samples, samples, mean, self._latency_gain
        )
        if nr and len(huge):
            order = np.argsort(-self.skew(huge), kind="stable")
            self.chosen = huge[order[:nr]]
        self._threshold = self.bases.thresholds(capacity)[0]
        self._begin()

    def skew(self, heads: np.ndarray) -> np.ndarray:
        """float64[N]: how unevenly the pages of huge folios are used."""
        counts = self.bases.of(heads[:, None] + np.arange(HUGE_PAGES)) / HUGE_PAGES
        used = np.maximum((counts > 0).sum(axis=1), 1)
        skew: np.ndarray = (counts**2).sum(axis=1) / used**2
        return skew

    def split(self, heat: Heat) -> int:
        """Split what was chosen; base pages take up their own counts. ns that it took."""
        space = self._stage.space
        heads, self.chosen = self.chosen, np.zeros(0, np.int64)
        there = self._stage.memory.frame_of[heads] >= 0
        heads = heads[there & (space.pages_per_bit[space.class_of[heads]] == HUGE_PAGES)]
        if not len(heads):
            return 0
        heat.put(heads, np.zeros(len(heads), np.uint32), np.full(len(heads), HUGE_PAGES))
        pages = self._stage.migrator.split(heads)
        heat.put(pages, self.bases.of(pages), np.ones(len(pages), np.int64))
        self.nr_split += len(heads)
        return len(heads) * self._stage.costs.tlb_shootdown
