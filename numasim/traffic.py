"""How often pages are visited, kept so that no question costs O(pages).

Pages with the same law form a *rate class*. `BlockCounts` knows how many pages of each class lie in
any range of frames (or of virtual pages); `Exposure` knows how many visits a page of each class has
had by any instant. Every observer's answer is made of these two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_BLOCK_SLOTS = 512  # 2 MiB of 4 KiB pages: a move touches two blocks
MIN_BLOCK_SLOTS = 16
FEWEST_BLOCKS = 1 << 17  # small memories have smaller blocks, so that regions have whole ones
MOST_BYTES = 1 << 28  # that smaller blocks may take
GROUP_BLOCKS = 64  # of 512 slots: prefix sums within a group fit 16 bits
HIGH_BITS, LOW_BITS = 22, 44  # see `exact_parts`


@dataclass(frozen=True)
class Front:
    """A sweep: one front that passes over pages ``[first, first + nr)`` again and again.

    Parameters
    ----------
    column : int
        Column of the exposure that counts the pages it has turned to.
    first, nr : int
    folio_pages : int
    classes : int64[K]
        Rate classes of those pages.
    """

    column: int
    first: int
    nr: int
    folio_pages: int
    classes: np.ndarray

    def passed(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """bool[N]: whether the front turned to each page between two positions (in pages)."""
        place = pages - self.first
        inside = (place >= 0) & (place < self.nr)
        # a folio is touched from the moment its first page is
        place = place - place % self.folio_pages
        crossed = np.floor((after - place) / self.nr) > np.floor((before - place) / self.nr)
        passed: np.ndarray = inside & crossed
        return passed

    @property
    def turn(self) -> int:
        """Positions between two visits to one page."""
        return self.nr

    def seen(
        self, pages: np.ndarray, before: np.ndarray, after: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """bool[N]: as `passed`; nothing is left to chance."""
        return self.passed(pages, before, after)

    def chance(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """float64[N]: 1 for each page that the front turned to, else 0."""
        return self.passed(pages, before, after).astype(float)

    def touched_share(self, span: float) -> float:
        """Share of its pages that the front turns to on so long a way."""
        return min(1.0, span / self.nr)


def exact_parts(weights: np.ndarray) -> np.ndarray:
    """float64[C, 2G]: weights in [0, 1] as two parts whose weighted sums of counts never round.

    Parameters
    ----------
    weights : float64[C, G]

    Returns
    -------
    float64[C, 2G]
        High parts of all columns, then low parts.

    Notes
    -----
    The parts are multiples of 2^-22 and of 2^-44 below 2^-22: with up to 2^31 pages every partial
    sum is a whole number of them below 2^53. So a sum is the same in any order, on any processor,
    in compiled code as in numpy, and differences lose nothing.
    """
    high = np.rint(weights * 2.0**HIGH_BITS) * 2.0**-HIGH_BITS
    low = np.rint((weights - high) * 2.0**LOW_BITS) * 2.0**-LOW_BITS
    return np.concatenate([high, low], axis=1)


class BlockCounts:
    """Pages of each rate class by block of slots, with two-level prefix sums.

    Parameters
    ----------
    nr_slots : int
        Frames or virtual pages covered.
    nr_classes : int

    Attributes
    ----------
    block_slots : int
        Slots of a block, a power of two.
    version : int
        Grows with every change.

    Notes
    -----
    A query costs two gathers per bound whatever the range; a move dirties the groups that it
    touches and only those are summed again.
    """

    def __init__(self, nr_slots: int, nr_classes: int) -> None:
        self.nr_slots, self.nr_classes, self.version = nr_slots, nr_classes, 0
        fit = max(nr_slots // FEWEST_BLOCKS, 4 * nr_classes * nr_slots // MOST_BYTES)
        fit = 1 << max(0, fit.bit_length() - 1)
        self.block_slots = min(max(fit, MIN_BLOCK_SLOTS), MAX_BLOCK_SLOTS)
        self.nr_blocks = -(-nr_slots // self.block_slots)
        self._nr_groups = self.nr_blocks // GROUP_BLOCKS + 1
        padded = self._nr_groups * GROUP_BLOCKS
        self._counts = np.zeros((padded, nr_classes), np.uint16)
        self._inner = np.zeros((padded, nr_classes), np.uint16)
        self._group_totals = np.zeros((self._nr_groups, nr_classes), np.int64)
        self._outer = np.zeros((self._nr_groups + 1, nr_classes))
        self._dirty = np.zeros(self._nr_groups, bool)
        self._any_dirty = False

    def add(self, slots: np.ndarray, classes: np.ndarray) -> None:
        """Pages of `classes` now occupy `slots` (int64[N], distinct)."""
        self._change(np.add, slots, classes)

    def remove(self, slots: np.ndarray, classes: np.ndarray) -> None:
        """The pages of `classes` at `slots` are gone."""
        self._change(np.subtract, slots, classes)

    def _change(self, ufunc: np.ufunc, slots: np.ndarray, classes: np.ndarray) -> None:
        if not len(slots):
            return
        blocks = slots // self.block_slots
        ufunc.at(self._counts.reshape(-1), blocks * self.nr_classes + classes, np.uint16(1))
        self._dirty[blocks // GROUP_BLOCKS] = True
        self._any_dirty = True
        self.version += 1

    def _refresh(self) -> None:
        groups = np.flatnonzero(self._dirty)
        shape = (self._nr_groups, GROUP_BLOCKS, self.nr_classes)
        part = self._counts.reshape(shape)[groups]
        sums = np.cumsum(part, axis=1, dtype=np.uint16)
        self._inner.reshape(shape)[groups] = sums - part
        self._group_totals[groups] = sums[:, -1]
        np.cumsum(self._group_totals, axis=0, out=self._outer[1:])
        self._dirty[groups] = False
        self._any_dirty = False

    def before(self, blocks: np.ndarray) -> np.ndarray:
        """float64[N, C], whole: pages of each class in all blocks before each given index."""
        if self._any_dirty:
            self._refresh()
        before: np.ndarray = self._inner[blocks] + self._outer[blocks // GROUP_BLOCKS]
        return before

    def between(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """float64[N, C], whole: pages of each class in blocks ``[first, last)``."""
        between: np.ndarray = self.before(last) - self.before(first)
        return between

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """uint16[B, C] and float64[B / GROUP_BLOCKS + 1, C]: the prefix sums, read only.

        Pages of each class before each block within its group, and before each group.
        """
        if self._any_dirty:
            self._refresh()
        return self._inner, self._outer

    def heat(self, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """float64[N] or [N, K]: weight of all pages before places; in a block they lie evenly.

        Parameters
        ----------
        at : float64[N]
            Places on the line of slots.
        weights : float64[C] or float64[C, K]
        """
        if self._any_dirty:
            self._refresh()
        places = np.minimum(np.maximum(at, 0), self.nr_slots) / self.block_slots
        blocks = places.astype(np.int64)
        share = (places - blocks).reshape(-1, *(1,) * (weights.ndim - 1))
        heat: np.ndarray = self._counts.take(blocks, axis=0) @ weights
        heat *= share
        heat += self._inner.take(blocks, axis=0) @ weights
        heat += (self._outer @ weights).take(blocks // GROUP_BLOCKS, axis=0)
        return heat

    def by_block(self) -> np.ndarray:
        """uint16[nr_blocks, C] view: pages of each class per block (read only)."""
        view = self._counts[: self.nr_blocks]
        view.flags.writeable = False
        return view

    def totals(self) -> np.ndarray:
        """int64[C]: pages of each class in all."""
        if self._any_dirty:
            self._refresh()
        totals: np.ndarray = self._outer[-1].astype(np.int64)
        return totals


@dataclass(frozen=True)
class Course:
    """Progress that was measured: operations done by given instants, linear in between.

    Parameters
    ----------
    times_ns : int64[N]
        Ascending.
    work : float64[N]
        Not falling; constant before the first and after the last instant.
    """

    times_ns: np.ndarray
    work: np.ndarray

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """float64[M]: operations done by each instant."""
        done: np.ndarray = np.interp(times_ns, self.times_ns, self.work)
        return done

    def speed_per_ns(self) -> float:
        """Operations per ns on average while there was progress."""
        span, done = np.diff(self.times_ns), np.diff(self.work)
        return float(done.sum() / span[done > 0].sum()) if (done > 0).any() else 0.0


class Exposure:
    """Cumulative counts that grow linearly between changes of speed, readable at any past instant.

    Columns are rate classes (expected visits per page that would set an accessed bit) followed by
    sweep fronts (pages swept) and actors in bursts (operations). Old breakpoints are thinned, so
    memory stays bounded; what is lost is only the exact course of rates far in the past.

    Parameters
    ----------
    nr_columns : int
    start_ns : int
    courses : sequence of Course
        Measured progress of actors, known ahead; columns gain with it beside growing in time.
    """

    MAX_SEGMENTS = 8192

    def __init__(self, nr_columns: int, start_ns: int = 0, courses: Sequence[Course] = ()) -> None:
        self.courses = tuple(courses)
        self._gains: list[np.ndarray] = [np.zeros((len(self.courses), nr_columns))]
        self._times = np.empty(256, np.int64)
        self._values = np.empty((256, nr_columns))
        self._rates = np.empty((256, nr_columns))
        self._times[0] = start_ns
        self._values[0] = 0.0
        self._rates[0] = 0.0
        self._n = 1
        self.version = 0

    @property
    def since_ns(self) -> int:
        """Instant from which the current rates hold."""
        return int(self._times[self._n - 1])

    @property
    def rates(self) -> np.ndarray:
        """float64[columns]: current rates per ns."""
        rates: np.ndarray = self._rates[self._n - 1]
        return rates

    def set_rates(self, now_ns: int, rates: np.ndarray, gains: np.ndarray | None = None) -> None:
        """From `now_ns` on the columns grow at other rates.

        Parameters
        ----------
        now_ns : int
        rates : float64[columns]
            Per ns.
        gains : float64[K, columns], optional
            Per operation of each course.
        """
        last = self._n - 1
        same = np.array_equal(self._rates[last], rates)
        if self.courses:
            assert gains is not None
            same = same and np.array_equal(self._gains[last], gains)
        if same:
            return
        self.version += 1
        if now_ns == self._times[last]:
            self._rates[last] = rates
            if gains is not None and self.courses:
                self._gains[last] = gains
            return
        if self._n == self.MAX_SEGMENTS:
            self._thin()
        if self._n == len(self._times):
            self._grow()
        k = self._n
        self._times[k] = now_ns
        self._values[k] = self._values[k - 1] + self._rates[k - 1] * (now_ns - self._times[k - 1])
        self._rates[k] = rates
        if self.courses:
            assert gains is not None
            done = self._progress(np.array([self._times[k - 1], now_ns]))
            self._values[k] += (done[1] - done[0]) @ self._gains[k - 1]
            self._gains.append(gains)
        self._n += 1

    def _progress(self, times_ns: np.ndarray) -> np.ndarray:
        """float64[N, K]: operations of each course by each instant."""
        return np.stack([course.at(times_ns) for course in self.courses], axis=1)

    def _gained(self, k: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        """float64[N, columns]: what courses added since segments `k` (int64[N]) began."""
        since = self._progress(times_ns) - self._progress(self._times[k])
        used, place = np.unique(k, return_inverse=True)
        gains = np.stack([self._gains[s] for s in used.tolist()])
        gained: np.ndarray = np.einsum("nk,nkc->nc", since, gains[place.reshape(-1)])
        return gained

    def _grow(self) -> None:
        size = len(self._times) * 2
        for name in ("_times", "_values", "_rates"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), old.dtype)
            new[: self._n] = old[: self._n]
            setattr(self, name, new)

    def _thin(self) -> None:
        half = self._n // 2
        keep = np.r_[0:half:2, half : self._n]
        times, values = self._times[keep], self._values[keep]
        rates = self._rates[keep]
        # the merged segments keep their end points: only the course in between is averaged
        span = np.diff(times)[: half // 2 + 1, None]
        given: np.ndarray | float = 0.0
        if self.courses:
            self._gains = [self._gains[at] for at in keep.tolist()]
            done = np.diff(self._progress(times[: len(span) + 1]), axis=0)
            given = np.einsum("nk,nkc->nc", done, np.stack(self._gains[: len(span)]))
        rates[: len(span)] = (np.diff(values[: len(span) + 1], axis=0) - given) / span
        self._n = len(keep)
        self._times[: self._n], self._values[: self._n] = times, values
        self._rates[: self._n] = rates

    def segment(self, times_ns: np.ndarray) -> np.ndarray:
        """int64[N]: index of the stretch of constant rates that holds each instant."""
        return np.maximum(np.searchsorted(self._times[: self._n], times_ns, "right") - 1, 0)

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """float64[N, columns]: all columns at each instant."""
        k = self.segment(times_ns)
        since = (times_ns - self._times[k])[:, None]
        values: np.ndarray = self._values[k] + self._rates[k] * since
        if self.courses:
            values += self._gained(k, times_ns)
        return values

    def of(self, columns: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        """float64[N]: one column at one instant, pairwise."""
        k = self.segment(times_ns)
        since = times_ns - self._times[k]
        values: np.ndarray = self._values[k, columns] + self._rates[k, columns] * since
        if self.courses:
            values += self._gained(k, times_ns)[np.arange(len(k)), columns]
        return values

    def rates_in(self, segment: np.ndarray) -> np.ndarray:
        """float64[N, columns]: rates of some stretches (int64[N])."""
        rates: np.ndarray = self._rates[segment]
        return rates
