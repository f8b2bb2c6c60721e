"""A recording → a model of rates: segments of addresses, phases, and a pattern for each of both.

Pages side by side that are visited alike are a segment, and a mapping of its own; stretches of time
in which visits are spread alike are a phase. In a phase a segment is swept, where its pages are
visited at regular distances and many lines at a time, or visited at random, by classes of pages of
like rate. The rate of a page is the one at which random visits would be seen as often as recorded
ones by an observer who looks at a window of time, an accessed bit's sampling interval:
``-ln(1 - share of windows) / window``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from numasim.reels import STREAMED_LINES, visits_of
from numasim.segmenting import change_points
from numasim.tape import Tape
from numasim.workload import FIRST_ADDRESS

PAGE_BYTES = 4096
PAGE_BINS = 512
TIME_BINS = 128
GROUPS = 24
"""Groups of pages over which changes of phase are looked for together."""
MOST_SEGMENTS, MOST_PHASES = 24, 8
LEAST_SEGMENT, LEAST_PHASE = 4, 8
"""Bins of each, at least."""
LOOKED_AT = 400
"""Pages of a segment whose visits are looked at for regularity."""
REGULAR = 0.5
"""Assumption: distances between visits whose deviation is less than half of their mean are a
sweep's. Of random visits the deviation is the mean."""
FEWEST_VISITS = 4
TOLD = 0.1
"""Share of the intervals from which on a phase tells segments apart."""
FLOOR = 1e-3
"""Of a touch per interval: rates below count as alike when segments are looked for."""
SHARES = (0.2, 0.2, 0.2, 0.15, 0.1, 0.08, 0.04, 0.02, 0.009, 0.001)
"""Of pages in each class, the coldest first: the few hottest have most of the visits."""
LEAST_RATE = 1e-9
"""Of the hottest class's: a class that is never touched is visited so much."""
EVEN = 0.1
"""Rates whose deviation, less what counting adds, is below this part of their mean are equal."""
WATCHED = 20_000
"""Intervals of a phase over which regularity is looked for."""
PARALLELISM = 16.0
"""As the replay's, `patterns/trace.py`."""


@dataclass(frozen=True)
class Part:
    """One segment in one phase.

    Parameters
    ----------
    swept : bool
    visits : float
        To all its pages, per interval.
    fills, writebacks : float
        Lines fetched and written back, per interval.
    rates : tuple of float
        Of a page of each class; empty: all are alike.
    """

    swept: bool
    visits: float
    fills: float
    writebacks: float
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class Model:
    """A recording's rates.

    Parameters
    ----------
    tape : Tape
    segments : list of int
        First pages, and the number of pages.
    phases : list of int
        First intervals, and the number of intervals.
    parts : list of list of Part
        By phase and segment.
    """

    tape: Tape
    segments: list[int]
    phases: list[int]
    parts: list[list[Part]]

    def to_workload(
        self, name: str, *, compute: str = "", pace: str = "", stretch: int = 1, loop: bool = True
    ) -> dict[str, Any]:
        """Plain data of the workload; its pages lie where a replay's do.

        Parameters
        ----------
        name : str
        compute, pace : str
            Time of an interval that waits for no memory, or intervals per second.
        stretch : int
            Pages of ours for each recorded page.
        loop : bool
            Begin again at the end, or stay in the last phase.
        """
        mappings = []
        for number, (first, last) in enumerate(pairwise(self.segments)):
            size = f"{(last - first) * stretch * PAGE_BYTES} B"
            at = FIRST_ADDRESS + first * stretch * PAGE_BYTES
            mappings.append({"name": f"part{number}", "size": size, "address": at})
        speed = {key: value for key, value in (("compute", compute), ("pace", pace)) if value}
        phases = []
        for (first, last), parts in zip(pairwise(self.phases), self.parts, strict=True):
            access = [
                _access(f"part{number}", part, stretch)
                for number, part in enumerate(parts)
                if part.visits > 0
            ]
            phases.append({"operations": last - first, **speed, "access": access})
        repeat = loop and len(phases) > 1
        if not repeat:
            phases[-1].pop("operations")
        actor = {"name": "main", "on": "CPU", "phases": phases, "repeat": repeat}
        process = {"name": "fitted", "mappings": mappings, "actors": [actor]}
        about = f"rates fitted to {self.tape.header.program}"
        return {"name": name, "description": about, "processes": [process]}


