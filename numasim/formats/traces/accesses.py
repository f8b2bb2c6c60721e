"""Accesses as readers of traces give them, and the rows of a recording that they add up to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

COUNTS = ("loads", "stores", "writebacks", "touches")
KEYS = ("interval", "who", "page")
PENDING_ROWS = 1 << 18
"""Accesses that are added up together. More are held only where one interval has more rows."""
CHUNK_ROWS = 1 << 20


@dataclass(frozen=True)
class Who:
    """A thread of a traced program.

    Parameters
    ----------
    program : str
    pid, tid : int
        0 where the trace does not tell.
    """

    program: str
    pid: int = 0
    tid: int = 0


@dataclass
class Accesses:
    """Some accesses in their order.

    Parameters
    ----------
    interval : int64[N]
        Not descending, also from one of these to the next.
    who : int64[N]
        Index into the reader's list of threads.
    page : uint64[N]
        Virtual page number, or whatever else tells pages apart and sorts them by place.
    loads, stores, writebacks, touches : int64[N]
        As the columns of a recording.
    """

    interval: np.ndarray
    who: np.ndarray
    page: np.ndarray
    loads: np.ndarray
    stores: np.ndarray
    writebacks: np.ndarray
    touches: np.ndarray

    def __len__(self) -> int:
        return len(self.interval)

    def __getitem__(self, rows: slice | np.ndarray) -> Accesses:
        return Accesses(*(getattr(self, name)[rows] for name in KEYS + COUNTS))

    @classmethod
    def joined(cls, parts: list[Accesses]) -> Accesses:
        """Several, one after the other."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in KEYS + COUNTS))

    def added_up(self) -> Accesses:
        """One row for each interval, thread and page, in that order."""
        order = np.lexsort((self.page, self.who, self.interval))
        rows = self[order]
        new = np.ones(len(rows), bool)
        same = [getattr(rows, key)[1:] == getattr(rows, key)[:-1] for key in KEYS]
        new[1:] = ~np.logical_and.reduce(same)
        first = np.flatnonzero(new)
        keys = [getattr(rows, key)[first] for key in KEYS]
        if not len(first):
            return rows
        return Accesses(*keys, *(np.add.reduceat(getattr(rows, n), first) for n in COUNTS))


@dataclass
class Spool:
    """Rows on disk, added up interval by interval; only the pages' numbers stay in memory.

    Attributes
    ----------
    pages : dict of int to uint64[P]
        Pages of each thread number, ascending.
    rows_of : dict of int to int
        Rows of each thread number.
    nr_rows : int
    intervals : int
        One more than the last interval with an access.
    """

    pages: dict[int, np.ndarray] = field(default_factory=dict)
    rows_of: dict[int, int] = field(default_factory=dict)
    nr_rows: int = 0
    intervals: int = 0
    _folder: Path | None = None
    _files: dict[str, IO[bytes]] = field(default_factory=dict)
    _pending: list[Accesses] = field(default_factory=list)
    _nr_pending: int = 0
    _limit: int = PENDING_ROWS

    def __enter__(self) -> Spool:
        self._folder = Path(tempfile.mkdtemp(prefix="numasim-import-"))
        self._files = {n: (self._folder / n).open("wb") for n in KEYS + COUNTS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, accesses: Accesses) -> None:
        """More accesses, of the last interval or later ones."""
        if not len(accesses):
            return
        self._pending.append(accesses)
        self._nr_pending += len(accesses)
        if self._nr_pending >= self._limit:
            self._settle(int(accesses.interval[-1]))

    def _settle(self, open_interval: int) -> None:
        """Add up what is pending; write intervals that are over."""
        if not self._pending:
            return
        rows = Accesses.joined(self._pending).added_up()
        over = int(np.searchsorted(rows.interval, open_interval))
        self._write(rows[:over])
        self._pending, self._nr_pending = [rows[over:]], len(rows) - over
        self._limit = max(PENDING_ROWS, 2 * self._nr_pending)

    def _write(self, rows: Accesses) -> None:
        for who in np.unique(rows.who).tolist():
            chosen = rows.who == who
            self.rows_of[who] = self.rows_of.get(who, 0) + int(chosen.sum())
            own = np.unique(rows.page[chosen])
            known = self.pages.get(who)
            self.pages[who] = own if known is None else np.union1d(known, own)
        for name, file in self._files.items():
            dtype = np.uint64 if name == "page" else np.int64
            file.write(getattr(rows, name).astype(dtype).tobytes())
        self.nr_rows += len(rows)
        if len(rows):
            self.intervals = int(rows.interval[-1]) + 1

    def close(self) -> None:
        """Nothing more comes: write what is pending."""
        self._settle(np.iinfo(np.int64).max)
        for file in self._files.values():
            file.close()

    def chunks(self) -> Iterator[Accesses]:
        """All rows in their order, some at a time."""
        assert self._folder is not None
        for low in range(0, self.nr_rows, CHUNK_ROWS):
            nr = min(CHUNK_ROWS, self.nr_rows - low)
            parts = []
            for name in KEYS + COUNTS:
                dtype = np.uint64 if name == "page" else np.int64
                parts.append(np.fromfile(self._folder / name, dtype, nr, offset=8 * low))
            yield Accesses(*parts)

    def selected(self, numbers: Sequence[int]) -> dict[str, np.ndarray]:
        """Columns of some thread numbers' rows, int64 and mapped, to be changed by the caller."""
        assert self._folder is not None
        nr, at = sum(self.rows_of[n] for n in numbers), 0
        columns: dict[str, np.ndarray] = {
            name: np.memmap(self._folder / f"selected-{name}", np.int64, "w+", shape=(nr,))
            for name in KEYS + COUNTS
        }
        for rows in self.chunks():
            own = np.isin(rows.who, numbers)
            to = at + int(own.sum())
            for name, column in columns.items():
                column[at:to] = getattr(rows, name)[own].view(np.int64)
            at = to
        return columns
