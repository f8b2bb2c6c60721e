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
        if self.exact_ticks or self.law.cleared_at is not None or ticks.fronts:
            hits = self._by_page(view, low, high, size, ticks, window)
        else:
            hits = self._by_class(view, line, size, ticks)
        if not view.arrivals:
            return hits
        hits = hits + self._arrived(view, low, high, size, window)
        most: np.ndarray = np.minimum(hits, len(window.starts_ns))
        return most

    # -- shortcut: class counts --------------------------------------------------------------------

    def _by_class(self, view: View, line: np.ndarray, size: np.ndarray, ticks: Ticks) -> np.ndarray:
        """Hits summed by class; only ticks that fall into partial blocks draw their page.

        A tick's page is undecided with the share of the partial blocks; else it is touched with the
        mean chance of the whole blocks (and is none in a hole). Ticks are independent, so first
        comes the number of undecided ones, then a binomial for the others.
        """
        low, high = line
        block = view.counts.block_slots * view.addresses.slot_bytes
        first = (low + (block - 1)) // block
        last = np.maximum(high // block, first)
        inner = (last - first) * block
        outer = high - low
        outer -= inner
        blocks = np.concatenate([first, last])
        heat = view.counts.weighed(blocks, ticks.parts)
        nr_groups, nr = len(ticks.nr), len(size)
        parts = heat[nr:] - heat[:nr]
        warm = parts[:, :nr_groups] + parts[:, nr_groups:]
        decided = np.maximum(size - outer, 1)
        chance = warm.T * (view.addresses.slot_bytes / decided)
        drawn = self._undecided(outer / size, ticks.nr)
        if drawn is None:
            return self._draw(np.broadcast_to(ticks.nr[:, None], chance.shape), chance)
        cells, counts = drawn
        left = np.repeat(ticks.nr, nr)
        left[cells] -= counts
        hits = self._draw(left.reshape(chance.shape), chance)
        group, region = np.divmod(np.repeat(cells, counts), nr)
        inner_low, inner_high = first * block, last * block
        hits += self._outer_hits(view, (low, high, inner_low, inner_high), group, region, ticks)
        return hits

    def _draw(self, nr: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """int64[R]: successes of binomials, summed over groups (int64[G, R], float64[G, R])."""
        np.minimum(chance, 1.0, out=chance)
        if len(chance) == 1:
            alone: np.ndarray = self.rng.binomial(nr[0], chance[0])
            return alone
        if (nr <= 1).all():
            drawn = self.rng.random(chance.shape) < chance * nr
        else:
            drawn = self.rng.binomial(nr, chance)
        hits: np.ndarray = drawn.sum(axis=0)
        return hits

    def _undecided(self, share: np.ndarray, nr: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Numbers of ticks whose page lies in a partial block: places in [G, R], and how many.

        Binomial by its first success: the place of that is geometric, and most regions have none.
        None at all: None.
        """
        u = self.rng.random((len(nr), len(share)))
        cells = np.flatnonzero(u < share * nr[:, None])  # (1 - f)^n >= 1 - n f
        if not len(cells):
            return None
        group, region = np.divmod(cells, len(share))
        u, share, nr = u.reshape(-1)[cells], share[region], nr[group]
        first = np.log1p(-u) // np.log1p(-np.minimum(share, 1 - 2.0**-53)) + 1
        some = first <= nr
        cells, share = cells[some], share[some]
        counts = 1 + self.rng.binomial((nr[some] - first[some]).astype(np.int64), share)
        return (cells, counts) if len(cells) else None

    def _outer_hits(
        self,
        view: View,
        places: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        group: np.ndarray,
        region: np.ndarray,
        ticks: Ticks,
    ) -> np.ndarray:
        """int64[R]: hits of ticks in partial blocks, their pages drawn.

        Parameters
        ----------
        view : View
        places : four of int64[R]
            Bounds of the regions on the line of slots, and of their whole blocks.
        group, region : int64[N]
            Of each tick.
        ticks : Ticks
        """
        nr = len(places[0])
        low, high, inner_low, inner_high = (place[region] for place in places)
        left = np.where(inner_low < inner_high, inner_low, high) - low
        right = np.where(inner_low < inner_high, high - inner_high, 0)
        offset = (self.rng.random(len(region)) * (left + right)).astype(np.int64)
        offset += np.where(offset < left, low, inner_high - left)
        pages = view.pages_at(offset // view.addresses.slot_bytes)
        chance = ticks.probability[group, self.law.space.class_of[pages]]
        hit = self.rng.random(len(region)) < np.where(pages >= 0, chance, 0.0)
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