def _access(mapping: str, part: Part, stretch: int) -> dict[str, Any]:
    """A pattern: as many lines as recorded, in as many visits to each page as recorded."""
    lines = part.fills / part.visits / stretch
    found: dict[str, Any] = {
        "mapping": mapping, "visits": _short(part.visits * stretch),
        "lines": _short(max(1.0, lines)), "miss": _short(min(1.0, lines)),
        "write": _short(min(1.0, part.writebacks / part.fills)) if part.fills > 0 else 0.0,
        "parallelism": PARALLELISM, "overlap": "dynamic",
    }  # fmt: skip
    if part.swept:
        return {"pattern": "sweep", **found}
    if not part.rates:
        return {"pattern": "uniform", **found}
    hottest = max(part.rates)
    rates = [_short(max(rate / hottest, LEAST_RATE)) for rate in part.rates]
    return {"pattern": "classes", "pages": list(SHARES), "rates": rates, "run": stretch, **found}


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def fitted(tape: Tape, window: float = 1.0) -> Model:
    """The model of a recording.

    Parameters
    ----------
    tape : Tape
    window : float
        In which an observer sees whether a page was touched, intervals; from 1 on as 1.

    Returns
    -------
    Model

    Notes
    -----
    Bounded by tables of pages; the recording's rows are read twice, a million at a time.
    """
    window = min(window, 1.0)
    phases = _phases(tape, window)
    rows = [_Phase(tape, first, last, window) for first, last in pairwise(phases)]
    segments = _segments(tape, rows)
    parts = [[row.part(first, last) for first, last in pairwise(segments)] for row in rows]
    return Model(tape, segments, phases, parts)


# -- where and when ----------------------------------------------------------------------------


def _segments(tape: Tape, phases: list[_Phase]) -> list[int]:
    """First pages of stretches that are visited alike, and the number of pages."""
    nr = tape.header.pages
    bins = min(nr, PAGE_BINS)
    edges = np.linspace(0, nr, bins + 1).round().astype(np.int64)
    weights = np.array([phase.length for phase in phases]) / tape.header.intervals
    features = []
    for weight, phase in zip(weights.tolist(), phases, strict=True):
        if weight >= TOLD:
            features.append(np.log10(_mean(phase.rates(0, nr), edges) + FLOOR))
    streamed = sum(phase.streamed for phase in phases)
    touched = sum(phase.touched for phase in phases)
    features.append(_mean(streamed / np.maximum(touched, 1), edges))
    cuts = change_points(np.stack(features, axis=1), MOST_SEGMENTS, LEAST_SEGMENT)
    return [0, *edges[cuts].tolist(), nr]


def _phases(tape: Tape, window: float) -> list[int]:
    """First intervals of stretches of time that are alike, and the number of intervals."""
    nr = tape.header.intervals
    edges = np.linspace(0, nr, min(nr, TIME_BINS) + 1).round().astype(np.int64)
    pages = tape.header.pages
    group = np.arange(pages) * min(GROUPS, pages) // pages
    spread = np.zeros((len(edges) - 1, min(GROUPS, pages)))
    for row, (first, last) in enumerate(pairwise(edges.tolist())):
        rows = tape.rows(first, last)
        page, touches = tape.columns["page"][rows], tape.columns["touches"][rows]
        chance = _chance(visits_of(_fills(tape, rows), touches), window) * (touches > 0)
        seen = np.bincount(group[page], chance, spread.shape[1])
        spread[row] = seen / max(1, last - first) / window
    cuts = change_points(np.log1p(spread), MOST_PHASES, LEAST_PHASE)
    return [0, *edges[cuts].tolist(), nr]


