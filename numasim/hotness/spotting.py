"""Samples as a policy's thread wants them, page and kind of access, without what it never reads.

The hardware is that of `numasim.sampling`, and so is every number drawn: what `Spotter` tells is
what `Sampler` would have told, to the last bit, without CPU, thread, latency and source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actor_truth import Strand
from numasim.observing import Observing
from numasim.sampling import Rule, Sampler, nth_of_classes

MOST_SLOTS = 1 << 18
"""Frames up to which all pages of a class are listed when one of them has moved."""
UNREAD = 3
"""Numbers drawn for every sample of which nothing is made: source, offset, and thread."""


@dataclass(frozen=True)
class Spots:
    """Samples in order of time.

    Parameters
    ----------
    time_ns, page : int64[N]
    is_write : bool[N]
    """

    time_ns: np.ndarray
    page: np.ndarray
    is_write: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.page)

    @classmethod
    def joined(cls, lots: list[Spots]) -> Spots:
        """Several samplers' samples, in order of time; at one instant those of the first."""
        time = np.concatenate([np.zeros(0, np.int64), *(lot.time_ns for lot in lots)])
        order = np.argsort(time, kind="stable")
        page = np.concatenate([np.zeros(0, np.int64), *(lot.page for lot in lots)])
        write = np.concatenate([np.zeros(0, bool), *(lot.is_write for lot in lots)])
        return cls(time[order], page[order], write[order])


class ClassPages:
    """Pages of every class in the order of their frames, listed when they are asked for.

    Parameters
    ----------
    observing : Observing
    """

    def __init__(self, observing: Observing) -> None:
        self._seen, self._version = observing, -1
        self._listed: dict[int, np.ndarray] = {}

    def nth(self, classes: np.ndarray, k: np.ndarray) -> np.ndarray:
        """int64[N]: the k-th present page of each class, as `nth_of_classes`.

        Parameters
        ----------
        classes, k : int64[N]
        """
        counts = self._seen.migrator.frame_counts
        if counts.nr_slots > MOST_SLOTS:
            return nth_of_classes(self._seen, classes, k)
        if counts.version != self._version:
            self._listed.clear()
            self._version = counts.version
        found = np.zeros(len(classes), np.int64)
        for c in np.flatnonzero(np.bincount(classes)).tolist():
            own = np.flatnonzero(classes == c)
            found[own] = self._pages(c)[k[own]]
        return found

    def _pages(self, c: int) -> np.ndarray:
        if c not in self._listed:
            slots = self._seen.migrator.frame_counts.slots_of(c)
            self._listed[c] = self._seen.memory.page_of[slots].astype(np.int64)
        return self._listed[c]


class Spotter(Sampler):
    """A machine's sampling hardware for one reader, who reads one span at a time.

    Parameters
    ----------
    rule : Rule
        Without a rate that the period is controlled for.
    observing : Observing
    pages : ClassPages
    """

    def __init__(self, rule: Rule, observing: Observing, pages: ClassPages) -> None:
        super().__init__(rule, observing)
        self._class_pages = pages
        cpus = [len(np.unique(threads.cpus)) for threads in observing.threads]
        self._room = np.array(cpus) * rule.buffer

    def spot(
        self, strands: list[Strand], counts: np.ndarray, begin_ns: int, end_ns: int
    ) -> list[Spots]:
        """Samples of a span, by actor; what they cost is charged.

        Parameters
        ----------
        strands : list of Strand
            Of CPUs' actors in that one span.
        counts : int64[C]
            Present pages of each class.
        begin_ns, end_ns : int
        """
        events = [float(self._events(s, counts)[0]) for s in strands]
        if not any(events):
            return []
        of_actor = np.zeros((len(self._seen.actors), 1))
        for strand, nr in zip(strands, events, strict=True):
            of_actor[strand.actor, 0] += nr
        actor, tick, part = self._due(of_actor)
        kept = self._kept(actor, tick, part, begin_ns, end_ns)
        self._charge(actor, kept, end_ns - begin_ns)
        actor, part = actor[kept], part[kept]
        page = self._choose(strands, events, counts, actor)
        time = begin_ns + np.ceil(part * (end_ns - begin_ns)).astype(np.int64)
        there = self._seen.memory.frame_of[page] >= 0
        lot = Spots(time, page, self._writes(strands, actor))
        return [lot if there.all() else Spots(time[there], page[there], lot.is_write[there])]

    def _kept(
        self, actor: np.ndarray, tick: np.ndarray, part: np.ndarray, begin_ns: int, end_ns: int
    ) -> np.ndarray:
        """int64[M]: as `_fit`; where all find room in any case, none is looked at by itself."""
        nr = np.bincount(actor, minlength=len(self._room))
        if (nr + self._filled > self._room).any():
            return self._fit(actor, np.array([begin_ns, end_ns]), tick, part)
        first = 0
        for a in np.flatnonzero(nr).tolist():
            last = first + int(nr[a]) - 1
            time = begin_ns + (part[first : last + 1] * (end_ns - begin_ns)).astype(np.int64)
            lot = int(time[-1]) // self.rule.drain_ns
            newest = int(nr[a]) - int(np.searchsorted(time, lot * self.rule.drain_ns))
            same = lot == self._lot[a]
            self._filled[a] = newest + (self._filled[a] if same else 0)
            self._lot[a], first = lot, last + 1
        return np.arange(len(actor))

    def _choose(
        self, strands: list[Strand], events: list[float], counts: np.ndarray, actor: np.ndarray
    ) -> np.ndarray:
        """int64[N]: the page that each sample hit; its pattern is drawn first, then the page."""
        u = self._rng.random(len(actor))
        self._strand_of = np.zeros(len(actor), np.int64)
        for a in np.flatnonzero(np.bincount(actor)).tolist():
            own = np.flatnonzero(actor == a)
            nr = [e if s.actor == a else 0.0 for s, e in zip(strands, events, strict=True)]
            share = np.cumsum(nr)
            self._strand_of[own] = np.searchsorted(share, u[own] * share[-1], "right")
        page = np.full(len(actor), -1)
        for k, strand in enumerate(strands):
            own = np.flatnonzero(self._strand_of == k)
            if len(own):
                page[own] = self._pages(strand, counts, np.zeros(len(own), np.int64))
        return page

    def _writes(self, strands: list[Strand], actor: np.ndarray) -> np.ndarray:
        """bool[N]: which samples are of writes; then the numbers that nobody reads are drawn."""
        u = self._rng.random(len(actor))
        if self.rule.kind == "both":
            writes: np.ndarray = u < np.array([s.write for s in strands])[self._strand_of]
        else:
            writes = np.full(len(actor), self.rule.kind == "store")
        self._rng.random(UNREAD * len(actor))
        return writes

    def _nth(self, classes: np.ndarray, k: np.ndarray) -> np.ndarray:
        return self._class_pages.nth(classes, k)
