"""Valgrind's lackey (``--trace-mem=yes``): every load and store of a program, before any cache.

Lackey has no cache and no clock. Its references are touches; they are misses only beyond a cache
that is named (`caches.py`). A modify is a load and a store: two touches, one miss at most.
Intervals are so many instructions, or references where instructions were not traced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from numasim.formats.machines.reading import Complaints
from numasim.formats.traces.accesses import Accesses, Who
from numasim.formats.traces.caches import LINE_BYTES, Cache
from numasim.formats.traces.reading import MOST_INTERVALS, Cut, lines_of, shown

LINE = re.compile(rb"(I | [LSM]) {1,2}([0-9a-f]{1,16}),(\d{1,7})\s*")
BANNER = re.compile(rb"(==|--)\d+(==|--)")
COMMAND = re.compile(rb"==(\d+)== Command: (.*)")
MOST_SIZE = 1 << 20
BATCH = 1 << 16
Row = tuple[int, int, int, int, int, int]
"""Interval, page, loads, stores, writebacks, touches."""


@dataclass
class Lackey:
    """A reader of one file.

    Parameters
    ----------
    file : binary file
    source : str
        Its name, for messages.
    cut : Cut
    cache : Cache or None
        What its references go through; None: they are touches only.
    """

    file: IO[bytes]
    source: str
    cut: Cut
    cache: Cache | None = None
    people: list[Who] = field(default_factory=lambda: [Who("lackey")])
    _instructions: int = 0
    _references: int = 0

    def accesses(self) -> Iterator[Accesses]:
        """Accesses in their order, some at a time.

        Raises
        ------
        ConfigError
            With the lines that are wrong.
        """
        complaints = Complaints(self.source)
        every = self.cut.every or 1
        rows: list[Row] = []
        for number, line in lines_of(self.file, self.source):
            match = LINE.fullmatch(line)
            if match is None:
                self._other(line, number, complaints)
                continue
            kind, address, size = match[1][-1:], int(match[2], 16), int(match[3])
            if match[1] == b"I ":
                self._instructions += 1
                continue
            if not 1 <= size <= MOST_SIZE:
                message = f"got {size} bytes, expected 1 to {MOST_SIZE}"
                complaints.add(f"line {number}", message)
                continue
            self._references += 1
            interval = max(0, (self._instructions or self._references) - 1) // every
            if interval >= MOST_INTERVALS:
                message = f"is in interval {interval}, expected fewer than {MOST_INTERVALS}"
                complaints.add(f"line {number}", message, "give a larger --every")
                complaints.done()
            self._touch(rows, interval, kind, address, size)
            if len(rows) >= BATCH:
                yield _made(rows)
                rows = []
        complaints.done()
        if rows:
            yield _made(rows)

    def _other(self, line: bytes, number: int, complaints: Complaints) -> None:
        """A banner line, whose command names the program, or a mistake."""
        command = COMMAND.match(line)
        if command is not None:
            words = command[2].split()
            program = shown(words[0]) if words else "lackey"
            self.people[0] = Who(program.rpartition("/")[2], int(command[1]), int(command[1]))
        elif line.strip() and not BANNER.match(line):
            wanted = 'expected " L 1ffeffe7e0,8" (I, L, S or M)'
            complaints.add(f"line {number}", f'got "{shown(line)}", {wanted}')

    def _touch(self, rows: list[Row], interval: int, kind: bytes, address: int, size: int) -> None:
        """Add what one reference does, line by line."""
        nr = 2 if kind == b"M" else 1
        last = min(address + size, 1 << 64) - 1
        for line in range(address // LINE_BYTES, last // LINE_BYTES + 1):
            page, missed = line >> 6, False
            if self.cache is not None:
                missed, evicted = self.cache.touch(line, kind != b"L")
                if evicted is not None:
                    rows.append((interval, evicted >> 6, 0, 0, 1, 0))
            stored = missed and kind == b"S"
            rows.append((interval, page, int(missed and not stored), int(stored), 0, nr))

    def remarks(self) -> list[str]:
        """What the trace cannot tell."""
        found = []
        if self.cache is None:
            found.append(
                "lackey sees no cache: references are touches, and no traffic; name a cache that "
                "they go through with --cache, such as --cache '1 MiB'"
            )
        if not self._instructions:
            found.append("no instructions were traced: intervals are numbers of references")
        return found


def _made(rows: list[Row]) -> Accesses:
    interval, page, loads, stores, writebacks, touches = zip(*rows, strict=True)
    wide = [np.array(c, np.int64) for c in (loads, stores, writebacks, touches)]
    who = np.zeros(len(rows), np.int64)
    return Accesses(np.array(interval, np.int64), who, np.array(page, np.uint64), *wide)
