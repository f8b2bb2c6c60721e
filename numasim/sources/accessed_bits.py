"""Page-table accessed bits: was the sampled page touched since its bit was cleared a tick ago?

No accessor, no kind of access; a translation that stays cached hides its page (the law's rates are
rates of page walks already). Source: Linux 7.3.4 DAMON operations sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from numasim.blockwise import steps, undecided
from numasim.law import Law, Ticks
from numasim.sources import Ticking, register
from numasim.view import View

FEW = 1000  # pages that are drawn sooner than classes are counted


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
        Draw every sampled page instead of using class counts: the twin of the shortcut.

    Notes
    -----
    Within a window regions and placement are constant and every tick draws a fresh uniform page,
    so for random patterns the number of hits of a region is exactly Binomial(ticks, mean over its
    pages of 1 - exp(-visits in a tick)). Whole blocks are summed by class; ticks that fall into the
    two partial blocks at a region's ends draw their page. Sweeps and remembered bits need the page
    of every tick, drawn in one array.
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
        bounds = np.empty((2, len(start)), np.int64)
        bounds[0], bounds[1] = start, end
        if self.addr_unit != 1:
            bounds *= self.addr_unit
        ticks = self.law.ticks(window.starts_ns, window.ends_ns)
        if len(self.views) == 1:
            return self._look(self.views[0], bounds, ticks, window)
        found = np.zeros(len(start), np.int64)
        for t, view in enumerate(self.views):
            own = np.flatnonzero(target == t)
            found[own] = self._look(view, bounds[:, own], ticks, window)
        return found

    def _look(self, view: View, bounds: np.ndarray, ticks: Ticks, window: Ticking) -> np.ndarray:
        """int64[R]: hits of the regions of one target, bounds int64[2, R] in bytes."""
        if not bounds.shape[1]:
            return np.zeros(0, np.int64)
        size = bounds[1] - bounds[0]
        low, high = line = view.addresses.linear(bounds)
        few = len(size) * len(ticks.group) <= FEW
        if few or self.exact_ticks or self.law.cleared_at is not None or ticks.fronts:
            hits = self._by_page(view, low, high, size, ticks, window)
        else:
            hits = self._by_class(view, line, size, ticks, window)
        if not view.arrivals:
            return hits
        hits = hits + self._arrived(view, low, high, size, window)
        most: np.ndarray = np.minimum(hits, len(window.starts_ns))
        return most

    # -- shortcut: class counts --------------------------------------------------------------------

    def _by_class(
        self, view: View, line: np.ndarray, size: np.ndarray, ticks: Ticks, window: Ticking
    ) -> np.ndarray:
        """Hits summed by class; only ticks that fall into partial blocks draw their page.

        A tick is undecided with the share of the partial blocks; else its page is touched with the
        mean chance of the whole blocks (and is none in a hole). Ticks are independent, so first
        comes the number of undecided ones, then a binomial for the others. Where most regions are
        small, drawing every page is less work.
        """
        step, counts, slot_bytes = steps(), view.counts, view.addresses.slot_bytes
        left, inner, outer, chance, nr_outer = step.weigh(
            line, size, counts.tables(), ticks.parts, counts.block_slots * slot_bytes, slot_bytes
        )
        nr = len(size)
        if 2 * nr_outer > nr:
            return self._by_page(view, line[0], line[1], size, ticks, window)
        cells, times = undecided(self.rng, outer / size, ticks.nr)
        decided = ticks.nr[:, None].repeat(nr, axis=1)
        if not len(cells):
            return self._draw(decided, chance)
        decided.reshape(-1)[cells] -= times
        hits = self._draw(decided, chance)
        cells = cells.repeat(times)
        group, region = np.divmod(cells, nr) if len(chance) > 1 else (0, cells)
        u = self.rng.random(len(cells))
        slots = step.slots_of(u, region, line[0], left, inner, outer, slot_bytes)
        hits += self._outer_hits(view, slots, group, region, nr, ticks)
        return hits

    def _draw(self, nr: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """int64[R]: successes of binomials, summed over groups (int64[G, R], float64[G, R])."""
        if len(chance) > 2 and (nr <= 1).all():
            hits: np.ndarray = (self.rng.random(chance.shape) < chance * nr).sum(axis=0)
            return hits
        hits = self.rng.binomial(nr[-1], chance[-1])
        for own, p in zip(nr[:-1], chance[:-1], strict=True):
            # the first tick after a pause is alone where a timer wheel sets the pace
            alone = own.max() <= 1
            hits += self.rng.random(len(p)) < own * p if alone else self.rng.binomial(own, p)
        return hits

    def _outer_hits(
        self,
        view: View,
        slots: np.ndarray,
        group: np.ndarray | int,
        region: np.ndarray,
        nr: int,
        ticks: Ticks,
    ) -> np.ndarray:
        """int64[R]: hits of ticks whose slots were drawn (int64[N]; each its group and region)."""
        pages = view.pages_at(slots)
        chance = ticks.probability[group, self.law.space.class_of.take(pages)]
        hit = self.rng.random(len(slots)) < chance
        hit &= pages >= 0
        return np.bincount(region[hit], minlength=nr)

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
        """Hits of pages drawn for every tick and region, in one array."""
        nr_ticks, nr = len(ticks.group), len(size)
        offset = (self.rng.random((nr_ticks, nr)) * size).astype(np.int64)
        length = high - low
        cells = None  # places in [T, R] of what is looked at; None: all
        if (length < size).any():  # what is not mapped is as if behind what is
            cells = (offset < length).reshape(-1).nonzero()[0]
        offset += low
        slots = offset.reshape(-1) if cells is None else offset.reshape(-1)[cells]
        pages = view.pages_at(slots // view.addresses.slot_bytes)
        if len(pages) and pages.min() < 0:
            present = (pages >= 0).nonzero()[0]
            cells = present if cells is None else cells[present]
            pages = pages[present]
        if cells is None:
            cells = np.arange(nr_ticks * nr)
        tick = cells // nr
        hit = self.law.touched(pages, tick, ticks, self.rng)
        if self.law.cleared_at is not None:
            space = self.law.space
            heads = space.folio_heads(pages) if (space.pages_per_bit > 1).any() else pages
            self.law.note_checked(heads, window.ends_ns, tick, hit)
        return np.bincount((cells - tick * nr)[hit], minlength=nr)

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
