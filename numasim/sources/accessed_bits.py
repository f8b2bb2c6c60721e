"""Page-table accessed bits: was the sampled page touched since its bit was cleared a tick ago?

No accessor, no kind of access; a translation that stays cached hides its page (the law's rates are
rates of page walks already). Source: Linux 7.3.4 DAMON operations sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from numasim.blockwise import successes
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
    pages of 1 - exp(-visits in a tick)), a sum over classes. Sweeps and remembered bits need the
    page of every tick, drawn in one array.
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
        ticks = self.law.ticks(window.starts_ns, window.ends_ns)
        if len(self.views) == 1 and (hits := self._at_once(start, end, ticks)) is not None:
            return hits
        bounds = np.empty((2, len(start)), np.int64)
        bounds[0], bounds[1] = start, end
        if self.addr_unit != 1:
            bounds *= self.addr_unit
        if len(self.views) == 1:
            return self._look(self.views[0], bounds, ticks, window)
        found = np.zeros(len(start), np.int64)
        for t, view in enumerate(self.views):
            own = np.flatnonzero(target == t)
            found[own] = self._look(view, bounds[:, own], ticks, window)
        return found

    def _at_once(self, start: np.ndarray, end: np.ndarray, ticks: Ticks) -> np.ndarray | None:
        """Hits of the only target's regions (see `hits`), where these lie in one range of memory.

        None where they do not, and where more than the law decides.
        """
        view, nr = self.views[0], len(start)
        looked_at = self.exact_ticks or self.law.cleared_at is not None or ticks.fronts
        if looked_at or view.arrivals or self.addr_unit != 1 or not nr:
            return None
        move = view.addresses.move(int(start[0]), int(end[-1]))
        if move is None:
            return None
        size = end - start
        if nr * len(ticks.group) <= FEW:
            return self._by_kind_at_once(view, start + move, size, ticks)
        return self._draw(ticks.nr, *view.bounds.chances(start, end, move, size, ticks))

    def _look(self, view: View, bounds: np.ndarray, ticks: Ticks, window: Ticking) -> np.ndarray:
        """int64[R]: hits of the regions of one target, bounds int64[2, R] in bytes."""
        if not bounds.shape[1]:
            return np.zeros(0, np.int64)
        size = bounds[1] - bounds[0]
        low, high = line = view.addresses.linear(bounds)
        if self.exact_ticks or self.law.cleared_at is not None or ticks.fronts:
            hits = self._by_page(view, line, size, ticks, window)
        elif len(size) * len(ticks.group) <= FEW:
            hits = self._by_kind(view, line, size, ticks)
        else:
            hits = self._draw(ticks.nr, *view.bounds.chances(low, high, 0, size, ticks))
        if not view.arrivals:
            return hits
        hits = hits + self._arrived(view, low, high, size, window)
        most: np.ndarray = np.minimum(hits, len(window.starts_ns))
        return most

    # -- shortcut: class counts --------------------------------------------------------------------

    def _draw(self, nr: np.ndarray, chance: np.ndarray, some: int | None) -> np.ndarray:
        """int64[R]: successes of binomials, summed over groups (int64[G], float64[G, R]).

        `some` is how many chances of the last group are not 0, where that is known.
        """
        hits: np.ndarray
        if len(nr) > 2 and nr.max() == 1:
            hits = (self.rng.random(chance.shape) < chance).sum(axis=0)
            return hits
        hits = successes(self.rng, int(nr[-1]), chance[-1], some)
        for own, p in zip(nr[:-1].tolist(), chance[:-1], strict=True):
            # the first tick after a pause is alone where a timer wheel sets the pace
            hits += self.rng.random(len(p)) < p if own == 1 else successes(self.rng, own, p)
        return hits

    # -- the same of few pages: what kind of page each one is tells enough -------------------------

    def _by_kind(self, view: View, line: np.ndarray, size: np.ndarray, ticks: Ticks) -> np.ndarray:
        """`_by_page`, to the last bit, where no page's bit is remembered."""
        slots, mapped = self._slots(view, line, size, len(ticks.group))
        if mapped is None:
            kinds = view.counts.kinds(slots)
        else:
            kinds = np.zeros(slots.shape, np.int64)
            kinds[mapped] = view.counts.kinds(slots[mapped])
        hit = self.rng.random(slots.shape) < ticks.chance_of_kind(kinds)
        hits: np.ndarray = np.add.reduce(hit, axis=0, dtype=np.int64)
        return hits

    def _by_kind_at_once(
        self, view: View, low: np.ndarray, size: np.ndarray, ticks: Ticks
    ) -> np.ndarray:
        """The same to the last bit, without holes; `low` int64[R], bytes on the line of slots."""
        where, luck = self.rng.random((2, len(ticks.group), len(size)))
        where *= size
        slots = where.astype(np.int64)
        slots += low
        slots >>= view.addresses.slot_bytes.bit_length() - 1
        hit = luck < ticks.chance_of_kind(view.counts.kinds(slots))
        hits: np.ndarray = np.add.reduce(hit, axis=0, dtype=np.int64)
        return hits

    # -- twin: every tick's page -------------------------------------------------------------------

    def _by_page(
        self, view: View, line: np.ndarray, size: np.ndarray, ticks: Ticks, window: Ticking
    ) -> np.ndarray:
        """Hits of pages drawn for every tick and region, in one array."""
        slots, mapped = self._slots(view, line, size, len(ticks.group))
        if mapped is None:
            pages = view.pages_at(slots)
        else:
            pages = np.full(slots.shape, -1)
            pages[mapped] = view.pages_at(slots[mapped])
        known = None
        if slots.size > FEW and not self.exact_ticks and not ticks.fronts:
            known = view.bounds.extremes(line, ticks)
        hit = self.law.touched(pages, ticks, self.rng, known)
        if self.law.cleared_at is not None:
            space = self.law.space
            if (space.pages_per_bit > 1).any():
                pages = np.where(pages < 0, -1, space.folio_heads(pages))
            self.law.note_checked(pages, window.ends_ns[:, None], hit)
        hits: np.ndarray = np.add.reduce(hit, axis=0, dtype=np.int64)
        return hits

    def _slots(
        self, view: View, line: np.ndarray, size: np.ndarray, nr_ticks: int
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """int64[T, R]: slots of the pages drawn; which of them are any, None for all."""
        low, high = line
        offset = (self.rng.random((nr_ticks, len(size))) * size).astype(np.int64)
        length = high - low
        mapped = None
        if np.count_nonzero(length < size):
            mapped = (offset < length).nonzero()  # holes are as if behind the rest
        offset += low
        offset >>= view.addresses.slot_bytes.bit_length() - 1
        return offset, mapped

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
