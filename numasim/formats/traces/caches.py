"""A cache that touches go through: what is missed, and what is written back."""

from __future__ import annotations

from collections import OrderedDict

from numasim.errors import ConfigError, Problem
from numasim.units import format_bytes

LINE_BYTES = 64
WAYS = 16


class Cache:
    """A set-associative cache: least recently used goes first, written back, allocated on writes.

    Parameters
    ----------
    size_bytes : int
    ways : int

    Raises
    ------
    ConfigError
        If the size is not a whole number of sets.
    """

    def __init__(self, size_bytes: int, ways: int = WAYS) -> None:
        if size_bytes < ways * LINE_BYTES or size_bytes % (ways * LINE_BYTES):
            hint = f"such as {format_bytes(1 << 20)}"
            message = f"got {size_bytes} B, expected a multiple of {ways * LINE_BYTES} bytes"
            raise ConfigError(Problem("--cache", message, hint))
        self._ways = ways
        nr_sets = size_bytes // (ways * LINE_BYTES)
        self._sets: list[OrderedDict[int, bool]] = [OrderedDict() for _ in range(nr_sets)]

    def touch(self, line: int, write: bool) -> tuple[bool, int | None]:
        """Whether a line was missed, and the dirty line that had to leave for it.

        Parameters
        ----------
        line : int
            Number of the line: its address over 64.
        write : bool
        """
        held = self._sets[line % len(self._sets)]
        dirty = held.pop(line, None)
        held[line] = bool(dirty) or write
        if dirty is not None or len(held) <= self._ways:
            return dirty is None, None
        leaving, was_dirty = held.popitem(last=False)
        return True, leaving if was_dirty else None
