"""Splitting regions at random after every aggregation, so that merging has something to learn.

Every try consumes exactly one draw, in order of targets and addresses, also when its cut is
rejected. Source: DAMON core specification, section 6.2 and 6.3 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from numasim.damon.arith import align_down
from numasim.damon.compiled import KERNELS
from numasim.damon.regions import COLUMNS, Regions, insert_cuts, nr_regions

_CHUNK = 8192
_EVERY_DRAW = np.arange(10)  # what may be drawn, and 0


@dataclass
class Shared:
    """What the kernel keeps once for all contexts of a machine; one object per run."""

    last_nr_regions: int = 0
    rotation: int = 0


def rand_range(rng: np.random.Generator, low: int, high: int, n: int) -> np.ndarray:
    """`n` whole numbers, each in ``[low, high)`` with equal probability. int64[n]"""
    return rng.integers(low, high, size=n, dtype=np.int64)


class Draws:
    """A queue of results of ``rand(1, 10)``: integers from 1 to 9.

    Parameters
    ----------
    fill : callable
        ``fill(n)`` gives the next `n` draws, int64[n].
    """

    def __init__(self, fill: Callable[[int], np.ndarray]) -> None:
        self._fill = fill
        self._queue = np.empty(0, dtype=np.int64)
        self.used = 0

    @classmethod
    def of(cls, rng: np.random.Generator) -> Draws:
        """Draws from a generator."""
        return cls(lambda n: rand_range(rng, 1, 10, n))

    def peek(self, n: int) -> np.ndarray:
        """The next `n` draws, without using them up. int64[n]"""
        missing = n - len(self._queue)
        if missing > 0:
            more = np.asarray(self._fill(max(missing, _CHUNK)), dtype=np.int64)
            self._queue = np.concatenate((self._queue, more))
        return self._queue[:n]

    def take(self, n: int) -> np.ndarray:
        """The next `n` draws. int64[n]"""
        drawn = self.peek(n)
        self._queue = self._queue[n:]
        self.used += n
        return drawn


def split_regions(
    targets: Sequence[Regions],
    shared: Shared,
    draws: Draws,
    min_region_sz: int,
    max_nr_regions: int,
) -> None:
    """The decision taken after every aggregation: split all, some or none (section 6.2)."""
    count = nr_regions(targets)
    if count < max_nr_regions:
        if count > max_nr_regions // 2:
            split_some(
                targets, max_nr_regions // (max_nr_regions - count), shared, draws, min_region_sz
            )
        else:
            stuck = shared.last_nr_regions == count and count < max_nr_regions // 3
            for regions in targets:
                split_all(regions, 3 if stuck else 2, draws, min_region_sz)
    shared.last_nr_regions = count


def split_all(regions: Regions, nr_subs: int, draws: Draws, min_region_sz: int) -> None:
    """Split every region into at most `nr_subs` pieces at random places.

    A further try cuts the left piece of the one before. Regions of at most twice
    `min_region_sz` stay whole.
    """
    if _compiled_split(regions, (0, 1), nr_subs - 1, 2 * min_region_sz + 1, draws, min_region_sz):
        return
    if nr_subs == 2:
        size = regions.end - regions.start
        index = (size > 2 * min_region_sz).nonzero()[0]
        _split_once(regions, index, size, draws, min_region_sz)
    elif nr_subs == 3:
        _split_twice(regions, draws, min_region_sz)
    else:
        _split_often(regions, nr_subs, draws, min_region_sz)


def split_some(
    targets: Sequence[Regions], step: int, shared: Shared, draws: Draws, min_region_sz: int
) -> None:
    """Split one region in `step`, beginning one further at every call (section 6.3)."""
    offset = shared.rotation % step
    shared.rotation += 1
    passed = 0
    for regions in targets:
        count, first = len(regions), (offset - passed) % step
        passed += count
        if _compiled_split(regions, (first, step), 1, 2 * min_region_sz, draws, min_region_sz):
            continue
        chosen = np.arange(first, count, step)
        size = regions.end - regions.start
        chosen = chosen[size[chosen] >= 2 * min_region_sz]
        _split_once(regions, chosen, size, draws, min_region_sz)


def _compiled_split(
    regions: Regions, chosen: tuple[int, int], tries: int, least: int, draws: Draws, unit: int
) -> bool:
    """Split by the compiled kernel, unless there is none: regions from `chosen`'s first in steps.

    A region makes a further try while what is left of it has at least the size `least`.
    """
    compiled = KERNELS.ready
    if compiled is None or not regions.plain:
        return False
    count, (first, step) = len(regions), chosen
    most = tries * len(range(first, count, step))
    out = np.empty((len(COLUMNS), count + most), dtype=np.int64)
    written, used = compiled.split(
        *regions.columns(), first, step, tries, least, unit, draws.peek(most), out
    )
    regions.adopt(out, written)
    draws.take(used)
    return True


def _sub_sizes(draws: np.ndarray, size: np.ndarray, min_region_sz: int) -> np.ndarray:
    sub: np.ndarray = draws * size
    sub //= 10
    sub &= -min_region_sz
    return sub


def _split_once(
    regions: Regions, index: np.ndarray, size: np.ndarray, draws: Draws, min_region_sz: int
) -> None:
    """Cut regions at random; the left piece is smaller than the region, but may be nothing."""
    sub = _sub_sizes(draws.take(len(index)), size[index], min_region_sz)
    good = sub.nonzero()[0]
    if len(good) < len(index):
        index, sub = index[good], sub[good]
    insert_cuts(regions, index, regions.start[index] + sub)


def _split_twice(regions: Regions, draws: Draws, min_region_sz: int) -> None:
    size = regions.end - regions.start
    count, index = len(size), (size > 2 * min_region_sz).nonzero()[0]
    if len(index) < count:
        size = size[index]
    queue = draws.peek(2 * len(index))
    place = _first_draws(size, draws, min_region_sz)
    if place is None:  # every first cut leaves enough for a second one
        sub1 = _sub_sizes(queue[::2], size, min_region_sz)
        sub2 = _sub_sizes(queue[1::2], sub1, min_region_sz)
        draws.take(len(queue))
    else:
        sub1 = _sub_sizes(queue[place], size, min_region_sz)
        left = np.where(sub1 > 0, sub1, size)
        again = left > 2 * min_region_sz
        place += 1
        place[-1:] -= place[-1:] == len(queue)  # the last one may make no second try
        sub2 = _sub_sizes(queue[place], left, min_region_sz)
        sub2 *= again
        draws.take(len(index) + int(np.count_nonzero(again)))
    # each region's pieces from the left; where a try cut nothing there is none
    start = np.empty((count, 3), dtype=np.int64)
    start[:] = regions.start[:, None]
    begins = np.zeros((count, 3), dtype=bool)
    begins[:, 0] = True
    rows: slice | np.ndarray = slice(None) if len(index) == count else index
    for column, sub in ((1, sub2), (2, sub1)):
        start[rows, column] += sub
        begins[rows, column] = sub > 0
    pieces = begins[:, 1].astype(np.int64)
    pieces += begins[:, 2]
    pieces += 1
    regions.cut(pieces, start.reshape(-1).compress(begins.reshape(-1)))


def _first_draws(size: np.ndarray, draws: Draws, min_region_sz: int) -> np.ndarray | None:
    """Place in the queue of each region's first draw, when up to two tries are made for each.

    None where all regions make two. Nearly all do: only where the smallest possible left piece is
    too small for a second try does the number depend on the draw, and only those are looked at one
    by one.
    """
    floor = 2 * min_region_sz
    # a tenth of the size, aligned, is at most the floor
    doubtful = (size < 10 * (floor + min_region_sz)).nonzero()[0]
    if not len(doubtful):
        return None
    sub = _sub_sizes(_EVERY_DRAW, size[doubtful, None], min_region_sz)
    ends = ((sub > 0) & (sub <= floor)).tobytes()  # whether draw d ends region k, at 10 k + d
    queue = draws.peek(2 * len(size)).astype(np.uint8).tobytes()
    single: list[int] = []
    nr_single = row = 0
    for i, first in enumerate((2 * doubtful).tolist()):
        if ends[row + queue[first - nr_single]]:
            single.append(i)
            nr_single += 1
        row += 10
    saved = np.zeros(len(size), dtype=np.int64)
    saved[doubtful[single]] = 1
    place = np.arange(0, 2 * len(size), 2)
    place -= saved.cumsum()
    place += saved
    return place


def _split_often(regions: Regions, nr_subs: int, draws: Draws, min_region_sz: int) -> None:
    index: list[int] = []
    addr: list[int] = []
    for i, (start, size) in enumerate(
        zip(regions.start.tolist(), regions.size.tolist(), strict=True)
    ):
        cuts: list[int] = []
        for _ in range(nr_subs - 1):
            if size <= 2 * min_region_sz:
                break
            sub = align_down(int(draws.take(1)[0]) * size // 10, min_region_sz)
            if 0 < sub < size:
                cuts.append(start + sub)
                size = sub
        index += [i] * len(cuts)
        addr += reversed(cuts)
    insert_cuts(regions, np.array(index, dtype=np.int64), np.array(addr, dtype=np.int64))
