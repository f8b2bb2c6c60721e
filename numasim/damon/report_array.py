"""The RFC's only array of access reports: all contexts write to it, all read it, and it forgets.

With several contexts on the same memory each also counts what happens to pages that others armed: a
bug of the proposal rather than a property of faults, and part of what it would show.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from numasim.damon.reports import Reports, checked_by_rfc


@dataclass
class ReportArray:
    """Entries of one run, those kept that a check may still ask for.

    Parameters
    ----------
    capacity : int
        Entries: with the last one written, all are forgotten.
    marks : dict of str to int
        Context → instant before which it asks for nothing any more.

    Attributes
    ----------
    reports : Reports
        In order of time.
    writer : int64[N]
        Number of the context that wrote each; -1 for the open door.
    written : int
        Entries ever written before these.
    told_ns : int
        Until when the open door has been read.

    Notes
    -----
    Contexts draw their windows one after the other, so before one counts, all others have drawn up
    to that instant. Assumption: of a sample that another context has not ended by then nothing is
    heard before it ends, which leaves out a part of the last sample of a window.
    """

    capacity: int
    marks: dict[str, int] = field(default_factory=dict)
    reports: Reports = field(default_factory=Reports.none)
    writer: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    written: int = 0
    told_ns: int = -1

    def join(self, name: str, now_ns: int) -> int:
        """A context reads and writes from now on; its number."""
        self.marks[name] = now_ns
        return list(self.marks).index(name)

    def forget(self, name: str) -> None:
        """A context is gone; its number is not given again."""
        if name in self.marks:
            self.marks[name] = np.iinfo(np.int64).max

    def write(self, reports: Reports, writer: int) -> None:
        """Put reports, in order of time, among the others."""
        if not len(reports):
            return
        nr = len(self.reports)
        place = np.searchsorted(self.reports.time_ns, reports.time_ns, "right")
        order = np.insert(np.arange(nr), place, nr + np.arange(len(reports)))
        both = Reports.concatenated([self.reports, reports])
        self.reports = both.at(order)
        self.writer = np.concatenate([self.writer, np.full(len(reports), writer)])[order]

    def read(
        self, name: str, ends_ns: np.ndarray, sample_us: int, jiffy_ns: int
    ) -> tuple[Reports, np.ndarray, np.ndarray, np.ndarray]:
        """What a context's checks count.

        Parameters
        ----------
        name : str
        ends_ns : int64[T]
            Instants of checks.
        sample_us : int
        jiffy_ns : int

        Returns
        -------
        reports : Reports
        writer : int64[N]
        report, tick : int64[M]
            Pairs; see `checked_by_rfc`.
        """
        found, writer = self.reports, self.writer
        number = self.written + np.arange(len(found))
        report, tick = checked_by_rfc(
            found.time_ns, number, ends_ns, sample_us, jiffy_ns, self.capacity
        )
        self.marks[name] = int(ends_ns[-1]) - sample_us * 1000 - 2 * jiffy_ns
        gone = int(np.searchsorted(found.time_ns, min(self.marks.values()), "right"))
        if gone:
            self.reports, self.writer = found.at(slice(gone, None)), writer[gone:]
            self.written += gone
        return found, writer, report, tick
