"""A recording laid on pages: what observers see of it between two moments of its replay.

Positions count intervals of the recording. What was touched in whole intervals is answered from the
recording exactly. The order within an interval was not recorded: in a part of one, a page that was
visited n times is seen with ``1 - (1 - part)^n``, as if visits came at independent moments of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from numasim.tape import Tape

WORD = 64  # intervals whose touches are one bit each of a word per page
WORDS_BYTES = 256 << 20  # kept of those words, and at least WORDS_LEAST of them
WORDS_LEAST = 8
PAGE_LINES = 64
STREAMED_LINES = 32
"""Assumption: a page of which so many lines were fetched was passed over by a front, once for every
64 of them. Source: recorded sweeps miss 57 to 77 lines a visit."""
TOUCHES_PER_VISIT = 5
"""Of any other page, visited at random. Source: the lines of a visit to recorded key-value data."""
DENSE = 64  # pages per page asked for, up to which a table of all pages is cheaper than a search
COUNTS_KEPT = 256
SHARE_WINDOWS = 32  # places at which the touched share of a class is looked up
SHARE_PAGES = 512  # pages of a class that are looked at for it
MOST_PLACES = 1 << 20
"""Pages looked up for the nodes of lines; where stretched pages are more, every n-th of each."""


def visits_of(fills: np.ndarray, touches: np.ndarray) -> np.ndarray:
    """float64[N]: visits to a page in an interval in which it was touched, at least one.

    Parameters
    ----------
    fills, touches : int64[N]
        Lines fetched, line touches.
    """
    visits = np.where(fills >= STREAMED_LINES, fills / PAGE_LINES, touches / TOUCHES_PER_VISIT)
    found: np.ndarray = np.maximum(visits, 1.0)
    return found


@dataclass(eq=False)
class Reel:
    """Some threads of a recording, playing on some pages.

    Parameters
    ----------
    tape : Tape
    column : int
        Column of the exposure that counts the intervals played.
    first : int
        First page.
    stretch : int
        Pages of ours for each recorded page.
    folio_pages : int
        Pages of one accessed bit; `stretch` is a multiple.
    threads : tuple of int
        Of the recording; empty: all.
    begin : float
        Position at which it starts.
    loop : bool
        Begin again at the end; otherwise nothing is touched any more.
    classes : int64[K]
        Rate classes of its pages; where folios can be split, then those of their base pages.
    class_of : int64[recorded pages]
        Index into `classes` of each recorded page, its folios whole.
    turn : float64[K]
        Intervals between two in which a page of a class is touched, on average.
    """

    tape: Tape
    column: int
    first: int
    stretch: int = 1
    folio_pages: int = 1
    threads: tuple[int, ...] = ()
    begin: float = 0.0
    loop: bool = True
    classes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    class_of: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    turn: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _words: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict)
    _counts: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=OrderedDict)
    _lines: tuple[int, int, np.ndarray, np.ndarray, float] | None = None
    _shares: dict[float, np.ndarray] = field(default_factory=dict)

    @property
    def nr(self) -> int:
        """Pages of ours that it plays on."""
        return self.tape.header.pages * self.stretch

    # -- accessed bits -----------------------------------------------------------------------------

    def seen(
        self, pages: np.ndarray, before: np.ndarray, after: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """bool[N]: whether each page was touched between two positions, drawn within intervals."""
        chance = self.chance(pages, before, after)
        unsure = (chance > 0) & (chance < 1)
        seen: np.ndarray = chance >= 1
        seen[unsure] = rng.random(int(unsure.sum())) < chance[unsure]
        return seen

    def chance(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """float64[N]: chance that each page was touched between two positions.

        Parameters
        ----------
        pages : int64[N]
        before, after : float64[N] or float
            In intervals played since the replay began.
        """
        place = (pages - self.first) // self.stretch
        inside = np.flatnonzero((place >= 0) & (place < self.tape.header.pages))
        found = np.zeros(len(pages))
        low, high = (np.broadcast_to(np.asarray(x, float), found.shape) for x in (before, after))
        low, high, place = low[inside], high[inside], place[inside]
        if not len(place):
            return found
        order = None
        if (low[1:] < low[:-1]).any() or (high[1:] < high[:-1]).any():
            order = np.lexsort((high, low))
            low, high, place, inside = low[order], high[order], place[order], inside[order]
        cuts = np.flatnonzero((low[1:] != low[:-1]) | (high[1:] != high[:-1])) + 1
        for own in np.split(np.arange(len(place)), cuts) if len(cuts) else [slice(None)]:
            a, b = float(low[own][0]), float(high[own][0])
            found[inside[own]] = self._between(place[own], a + self.begin, b + self.begin)
        return found

    def _between(self, place: np.ndarray, low: float, high: float) -> np.ndarray:
        """float64[N]: chance that recorded pages are touched from one position to another."""
        first, last = int(np.floor(low)), int(np.floor(high))
        if first == last:
            return 1 - self._missed(place, first, high - low)
        begun = first + 1 - low  # part of the first interval, that may be all of it
        touched = self._any(place, first if begun >= 1 else first + 1, last).astype(float)
        for at, part in ((first, begun), (last, high - last)):
            if part < 1:
                touched += (1 - touched) * (1 - self._missed(place, at, part))
        return touched

    def _missed(self, place: np.ndarray, interval: int, part: float) -> np.ndarray:
        """float64[N]: chance that pages are not touched in a part of one interval."""
        at = self._interval(interval)
        if at is None or part <= 0:
            return np.ones(len(place))
        pages, visits = self._visits(at)
        if not len(pages):
            return np.ones(len(place))
        if self.tape.header.pages < DENSE * len(place):
            dense = np.zeros(self.tape.header.pages)
            dense[pages] = visits
            n = dense[place]
        else:
            slot = np.minimum(np.searchsorted(pages, place), len(pages) - 1)
            n = np.where(pages[slot] == place, visits[slot], 0.0)
        missed: np.ndarray = np.power(max(0.0, 1 - part), n)
        return missed

    def _any(self, place: np.ndarray, first: int, last: int) -> np.ndarray:
        """bool[N]: whether pages are touched in intervals ``[first, last)`` of the replay."""
        nr = self.tape.header.intervals
        if not self.loop:
            spans = [(min(first, nr), min(last, nr))]
        elif last - first >= nr:
            spans = [(0, nr)]
        else:
            a, b = first % nr, first % nr + last - first
            spans = [(a, min(b, nr)), (0, b - nr)]
        found = np.zeros(len(place), bool)
        for a, b in spans:
            at = a
            while at < b:
                word, bit = divmod(at, WORD)
                stop = min(b, (word + 1) * WORD)
                mask = np.uint64(((1 << stop - at) - 1) << bit)
                found |= (self._word(word)[place] & mask) != 0
                at = stop
        return found

    def _interval(self, number: int) -> int | None:
        """The recorded interval that is played at a place of the replay, None after the end."""
        nr = self.tape.header.intervals
        if self.loop:
            return number % nr
        return number if 0 <= number < nr else None

    def _word(self, number: int) -> np.ndarray:
        """uint64[recorded pages]: a bit for each of 64 intervals in which a page was touched."""
        word = self._words.get(number)
        if word is not None:
            self._words.move_to_end(number)
            return word
        tape, first = self.tape, number * WORD
        last = min(first + WORD, tape.header.intervals)
        rows = tape.rows(first, last, self.threads)
        page = tape.columns["page"][rows].astype(np.intp)
        bounds = tape.bounds[first : last + 1]
        bounds = bounds - bounds[0] if isinstance(rows, slice) else np.searchsorted(rows, bounds)
        touched = tape.columns["touches"][rows] > 0
        if not touched.all():  # some were only evicted
            page, bounds = page[touched], np.r_[0, np.cumsum(touched)][bounds]
        word = np.zeros(tape.header.pages, np.uint64)
        edges = bounds.tolist()
        for k, (low, high) in enumerate(pairwise(edges)):
            word[page[low:high]] |= np.uint64(1 << k)  # the same bit twice is that bit
        self._words[number] = word
        most = max(WORDS_LEAST, WORDS_BYTES // word.nbytes)
        while len(self._words) > most:
            self._words.popitem(last=False)
        return word

    def _visits(self, interval: int) -> tuple[np.ndarray, np.ndarray]:
        """Pages touched in an interval, ascending, and visits to each. int64[N], float64[N]"""
        found = self._counts.get(interval)
        if found is not None:
            self._counts.move_to_end(interval)
            return found
        rows, columns = self.tape.rows(interval, interval + 1, self.threads), self.tape.columns
        page, touches = columns["page"][rows].astype(np.int64), columns["touches"][rows]
        fills = columns["loads"][rows].astype(np.int64) + columns["stores"][rows]
        visits = visits_of(fills, touches)
        page, visits = page[touches > 0], visits[touches > 0]
        if (page[1:] <= page[:-1]).any():
            page, place = np.unique(page, return_inverse=True)
            visits = np.bincount(place, visits)
        self._counts[interval] = (page, visits)
        while len(self._counts) > COUNTS_KEPT:
            self._counts.popitem(last=False)
        return page, visits

    # -- lines -------------------------------------------------------------------------------------

    def lines(self, position: float, length: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Lines fetched of each page, and written back of all, per interval of a stretch.

        Parameters
        ----------
        position : float
            In intervals since the replay began; the stretch is the one that holds it.
        length : int
            Intervals of a stretch; stretches begin at multiples of it in the recording.

        Returns
        -------
        place : int64[N]
            Recorded pages of which lines were fetched.
        reads : float64[N]
        writes : float
        """
        at = self._interval(int(np.floor(position + self.begin + 1e-9)))
        if at is None:
            return np.zeros(0, np.int64), np.zeros(0), 0.0
        first = at // length * length
        last = min(first + length, self.tape.header.intervals)
        if self._lines is None or self._lines[:2] != (first, last):
            rows, columns = self.tape.rows(first, last, self.threads), self.tape.columns
            fills = columns["loads"][rows].astype(np.int64) + columns["stores"][rows]
            read = np.bincount(columns["page"][rows], fills, self.tape.header.pages)
            place, nr = np.flatnonzero(read > 0), last - first
            written = int(columns["writebacks"][rows].sum(dtype=np.int64)) / nr
            self._lines = (first, last, place, read[place] / nr, written)
        return self._lines[2:]

    def lines_by_node(
        self,
        position: float,
        length: int,
        node_of: Callable[[np.ndarray], np.ndarray],
        nr_nodes: int,
    ) -> tuple[np.ndarray, float]:
        """Lines read from each node per interval, and lines written back for each of them.

        Parameters
        ----------
        position : float
        length : int
            As in `lines`.
        node_of : callable
            int64[M] pages → int64[M] nodes, negative where a page is absent.
        nr_nodes : int

        Returns
        -------
        float64[nodes], float
        """
        place, reads, writes = self.lines(position, length)
        if not len(place):
            return np.zeros(nr_nodes), 0.0
        looked = max(1, min(self.stretch // self.folio_pages, MOST_PLACES // len(place)))
        pages, weights = self.first + place * self.stretch, reads / looked
        if looked > 1:
            offsets = np.arange(looked) * (self.stretch // looked)
            pages = (pages[:, None] + offsets).reshape(-1)
            weights = np.repeat(weights, looked)
        nodes = node_of(pages)
        if nodes.min() < 0:
            weights, nodes = weights[nodes >= 0], nodes[nodes >= 0]
        found = np.bincount(nodes, weights, nr_nodes)
        return found, writes / float(reads.sum())

    # -- means -------------------------------------------------------------------------------------

    def touched_share(self, span: float) -> np.ndarray:
        """float64[K]: share of the pages of each class touched in so many intervals, on average.

        Parameters
        ----------
        span : float
            Taken to a hundredth of an interval.
        """
        span = round(span, 2)
        if span not in self._shares:
            own, nr = self.class_of, int(self.class_of.max()) + 1
            picked = [np.flatnonzero(own == k) for k in range(nr)]
            place = np.concatenate([p[:: -(-len(p) // SHARE_PAGES)] for p in picked])
            room = max(self.tape.header.intervals - span, 0.0)
            seen = np.zeros(len(place))
            for low in (np.arange(SHARE_WINDOWS) / SHARE_WINDOWS * room).tolist():
                seen += self._between(place, low, low + span)
            share = np.bincount(own[place], seen / SHARE_WINDOWS) / np.bincount(own[place])
            self._shares[span] = np.tile(share, len(self.classes) // nr)
        return self._shares[span]
