"""Lists of folios that cost what is scanned of them, not what lies in them.

Memory that was touched in order is one entry, a range; single folios appear only where somebody has
looked at them. A folio that goes elsewhere is not searched for: its ticket changes, and the old
entry is passed over when its turn comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

LOOK = 4096
"""Entries that are looked at in one go for one that still holds."""

Sizes = Callable[[np.ndarray], np.ndarray]
"""int64[N] first pages of folios → int64[N] pages of each."""


class Tickets:
    """Which entry of which list each folio stands in, by its first page.

    Parameters
    ----------
    nr_pages : int

    Attributes
    ----------
    held : uint32[P]
        Number of the entry; 0 where a folio is on no list.
    """

    def __init__(self, nr_pages: int) -> None:
        self.held = np.zeros(nr_pages, np.uint32)
        self._last = 0

    def draw(self) -> int:
        """A number no entry has had."""
        self._last += 1
        return self._last


class Fifo:
    """One list: what was added first is taken first.

    Parameters
    ----------
    tickets : Tickets
        Shared by all lists of a run.
    """

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._entries: deque[tuple[int, np.ndarray | range]] = deque()

    def add(self, heads: np.ndarray) -> None:
        """Put folios (int64[N], each once) at the young end, in that order."""
        if len(heads):
            ticket = self._tickets.draw()
            self._tickets.held[heads] = ticket
            self._entries.append((ticket, _packed(heads)))

    def add_first(self, other: Fifo) -> None:
        """Put all of another list, which becomes empty, at the old end."""
        self._entries.extendleft(reversed(other._entries))
        other._entries.clear()

    def take(self, nr_pages: int, sizes: Sizes) -> np.ndarray:
        """Take folios off the old end.

        Parameters
        ----------
        nr_pages : int
            Folios are taken until they have so many pages.
        sizes : callable

        Returns
        -------
        int64[N]
            The oldest first; on no list from now on.
        """
        found: list[np.ndarray] = []
        while nr_pages > 0 and self._entries:
            ticket, entry = self._entries.popleft()
            part, rest = entry[: max(nr_pages, 64)], entry[max(nr_pages, 64) :]
            heads = _unpacked(part)
            heads = heads[self._tickets.held[heads] == ticket]
            pages = np.cumsum(sizes(heads))
            enough = int(np.searchsorted(pages, nr_pages)) + 1
            if len(rest):
                self._entries.appendleft((ticket, rest))
            if enough < len(heads):
                self._entries.appendleft((ticket, heads[enough:]))
                heads, pages = heads[:enough], pages[:enough]
            if len(heads):
                self._tickets.held[heads] = 0
                found.append(heads)
                nr_pages -= int(pages[-1])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def is_empty(self) -> bool:
        """Whether no folio stands here any more; entries that do not hold are dropped."""
        while self._entries:
            ticket, entry = self._entries[0]
            if (self._tickets.held[_unpacked(entry[:LOOK])] == ticket).any():
                return False
            self._entries.popleft()
            if len(entry) > LOOK:
                self._entries.appendleft((ticket, entry[LOOK:]))
        return True

    def heads(self) -> np.ndarray:
        """int64[N]: all folios, the oldest first; for tests, it looks at every entry."""
        parts = [np.empty(0, np.int64)]
        for ticket, entry in self._entries:
            heads = _unpacked(entry)
            parts.append(heads[self._tickets.held[heads] == ticket])
        return np.concatenate(parts)


def _packed(heads: np.ndarray) -> np.ndarray | range:
    """Folios as a range where they lie at even distances upwards."""
    if len(heads) > 2:
        step = int(heads[1] - heads[0])
        if step > 0 and (np.diff(heads) == step).all():
            return range(int(heads[0]), int(heads[-1]) + 1, step)
    return heads.astype(np.int32)


def _unpacked(entry: np.ndarray | range) -> np.ndarray:
    """int64[N]: the folios of an entry."""
    if isinstance(entry, range):
        return np.arange(entry.start, entry.stop, entry.step)
    return entry.astype(np.int64)
