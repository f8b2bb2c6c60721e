"""How often pages are visited, kept so that no question costs O(pages).

Pages with the same law form a *rate class*. `Exposure` knows how many visits a page of each class
has had by any instant; `counts` knows where pages of each class are. Every observer's answer is
made of these two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Front:
    """A sweep: one front that passes over pages ``[first, first + nr)`` again and again.

    Parameters
    ----------
    column : int
        Column of the exposure that counts the pages it has turned to.
    first, nr : int
    folio_pages : int
    classes : int64[K]
        Rate classes of those pages.
    """

    column: int
    first: int
    nr: int
    folio_pages: int
    classes: np.ndarray

    def passed(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """bool[N]: whether the front turned to each page between two positions (in pages)."""
        place = pages - self.first
        inside = (place >= 0) & (place < self.nr)
        # a folio is touched from the moment its first page is
        place = place - place % self.folio_pages
        crossed = np.floor((after - place) / self.nr) > np.floor((before - place) / self.nr)
        passed: np.ndarray = inside & crossed
        return passed

    @property
    def turn(self) -> int:
        """Positions between two visits to one page."""
        return self.nr

    def seen(
        self, pages: np.ndarray, before: np.ndarray, after: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """bool[N]: as `passed`; nothing is left to chance."""
        return self.passed(pages, before, after)

    def chance(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """float64[N]: 1 for each page that the front turned to, else 0."""
        return self.passed(pages, before, after).astype(float)

    def touched_share(self, span: float) -> float:
        """Share of its pages that the front turns to on so long a way."""
        return min(1.0, span / self.nr)


@dataclass(frozen=True)
class Course:
    """Progress that was measured: operations done by given instants, linear in between.

    Parameters
    ----------
    times_ns : int64[N]
        Ascending.
    work : float64[N]
        Not falling; constant before the first and after the last instant.
    """

    times_ns: np.ndarray
    work: np.ndarray

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """float64[M]: operations done by each instant."""
        done: np.ndarray = np.interp(times_ns, self.times_ns, self.work)
        return done

    def speed_per_ns(self) -> float:
        """Operations per ns on average while there was progress."""
        span, done = np.diff(self.times_ns), np.diff(self.work)
        return float(done.sum() / span[done > 0].sum()) if (done > 0).any() else 0.0


class Exposure:
    """Cumulative counts that grow linearly between changes of speed, readable at any past instant.

    Columns are rate classes (expected visits per page that would set an accessed bit) followed by
    sweep fronts (pages swept) and actors in bursts (operations). Old breakpoints are thinned, so
    memory stays bounded; what is lost is only the exact course of rates far in the past.

    Parameters
    ----------
    nr_columns : int
    start_ns : int
    courses : sequence of Course
        Measured progress of actors, known ahead; columns gain with it beside growing in time.
    """

    MAX_SEGMENTS = 8192

    def __init__(self, nr_columns: int, start_ns: int = 0, courses: Sequence[Course] = ()) -> None:
        self.courses = tuple(courses)
        self._gains: list[np.ndarray] = [np.zeros((len(self.courses), nr_columns))]
        self._times = np.empty(256, np.int64)
        self._values = np.empty((256, nr_columns))
        self._rates = np.empty((256, nr_columns))
        self._times[0] = start_ns
        self._values[0] = 0.0
        self._rates[0] = 0.0
        self._n = 1
        self.version = 0

    @property
    def since_ns(self) -> int:
        """Instant from which the current rates hold."""
        return int(self._times[self._n - 1])

    @property
    def rates(self) -> np.ndarray:
        """float64[columns]: current rates per ns."""
        rates: np.ndarray = self._rates[self._n - 1]
        return rates

    def set_rates(self, now_ns: int, rates: np.ndarray, gains: np.ndarray | None = None) -> None:
        """From `now_ns` on the columns grow at other rates.

        Parameters
        ----------
        now_ns : int
        rates : float64[columns]
            Per ns.
        gains : float64[K, columns], optional
            Per operation of each course.
        """
        last = self._n - 1
        same = np.array_equal(self._rates[last], rates)
        if self.courses:
            assert gains is not None
            same = same and np.array_equal(self._gains[last], gains)
        if same:
            return
        self.version += 1
        if now_ns == self._times[last]:
            self._rates[last] = rates
            if gains is not None and self.courses:
                self._gains[last] = gains
            return
        if self._n == self.MAX_SEGMENTS:
            self._thin()
        if self._n == len(self._times):
            self._grow()
        k = self._n
        self._times[k] = now_ns
        self._values[k] = self._values[k - 1] + self._rates[k - 1] * (now_ns - self._times[k - 1])
        self._rates[k] = rates
        if self.courses:
            assert gains is not None
            done = self._progress(np.array([self._times[k - 1], now_ns]))
            self._values[k] += (done[1] - done[0]) @ self._gains[k - 1]
            self._gains.append(gains)
        self._n += 1

    def _progress(self, times_ns: np.ndarray) -> np.ndarray:
        """float64[N, K]: operations of each course by each instant."""
        return np.stack([course.at(times_ns) for course in self.courses], axis=1)

    def _gained(self, k: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        """float64[N, columns]: what courses added since segments `k` (int64[N]) began."""
        since = self._progress(times_ns) - self._progress(self._times[k])
        used, place = np.unique(k, return_inverse=True)
        gains = np.stack([self._gains[s] for s in used.tolist()])
        gained: np.ndarray = np.einsum("nk,nkc->nc", since, gains[place.reshape(-1)])
        return gained

    def _grow(self) -> None:
        size = len(self._times) * 2
        for name in ("_times", "_values", "_rates"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), old.dtype)
            new[: self._n] = old[: self._n]
            setattr(self, name, new)

    def _thin(self) -> None:
        half = self._n // 2
        keep = np.r_[0:half:2, half : self._n]
        times, values = self._times[keep], self._values[keep]
        rates = self._rates[keep]
        # the merged segments keep their end points: only the course in between is averaged
        span = np.diff(times)[: half // 2 + 1, None]
        given: np.ndarray | float = 0.0
        if self.courses:
            self._gains = [self._gains[at] for at in keep.tolist()]
            done = np.diff(self._progress(times[: len(span) + 1]), axis=0)
            given = np.einsum("nk,nkc->nc", done, np.stack(self._gains[: len(span)]))
        rates[: len(span)] = (np.diff(values[: len(span) + 1], axis=0) - given) / span
        self._n = len(keep)
        self._times[: self._n], self._values[: self._n] = times, values
        self._rates[: self._n] = rates

    def segment(self, times_ns: np.ndarray) -> np.ndarray:
        """int64[N]: index of the stretch of constant rates that holds each instant."""
        return np.maximum(np.searchsorted(self._times[: self._n], times_ns, "right") - 1, 0)

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """float64[N, columns]: all columns at each instant."""
        k = self.segment(times_ns)
        since = (times_ns - self._times[k])[:, None]
        values: np.ndarray = self._values[k] + self._rates[k] * since
        if self.courses:
            values += self._gained(k, times_ns)
        return values

    def of(self, columns: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        """float64[N]: one column at one instant, pairwise."""
        k = self.segment(times_ns)
        since = times_ns - self._times[k]
        values: np.ndarray = self._values[k, columns] + self._rates[k, columns] * since
        if self.courses:
            values += self._gained(k, times_ns)[np.arange(len(k)), columns]
        return values

    def rates_in(self, segment: np.ndarray) -> np.ndarray:
        """float64[N, columns]: rates of some stretches (int64[N])."""
        rates: np.ndarray = self._rates[segment]
        return rates
