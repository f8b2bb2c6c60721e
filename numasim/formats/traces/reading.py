"""Reading traces piece by piece: lines of bounded length, clocks that only go forward."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.reading import LONGEST_LINE, STDIN, Complaints

HEAD_BYTES = 1 << 16
"""Looked at to tell the format."""
MOST_INTERVALS = 1 << 22
MOST_THREADS = 65_535
LAST_NS = 2**62
SHOWN = 60


@dataclass(frozen=True)
class Cut:
    """How a trace is cut into intervals.

    Parameters
    ----------
    interval_ns : int or None
        By the trace's clock, where it has one.
    every : int or None
        Or by number: of instructions, references or requests, as the format has them.
    """

    interval_ns: int | None = None
    every: int | None = None


class Clock:
    """Instants → intervals, from the first instant on; complaints about those that go backwards.

    Parameters
    ----------
    interval_ns : int
    complaints : Complaints
    """

    def __init__(self, interval_ns: int, complaints: Complaints) -> None:
        self._every, self._complaints = interval_ns, complaints
        self._first = self._last = -1

    def interval(self, at_ns: int, place: str) -> int | None:
        """The interval of an instant; None and a complaint if it cannot be."""
        if self._first < 0:
            self._first = self._last = at_ns
        if not 0 <= at_ns <= LAST_NS:
            message = f"got {at_ns / 1e9:g} s, expected a time below {LAST_NS / 1e9:.3g} s"
            self._complaints.add(place, message)
            return None
        if at_ns < self._last:
            back = (self._last - at_ns) / 1e9
            hint = "sort the lines by time"
            message = f"got {at_ns / 1e9:.9f} s, expected no earlier than {self._last / 1e9:.9f} s"
            self._complaints.add(place, f"{message} (it goes back {back:.9f} s)", hint)
            return None
        self._last = at_ns
        number = (at_ns - self._first) // self._every
        if number >= MOST_INTERVALS:
            span = (at_ns - self._first) / 1e9
            message = f"{span:g} s after the first is interval {number}, expected fewer than "
            hint = f'give --interval, such as "{-(-span // 10_000):g} s"'
            self._complaints.add(place, message + str(MOST_INTERVALS), hint)
            self._complaints.done()
        return number


def opened(path: str | Path) -> io.BufferedReader[io.RawIOBase]:
    """A file, or stdin for ``-``, whose beginning can be looked at before it is read.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    if str(path) == STDIN:
        raw = cast(io.RawIOBase, sys.stdin.buffer)
        return io.BufferedReader(raw, HEAD_BYTES)
    try:
        return io.BufferedReader(Path(path).open("rb", buffering=0), HEAD_BYTES)
    except OSError as error:
        raise ConfigError(Problem("", f"cannot be read: {error.strerror}"), str(path)) from None


def shown(line: bytes) -> str:
    """A line for a message: short, and without what a terminal would take for a command."""
    text = line.strip()[:SHOWN].decode("utf-8", errors="replace")
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text + ("…" if len(line.strip()) > SHOWN else "")


def lines_of(file: IO[bytes], source: str) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1.

    Raises
    ------
    ConfigError
        At a line that is longer than any such file has, or holds a NUL.
    """
    number = 0
    while True:
        line = file.readline(LONGEST_LINE + 1)
        if not line:
            return
        number += 1
        if len(line) > LONGEST_LINE or b"\0" in line:
            what = "is no text" if b"\0" in line else f"has more than {LONGEST_LINE} characters"
            hint = "is the file whole, and the format the right one?"
            raise ConfigError(Problem(f"line {number}", what, hint), source)
        yield number, line
