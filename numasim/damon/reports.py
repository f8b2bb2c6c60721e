"""Access reports, and how DAMON's core turns them into checks: 0 or 1 per region and sample.

Reports come from faults, hardware, devices, or any component (`damon_report_access`). They are
arrays, never one event per access. Source: "mm/damon: introduce per-CPUs/threads/write/read
monitoring", RFC v3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

import numpy as np

from numasim.errors import Problem

RFC_CAPACITY = 1000
LAST = (1 << 63) - 1  # largest number of a column


@dataclass(frozen=True)
class Reports:
    """Accesses that somebody reports, in order of time.

    Parameters
    ----------
    time_ns : int64[N]
    page : int64[N]
        Page of the workload (a process's, whatever frame it is in).
    offset : int64[N]
        Bytes within the page.
    cpu, tid : int64[N]
        -1 where that is not known.
    is_write : bool[N]
    node : int64[N]
        Where the data came from; -1 for a cache or where that is not known.
    latency_ns : float64[N]
        NaN where that is not known.
    """

    time_ns: np.ndarray
    page: np.ndarray
    offset: np.ndarray
    cpu: np.ndarray
    tid: np.ndarray
    is_write: np.ndarray
    node: np.ndarray
    latency_ns: np.ndarray

    def __len__(self) -> int:
        return len(self.time_ns)

    def at(self, which: np.ndarray | slice) -> Reports:
        """Some of them."""
        return Reports(*(getattr(self, f.name)[which] for f in fields(self)))

    @classmethod
    def of(
        cls,
        time_ns: np.ndarray,
        page: np.ndarray,
        offset: np.ndarray | None = None,
        cpu: np.ndarray | None = None,
        tid: np.ndarray | None = None,
        is_write: np.ndarray | None = None,
        node: np.ndarray | None = None,
        latency_ns: np.ndarray | None = None,
    ) -> Reports:
        """Reports in order of time; what is left out is not known (or a read, or at the start)."""
        nr = len(time_ns)
        unknown = np.full(nr, -1)
        order = np.argsort(time_ns, kind="stable")
        found = cls(
            np.asarray(time_ns, np.int64),
            np.asarray(page, np.int64),
            np.zeros(nr, np.int64) if offset is None else offset,
            unknown if cpu is None else cpu,
            unknown if tid is None else tid,
            np.zeros(nr, bool) if is_write is None else is_write,
            unknown if node is None else node,
            np.full(nr, np.nan) if latency_ns is None else latency_ns,
        )
        return found.at(order)

    def problems(self, nr_pages: int, page_bytes: int) -> Iterator[Problem]:
        """What cannot be in reports that somebody makes of a workload of so many pages."""
        wanted = "whole numbers of 64 bits"
        whole = [("time_ns", 0, LAST), ("page", 0, nr_pages - 1), ("offset", 0, page_bytes - 1)]
        for name, least, most in [*whole, ("cpu", -1, LAST), ("tid", -1, LAST)]:
            column = getattr(self, name)
            if column.dtype.kind not in "iu":
                yield Problem(name, f"got {column.dtype.name}, expected {wanted}")
                continue
            wrong = column[(column < least) | (column > most)]
            if len(wrong):
                yield Problem(name, f"got {wrong[0]}, expected {least}..{most}")
        if self.is_write.dtype.kind != "b":
            yield Problem("is_write", f"got {self.is_write.dtype.name}, expected true or false")

    @classmethod
    def none(cls) -> Reports:
        """No report."""
        return cls.of(np.zeros(0, np.int64), np.zeros(0, np.int64))

    @classmethod
    def joined(cls, parts: list[Reports]) -> Reports:
        """All reports of some lots, in order of time; at one instant those of the first lot."""
        if len(parts) <= 1:
            return parts[0] if parts else cls.none()
        found = cls.concatenated(parts)
        return found.at(np.argsort(found.time_ns, kind="stable"))

    @classmethod
    def concatenated(cls, parts: list[Reports]) -> Reports:
        """All reports of some lots, one lot after the other."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


@dataclass
class Log:
    """Reports for several readers, kept until each of them has read on.

    Parameters
    ----------
    lots : list of Reports
        None of them empty.
    marks : dict of str to int
        Reader → instant up to which it has read.
    """

    lots: list[Reports] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)

    def add(self, reports: Reports) -> None:
        """Keep reports, if there are any and somebody reads."""
        if len(reports) and self.marks:
            self.lots.append(reports)

    def forget(self, name: str) -> None:
        """A reader is gone; what only it would have read is dropped."""
        self.marks.pop(name, None)
        self._drop()

    def _drop(self) -> None:
        read = min(self.marks.values(), default=LAST)
        self.lots = [lot for lot in self.lots if int(lot.time_ns[-1]) > read]

    def read(self, name: str, from_ns: int, to_ns: int) -> list[Reports]:
        """Reports of ``(from, to]``, for a reader that reads on from there next time."""
        self.marks[name] = to_ns
        found = []
        for lot in self.lots:
            first, last = np.searchsorted(lot.time_ns, (from_ns, to_ns), "right").tolist()
            if first < last:
                found.append(lot.at(slice(first, last)))
        self._drop()
        return found


