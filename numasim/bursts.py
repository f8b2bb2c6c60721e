"""Actors whose operations come in bursts: a long run on one pattern, then on another (masim).

The order of bursts is fixed by the seed, not drawn when somebody looks, so that every observer sees
the same one and a pattern's front goes on where its last burst left it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numasim.seeds import page_quantiles
from numasim.traffic import Front

CHUNK = 4096


class BurstOrder:
    """Which pattern each burst of a phase goes to, and how often each has had its turn.

    Parameters
    ----------
    chances : float64[J]
        Of each pattern, adding up to one.
    salt : int
        From `Seeds.salt`; the same salt gives the same order.
    size : int
        Operations of a burst.
    """

    def __init__(self, chances: np.ndarray, salt: int, size: int) -> None:
        self.size = size
        self._bounds, self._salt = np.cumsum(chances)[:-1], salt
        self._nr = len(chances)
        self._before = [np.zeros(self._nr, np.int64)]  # turns of each before every CHUNK-th burst

    def pattern_of(self, bursts: np.ndarray) -> np.ndarray:
        """int64[N]: the pattern of each burst (int64[N], counted from 0)."""
        return np.searchsorted(self._bounds, page_quantiles(bursts, self._salt), "right")

    def operations(self, done: np.ndarray) -> np.ndarray:
        """float64[N, J]: operations that each pattern has had when `done` (float64[N]) are over."""
        burst = np.floor(done / self.size).astype(np.int64)
        chunk = burst // CHUNK
        turns = np.empty((len(done), self._nr))
        current = np.empty(len(done), np.int64)
        for c in np.unique(chunk).tolist():
            self._reach(c)
            drawn = self._chunk(c)
            table = np.zeros((CHUNK, self._nr), np.int64)
            table[np.arange(1, CHUNK), drawn[:-1]] = 1
            own, within = chunk == c, burst[chunk == c] - c * CHUNK
            turns[own] = self._before[c] + np.cumsum(table, axis=0)[within]
            current[own] = drawn[within]
        turns *= self.size
        turns[np.arange(len(done)), current] += done - burst * self.size
        return turns

    def _chunk(self, chunk: int) -> np.ndarray:
        return self.pattern_of(np.arange(chunk * CHUNK, (chunk + 1) * CHUNK))

    def _reach(self, chunk: int) -> None:
        while len(self._before) <= chunk:
            turns = np.bincount(self._chunk(len(self._before) - 1), minlength=self._nr)
            self._before.append(self._before[-1] + turns)


@dataclass(frozen=True)
class Burst:
    """One phase of an actor that works in bursts.

    Parameters
    ----------
    column : int
        Column of the exposure that counts the actor's operations.
    first : float
        That column when the phase began.
    order : BurstOrder
    random : float64[J, C]
        Visits that set an accessed bit, by each pattern per operation of its own bursts, to one
        page of each class.
    fronts : tuple of (int, Front, float)
        Patterns that sweep: which, over what, and pages turned to per operation of its own bursts.
    mean : float64[C]
        What the class columns of the exposure get from this actor per operation.
    last : float
        That column when the phase ended.
    """

    column: int
    first: float
    order: BurstOrder
    random: np.ndarray
    fronts: tuple[tuple[int, Front, float], ...]
    mean: np.ndarray
    last: float = math.inf

    def during(
        self, before: np.ndarray, after: np.ndarray
    ) -> tuple[np.ndarray, list[tuple[Front, np.ndarray, np.ndarray]]]:
        """What the phase did between two readings of its column.

        Parameters
        ----------
        before, after : float64[T]

        Returns
        -------
        visits : float64[T, C]
            To be added to those that the class columns tell of.
        fronts : list of (Front, float64[T], float64[T])
            Positions of its fronts, in pages.
        """
        low = np.clip(before, self.first, self.last)
        high = np.clip(after, self.first, self.last)
        start, end = (
            self.order.operations(low - self.first),
            self.order.operations(high - self.first),
        )
        visits = (end - start) @ self.random - (high - low)[:, None] * self.mean
        fronts = [
            (front, start[:, j] * turns, end[:, j] * turns) for j, front, turns in self.fronts
        ]
        return visits, fronts