def _mean(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    found: np.ndarray = np.diff(sums[edges]) / np.maximum(1, np.diff(edges))
    return found


def _fills(tape: Tape, rows: slice | np.ndarray) -> np.ndarray:
    """int64[N]: lines fetched."""
    found: np.ndarray = tape.columns["loads"][rows].astype(np.int64) + tape.columns["stores"][rows]
    return found


# -- how often -----------------------------------------------------------------------------------


def _chance(visits: np.ndarray, window: float) -> np.ndarray:
    """float64[N]: that a window within an interval sees so many visits, at random moments of it."""
    found: np.ndarray = 1 - np.power(1 - window, visits)
    return found


class _Phase:
    """Sums over one phase, of every page: touched intervals, windows in which it is seen, lines."""

    def __init__(self, tape: Tape, first: int, last: int, window: float) -> None:
        nr = tape.header.pages
        self._tape, self._first, self.length, self._window = tape, first, last - first, window
        self.touched, self.streamed, self._seen = np.zeros(nr), np.zeros(nr), np.zeros(nr)
        self._fills, self._writebacks = np.zeros(nr), np.zeros(nr)
        for interval in range(first, last):
            rows = tape.rows(interval, interval + 1)
            page, touches = tape.columns["page"][rows], tape.columns["touches"][rows]
            fills = _fills(tape, rows)
            self._fills += np.bincount(page, fills, nr)
            self._writebacks += np.bincount(page, tape.columns["writebacks"][rows], nr)
            seen = touches > 0
            visits = np.bincount(page[seen], visits_of(fills, touches)[seen], nr)
            self._seen += _chance(visits, window)
            self.touched += visits > 0
            self.streamed += np.bincount(page, fills, nr) >= STREAMED_LINES

    def rates(self, first: int, last: int) -> np.ndarray:
        """float64[pages]: visits per interval of each page of a segment."""
        share = np.minimum(self._seen[first:last], self.length - 0.5) / self.length
        found: np.ndarray = -np.log1p(-share) / self._window
        return found

    def part(self, first: int, last: int) -> Part:
        """What a segment does in the phase."""
        fills, touched = float(self._fills[first:last].sum()), self.touched[first:last]
        writebacks = float(self._writebacks[first:last].sum()) / self.length
        period = self._period(first, last) if _streams(fills, touched) else 0.0
        if period:
            return Part(True, (last - first) / period, fills / self.length, writebacks)
        rates = self.rates(first, last)
        classes = _classes(rates, self.length, self._window)
        return Part(False, float(rates.sum()), fills / self.length, writebacks, classes)

    def _period(self, first: int, last: int) -> float:
        """Intervals between two visits of a page if these are regular or few, else 0."""
        step = max(1, (last - first) // LOOKED_AT)
        looked = np.arange(first, last, step)
        length = min(self.length, WATCHED)
        seen = np.zeros((length, len(looked)), bool)
        for row, interval in enumerate(range(self._first, self._first + length)):
            rows = self._tape.rows(interval, interval + 1)
            page = self._tape.columns["page"][rows][self._tape.columns["touches"][rows] > 0]
            own = page[(page >= first) & (page < last)].astype(np.int64) - first
            own = own[own % step == 0] // step
            seen[row, own[own < len(looked)]] = True
        gaps = list(_gaps(seen))
        if len(gaps) < len(looked) / 2:  # too few visits to tell; whole pages in a row are a pass
            return (last - first) * self.length / float(self.touched[first:last].sum())
        deviations, means = np.array(gaps).T
        return float(np.median(means)) if np.median(deviations / means) < REGULAR else 0.0


def _streams(fills: float, touched: np.ndarray) -> bool:
    """Whether visits fetch many lines at once, over all."""
    total = float(touched.sum())
    return total > 0 and fills >= STREAMED_LINES * total


def _gaps(seen: np.ndarray) -> Iterator[tuple[float, float]]:
    """Deviation and mean of the distances between visits of every page with some (bool[T, N])."""
    begins = seen.copy()
    begins[1:] &= ~seen[:-1]
    for column in begins.T:
        at = np.flatnonzero(column)
        if len(at) >= FEWEST_VISITS:
            gaps = np.diff(at)
            yield float(gaps.std()), float(gaps.mean())


def _classes(rates: np.ndarray, length: int, window: float) -> tuple[float, ...]:
    """Mean rate of each class of pages (float64[pages], over so many intervals); () if all alike.

    Notes
    -----
    Counting alone makes equal rates differ: a page touched in a share q of n intervals has a rate
    whose variance is about ``q / (n (1 - q))``, which is itself known to three deviations.
    """
    mean = float(rates.mean())
    touched = np.minimum(-np.expm1(-rates * window), 1 - 0.5 / length)
    counting = float((touched / (1 - touched)).mean()) / length / window**2
    allowed = (EVEN * mean) ** 2 + 3 * counting * (2 / max(1, len(rates))) ** 0.5
    if float(rates.var()) - counting <= allowed or len(rates) < len(SHARES):
        return ()
    edges = np.rint(np.cumsum((0.0, *SHARES)) * len(rates)).astype(np.int64)
    ordered = np.sort(rates)
    whole = np.concatenate([[0.0], np.cumsum(ordered)])
    nr = np.diff(edges)
    last = float(ordered[-1])
    means = np.where(nr > 0, np.diff(whole[edges]) / np.maximum(nr, 1), last)
    return tuple(means.tolist())
