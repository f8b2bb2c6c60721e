"""Lists of pages as policies keep them: first in, first out, checked when taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Queue:
    """Numbers in order of entry, each at most once; whoever takes says which still belong there.

    Parameters
    ----------
    nr : int
        Numbers are below it.

    Notes
    -----
    A page that a list would have to be taken off when it cools, moves or ends is left in and passed
    over when its turn comes: amortised, that costs the same whatever the list's length.
    """

    def __init__(self, nr: int) -> None:
        self._inside = np.zeros(nr, bool)
        self._parts: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def push(self, numbers: np.ndarray) -> None:
        """Put numbers (int64[N], distinct) at the end; those already inside keep their place."""
        new = numbers[~self._inside[numbers]]
        if len(new):
            self._inside[new] = True
            self._parts.append(new)

    def push_front(self, numbers: np.ndarray) -> None:
        """Put numbers back that were just taken."""
        if len(numbers):
            self._inside[numbers] = True
            self._parts.insert(0, numbers)

    def pop(self, nr: int, belongs: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Take up to `nr` of the first that belong.

        Parameters
        ----------
        nr : int
        belongs : callable
            int64[N] → bool[N].

        Returns
        -------
        int64[<=nr]
        """
        found: list[np.ndarray] = []
        while nr > 0 and self._parts:
            head = self._parts[0][: max(nr, 64)]
            fits = np.flatnonzero(belongs(head))[:nr]
            used = len(head) if len(fits) < nr else int(fits[-1]) + 1
            self._inside[head[:used]] = False
            rest = self._parts[0][used:]
            self._parts[:1] = [rest] if len(rest) else []
            found.append(head[fits])
            nr -= len(fits)
        return np.concatenate(found) if found else np.zeros(0, np.int64)
