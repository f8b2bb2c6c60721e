"""Counters in devices: how many accesses each block of memory got, and a notification at so many.

A block's accesses are Poisson with a mean that the law tells, so the number of them until the n-th
is a gamma variate of expected accesses: each block keeps how much of that is left. Nothing is drawn
for blocks that do not come to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actor_truth import Strand
from numasim.damon.reports import Reports
from numasim.observing import Observing
from numasim.reels import Reel

AT_ONCE, SPANS_AT_ONCE = 1 << 15, 128  # blocks and spans that are worked on together
KEPT = 64  # heats of blocks that are remembered


@dataclass(frozen=True)
class CounterRule:
    """What a device counts.

    Parameters
    ----------
    name : str
        Of the source that reads it.
    nodes : tuple of int
        Whose memory is counted.
    accessor : int or None
        Whose accesses are counted; None: everybody's.
    granularity : int
        Bytes of a block.
    threshold : int
        Accesses that make a notification.
    drain_ns : int
        How often notifications are taken and counters of their blocks set to zero.
    batch : int
        Notifications that fit in between; more are lost.
    cpu : int
        Number that reports carry for who accessed; -1: the device does not know.
    """

    name: str
    nodes: tuple[int, ...]
    accessor: int | None
    granularity: int
    threshold: int
    drain_ns: int
    batch: int
    cpu: int


class BlockCounter:
    """Counters of one device.

    Parameters
    ----------
    rule : CounterRule
    observing : Observing

    Notes
    -----
    Counts lines that missed the caches of who asked: what a cache holds, no device sees. A block
    that has notified counts again from the next drain on. Assumption: sweeps are counted like
    random accesses of the same mean.
    """

    def __init__(self, rule: CounterRule, observing: Observing) -> None:
        self.rule, self._seen = rule, observing
        self._rng = observing.seeds.stream(f"counters/{rule.name}/{rule.accessor}")
        memory = observing.memory
        self.per_block = max(1, rule.granularity // memory.frame_bytes)
        edges = [
            np.unique(np.append(np.arange(first, last, self.per_block), last))
            for node in rule.nodes
            for first, last in memory.node_runs(node)
        ]
        self.first = np.concatenate([e[:-1] for e in edges] or [np.zeros(0, np.int64)])
        self.last = np.concatenate([e[1:] for e in edges] or [np.zeros(0, np.int64)])
        order = np.argsort(self.first, kind="stable")
        self.first, self.last = self.first[order], self.last[order]
        self._left = self._rng.gamma(rule.threshold, size=len(self.first))
        self._waits = np.zeros(len(self.first), bool)  # has notified, waits for the next drain
        self._until_ns = 0
        self._lot, self._filled = -1, 0  # interval of the last notification, how many came in it
        self._heat: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}  # by the identity of weights

    def draw(self, grid_ns: np.ndarray) -> Reports:
        """Notifications of the spans between instants (int64[T + 1])."""
        if not len(self.first):
            return Reports.none()
        drains = self.rule.drain_ns * np.arange(
            grid_ns[0] // self.rule.drain_ns + 1, grid_ns[-1] // self.rule.drain_ns + 1
        )
        if grid_ns[0] // self.rule.drain_ns > self._until_ns // self.rule.drain_ns:
            self._drain()  # nobody read for a while
        self._until_ns = int(grid_ns[-1])
        grid = np.unique(np.concatenate([grid_ns, drains]))
        cuts = range(0, len(grid) - 1, SPANS_AT_ONCE)
        return Reports.joined([self._draw(grid[i : i + SPANS_AT_ONCE + 1]) for i in cuts])

    def _drain(self) -> None:
        """Every block that has notified counts again."""
        again = np.flatnonzero(self._waits)
        self._left[again] = self._rng.gamma(self.rule.threshold, size=len(again))
        self._waits[again] = False

    def _draw(self, grid: np.ndarray) -> Reports:
        """Notifications of not too many spans, cut at every drain."""
        strands = [
            s
            for s in self._seen.truth.strands(grid[:-1], grid[1:])
            if self.rule.accessor is None
            or self._seen.threads[s.actor].accessor == self.rule.accessor
        ]
        counted = [s for s in strands if s.lines * s.miss > 0]
        random = [(s.operations, self._heat_of(s)) for s in counted if s.front is None]
        swept = [self._swept(s) for s in counted if s.front is not None]
        total = np.zeros(len(self.first))
        for operations, heat in random:
            total += operations.sum() * heat
        for _, block, lines in swept:
            np.add.at(total, block, lines)
        drained = bool((grid[1:] % self.rule.drain_ns == 0).any())
        active = (total >= self._left) & ~self._waits
        quiet = ~active & ~self._waits
        near = np.flatnonzero(active | self._waits if drained else active)
        self._left[quiet] -= total[quiet]
        found = []
        for own in np.split(near, range(AT_ONCE, len(near), AT_ONCE)):
            added = np.zeros((len(grid) - 1, len(own)))
            for operations, heat in random:
                added += np.outer(operations, heat[own])
            for span, block, lines in swept:
                at = np.minimum(np.searchsorted(own, block), max(len(own) - 1, 0))
                mine = own[at] == block if len(own) else np.zeros(len(block), bool)
                np.add.at(added, (span[mine], at[mine]), lines[mine])
            found.append(self._notify(own, added, grid))
        times, blocks = (np.concatenate(c) for c in zip(*found, strict=True))
        return self._taken(times, blocks)

    def _notify(
        self, own: np.ndarray, added: np.ndarray, grid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Instants and blocks of notifications; `added` float64[T, N] are accesses of `own`."""
        left, counting = self._left[own], ~self._waits[own]
        times, blocks = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for t, amount in enumerate(added):
            fires = np.flatnonzero(counting & (amount >= left) & (amount > 0))
            part = left[fires] / amount[fires]
            times.append(grid[t] + np.ceil(part * (grid[t + 1] - grid[t])).astype(np.int64))
            blocks.append(own[fires])
            left[counting] -= amount[counting]
            counting[fires] = False
            if grid[t + 1] % self.rule.drain_ns == 0:
                again = np.flatnonzero(~counting)
                left[again] = self._rng.gamma(self.rule.threshold, size=len(again))
                counting[again] = True
        self._left[own], self._waits[own] = left, ~counting
        return np.concatenate(times), np.concatenate(blocks)

    def _taken(self, times: np.ndarray, blocks: np.ndarray) -> Reports:
        """Reports of the notifications that fit between two drains, whenever anybody reads."""
        order = np.lexsort((blocks, times))
        times, blocks = times[order], blocks[order]
        lot = (times - 1) // self.rule.drain_ns
        rank = np.arange(len(lot)) - np.searchsorted(lot, lot, "left")
        rank[lot == self._lot] += self._filled
        if len(lot):
            self._lot, self._filled = int(lot[-1]), int(rank[-1]) + 1
        kept = rank < self.rule.batch
        tally = self._seen.tally(self.rule.name)
        tally.events += len(times)
        tally.lost += int((~kept).sum())
        times, blocks = times[kept], blocks[kept]
        memory = self._seen.memory
        nothing = np.full(len(times), -1)
        return Reports.of(
            times,
            nothing,
            self.first[blocks] * memory.frame_bytes,
            np.full(len(times), self.rule.cpu),
            nothing,
            None,
            memory.node_of(self.first[blocks]),
        )

    def _heat_of(self, strand: Strand) -> np.ndarray:
        """float64[B]: missing lines of each block per operation."""
        counts, weights = self._seen.migrator.frame_counts, strand.visits
        known = self._heat.get(id(weights))
        if known is not None and known[0] == counts.version and known[1] is weights:
            found: np.ndarray = known[2]
            return found
        if self.per_block % counts.block_slots == 0:
            heat = counts.heat(self.last, weights) - counts.heat(self.first, weights)
        else:  # finer than counts are kept: page by page
            of_slot, with_none = counts.tables()[2], np.concatenate([[0.0], weights])
            heat = np.zeros(len(self.first))
            for b in range(0, len(self.first), AT_ONCE):
                first, last = self.first[b : b + AT_ONCE], self.last[b : b + AT_ONCE]
                each = with_none[of_slot[first[0] : last[-1]]]
                before = np.concatenate([[0.0], np.cumsum(each)])
                heat[b : b + AT_ONCE] = before[last - first[0]] - before[first - first[0]]
        heat = np.asarray(np.maximum(heat, 0.0) * (strand.lines * strand.miss))
        if len(self._heat) > KEPT:
            self._heat.clear()
        self._heat[id(weights)] = (counts.version, weights, heat)
        return heat

    def _swept(self, strand: Strand) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Spans, blocks and missing lines where a front or a recording went over."""
        front, memory = strand.front, self._seen.memory
        assert front is not None and strand.before is not None and strand.after is not None
        parts = []
        for t, (before, after) in enumerate(zip(strand.before, strand.after, strict=True)):
            if after <= before:
                continue
            if isinstance(front, Reel):
                place, reads, _ = front.lines(float(before), 1)
                pages = front.first + place * front.stretch
                lines = reads * (after - before)
            else:
                whole, first, last = divmod_of(float(before), float(after), front.nr)
                pages = front.first + np.arange(front.nr)
                lines = np.full(front.nr, float(whole))
                lines[np.arange(first, last) % front.nr] += 1.0
                pages, lines = pages[lines > 0], lines[lines > 0]
                lines = lines * (strand.lines * strand.miss / front.folio_pages)
            frames = memory.frame_of[pages].astype(np.int64)
            at = np.searchsorted(self.first, frames, "right") - 1
            mine = (frames >= 0) & (at >= 0)
            mine &= frames < self.last[at]
            block = np.bincount(at[mine], lines[mine], len(self.first))
            some = np.flatnonzero(block)
            parts.append((np.full(len(some), t), some, block[some]))
        if not parts:
            none = np.zeros(0, np.int64)
            return none, none, np.zeros(0)
        span, blocks, amount = (np.concatenate(c) for c in zip(*parts, strict=True))
        return span, blocks, amount


def divmod_of(before: float, after: float, nr: int) -> tuple[int, int, int]:
    """Whole turns of a front between two positions, and the pages it passes beside those.

    Parameters
    ----------
    before, after : float
    nr : int
        Pages of a turn.

    Returns
    -------
    int, int, int
        Turns; first and last (exclusive) page of the rest, which may run over the end.
    """
    first, last = int(np.ceil(before)), int(np.ceil(after))
    whole = (last - first) // nr
    return whole, first % nr, first % nr + (last - first) - whole * nr
