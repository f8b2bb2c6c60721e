"""Hardware sampling: which accesses one in n events hits, drawn from the law.

Never one event per access. Of every span the expected number of events of each actor is known; a
sample falls due with every n-th, and is then given a pattern, a page of a class, a thread. Source:
what PEBS and IBS record, hardware specification section 9 (from manuals and Linux drivers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from numasim.actor_truth import Strand
from numasim.counts import GROUP_BLOCKS
from numasim.damon.reports import Reports
from numasim.observing import Observing
from numasim.reels import Reel
from numasim.threads import who

LINE_BYTES = 64
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
_ONES = _BITS.sum(axis=1, dtype=np.uint16)  # of every byte
_PLACE_OF = np.argsort(1 - _BITS, axis=1, kind="stable")  # of its ones, the first to the last
PERIOD_STEP = 2.0  # most by which a controlled period changes between two windows

Level = Literal["llc_miss", "retired"]
Kind = Literal["load", "store", "both"]


@dataclass(frozen=True)
class Rule:
    """What a sampler counts and what a sample costs.

    Parameters
    ----------
    name : str
        Of the source that reads it.
    period : float
        Events per sample.
    level : str
        Lines that missed all caches, or all lines used.
    kind : str
        Loads, stores or both.
    cost_ns : int
        Taken from the thread that is interrupted.
    interrupts : float
        Interrupts per sample of an access: samples of other instructions tell nothing and cost too.
    buffer : int
        Records that fit into one CPU's buffer.
    drain_ns : int
        How often buffers are emptied; what does not fit in between is lost.
    target_per_s : float or None
        Interrupts per second that the period is controlled for.
    cache_ns : float
        Latency recorded for a line found in a cache.
    cpu_limit : float or None
        Most of a CPU's time that interrupts may take; the period grows until it does.
    periods : float, float, int
        The shortest, the longest, and what a controlled one is a multiple of (0: anything).
    """

    name: str
    period: float
    level: Level
    kind: Kind
    cost_ns: int
    interrupts: float
    buffer: int
    drain_ns: int
    target_per_s: float | None
    cache_ns: float
    cpu_limit: float | None = None
    periods: tuple[float, float, int] = (1.0, np.inf, 0)


class Sampler:
    """A machine's sampling hardware, set to one rule on all CPUs.

    Parameters
    ----------
    rule : Rule
    observing : Observing
    """

    def __init__(self, rule: Rule, observing: Observing) -> None:
        self.rule, self._seen = rule, observing
        self._rng = observing.seeds.stream(f"samples/{rule.name}")
        self.period = rule.period
        nr = len(observing.actors)
        self._left = self._rng.random(nr) * rule.period  # events until each actor's next sample
        self._cpus = np.array([len(np.unique(t.cpus)) for t in observing.threads])  # of each actor
        self._lot = np.full(nr, -1)  # interval between drains in which each had its last sample
        self._filled = np.zeros(nr, np.int64)  # samples of each in that interval, lost ones too

    def draw(self, grid_ns: np.ndarray) -> Reports:
        """Reports of the spans between instants (int64[T + 1]), and what they cost is charged."""
        strands = [
            s
            for s in self._seen.truth.strands(grid_ns[:-1], grid_ns[1:])
            if self._seen.threads[s.actor].is_cpu  # devices have no such hardware
        ]
        counts = self._seen.migrator.node_counts.sum(axis=0)
        events = np.stack([self._events(s, counts) for s in strands]) if strands else None
        if events is None or not events.any():
            return Reports.none()
        nr = len(self._seen.actors)
        of_actor = np.zeros((nr, len(grid_ns) - 1))
        np.add.at(of_actor, np.array([s.actor for s in strands]), events)
        actor, tick, part = self._due(of_actor)
        kept = self._fit(actor, grid_ns, tick, part)
        interrupts = self._charge(actor, kept, int(grid_ns[-1] - grid_ns[0]))
        self._control(interrupts, int(grid_ns[-1] - grid_ns[0]))
        return self._records(strands, events, counts, grid_ns, actor[kept], tick[kept], part[kept])

    def _events(self, strand: Strand, counts: np.ndarray) -> np.ndarray:
        """float64[T]: events of one strand that count."""
        share = {"load": 1 - strand.write, "store": strand.write, "both": 1.0}[self.rule.kind]
        front = strand.front
        if isinstance(front, Reel):  # lines that were fetched are all that was recorded
            assert strand.before is not None and strand.after is not None
            reads = np.array([front.lines(float(b), 1)[1].sum() for b in strand.before])
            played: np.ndarray = (strand.after - strand.before) * reads * share
            return played
        lines = strand.lines * (strand.miss if self.rule.level == "llc_miss" else 1.0) * share
        if front is not None:
            assert strand.before is not None and strand.after is not None
            passed: np.ndarray = (strand.after - strand.before) / front.folio_pages * lines
            return passed
        visits: np.ndarray = strand.operations * float(strand.visits @ counts) * lines
        return visits

    def _due(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples that fall due: actor, span, part of the span that had passed."""
        found = []
        for a in np.flatnonzero(events.any(axis=1)).tolist():
            total = np.cumsum(events[a])
            nr = max(0, int(np.floor((total[-1] - self._left[a]) / self.period)) + 1)
            at = self._left[a] + self.period * np.arange(nr)
            self._left[a] += self.period * nr - total[-1]
            tick = np.minimum(np.searchsorted(total, at, "left"), len(total) - 1)
            part = np.clip((at - total[tick] + events[a, tick]) / events[a, tick], 0.0, 1.0)
            found.append((np.full(nr, a), tick, part))
        actor, tick, part = (np.concatenate(column) for column in zip(*found, strict=True))
        return actor, tick, part

    def _fit(
        self, actor: np.ndarray, grid_ns: np.ndarray, tick: np.ndarray, part: np.ndarray
    ) -> np.ndarray:
        """int64[M]: samples that find room in their CPUs' buffers, those of one span in order.

        Buffers are emptied at whole multiples of the interval, whenever anybody reads.
        """
        time = grid_ns[tick] + (part * (grid_ns[tick + 1] - grid_ns[tick])).astype(np.int64)
        lot = time // self.rule.drain_ns
        begins = np.r_[True, (lot[1:] != lot[:-1]) | (actor[1:] != actor[:-1])]
        first = np.flatnonzero(begins[: len(lot)])
        length = np.diff(np.r_[first, len(lot)])
        before = np.where(lot[first] == self._lot[actor[first]], self._filled[actor[first]], 0)
        rank = np.arange(len(lot)) + np.repeat(before - first, length)
        last = first + length - 1  # of an actor's lots the one assigned last stays
        self._lot[actor[last]], self._filled[actor[last]] = lot[last], rank[last] + 1
        return np.flatnonzero(rank < (self._cpus * self.rule.buffer)[actor])

    def _charge(self, actor: np.ndarray, kept: np.ndarray, span_ns: int) -> np.ndarray:
        """float64[A]: interrupts of each actor, which it pays for, also where a record is lost."""
        interrupts = np.bincount(actor, minlength=len(self._cpus)) * self.rule.interrupts
        tally = self._seen.tally(self.rule.name)
        tally.lost += len(actor) - len(kept)
        stall_ns = interrupts * self.rule.cost_ns
        self._seen.charge(tally, round(float(interrupts.sum())), stall_ns, span_ns)
        return interrupts

    def _control(self, interrupts: np.ndarray, span_ns: int) -> None:
        """The period for the next window: from the interrupts of each actor in the last.

        As perf does, with one period for all CPUs: longer where there were more than asked for
        (its frequency mode) or where they took too much of the busiest CPUs' time
        (``kernel.perf_cpu_time_max_percent``), and back again; at most by `PERIOD_STEP` at once.
        """
        rule = self.rule
        if rule.target_per_s is None and rule.cpu_limit is None:
            return
        wanted, span_ns = rule.period, max(1, span_ns)
        if rule.target_per_s is not None:
            wanted = self.period * max(interrupts.sum(), 1) * 1e9 / span_ns / rule.target_per_s
        if rule.cpu_limit is not None:
            taken = (interrupts * rule.cost_ns / self._cpus).max() / span_ns
            wanted = max(wanted, self.period * float(taken) / rule.cpu_limit)
        shortest, longest, step = rule.periods
        wanted = min(max(wanted, self.period / PERIOD_STEP), self.period * PERIOD_STEP)
        wanted = min(max(wanted, shortest), longest)
        if step:
            wanted = round(wanted / step) * step
        self._left *= wanted / self.period
        self.period = wanted

    def _records(
        self,
        strands: list[Strand],
        events: np.ndarray,
        counts: np.ndarray,
        grid_ns: np.ndarray,
        actor: np.ndarray,
        tick: np.ndarray,
        part: np.ndarray,
    ) -> Reports:
        """What samples tell, int64[N] each: page by class, thread, read or write, source."""
        nr, rng, seen = len(actor), self._rng, self._seen
        owner = np.array([s.actor for s in strands])
        shares = np.cumsum(np.where(owner[:, None] == actor, events[:, tick], 0.0), axis=0)
        chosen = (shares <= rng.random(nr) * shares[-1]).sum(axis=0) if nr else actor
        page = np.full(nr, -1)
        for k, strand in enumerate(strands):
            own = np.flatnonzero(chosen == k)
            if len(own):
                page[own] = self._pages(strand, counts, tick[own])
        time = grid_ns[tick] + np.ceil(part * (grid_ns[tick + 1] - grid_ns[tick])).astype(np.int64)
        write = np.array([s.write for s in strands])[chosen]
        is_write = rng.random(nr) < {"load": 0 * write, "store": 0 * write + 1}.get(
            self.rule.kind, write
        )
        frames = np.where(page >= 0, seen.memory.frame_of[page], -1).astype(np.int64)
        missed = rng.random(nr) < np.array([s.miss for s in strands])[chosen]
        if self.rule.level == "llc_miss":
            missed[:] = True
        node = np.where((frames >= 0) & missed, seen.memory.node_of(np.maximum(frames, 0)), -1)
        accessor = np.array([t.accessor for t in seen.threads])[actor]
        latency = np.where(missed, seen.latency_ns[accessor, node], self.rule.cache_ns)
        lines = seen.memory.frame_bytes // LINE_BYTES
        offset = (rng.random(nr) * lines).astype(np.int64) * LINE_BYTES
        cpu, tid = who(seen.threads, actor, rng)
        found = Reports.of(time, page, offset, cpu, tid, is_write, node, latency)
        return found.at(seen.memory.frame_of[found.page] >= 0) if nr else found

    def _nth(self, classes: np.ndarray, k: np.ndarray) -> np.ndarray:
        """int64[N]: the k-th present page of each class."""
        return nth_of_classes(self._seen, classes, k)

    def _pages(self, strand: Strand, counts: np.ndarray, tick: np.ndarray) -> np.ndarray:
        """int64[N]: pages that samples of a strand hit in given spans."""
        rng, front = self._rng, strand.front
        if front is None:
            heat = np.cumsum(strand.visits * counts)
            classes = np.searchsorted(heat, rng.random(len(tick)) * heat[-1], "right")
            classes = np.minimum(classes, len(heat) - 1)
            return self._nth(classes, (rng.random(len(classes)) * counts[classes]).astype(np.int64))
        assert strand.before is not None and strand.after is not None
        before, after = strand.before[tick], strand.after[tick]
        if not isinstance(front, Reel):
            at = before + rng.random(len(tick)) * (after - before)
            swept: np.ndarray = front.first + at.astype(np.int64) % front.nr
            return swept
        pages = np.zeros(len(tick), np.int64)
        for position in np.unique(before).tolist():
            own = np.flatnonzero(before == position)
            place, reads, _ = front.lines(position, 1)
            total = np.cumsum(reads)
            at = np.searchsorted(total, rng.random(len(own)) * total[-1], "right")
            within = (rng.random(len(own)) * front.stretch).astype(np.int64)
            place = place[np.minimum(at, len(place) - 1)]
            pages[own] = front.first + place * front.stretch + within
        return pages


