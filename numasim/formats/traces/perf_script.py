"""Text of ``perf script`` with data addresses: page faults, ``perf mem`` samples, watched events.

What is known of each line decides its columns. The sampling period says how many accesses a line
stands for. With a data source (``perf mem``) an access is a touch, and a miss (a load or a store)
if its data came from memory. Without one, nothing is known of caches: it is a touch, and a miss
only if the event itself counts misses. A page fault is one touch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from numasim.formats.machines.reading import Complaints
from numasim.formats.traces.accesses import Accesses, Who
from numasim.formats.traces.reading import MOST_THREADS, Clock, Cut, lines_of, shown

LINE = re.compile(
    rb"\s*(?P<comm>\S.{0,63}?)\s+(?P<pid>-?\d{1,10})(?:/(?P<tid>-?\d{1,10}))?\s+(?:\[\d{1,6}\]\s+)?"
    rb"(?P<s>\d{1,12})\.(?P<sub>\d{1,9}):\s+(?:(?P<period>\d{1,24})\s+)?(?P<event>\S+):(?=\s|$)"
    rb"(?P<rest>.*)"
)
ADDRESS = re.compile(rb"\s*([0-9a-f]{1,16})(?=\s|$)(.*)", re.DOTALL)
SECOND = re.compile(rb"(?:\s{2,64}[0-9a-f]{1,15}|\s[0-9a-f]{16})(?=\s|$)")
"""A second address behind the first and its symbol: the first one is of data then."""
DATA_SOURCE = re.compile(rb"\s+([0-9a-f]{1,16})\s+\|OP\s")
CHAIN = re.compile(rb"\s+[0-9a-f]{1,16}\s")
OF_DATA = re.compile(rb"fault|mem[-_]|load|store|dtlb", re.IGNORECASE)
"""Events whose only address, without a symbol behind it, is that of data."""
WRITES = re.compile(rb"store|write", re.IGNORECASE)
MISSES = re.compile(rb"(l3|llc|ll)[-_.]?(load|store)?[-_.]?s?_?miss|dram", re.IGNORECASE)
KERNEL_PAGE = 1 << 51
"""Addresses from the middle on are the kernel's."""
MOST_PERIOD = 1 << 40
BATCH = 1 << 16
ADVICE = (
    "record addresses: perf record -e page-faults -c 1 -d, or perf mem record; then "
    "perf script -F comm,pid,tid,time,period,event,addr (for perf mem also data_src)"
)

# Bits of the data source. Source: DAMON interop specification, section 8.5; Linux's perf ABI.
OP_STORE = 4
LEVEL_MISS, LEVEL_L3 = 0x04, 0x40
LEVEL_HIT, LEVEL_MEMORY = 0x02, 0x80 | 0x100 | 0x200
MEMORY_LEVELS = frozenset((0x9, 0xD, 0xE))
NO_LEVELS = frozenset((0x0, 0xF))


@dataclass
class Counts:
    """What was found besides accesses.

    Attributes
    ----------
    without, kernel, faults, unknown : int
        Lines without a data address, of kernel addresses, of page faults, and of accesses of which
        nothing says whether they missed the caches.
    """

    without: int = 0
    kernel: int = 0
    faults: int = 0
    unknown: int = 0


