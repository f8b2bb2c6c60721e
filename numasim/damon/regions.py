"""Regions of one target as a struct of arrays, and what an aggregation does to them.

Kernels change their `Regions` in place, are integer only, and equal the kernel's list walk to the
last bit. Source: DAMON core specification, sections 4 to 6 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from numasim.damon.arith import INT64_MAX, U32, align_up, mult_frac

COLUMNS = ("start", "end", "nr_accesses", "last_nr_accesses", "age")
_MAX_SCALED = 10_000  # basis points
_KEPT_BYTES = 31 << 20


def _keep_freed_memory() -> None:
    """Have glibc keep the memory of freed arrays for the next ones.

    It gives arrays above 128 KiB back to the kernel at once, and faulting their pages in again can
    take longer than what is computed in them. That limit rises to the largest array that it has
    seen freed, up to 32 MiB. No page of this one is touched; other allocators are not impressed.
    """
    np.empty(_KEPT_BYTES, np.uint8)


_keep_freed_memory()


class Regions:
    """The regions of one target, in address order.

    Whoever changes a column puts another array in its place and leaves the old one alone, so that
    what others still hold of it (`view`) stays as it was.

    Attributes
    ----------
    start, end : int64[R]
        Bounds in core address units, half open.
    nr_accesses, last_nr_accesses : int64[R]
        Positive samples in this window so far, and in the whole previous one.
    age : int64[R]
        Aggregation intervals for which the access pattern has lasted.
    sampling_addr : int64[R]
        Address chosen at the last preparation, where the access source tells it; else 0.
    """

    __slots__ = (*COLUMNS, "_sampling_addr")

    start: np.ndarray
    end: np.ndarray
    nr_accesses: np.ndarray
    last_nr_accesses: np.ndarray
    age: np.ndarray

    def __init__(self, rows: Iterable[Sequence[int]] = ()) -> None:
        """Regions from rows of ``(start, end[, nr_accesses[, last_nr_accesses[, age]]])``."""
        self.assign(rows)

    def assign(self, rows: Iterable[Sequence[int]]) -> None:
        """Replace all regions by those rows; what a row leaves out is 0."""
        table = [tuple(row) + (0,) * (len(COLUMNS) - len(row)) for row in rows]
        array = np.array(table, dtype=np.int64).reshape(len(table), len(COLUMNS))
        for i, name in enumerate(COLUMNS):
            setattr(self, name, np.ascontiguousarray(array[:, i]))
        self._sampling_addr: np.ndarray | None = None

    @property
    def sampling_addr(self) -> np.ndarray:
        """int64[R], bytes or core address units, as the access source counts."""
        return np.zeros(len(self), np.int64) if self._sampling_addr is None else self._sampling_addr

    @sampling_addr.setter
    def sampling_addr(self, addr: np.ndarray) -> None:
        self._sampling_addr = addr

    def __len__(self) -> int:
        return len(self.start)

    @property
    def size(self) -> np.ndarray:
        """int64[R], core address units."""
        size: np.ndarray = self.end - self.start
        return size

    def rows(self) -> list[tuple[int, int, int, int, int]]:
        """One tuple ``(start, end, nr_accesses, last_nr_accesses, age)`` for each region."""
        return list(zip(*(getattr(self, name).tolist() for name in COLUMNS), strict=True))

    def copy(self) -> Regions:
        """An independent copy."""
        other = Regions.__new__(Regions)
        for name in COLUMNS:
            setattr(other, name, getattr(self, name).copy())
        addr = self._sampling_addr
        other._sampling_addr = None if addr is None else addr.copy()
        return other

    def view(self) -> Regions:
        """The regions as they are now, whatever becomes of these; without copying."""
        other = Regions.__new__(Regions)
        other.start, other.end, other.nr_accesses = self.start, self.end, self.nr_accesses
        other.last_nr_accesses, other.age = self.last_nr_accesses, self.age
        other._sampling_addr = self._sampling_addr
        return other

    @property
    def plain(self) -> bool:
        """Whether the five columns are all there is: no sampling addresses have been told."""
        return self._sampling_addr is None

    def columns(self) -> tuple[np.ndarray, ...]:
        """The five columns of `COLUMNS`."""
        return self.start, self.end, self.nr_accesses, self.last_nr_accesses, self.age

    def adopt(self, table: np.ndarray, count: int) -> None:
        """Take the first `count` columns of int64[5, N] as the regions, without copying."""
        used = table if table.shape[1] == count else table[:, :count]
        self.start, self.end, self.nr_accesses, self.last_nr_accesses, self.age = used

    def take(self, index: np.ndarray) -> None:
        """Keep only some regions: every column becomes ``column[index]``."""
        self.start, self.end = self.start[index], self.end[index]
        self.nr_accesses = self.nr_accesses[index]
        self.last_nr_accesses = self.last_nr_accesses[index]
        self.age = self.age[index]
        if self._sampling_addr is not None:
            self._sampling_addr = self._sampling_addr[index]

    def cut(self, pieces: np.ndarray, start: np.ndarray) -> None:
        """Cut each region into so many pieces (int64[R]), which begin at `start` (int64[sum])."""
        end = np.empty_like(start)
        end[:-1] = start[1:]
        end[pieces.cumsum() - 1] = self.end
        self._repeat_rest(pieces)
        self.start, self.end = start, end

    def repeat(self, times: np.ndarray) -> None:
        """Repeat each region so many times in a row (int64[R])."""
        self.start, self.end = self.start.repeat(times), self.end.repeat(times)
        self._repeat_rest(times)

    def _repeat_rest(self, times: np.ndarray) -> None:
        """Repeat all columns but the bounds."""
        self.nr_accesses = self.nr_accesses.repeat(times)
        self.last_nr_accesses = self.last_nr_accesses.repeat(times)
        self.age = self.age.repeat(times)
        if self._sampling_addr is not None:
            self._sampling_addr = self._sampling_addr.repeat(times)

    def check(self) -> None:
        """Raise unless regions are sorted, disjoint and not empty, and counters in bounds.

        Raises
        ------
        ValueError
            Naming the first offending region.
        """
        wrong = np.flatnonzero(self.end <= self.start)
        if len(wrong):
            raise ValueError(f"region {wrong[0]} is empty")
        wrong = np.flatnonzero(self.start[1:] < self.end[:-1])
        if len(wrong):
            raise ValueError(f"region {wrong[0] + 1} begins before its predecessor ends")
        for name in ("nr_accesses", "last_nr_accesses", "age"):
            column = getattr(self, name)
            wrong = np.flatnonzero((column < 0) | (column > U32))
            if len(wrong):
                raise ValueError(f"{name} of region {wrong[0]} is out of bounds")


def split_at(regions: Regions, index: int, sz_left: int) -> None:
    """Cut one region in two; the right piece copies every counter (section 4.4)."""
    insert_cuts(
        regions,
        np.array([index], dtype=np.int64),
        np.array([int(regions.start[index]) + sz_left], dtype=np.int64),
    )


def insert_cuts(regions: Regions, index: np.ndarray, addr: np.ndarray) -> None:
    """Cut regions at the given addresses.

    Parameters
    ----------
    regions : Regions
    index : int64[C]
        Region of each cut, ascending; repeated where a region is cut more than once.
    addr : int64[C]
        Addresses strictly inside their regions, ascending.
    """
    if not len(index):
        return
    pieces = np.bincount(index, minlength=len(regions))
    pieces += 1
    regions.repeat(pieces)
    right = np.arange(1, len(index) + 1)  # places of the pieces right of each cut
    right += index
    regions.start[right] = addr
    right -= 1
    regions.end[right] = addr


def side_by_side(targets: Sequence[Regions]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of all targets' regions in order, and the target of each. int64[R] each"""
    none = [np.empty(0, np.int64)]
    start = np.concatenate([regions.start for regions in targets] or none)
    end = np.concatenate([regions.end for regions in targets] or none)
    return start, end, np.repeat(np.arange(len(targets)), [len(regions) for regions in targets])


