"""Reading what others wrote, which may be broken or hostile: bounded files, numbers and lists."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from numasim.errors import ConfigError, Problem

LONGEST_BYTES = 16 << 20
LONGEST_LINE = 1 << 16
MOST_COMPLAINTS = 100
MOST_NODES = 1024  # Linux's MAX_NUMNODES
MOST_CPUS = 16384
STDIN = "-"

LATENCY_NS = (1.0, 1e6)
BANDWIDTH = (0.001, 100_000.0)  # bytes/ns: 1 MB/s to 100 TB/s
CAPACITY = (4096.0, 2.0**52)


@dataclass
class Complaints:
    """Mistakes found in one file; `done` raises them together.

    Parameters
    ----------
    source : str
    problems : list of Problem
    """

    source: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, place: str, message: str, hint: str = "") -> None:
        """One more; the hundredth is the last straw.

        Raises
        ------
        ConfigError
        """
        self.problems.append(Problem(place, message, hint))
        if len(self.problems) >= MOST_COMPLAINTS:
            self.done()

    def number(
        self, text: str, bounds: tuple[float, float], place: str, what: str, scale: float = 1.0
    ) -> float | None:
        """A number within bounds once it is scaled, or None and a complaint."""
        low, high = bounds
        try:
            value = float(text) * scale if len(text) <= 40 else math.nan
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        wanted = f"{what} of {_plain(low / scale)} to {_plain(high / scale)}"
        self.add(place, f'got "{text[:40]}", expected {wanted}')
        return None

    def node(self, text: str, place: str) -> int | None:
        """A node's number, or None and a complaint."""
        if re.fullmatch(r"\d{1,4}", text) and int(text) < MOST_NODES:
            return int(text)
        self.add(place, f'got "{text[:40]}", expected a node number below {MOST_NODES}')
        return None

    def done(self) -> None:
        """Raise what was found.

        Raises
        ------
        ConfigError
        """
        if self.problems:
            raise ConfigError(self.problems, self.source)


def _plain(number: float) -> str:
    """A bound as people write it, without exponents."""
    return f"{number:g}" if number < 1000 else f"{number:,.0f}"


def bytes_of(path: str | Path, most: int = LONGEST_BYTES) -> bytes:
    """The contents of a file, or of stdin for ``-``.

    Raises
    ------
    ConfigError
        If it cannot be read, or is larger than such a file can be.
    """
    try:
        if str(path) == STDIN:
            data = sys.stdin.buffer.read(most + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(most + 1)
    except OSError as error:
        raise ConfigError(Problem("", f"cannot be read: {error.strerror}"), str(path)) from None
    if len(data) > most:
        message = f"is larger than {most >> 20} MiB, which no such file is"
        raise ConfigError(Problem("", message), str(path))
    if not data:
        raise ConfigError(Problem("", "is empty"), str(path))
    return data


def text_of(data: bytes, source: str, longest: int = LONGEST_LINE) -> str:
    """Text of a file.

    Raises
    ------
    ConfigError
        If it is none, or has a line longer than such a file can have.
    """
    if b"\0" in data[:4096]:
        raise ConfigError(Problem("", "is no text"), source)
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > longest:
            message = f"has {len(line)} characters, expected {longest} at most"
            raise ConfigError(Problem(f"line {number}", message), source)
    return text


def cpus_of(words: str | Sequence[str], complaints: Complaints, place: str) -> tuple[int, ...]:
    """CPU numbers of ``0-3,8`` or of a list of words, ascending; what is wrong is complained of."""
    parts = words.replace(",", " ").split() if isinstance(words, str) else words
    cpus: set[int] = set()
    for part in parts:
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MOST_CPUS:
            complaints.add(
                place, f'got "{part[:40]}", expected CPUs such as "0-3" below {MOST_CPUS}'
            )
            return ()
        cpus.update(range(first, last + 1))
    return tuple(sorted(cpus))


def mask_of(text: str, complaints: Complaints, place: str) -> frozenset[int]:
    """Numbers of the bits set in ``0x00000003`` or ``00000001,ffffffff`` (chunks of 32 bits)."""
    chunks = text.split(",")
    good = all(re.fullmatch(r"(?:(?:0x)?[0-9a-fA-F]{1,8})?", chunk) for chunk in chunks)
    if not good or len(chunks) * 32 > MOST_CPUS:
        complaints.add(place, f'got the set "{text[:40]}", expected one such as "0x0000000f"')
        return frozenset()
    value = 0
    for chunk in chunks:
        value = value << 32 | int(chunk or "0", 16)
    return frozenset(bit for bit in range(value.bit_length()) if value >> bit & 1)


def square(
    rows: dict[int, list[float]], nodes: Sequence[int], complaints: Complaints, place: str
) -> dict[tuple[int, int], float]:
    """A distance table as pairs: checked for a row of every node, 10 to itself, else 10 to 255."""
    found: dict[tuple[int, int], float] = {}
    for i in nodes:
        row = rows.get(i)
        if row is None or len(row) != len(nodes):
            nr = "no" if row is None else str(len(row))
            complaints.add(
                place, f"node {i} has {nr} distances, expected {len(nodes)}, one per node"
            )
            continue
        for j, value in zip(nodes, row, strict=True):
            if (value != 10) if i == j else not 10 <= value <= 255:
                wanted = "10 (local)" if i == j else "10 to 255"
                complaints.add(place, f"node {i} to node {j} is {value:g}, expected {wanted}")
            found[i, j] = value
    return found