@dataclass
class PerfScript:
    """A reader of one file.

    Parameters
    ----------
    file : binary file
    source : str
        Its name, for messages.
    cut : Cut
    keep : callable
        pid, name of the program → whether its accesses are wanted.
    """

    file: IO[bytes]
    source: str
    cut: Cut
    keep: Callable[[int, str], bool]
    people: list[Who] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)

    def accesses(self) -> Iterator[Accesses]:
        """Accesses in their order, some at a time.

        Raises
        ------
        ConfigError
            With the lines that are wrong, or if there is no data address in any.
        """
        complaints = Complaints(self.source)
        clock = Clock(self.cut.interval_ns or 1, complaints)
        rows: list[tuple[int, int, int, int, int, int]] = []
        nr = 0
        for number, line in lines_of(self.file, self.source):
            if not line.strip() or line.startswith(b"#"):
                continue
            match = LINE.fullmatch(line.rstrip(b"\r\n"))
            if match is None:
                if not CHAIN.match(line):
                    wanted = "expected comm pid/tid time: period event: addr ..."
                    complaints.add(f"line {number}", f'got "{shown(line)}", {wanted}')
                continue
            row = self._row(match, f"line {number}", clock, complaints)
            if row is not None:
                rows.append(row)
                nr += 1
                if len(rows) >= BATCH:
                    yield _made(rows)
                    rows = []
        if not nr and self.counts.without and not complaints.problems:
            message = f"has {self.counts.without} samples and no data address in any of them"
            complaints.add("", message, ADVICE)
        complaints.done()
        if rows:
            yield _made(rows)

    def _row(
        self, match: re.Match[bytes], place: str, clock: Clock, complaints: Complaints
    ) -> tuple[int, int, int, int, int, int] | None:
        """Interval, thread, page, loads, stores, touches of a line; None if it has no access."""
        sub = match["sub"]
        at_ns = int(match["s"]) * 10**9 + int(sub.ljust(9, b"0"))
        interval = clock.interval(at_ns, place)
        address, rest = _data_address(match["event"], match["rest"])
        if address is None:
            self.counts.without += 1
            return None
        period = int(match["period"] or 1)
        if not 1 <= period <= MOST_PERIOD:
            message = f"got a period of {shown(match['period'])}, expected 1 to {MOST_PERIOD}"
            complaints.add(place, message)
            return None
        page = address >> 12
        if page >= KERNEL_PAGE:
            self.counts.kernel += 1
            return None
        if interval is None or page == 0:
            return None
        who = self._who(match, complaints)
        if who is None:
            return None
        return (interval, who, page, *self._columns(match["event"], rest, period))

    def _columns(self, event: bytes, rest: bytes, period: int) -> tuple[int, int, int]:
        """Loads, stores and touches."""
        if b"fault" in event:
            self.counts.faults += 1
            return 0, 0, 1
        source = DATA_SOURCE.match(rest)
        if source is not None:
            missed, is_store = from_memory(int(source[1], 16))
        else:
            is_store = WRITES.search(event) is not None
            missed = True if MISSES.search(event) else None
        if missed is None:
            self.counts.unknown += 1
        fills = period if missed else 0
        return (0, fills, period) if is_store else (fills, 0, period)

    def _who(self, match: re.Match[bytes], complaints: Complaints) -> int | None:
        """Number of a thread, None if it is not wanted."""
        pid = int(match["pid"])
        tid = int(match["tid"] or pid)
        number = self._numbers.get((pid, tid))
        if number is None:
            comm = shown(match["comm"])
            number = len(self.people) if self.keep(pid, comm) else -1
            if number >= MOST_THREADS:
                hint = "choose processes with --pid"
                complaints.add("", f"has more than {MOST_THREADS} threads", hint)
                complaints.done()
            self._numbers[pid, tid] = number
            if number >= 0:
                self.people.append(Who(comm, pid, tid))
        return None if number < 0 else number

    def remarks(self) -> list[str]:
        """What the trace cannot tell, or what was left out."""
        found, counts = [], self.counts
        if counts.faults:
            found.append(
                f"{counts.faults} page faults: each is one touch, and only the first ones of a "
                "page are seen; how hot pages are, and misses, are not"
            )
        if counts.unknown:
            found.append(
                f"{counts.unknown} accesses do not say whether they missed the caches: they are "
                "touches, and no traffic"
            )
        if counts.without:
            found.append(f"{counts.without} samples without a data address were left out")
        if counts.kernel:
            found.append(f"{counts.kernel} samples of kernel addresses were left out")
        return found


def from_memory(source: int) -> tuple[bool | None, bool]:
    """Whether a data source says that data came from memory (None: it does not say), and a store.

    Parameters
    ----------
    source : int
        The raw word.

    Notes
    -----
    Source: DAMON interop specification, section 8.5. Data from another core's cache did not.
    """
    is_store = bool(source & OP_STORE)
    number, level = source >> 33 & 0xF, source >> 5 & 0x3FFF
    if number not in NO_LEVELS:
        return number in MEMORY_LEVELS, is_store
    if level & LEVEL_HIT:
        return bool(level & LEVEL_MEMORY), is_store
    if level & LEVEL_MISS:
        return (True if level & LEVEL_L3 else None), is_store
    return None, is_store


def _data_address(event: bytes, rest: bytes) -> tuple[int | None, bytes]:
    """The data address of a line and what follows it; None if its address is of an instruction."""
    match = ADDRESS.match(rest)
    if match is None:
        return None, b""
    after = match[2]
    alone = not after.strip() and OF_DATA.search(event) is not None
    if not alone and DATA_SOURCE.match(after) is None and SECOND.search(after) is None:
        return None, b""
    return int(match[1], 16) or None, after


def _made(rows: list[tuple[int, int, int, int, int, int]]) -> Accesses:
    interval, who, page, loads, stores, touches = zip(*rows, strict=True)
    wide = [np.array(column, np.int64) for column in (loads, stores, touches)]
    return Accesses(
        np.array(interval, np.int64), np.array(who, np.int64), np.array(page, np.uint64),
        wide[0], wide[1], np.zeros(len(rows), np.int64), wide[2],
    )  # fmt: skip