def nr_regions(targets: Iterable[Regions]) -> int:
    """Number of regions over all targets."""
    return sum([len(regions.start) for regions in targets])


def raw_size_limit(targets: Iterable[Regions], min_nr_regions: int, min_region_sz: int) -> int:
    """Largest size a region may grow to, before alignment (section 4.2). Core address units."""
    return _raw_limit([regions.size for regions in targets], min_nr_regions, min_region_sz)


def _raw_limit(sizes: Iterable[np.ndarray], min_nr_regions: int, min_region_sz: int) -> int:
    total = sum([int(np.add.reduce(size)) for size in sizes])
    return max(total // max(min_nr_regions, 1), min_region_sz)


def apply_min_nr_regions(
    targets: Sequence[Regions], min_nr_regions: int, min_region_sz: int
) -> int:
    """Cut every region larger than the limit evenly from the left (section 4.3).

    Returns
    -------
    int
        The aligned limit, which is the merge limit until the next aggregation.
    """
    sizes = [regions.end - regions.start for regions in targets]
    limit = align_up(_raw_limit(sizes, min_nr_regions, min_region_sz), min_region_sz)
    for regions, size in zip(targets, sizes, strict=True):
        large = (size > min(limit, INT64_MAX)).nonzero()[0]
        if len(large):
            cuts = (size[large] - 1) // limit
            index = large.repeat(cuts)
            within = np.arange(1, len(index) + 1) - (cuts.cumsum() - cuts).repeat(cuts)
            insert_cuts(regions, index, regions.start[index] + within * limit)
    return limit


def reset_aggregated(targets: Iterable[Regions]) -> None:
    """Close the window: counters become those of the last window (section 5.2)."""
    for regions in targets:
        regions.last_nr_accesses = regions.nr_accesses
        regions.nr_accesses = np.zeros(len(regions.nr_accesses), dtype=np.int64)


def left_window_bp(left_sis: int, sample_us: int, aggr_us: int) -> int:
    """Remaining part of the aggregation window, basis points (section 5.3)."""
    window = max((aggr_us or 1) // (sample_us or 1), 1)
    return mult_frac(left_sis, _MAX_SCALED, window)


def mvsum(nr_accesses: np.ndarray, last_nr_accesses: np.ndarray, left_bp: int) -> np.ndarray:
    """Pseudo moving sum: this window's count and the share of the last one still to come.

    Parameters
    ----------
    nr_accesses, last_nr_accesses : int64[R], samples
    left_bp : int
        From `left_window_bp`.

    Returns
    -------
    int64[R]

    Notes
    -----
    Source: DAMON core specification, section 5.3 (Linux 7.3.4).
    """
    if left_bp == _MAX_SCALED:
        return last_nr_accesses.copy()
    if not left_bp:
        return nr_accesses.copy()
    # a count and a share below 2**32 and 10,000 cannot overflow, so no need to divide first
    share = last_nr_accesses * left_bp
    share //= _MAX_SCALED
    share += nr_accesses
    return share