class Stream:
    """Reports that hardware makes whoever reads them: drawn once, in order of time.

    Parameters
    ----------
    draw : callable
        int64[T + 1] ascending instants → reports of all spans between them.
    """

    def __init__(self, draw: Callable[[np.ndarray], Reports]) -> None:
        self._draw, self._log, self._until_ns = draw, Log(), 0

    def join(self, name: str, now_ns: int) -> None:
        """Somebody reads from now on; with the first one the hardware is switched on."""
        if not self._log.marks:
            self._until_ns = max(self._until_ns, now_ns)
        self._log.marks[name] = now_ns

    def read(self, name: str, starts_ns: np.ndarray, ends_ns: np.ndarray) -> list[Reports]:
        """Reports from the first start to the last end (int64[T] each) of a window of samples."""
        first, last = int(starts_ns[0]), int(ends_ns[-1])
        if name not in self._log.marks:
            self.join(name, first)
        if last > self._until_ns:
            grid = np.concatenate([[self._until_ns], ends_ns[ends_ns > self._until_ns]])
            self._log.add(self._draw(grid))
            self._until_ns = last
        return self._log.read(name, first, last)

    def forget(self, name: str) -> None:
        """A reader is gone."""
        self._log.forget(name)


def checked_within(
    time_ns: np.ndarray, starts_ns: np.ndarray, ends_ns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which check counts each report when each sample counts what came since it was prepared.

    Parameters
    ----------
    time_ns : int64[N]
    starts_ns, ends_ns : int64[T]
        Ascending; a check is at the end.

    Returns
    -------
    report, tick : int64[M]
        Pairs; reports between two samples count nowhere.
    """
    tick = np.searchsorted(ends_ns, time_ns, "left")
    inside = np.flatnonzero(tick < len(ends_ns))
    inside = inside[starts_ns[tick[inside]] < time_ns[inside]]
    return inside, tick[inside]


def checked_by_rfc(
    time_ns: np.ndarray,
    number: np.ndarray,
    ends_ns: np.ndarray,
    sample_us: int,
    jiffy_ns: int,
    capacity: int = RFC_CAPACITY,
) -> tuple[np.ndarray, np.ndarray]:
    """Which checks count each report in the RFC's array.

    Parameters
    ----------
    time_ns : int64[N]
        Ascending.
    number : int64[N]
        Of each report since the array was made, from 0.
    ends_ns : int64[T]
        Instants of checks.
    sample_us : int
    jiffy_ns : int
    capacity : int
        Entries: with the last one written, all are forgotten.

    Returns
    -------
    report, tick : int64[M]
        Pairs; a report counts in every check that is not more than a sampling interval, in jiffies,
        after it, unless it was forgotten before.

    Notes
    -----
    Reporters try the array's lock and drop their report where it is taken. That is left out: a
    critical section takes some tens of nanoseconds, so even at 200,000 reports a second about one
    in a hundred would meet another, and nobody has measured it.
    """
    most = -(-sample_us * 1000 // jiffy_ns)
    first = np.searchsorted(ends_ns, time_ns, "left")
    last = np.searchsorted(ends_ns // jiffy_ns, time_ns // jiffy_ns + most, "right")
    times = np.maximum(last - first, 0)
    report = np.repeat(np.arange(len(time_ns)), times)
    within = np.arange(len(report)) - np.repeat(np.cumsum(times) - times, times)
    tick = first[report] + within
    base = int(number[0]) if len(number) else 0
    written = base + np.searchsorted(time_ns, ends_ns, "right")  # by each check
    kept = number[report] // capacity == written[tick] // capacity
    return report[kept], tick[kept]


def region_hits(
    place: np.ndarray,
    tick: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    nr_ticks: int,
    size: int = 1,
) -> np.ndarray:
    """Samples in which each region has at least one counted report.

    Parameters
    ----------
    place, tick : int64[N]
        Where each report lies, and the check that counts it.
    low, high : int64[R]
        Regions, ascending and disjoint.
    nr_ticks : int
    size : int
        Bytes that one report is about: every region that it overlaps was accessed.

    Returns
    -------
    int64[R]
    """
    if not len(low) or not len(place):
        return np.zeros(len(low), np.int64)
    first = np.searchsorted(high, place, "right")
    times = np.maximum(np.searchsorted(low, place + size, "left") - first, 0)
    within = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
    region, tick = np.repeat(first, times) + within, np.repeat(tick, times)
    cells = np.unique(region * nr_ticks + tick)
    return np.bincount(cells // nr_ticks, minlength=len(low))