def pages_of_classes(
    observing: Observing, classes: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A uniform present page of each class, drawn.

    Parameters
    ----------
    observing : Observing
    classes : int64[N]
        Each with at least one page.
    counts : int64[C]
        Present pages of each class.
    rng : numpy.random.Generator

    Returns
    -------
    int64[N]
    """
    k = (rng.random(len(classes)) * counts[classes]).astype(np.int64)
    return nth_of_classes(observing, classes, k)


def nth_of_classes(observing: Observing, classes: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The k-th present page of each class, counted over frames.

    Parameters
    ----------
    observing : Observing
    classes, k : int64[N]

    Returns
    -------
    int64[N]

    Notes
    -----
    It is looked up in the prefix sums by block, then in its block: whatever the memory's size, that
    is some steps per page.
    """
    blocks, page_of = observing.migrator.frame_counts, observing.memory.page_of
    k = k.copy()
    inner, outer, of_slot = blocks.tables()
    group = _last_not_above(outer, classes, k, np.zeros_like(k), np.full_like(k, len(outer) - 1))
    k -= outer[group, classes].astype(np.int64)
    first = group * GROUP_BLOCKS
    block = _last_not_above(inner, classes, k, first, first + GROUP_BLOCKS)
    k -= inner[block, classes].astype(np.int64)
    wanted = (classes + 1).astype(of_slot.dtype)
    inside = of_slot.reshape(-1, blocks.block_slots)[block] == wanted[:, None]
    at = nth_set(inside, k)
    found: np.ndarray = page_of[block * blocks.block_slots + at].astype(np.int64)
    return found


def nth_set(inside: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Place of the k-th true entry, counted from 0, of each row.

    Parameters
    ----------
    inside : bool[N, M]
        M a multiple of 8.
    k : int64[N]
        Less than a row has true entries.

    Returns
    -------
    int64[N]
    """
    packed = np.packbits(inside, axis=1)
    total = np.cumsum(_ONES[packed], axis=1, dtype=np.uint16)
    byte = (total <= k[:, None]).sum(axis=1)
    row = np.arange(len(k))
    own = packed[row, byte]
    left = k - (total[row, byte] - _ONES[own])
    found: np.ndarray = byte * 8 + _PLACE_OF[own, left]
    return found


def _last_not_above(
    table: np.ndarray, column: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """int64[N]: last row of ``[low, high)`` whose entry in a column is at most a value."""
    low, high = low.copy(), high.copy()
    while (high - low > 1).any():
        middle = (low + high) // 2
        fits = table[middle, column] <= value
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low
