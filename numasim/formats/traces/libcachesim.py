"""Traces of libCacheSim: CSV, and the binary ``oracleGeneral``.

Where objects have the size of a page, their ids are page numbers and a request is one access of so
many lines (`lines`). Otherwise objects are packed side by side in the order of their first request,
and a request reads or writes all of its object's lines. All are taken to miss the caches.
Intervals are so many requests, or a time of the trace's clock, which counts seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Literal

import numpy as np

from numasim.formats.machines.reading import Complaints
from numasim.formats.traces.accesses import Accesses, Who
from numasim.formats.traces.reading import MOST_INTERVALS, Clock, Cut, lines_of, shown

RECORD = np.dtype([("time", "<u4"), ("object", "<u8"), ("size", "<u4"), ("next", "<i8")])
BATCH = 1 << 16
PAGE_BYTES, LINE_BYTES = 4096, 64
LARGEST_BYTES = 16 << 20
"""Of an object: larger ones are not of a cache in memory."""
COLUMNS = {
    "time": ("time", "timestamp", "ts", "clock_time", "real_time"),
    "object": ("obj_id", "object_id", "obj", "object", "id", "key"),
    "size": ("obj_size", "object_size", "size"),
    "op": ("op", "operation", "cmd", "request_type"),
}
"""Names that a CSV's columns may have; without names they are these, in this order."""
WRITES = frozenset(
    ["set", "add", "replace", "cas", "append", "prepend", "incr", "decr", "write", "put", "update"]
)
READS = frozenset(["get", "gets", "read", "lookup", ""])
LEFT_OUT = frozenset(["delete", "del", "remove"])
Objects = Literal["pages", "packed"]


