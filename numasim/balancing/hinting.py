"""Pages made inaccessible, and who touches them first: hint faults, drawn lazily from the law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actor_truth import Strand
from numasim.agents import Stage
from numasim.balancing.waiting import Waiting
from numasim.reels import Reel
from numasim.traffic import Front

RECENT_NS = 1_000_000


@dataclass
class HintFaults:
    """Faults in order of time.

    Parameters
    ----------
    head : int64[N]
        First page of the folio.
    time_ns : int64[N]
    actor : int64[N]
    """

    head: np.ndarray
    time_ns: np.ndarray
    actor: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.head)


@dataclass(frozen=True)
class Ahead:
    """Faults that actors will meet on their way.

    Parameters
    ----------
    waiting : Waiting
    visits : float64[C]
        Expected visits to a folio of each class so far.
    more : dict of int to float64[C]
        Of each actor, what it adds at full speed.
    swept : dict of int to float64[K]
        Of each actor, the parts of its way at which it sweeps over armed folios, ascending.
    """

    waiting: Waiting
    visits: np.ndarray
    more: dict[int, np.ndarray]
    swept: dict[int, np.ndarray]

    def nr(self, actor: int, progress: float) -> float:
        """Faults of an actor if all get that part of their way; recordings are not foreseen."""
        found = float(np.searchsorted(self.swept.get(actor, np.zeros(0)), progress, "right"))
        if (own := self.more.get(actor)) is not None:
            total = sum(self.more.values(), np.zeros(len(own)))
            due = self.waiting.due_by_class(self.visits + progress * total)
            share = np.divide(own, total, out=np.zeros(len(own)), where=total > 0)
            found += float(due @ share)
        return found


class Hinting:
    """Which folios are armed, and the faults on them.

    Parameters
    ----------
    stage : Stage
    now_ns : int
    rng : numpy.random.Generator

    Notes
    -----
    Assumption: devices do not fault on pages of the host. A folio that moved to another node since
    it was armed is accessible again, as migration restores the mapping.
    """

    def __init__(self, stage: Stage, now_ns: int, rng: np.random.Generator) -> None:
        self._stage, self._rng = stage, rng
        space = stage.space
        self._waiting = Waiting(space.nr_classes)
        self._visits = np.zeros(space.nr_classes)  # expected, to one folio of each class
        self._rates = np.zeros(space.nr_classes)  # of visits, in the last span
        self._arming = np.zeros(space.nr_pages, np.uint32)  # which arming; 0: accessible
        self._node = np.full(space.nr_pages, -1, np.int16)  # where it was then
        self._number, self.now_ns, self.nr_armed = 0, now_ns, 0
        self._strands: list[Strand] = []  # of the last span

    def is_armed(self, heads: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """bool[N]: which folios on these nodes (int64[N]) are inaccessible now."""
        armed: np.ndarray = (self._arming[heads] > 0) & (self._node[heads] == nodes)
        return armed

    def arm(self, heads: np.ndarray, nodes: np.ndarray) -> None:
        """Make folios (int64[N], present, on these nodes) inaccessible from `now_ns` on."""
        self._number += 1
        self.nr_armed += int((self._arming[heads] == 0).sum())
        self._arming[heads], self._node[heads] = self._number, nodes
        classes = self._stage.space.class_of[heads].astype(np.int64)
        mark = self._visits[classes] + self._rng.standard_exponential(len(heads))
        self._waiting.add(heads, classes, mark, np.full(len(heads), self._number))

    def until(self, now_ns: int) -> HintFaults:
        """Faults since the last call; what faulted is accessible again."""
        begin, self.now_ns = self.now_ns, now_ns
        self._strands = strands = self._strands_of(begin)
        random = [s for s in strands if s.front is None]
        found = [self._random(random, now_ns - begin)]
        if self.nr_armed:
            found += [self._passed(s) for s in strands if s.front is not None]
        page, part, actor = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.lexsort((part, page))
        order = order[np.r_[True, np.diff(page[order]) > 0]] if len(order) else order
        page, part, actor = page[order], part[order], actor[order]
        self.nr_armed -= len(page)
        self._arming[page] = 0
        there = self._stage.nodes_of(page) == self._node[page]
        there &= self._stage.space.folio_heads(page) == page  # else part of a huge page by now
        page, part, actor = page[there], part[there], actor[there]
        time = begin + np.ceil(part * (now_ns - begin)).astype(np.int64)
        order = np.lexsort((page, time))
        return HintFaults(page[order], time[order], actor[order])

    def _strands_of(self, begin_ns: int) -> list[Strand]:
        """What CPUs did from an instant until now."""
        observing = self._stage.observing
        strands = observing.truth.strands(np.array([begin_ns]), np.array([self.now_ns]))
        return [s for s in strands if observing.threads[s.actor].is_cpu]

    def span_of(self, nr: int, most_ns: int, least_ns: int) -> int:
        """Time in which about `nr` faults will come at the present speeds, within bounds, ns.

        The least where something sweeps or a recording plays, which is not looked ahead for; what
        was measured goes on as it did in the last span.
        """
        if self._stage.law.fronts:
            return least_ns
        rates, span_ns = np.maximum(self._stage.law.visit_rates_per_ns(), self._rates), most_ns
        while span_ns > least_ns and self._waiting.nr_due(self._visits + rates * span_ns) > nr:
            span_ns //= 2
        return max(span_ns, least_ns)

    def ahead(self, operations: dict[int, float]) -> Ahead:
        """What actors will meet that go on as in the last span, for so many operations."""
        none = np.zeros(len(self._visits))
        if not self._strands:  # nothing was armed, nobody looked
            self._strands = self._strands_of(max(self.now_ns - RECENT_NS, 0))
        more: dict[int, np.ndarray] = {}
        swept: dict[int, np.ndarray] = {}
        for strand in self._strands:
            done, wanted = float(strand.operations[0]), operations.get(strand.actor, 0.0)
            if strand.front is None:
                visits = wanted * self._stage.space.of_bits(strand.visits)
                more[strand.actor] = more.get(strand.actor, none) + visits
            elif done > 0 and isinstance(strand.front, Front):
                assert strand.before is not None and strand.after is not None
                at = float(strand.after[0])
                way = (at - float(strand.before[0])) / done * wanted
                parts = self._swept(strand.front, at, at + way)[1] if way > 0 else np.zeros(0)
                swept[strand.actor] = np.sort(np.r_[swept.get(strand.actor, parts[:0]), parts])
        return Ahead(self._waiting, self._visits, more, swept)

    def quiet_for(self, span_ns: int) -> bool:
        """Whether no fault will come for so long at the present speeds."""
        law = self._stage.law
        if law.fronts or law.bursts or law.exposure.courses:
            return False
        return not self._waiting.nr_due(self._visits + law.visit_rates_per_ns() * span_ns)

    def skip(self, now_ns: int) -> None:
        """Nothing is armed: let time pass without a look."""
        self.now_ns, self._strands = now_ns, []

    def _random(
        self, strands: list[Strand], span_ns: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Folios that a random visit came to: page, part of the span, actor."""
        before = self._visits
        space = self._stage.space
        shares = [s.operations[0] * space.of_bits(s.visits) for s in strands]
        total = sum(shares, np.zeros(len(before)))
        self._visits, self._rates = before + total, total / max(span_ns, 1)
        due = self._waiting.take(self._visits)
        good = self._arming[due.page] == due.armed
        page, classes = due.page[good], due.classes[good]
        none = np.zeros(len(page), np.int64)
        if not len(page):
            return page, none.astype(float), none
        part = np.clip((due.mark[good] - before[classes]) / total[classes], 0.0, 1.0)
        cumulated = np.cumsum(np.stack(shares), axis=0)[:, classes]
        u = self._rng.random(len(page)) * cumulated[-1]
        chosen = np.minimum((cumulated <= u).sum(axis=0), len(strands) - 1)
        return page, part, np.array([s.actor for s in strands], np.int64)[chosen]

    def _passed(self, strand: Strand) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Folios that a sweep or a recording came to: page, part of the span, actor."""
        assert strand.front is not None and strand.before is not None and strand.after is not None
        before, after = float(strand.before[0]), float(strand.after[0])
        if isinstance(strand.front, Reel):
            page, part = self._played(strand.front, before, after)
        else:
            page, part = self._swept(strand.front, before, after)
        return page, part, np.full(len(page), strand.actor)

    def _swept(self, front: Front, before: float, after: float) -> tuple[np.ndarray, np.ndarray]:
        low = int(np.floor(before)) + 1
        high = min(int(np.floor(after)) + 1, low + front.nr)  # not more than once round
        pages, parts = [], []
        while low < high:
            place = low % front.nr
            stop = min(front.nr, place + high - low)
            own = front.first + place
            found = np.flatnonzero(self._arming[own : own + stop - place])
            pages.append(own + found)
            parts.append((low + found - before) / (after - before))
            low += stop - place
        empty = np.zeros(0)
        return np.concatenate([empty.astype(np.int64), *pages]), np.concatenate([empty, *parts])

    def _played(self, reel: Reel, before: float, after: float) -> tuple[np.ndarray, np.ndarray]:
        nr = reel.nr
        pages = reel.first + np.flatnonzero(self._arming[reel.first : reel.first + nr])
        ones = np.ones(len(pages))
        seen = reel.seen(pages, before * ones, after * ones, self._rng)
        return pages[seen], self._rng.random(int(seen.sum()))  # order within is not known
