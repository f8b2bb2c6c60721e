"""Page-table accessed bits: was the sampled page touched since its bit was cleared a tick ago?

No accessor, no kind of access; a translation that stays cached hides its page (the law's rates are
rates of page walks already). Source: Linux 7.3.4 DAMON operations sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from numasim.law import Law, Ticks
from numasim.sources import Ticking, register
from numasim.traffic import BLOCK_SLOTS
from numasim.view import View


@register("accessed_bits")
@dataclass
class AccessedBits:
    """Accessed bits of the pages under a context's targets.

    Parameters
    ----------
    views : list of View
        One per target.
    law : Law
    rng : numpy.random.Generator
        Stream of this context's sampling.
    check_cost_ns : int
        One region, prepared and checked.
    addr_unit : int
        Bytes of one core address unit.
    exact_ticks : bool
        Draw every sampled page instead of the class counts: the twin of the shortcut.

    Notes
    -----
    Within a window regions and placement are constant and every tick draws a fresh uniform page,
    so for random patterns the number of hits of a region is exactly Binomial(ticks, mean over its
    pages of 1 - exp(-visits in a tick)). Whole blocks are summed by class; ticks that fall into the
    two partial blocks at a region's ends draw their page. Sweeps, bursts and remembered bits need
    the page of every tick, drawn in one array.
    """

    views: list[View]
    law: Law
    rng: np.random.Generator
    check_cost_ns: int
    addr_unit: int = 1
    exact_ticks: bool = False

    kind: ClassVar[str]

    def check_ns(self, nr_regions: int) -> int:
        """CPU time of preparing and checking that many regions once."""
        return self.check_cost_ns * nr_regions

    def hits(
        self, start: np.ndarray, end: np.ndarray, target: np.ndarray, window: Ticking
    ) -> np.ndarray:
        """int64[R]: ticks in which each region's sampled page was found accessed."""
        found = np.zeros(len(start), np.int64)
        start, end = start * self.addr_unit, end * self.addr_unit
        ticks = self.law.ticks(window.starts_ns, window.ends_ns)
        for t, view in enumerate(self.views):
            own = np.flatnonzero(target == t) if len(self.views) > 1 else slice(None)
            size = end[own] - start[own]
            low, high = view.addresses.linear(start[own]), view.addresses.linear(end[own])
            if not len(size):
                continue
            if self._needs_pages(ticks):
                hits = self._by_page(view, low, high, size, ticks, window)
            else:
                hits = self._by_class(view, low, high, size, ticks)
            found[own] = hits + self._arrived(view, low, high, size, window)
        return np.minimum(found, len(window.starts_ns))

    def _needs_pages(self, ticks: Ticks) -> bool:
        many = 4 * len(ticks.probability) > len(ticks.group) > 4
        return self.exact_ticks or self.law.cleared_at is not None or bool(ticks.fronts) or many

    # -- shortcut: class counts --------------------------------------------------------------------

    def _by_class(
        self, view: View, low: np.ndarray, high: np.ndarray, size: np.ndarray, ticks: Ticks
    ) -> np.ndarray:
        block = BLOCK_SLOTS * view.addresses.slot_bytes
        first, last = -(-low // block), high // block
        last = np.maximum(first, last)
        inner = np.where(first < last, (last - first) * block, 0)
        counts = view.counts.between(first, last).astype(float)
        slots = np.maximum(inner // view.addresses.slot_bytes, 1)
        hits = np.zeros(len(size), np.int64)
        for g, nr in enumerate(np.bincount(ticks.group).tolist()):
            q = ticks.probability[g]
            nr_inner = self.rng.binomial(nr, inner / size)
            hits += self.rng.binomial(nr_inner, np.minimum(counts @ q / slots, 1.0))
            outer = (high - low) - inner
            rest = np.maximum(size - inner, 1)
            nr_outer = self.rng.binomial(nr - nr_inner, outer / rest)
            hits += self._outer_hits(
                view, low, high, first * block, last * block, nr_outer, g, ticks
            )
        return hits

    def _outer_hits(
        self,
        view: View,
        low: np.ndarray,
        high: np.ndarray,
        inner_low: np.ndarray,
        inner_high: np.ndarray,
        nr: np.ndarray,
        group: int,
        ticks: Ticks,
    ) -> np.ndarray:
        """Hits of the ticks that fell outside whole blocks: their pages are drawn."""
        region = np.repeat(np.arange(len(nr)), nr)
        if not len(region):
            return np.zeros(len(nr), np.int64)
        whole = inner_low < inner_high
        left = np.where(whole, np.minimum(inner_low, high) - low, high - low)
        right = np.where(whole, high - inner_high, 0)
        offset = (self.rng.random(len(region)) * (left + right)[region]).astype(np.int64)
        skip = np.where(offset < left[region], low[region], inner_high[region] - left[region])
        pages = view.pages_at((skip + offset) // view.addresses.slot_bytes)
        present = pages >= 0
        q = ticks.probability[group, self.law.space.class_of[pages[present]]]
        hit = self.rng.random(int(present.sum())) < q
        return np.bincount(region[present][hit], minlength=len(nr))

    # -- twin: every tick's page -------------------------------------------------------------------

    def _by_page(
        self,
        view: View,
        low: np.ndarray,
        high: np.ndarray,
        size: np.ndarray,
        ticks: Ticks,
        window: Ticking,
    ) -> np.ndarray:
        nr_ticks, nr_regions = len(ticks.group), len(size)
        offset = (self.rng.random((nr_ticks, nr_regions)) * size).astype(np.int64)
        mapped = offset < (high - low)
        tick, region = np.nonzero(mapped)
        slots = (low[region] + offset[tick, region]) // view.addresses.slot_bytes
        pages = view.pages_at(slots)
        present = pages >= 0
        tick, region, pages = tick[present], region[present], pages[present].astype(np.int64)
        hit = self.law.touched(pages, tick, ticks, self.rng)
        if self.law.cleared_at is not None:
            heads = self.law.space.folio_heads(pages)
            self.law.note_checked(heads, window.ends_ns[tick], hit)
        return np.bincount(region[hit], minlength=nr_regions)

    # -- first touches within a tick ---------------------------------------------------------------

    def _arrived(
        self, view: View, low: np.ndarray, high: np.ndarray, size: np.ndarray, window: Ticking
    ) -> np.ndarray:
        """Samples whose page was faulted in between choosing and checking: new pages are young."""
        hits = np.zeros(len(size), np.int64)
        if not view.arrivals:
            return hits
        slot_bytes = view.addresses.slot_bytes
        for arrival in view.arrivals:
            inside = np.searchsorted(arrival.slots, -(-high // slot_bytes)) - np.searchsorted(
                arrival.slots, low // slot_bytes
            )
            span = max(1, arrival.to_ns - arrival.from_ns)
            overlap = np.minimum(window.ends_ns, arrival.to_ns) - np.maximum(
                window.starts_ns, arrival.from_ns
            )
            share = np.clip(overlap, 0, None) / span
            for part in share[share > 0].tolist():
                hits += self.rng.random(len(size)) < inside * slot_bytes * part / size
        last = int(window.ends_ns[-1])
        view.arrivals[:] = [a for a in view.arrivals if a.to_ns > last]
        return hits