@dataclass
class Layout:
    """Where objects lie that are no pages: side by side, in the order of their first request.

    Attributes
    ----------
    ids : uint64[K]
        Objects seen, ascending.
    places, sizes : int64[K]
        Where each begins, and its size when first seen, bytes.
    end : int
        Bytes of all.
    """

    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    places: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    sizes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    end: int = 0

    def find(self, ids: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place and size of each object (uint64[N], int64[N] bytes), new ones at the end."""
        fresh, first = np.unique(ids, return_index=True)
        new = ~np.isin(fresh, self.ids, assume_unique=True)
        order = np.argsort(first[new], kind="stable")
        added, bytes_ = fresh[new][order], sizes[first[new][order]]
        begins = self.end + np.cumsum(bytes_) - bytes_
        self.end += int(bytes_.sum())
        at = np.searchsorted(self.ids, np.sort(added))
        sort = np.argsort(added, kind="stable")
        self.ids = np.insert(self.ids, at, added[sort])
        self.places = np.insert(self.places, at, begins[sort])
        self.sizes = np.insert(self.sizes, at, bytes_[sort])
        own = np.searchsorted(self.ids, ids)
        return self.places[own], self.sizes[own]


@dataclass
class Requests:
    """A reader of one file, in either form.

    Parameters
    ----------
    file : binary file
    source : str
        Its name, for messages.
    cut : Cut
    lines : int
        Lines of a request where objects are pages.
    objects : str or None
        ``pages`` or ``packed``; None: as the first request's size tells.
    """

    file: IO[bytes]
    source: str
    cut: Cut
    lines: int = 1
    objects: Objects | None = None
    people: list[Who] = field(default_factory=lambda: [Who("requests")])
    unknown: int = 0
    _done: int = 0
    _layout: Layout = field(default_factory=Layout)

    def _made(
        self, intervals: np.ndarray, ids: np.ndarray, sizes: np.ndarray, writes: np.ndarray
    ) -> Accesses:
        """Accesses of some requests. int64[N], uint64[N], int64[N], bool[N]"""
        if self.objects is None and len(sizes):
            self.objects = "pages" if sizes[0] == PAGE_BYTES else "packed"
        if self.objects == "pages":
            page, lines = ids, np.full(len(ids), self.lines, np.int64)
        else:
            place, size = self._layout.find(ids, sizes)
            first, last = place // PAGE_BYTES, (place + size - 1) // PAGE_BYTES
            nr = last - first + 1
            each = np.repeat(np.arange(len(ids)), nr)
            within = np.arange(len(each)) - np.repeat(np.cumsum(nr) - nr, nr)
            here = (first[each] + within) * PAGE_BYTES
            low = np.maximum(place[each], here) // LINE_BYTES
            high = (np.minimum((place + size)[each], here + PAGE_BYTES) - 1) // LINE_BYTES
            page, lines = (here // PAGE_BYTES).astype(np.uint64), high - low + 1
            intervals, writes = intervals[each], writes[each]
        none = np.zeros(len(page), np.int64)
        loads, stores = np.where(writes, 0, lines), np.where(writes, lines, 0)
        return Accesses(intervals, none, page, loads, stores, none, lines)

    def _numbered(self, nr: int, complaints: Complaints) -> np.ndarray:
        """int64[N]: intervals of the next requests, counted."""
        found: np.ndarray = (self._done + np.arange(nr)) // (self.cut.every or 1)
        self._done += nr
        if nr and found[-1] >= MOST_INTERVALS:
            message = f"has more than {MOST_INTERVALS} intervals"
            complaints.add(f"request {self._done}", message, "give a larger --every")
            complaints.done()
        return found

    def _check_size(self, size: int, place: str, complaints: Complaints) -> bool:
        if self.objects == "pages" and size != PAGE_BYTES:
            hint = "--objects packed lays objects of any size side by side"
            message = f"got an object of {size} bytes, expected pages of {PAGE_BYTES}"
            complaints.add(place, message, hint)
        elif not 1 <= size <= LARGEST_BYTES:
            message = f"got an object of {size} bytes, expected 1 to {LARGEST_BYTES}"
            complaints.add(place, message)
        else:
            return True
        return False

    def remarks(self) -> list[str]:
        """What the trace cannot tell."""
        each = "all lines of its object"
        if self.objects == "pages":
            each = f"{self.lines} line{'s' * (self.lines > 1)} of its page (--lines)"
        found = [f"a request counts as a miss of {each}: the trace does not tell of lines"]
        if self.unknown:
            found.append(f"{self.unknown} requests of unknown operations count as reads")
        return found


class OracleGeneral(Requests):
    """A reader of one binary file."""

    def accesses(self) -> Iterator[Accesses]:
        """Accesses in their order, some at a time.

        Raises
        ------
        ConfigError
            With the records that are wrong.
        """
        complaints = Complaints(self.source)
        clock = None if self.cut.every else Clock(self.cut.interval_ns or 1, complaints)
        first, last_s = 0, 0
        while data := self.file.read(RECORD.itemsize * BATCH):
            if extra := len(data) % RECORD.itemsize:
                at = first * RECORD.itemsize + len(data) - extra
                message = f"ends amid a record: {extra} of {RECORD.itemsize} bytes"
                complaints.add(f"byte {at}", message, "is it truncated?")
                complaints.done()
            rows = np.frombuffer(data, RECORD)
            seconds, sizes = rows["time"].astype(np.int64), rows["size"].astype(np.int64)
            if self.objects is None:
                self.objects = "pages" if sizes[0] == PAGE_BYTES else "packed"
            bad = (sizes != PAGE_BYTES) if self.objects == "pages" else sizes > LARGEST_BYTES
            for at in np.flatnonzero(bad | (sizes < 1)).tolist():
                self._check_size(int(sizes[at]), f"record {first + at}", complaints)
            back = np.flatnonzero(np.diff(seconds, prepend=last_s) < 0)
            for at in back.tolist():
                before = int(seconds[at - 1]) if at else last_s
                message = f"got {seconds[at]} s, expected no earlier than {before} s"
                complaints.add(f"record {first + at}", message, "is it an oracleGeneral trace?")
            wrong = np.flatnonzero((rows["next"] < -1) | (rows["next"] == 0))
            for at in wrong.tolist():
                message = f"got {rows['next'][at]} as its next access, expected a later record or "
                hint = "is it an oracleGeneral trace?"
                complaints.add(f"record {first + at}", message + "-1", hint)
            complaints.done()
            if clock is None:
                intervals = self._numbered(len(rows), complaints)
            else:
                known = {s: clock.interval(s * 10**9, f"record {first}") or 0
                         for s in np.unique(seconds).tolist()}  # fmt: skip
                intervals = np.array([known[s] for s in seconds.tolist()], np.int64)
            yield self._made(intervals, rows["object"], sizes, np.zeros(len(rows), bool))
            first, last_s = first + len(rows), int(seconds[-1])


class Csv(Requests):
    """A reader of one text file."""

    def accesses(self) -> Iterator[Accesses]:
        """Accesses in their order, some at a time.

        Raises
        ------
        ConfigError
            With the lines that are wrong.
        """
        complaints = Complaints(self.source)
        clock = None if self.cut.every else Clock(self.cut.interval_ns or 1, complaints)
        at: dict[str, int] | None = None
        rows: list[tuple[int, int, int, bool]] = []
        for number, line in lines_of(self.file, self.source):
            cells = [c.strip() for c in shown_whole(line).split(",")]
            if cells == [""] or line.startswith(b"#"):
                continue
            if at is None:
                at = columns_of(cells, complaints)
                if not cells[0].isdigit():
                    continue
            row = self._row(cells, at, f"line {number}", clock, complaints)
            if row is not None:
                rows.append(row)
            if len(rows) >= BATCH:
                yield self._batch(rows, clock is None, complaints)
                rows = []
        complaints.done()
        if rows:
            yield self._batch(rows, clock is None, complaints)

    def _row(
        self, cells: list[str], at: dict[str, int], place: str, clock: Clock | None,
        complaints: Complaints,
    ) -> tuple[int, int, int, bool] | None:  # fmt: skip
        """Interval, object, size, whether it writes; None if it is wrong or left out."""
        if len(cells) <= max(at.values()):
            message = f"has {len(cells)} columns, expected {max(at.values()) + 1} or more"
            complaints.add(place, message)
            return None
        numbers = {}
        for name, most in (("time", 2**62 // 10**9), ("object", 2**64 - 1), ("size", 2**40)):
            text = cells[at[name]]
            number = re.fullmatch(r"(\d{1,20})(\.\d{1,9})?", text)
            if number is None or int(number[1]) > most:
                wanted = f"expected a number up to {most}"
                complaints.add(place, f'got "{shown(text.encode())}" as {name}, {wanted}')
                return None
            numbers[name] = text
        op = cells[at["op"]].lower() if "op" in at else ""
        if op in LEFT_OUT:
            return None
        self.unknown += op not in WRITES and op not in READS
        size = int(float(numbers["size"]))
        if self.objects is None:
            self.objects = "pages" if size == PAGE_BYTES else "packed"
        if not self._check_size(size, place, complaints):
            return None
        interval: int | None = 0
        if clock is not None:
            whole, _, part = numbers["time"].partition(".")
            interval = clock.interval(int(whole) * 10**9 + int(part.ljust(9, "0")), place)
        return None if interval is None else (
            interval, int(numbers["object"].partition(".")[0]), size, op in WRITES
        )  # fmt: skip

    def _batch(
        self, rows: list[tuple[int, int, int, bool]], counted: bool, complaints: Complaints
    ) -> Accesses:
        interval, ids, sizes, writes = zip(*rows, strict=True)
        numbers = self._numbered(len(rows), complaints) if counted else np.array(interval, np.int64)
        return self._made(
            numbers, np.array(ids, np.uint64), np.array(sizes, np.int64), np.array(writes, bool)
        )


def shown_whole(line: bytes) -> str:
    """A line as text, whatever its bytes."""
    return line.decode("utf-8", errors="replace").strip().replace('"', "")


def columns_of(cells: list[str], complaints: Complaints) -> dict[str, int]:
    """Which column is what, by the first line: names, or the first three or four numbers.

    Raises
    ------
    ConfigError
        If columns are missing.
    """
    if cells[0].isdigit():
        names = list(COLUMNS)[: 4 if len(cells) > 3 else 3]
        found = dict(zip(names, range(len(cells)), strict=False))
    else:
        lower = [cell.lower() for cell in cells]
        found = {n: lower.index(w) for n, words in COLUMNS.items() for w in words if w in lower}
    for name in ("time", "object", "size"):
        if name not in found:
            hint = "found: " + ", ".join(shown(c.encode())[:20] for c in cells[:8])
            complaints.add("line 1", f"has no column {' or '.join(COLUMNS[name])}", hint)
    complaints.done()
    return found
