"""Joining neighbouring regions that are alike: after every window, and after schemes have run.

A merge is a chain: the left region grows and is compared with the next one as it has become, its
counters truncated at every step, so one chain is sequential by definition. But where a chain ends
depends on its own regions only, so all chains that might begin anywhere are followed side by side
with arrays (in "lanes"), and a walk over their ends tells which of them truly begin. Few regions
are walked one by one, which is then faster. Both give the list walk's result to the last bit.
Source: DAMON core specification, sections 6.1 and 9.2 (Linux 7.3.4).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from numasim.damon.arith import INT64_MAX, U32, U64
from numasim.damon.compiled import KERNELS
from numasim.damon.regions import COLUMNS, Regions, nr_regions

FEW_REGIONS = 96  # up to here a walk in plain Python is faster than arrays
_FEW_LANES = 8  # the same for a step of all lanes
_MOST_STEPS_PER_LANE = 3  # of all lanes taken together; beyond, chains are long and few
_LONG_CHAIN = 6  # regions of a chain for which lanes are not worth it
_LISTS_FROM = 16  # lists of all regions are made where one region in so many is such a chain's head
_BLOCK = 64  # regions of a long chain fetched at once


def merge_regions(
    targets: Sequence[Regions], threshold: int, sz_limit: int, max_thres: int, max_nr_regions: int
) -> None:
    """Merge with a growing threshold until the regions are few enough (section 6.1).

    Parameters
    ----------
    targets : sequence of Regions
    threshold : int
        First threshold, samples: a tenth of the largest ``nr_accesses``.
    sz_limit : int
        Core address units.
    max_thres : int
        Samples of one aggregation interval; the threshold does not grow beyond it.
    max_nr_regions : int
    """
    count_age = True
    while True:
        for regions in targets:
            merge_pass(regions, threshold, sz_limit, count_age)
        count_age = False
        if nr_regions(targets) <= max_nr_regions or threshold >= max_thres:
            return
        threshold = max(1, 2 * threshold) if threshold < max_thres // 2 else max_thres


def merge_pass(regions: Regions, threshold: int, sz_limit: int, count_age: bool) -> None:
    """One walk that ages regions and merges similar neighbours (section 6.1).

    Parameters
    ----------
    regions : Regions
        Of one target; changed in place.
    threshold : int
        Largest difference in ``nr_accesses`` (samples) that is still similar.
    sz_limit : int
        Largest size of a merged region, core address units.
    count_age : bool
        Whether ages are updated (the first walk of an aggregation).
    """
    limit = min(sz_limit, INT64_MAX)
    compiled = KERNELS.after(len(regions))
    if compiled is not None and regions.plain:
        out = np.empty((len(COLUMNS), len(regions)), dtype=np.int64)
        regions.adopt(out, compiled.merge(*regions.columns(), threshold, limit, count_age, out))
        return
    if count_age:
        update_ages(regions, threshold)
    if len(regions) <= FEW_REGIONS:
        merge_listed(regions, threshold, limit)
    else:
        merge_in_lanes(regions, threshold, limit)


def update_ages(regions: Regions, threshold: int) -> None:
    """Ages one window on: 0 where the access pattern changed (section 6.1)."""
    score, last = regions.nr_accesses, regions.last_nr_accesses
    if threshold:
        same = np.abs(score - last) <= threshold
        same &= (score == 0) == (last == 0)
    else:
        same = score == last
    age = regions.age + 1
    age &= U32
    age *= same.astype(np.int64)
    regions.age = age


def merge_listed(regions: Regions, threshold: int, limit: int) -> None:
    """The walk region by region, on plain lists; parameters as of `merge_pass`."""
    columns = (regions.start, regions.end, regions.nr_accesses, regions.age)
    kept: list[int] = []
    chains: list[tuple[int, int, int, int]] = []  # place among the kept, end, nr_accesses, age
    grown = False
    end_left, sz_left, nr_left, age_left = -1, 0, 0, 0  # nothing begins at -1
    for i, (start, end, nr, age) in enumerate(zip(*[c.tolist() for c in columns], strict=True)):
        size = end - start
        total = sz_left + size
        if start == end_left and -threshold <= nr - nr_left <= threshold and total <= limit:
            if nr or nr_left:
                nr_left = ((nr_left * sz_left + nr * size) & U64) // total
            if age or age_left:
                age_left = ((age_left * sz_left + age * size) & U64) // total
            end_left, sz_left, grown = end, total, True
            continue
        if grown:
            chains.append((len(kept) - 1, end_left, nr_left, age_left))
            grown = False
        kept.append(i)
        end_left, sz_left, nr_left, age_left = end, size, nr, age
    if grown:
        chains.append((len(kept) - 1, end_left, nr_left, age_left))
    if chains:
        regions.take(np.array(kept))
        at, ends, nrs, ages = np.array(chains, dtype=np.int64).T
        regions.end[at], regions.nr_accesses[at], regions.age[at] = ends, nrs, ages


def merge_in_lanes(regions: Regions, threshold: int, limit: int) -> None:
    """The walk with arrays; parameters as of `merge_pass`."""
    start, end, nr, size = regions.start, regions.end, regions.nr_accesses, regions.size
    count = len(start)
    touching = np.zeros(count, dtype=bool)  # the right neighbour, which the last one lacks
    np.equal(end[:-1], start[1:], out=touching[:-1])
    difference = nr[1:] - nr[:-1]
    begins = np.abs(difference, out=difference) <= threshold
    begins &= touching[:-1]
    begins &= size[1:] + size[:-1] <= limit
    heads = begins.nonzero()[0]
    if not len(heads):
        return
    if _chains_are_long(begins, len(heads), int(end[-1]) - int(start[0]), limit):
        merge_listed(regions, threshold, limit)
        return
    lanes = _Lanes(size, nr, regions.age, touching, threshold, limit, heads)
    lanes.grow()
    chosen = lanes.choose(begins)
    at, last = heads, lanes.last
    regions.end, regions.nr_accesses, regions.age = end.copy(), nr.copy(), regions.age.copy()
    if chosen is not None:
        at, last = heads[chosen], last[chosen]
        regions.nr_accesses[at], regions.age[at] = lanes.nr[chosen], lanes.age[chosen]
    else:
        regions.nr_accesses[at], regions.age[at] = lanes.nr, lanes.age
    regions.end[at] = end[last]
    step = np.zeros(count + 1, dtype=np.int8)
    step[at + 1] = 1
    step[last + 1] = -1
    inside = step[:-1].cumsum(dtype=np.int8)
    regions.take((inside == 0).nonzero()[0])


def merge_back(regions: Regions, limit: int) -> None:
    """Join touching neighbours with equal counters, up to a size (section 9.2, step b)."""
    compiled = KERNELS.ready
    if compiled is not None and regions.plain:
        out = np.empty((len(COLUMNS), len(regions)), dtype=np.int64)
        regions.adopt(out, compiled.merge_back(*regions.columns(), min(limit, INT64_MAX), out))
        return
    if len(regions) <= FEW_REGIONS:
        _merge_back_listed(regions, limit)
        return
    equal = regions.end[:-1] == regions.start[1:]
    for column in (regions.age, regions.last_nr_accesses, regions.nr_accesses):
        equal &= column[:-1] == column[1:]
    small = regions.end[1:] - regions.start[:-1] <= min(limit, INT64_MAX)
    heads = np.flatnonzero(equal & small)
    if not len(heads):
        return
    keep = np.ones(len(regions), dtype=bool)
    breaks = np.append(np.flatnonzero(~equal) + 1, len(regions))
    stops = breaks[np.searchsorted(breaks, heads, side="right")].tolist()
    starts, ends, places = regions.start.tolist(), regions.end.tolist(), heads.tolist()
    i = 0
    while i < len(places):
        head = places[i]
        following = bisect_right(ends, starts[head] + limit, head + 1, stops[i])
        keep[head + 1 : following] = False
        ends[head] = ends[following - 1]
        i = bisect_left(places, following, i + 1)  # past what this chain swallowed
    regions.end = np.array(ends, dtype=np.int64)
    regions.take(np.flatnonzero(keep))


def _merge_back_listed(regions: Regions, limit: int) -> None:
    """The same, region by region."""
    kept: list[int] = []
    ends: list[int] = []
    begin, last = 0, [0]
    rows = zip(*[column.tolist() for column in regions.columns()], strict=True)
    for i, (start, end, *counters) in enumerate(rows):
        if kept and start == ends[-1] and counters == last and end - begin <= limit:
            ends[-1] = end
            continue
        kept.append(i)
        ends.append(end)
        begin, last = start, counters
    if len(kept) < len(regions):
        regions.take(np.array(kept))
        regions.end = np.array(ends, dtype=np.int64)


def _chains_are_long(begins: np.ndarray, nr_heads: int, span: int, limit: int) -> bool:
    """Whether so many lanes would end inside others that walking one chain after the other wins.

    A guess at the length of chains: that of runs of pairs that could merge, and how many regions of
    mean size fit. It decides about speed only.
    """
    if limit * len(begins) < _LONG_CHAIN * span:
        return False
    nr_runs = np.count_nonzero(begins[1:] > begins[:-1]) + int(begins[0])
    return bool(nr_heads > _LONG_CHAIN * nr_runs)


class _Lanes:
    """Chains that begin at each of `heads`, were it not swallowed by another."""

    def __init__(
        self,
        size: np.ndarray,
        nr: np.ndarray,
        age: np.ndarray,
        touching: np.ndarray,
        threshold: int,
        limit: int,
        heads: np.ndarray,
    ) -> None:
        self._sizes, self._nrs, self._ages, self._touching = size, nr, age, touching
        self._threshold, self._limit, self.heads = threshold, limit, heads
        self.last, self.size, self.nr, self.age = heads, size[heads], nr[heads], age[heads]
        self._open = np.empty(0, dtype=np.int64)  # lanes that may grow further
        # with threshold 0 a chain's counters are all the same, and so is their mean
        self._equal = not threshold and int(np.maximum.reduce(nr)) * limit <= U64

    def _alike(self, right: np.ndarray, left: np.ndarray) -> np.ndarray:
        if not self._threshold:
            alike: np.ndarray = right == left
            return alike
        difference = right - left
        alike = np.abs(difference, out=difference) <= self._threshold
        return alike

    def grow(self) -> None:
        """Follow all chains while that pays."""
        lanes: np.ndarray | None = None  # all
        at = self.heads + 1
        l_size, l_nr, l_age = self.size, self.nr, self.age
        budget = _MOST_STEPS_PER_LANE * len(at)
        while True:
            r_size = self._sizes[at]
            total = l_size + r_size
            divisor = total.view(np.uint64)
            if not self._equal:
                l_nr = _mean(l_nr, l_size, self._nrs[at], r_size, divisor)
            l_age = _mean(l_age, l_size, self._ages[at], r_size, divisor)
            l_size = total
            if lanes is None:
                self.last, self.nr, self.age, self.size = at, l_nr, l_age, l_size
            else:
                self.last[lanes], self.nr[lanes] = at, l_nr
                self.age[lanes], self.size[lanes] = l_age, l_size
            on = self._touching[at]
            after = at + on
            on &= self._alike(self._nrs[after], l_nr)
            on &= l_size + self._sizes[after] <= self._limit
            going = on.nonzero()[0]
            if not len(going):
                return
            lanes = going if lanes is None else lanes[going]
            budget -= len(at)
            if len(lanes) < _FEW_LANES or budget < 0:
                self._open = lanes
                return
            at, l_size, l_nr, l_age = after[going], l_size[going], l_nr[going], l_age[going]

    def choose(self, begins: np.ndarray) -> np.ndarray | None:
        """Lanes that truly begin, grown to their ends; None where all of them do."""
        count = len(self.heads)
        following = begins.cumsum()[np.minimum(self.last, len(begins) - 1)]
        greedy = following > np.arange(1, count + 1)  # swallow the next lane
        greedy[self._open] = True
        places = greedy.nonzero()[0]
        if not len(places):
            return None
        nexts, opened, heads = following[places].tolist(), set(self._open.tolist()), self.heads
        columns = [self._nrs, self._sizes, self._ages, self._touching]
        if len(opened) * _LISTS_FROM > len(self._nrs):
            columns = [column.tolist() for column in columns]
        true = np.ones(count, dtype=bool)
        reached = 0
        for lane, after in zip(places.tolist(), nexts, strict=True):
            if lane < reached:
                continue
            reached = after
            if lane in opened:
                reached = int(heads.searchsorted(self._extend(lane, columns), "right"))
            true[lane + 1 : reached] = False
        chosen: np.ndarray = true.nonzero()[0]
        return chosen

    def _extend(self, lane: int, columns: list[Any]) -> int:
        """Follow one chain to its end, region by region; returns its last region."""
        threshold, limit = self._threshold, self._limit
        last, sz_left = int(self.last[lane]), int(self.size[lane])
        nr_left, age_left = int(self.nr[lane]), int(self.age[lane])
        length, ended = _FEW_LANES, False
        while not ended:
            first = last + 1
            parts = [column[first : first + length] for column in columns[:3]]
            parts.append(columns[3][last : last + length])
            if isinstance(columns[0], np.ndarray):
                parts = [part.tolist() for part in parts]
            ended, length = True, _BLOCK
            for nr, size, age, touches in zip(*parts, strict=False):
                total = sz_left + size
                if not (touches and -threshold <= nr - nr_left <= threshold and total <= limit):
                    break
                if nr or nr_left:
                    nr_left = ((nr_left * sz_left + nr * size) & U64) // total
                if age or age_left:
                    age_left = ((age_left * sz_left + age * size) & U64) // total
                sz_left = total
                last += 1
            else:
                ended = not parts[0]
        self.last[lane], self.nr[lane], self.age[lane] = last, nr_left, age_left
        return last


def _mean(
    left: np.ndarray,
    sz_left: np.ndarray,
    right: np.ndarray,
    sz_right: np.ndarray,
    total: np.ndarray,
) -> np.ndarray:
    """Weighted means as 64-bit unsigned integers compute them; `total` is uint64[N]."""
    weighted = left * sz_left
    weighted += right * sz_right
    mean = weighted.view(np.uint64)
    mean //= total
    result: np.ndarray = mean.view(np.int64)
    return result
