"""Transactional promotion: a thread copies pages while they are in use, and gives up on writes.

Source: policies specification, section 8 (Nomad, OSDI'24).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numasim.agents import Stage
from numasim.balancing.active import ActiveFirst
from numasim.balancing.batch import Batch
from numasim.balancing.shadows import Shadows

SLICE_NS = 5_000_000
"""What is copied in one act takes about so long; the world goes on meanwhile."""
LOOK_NS = 10_000_000
"""Writes to pages with copies are looked for so often, and so long it waits for room."""
SHOOTDOWNS = 2  # one to clear the dirty bit, one to unmap in the end


class Promoter:
    """The thread that promotes candidates one after the other, as an agent.

    Parameters
    ----------
    stage : Stage
    shadows : Shadows
    name : str
        Cause of its moves; `shadows` has the same.

    Attributes
    ----------
    promoted, aborted, failed : int
        4 KiB pages so far; aborted ones were written to while they were copied.

    Notes
    -----
    Assumption: a page can be dirtied for as long as its migration takes by the machine's table. An
    aborted page is a candidate again at its next hint fault; the copying was done all the same.
    """

    def __init__(self, stage: Stage, shadows: Shadows, name: str) -> None:
        self._stage, self._shadows, self.name = stage, shadows, name
        self.due_ns = math.inf
        self._rng = stage.seeds.stream(f"{name}/aborts")
        none = np.zeros(0, np.int64)
        self._head, self._target = none, none
        self._queued = np.zeros(stage.space.nr_pages, bool)
        self._busy = False
        self.promoted = self.aborted = self.failed = 0

    def ask(self, heads: np.ndarray, targets: np.ndarray) -> None:
        """Queue folios (int64[N]) for promotion to nodes (int64[N])."""
        new = ~self._queued[heads]
        self._head = np.r_[self._head, heads[new]]
        self._target = np.r_[self._target, targets[new]]
        self._queued[heads] = True
        if len(self._head) and not self._busy:
            self.due_ns = 0.0

    def act(self, now_ns: int) -> bool:
        """Promote for about a slice of time, and see what has been written to."""
        was_busy, self._busy = self._busy, False
        if was_busy:
            self._stage.end_work(self.name)
        self._shadows.until(now_ns)
        busy_ns = self._promote()
        later = now_ns + LOOK_NS if len(self._head) or self._shadows.copies.nr else math.inf
        self.due_ns = now_ns + busy_ns if busy_ns else later
        self._busy = busy_ns > 0
        charged = self._stage.observing.tolls.changed(now_ns)
        return was_busy or self._busy or charged

    def settings(self, changed: dict[str, Any]) -> None:
        """It knows no sysctls."""

    def counters(self) -> dict[str, int]:
        """What it did so far, pages of 4 KiB."""
        shadows, per = self._shadows, self._stage.memory.pages_per_frame
        return {
            "promote_success": self.promoted,
            "promote_abort": self.aborted,
            "promote_fail": self.failed,
            "shadow": shadows.copies.nr * per,
            "shadow_written": shadows.written * per,
            "shadow_remapped": shadows.remapped * per,
            "shadow_reclaimed": shadows.reclaimed * per,
        }

    # -- a slice -----------------------------------------------------------------------------------

    def _promote(self) -> int:
        """Take candidates off the queue, as many as a slice of time allows; the time, ns."""
        if not len(self._head):
            return 0
        target = int(self._target[0])
        heads, cost = self._next(target)
        if not len(heads):
            return 0
        stage, space = self._stage, self._stage.space
        rates = self._shadows.write_rates[space.class_of[heads]]
        clean = self._rng.random(len(heads)) >= -np.expm1(-rates * cost)
        flush_ns = SHOOTDOWNS * stage.costs.tlb_shootdown
        self._waste(heads[~clean], target)
        moved = stage.migrator.migrate(heads[clean], target, self.name, split=False)
        own = heads[clean][np.isin(heads[clean], moved.pages)]
        self._shadows.watch(own)
        per = stage.memory.pages_per_frame
        self.promoted += len(moved.pages) * per
        self.failed += per * (int(space.pages_per_bit[space.class_of[heads[clean]]].sum())
                              - len(moved.pages))  # fmt: skip
        busy_ns = round(float(cost.sum())) + len(heads) * flush_ns
        # pages stay mapped while they are copied: who visits them waits for the last flush only
        stage.migrator.traffic.busy_ns = len(heads) * stage.costs.tlb_shootdown
        stage.begin_work(self.name, busy_ns, batch=1, flush=float(SHOOTDOWNS))
        return busy_ns

    def _next(self, target: int) -> tuple[np.ndarray, np.ndarray]:
        """The first candidates for a node that still are slow, as there is room; with their ns."""
        stage, space = self._stage, self._stage.space
        room = self._room(target)
        if room <= 0:
            stage.memory.wake_kswapd(target)
            return self._head[:0], np.zeros(0)
        own = np.flatnonzero(self._target == target)
        nodes = stage.nodes_of(self._head[own])
        gone = (nodes < 0) | (nodes == target)
        gone |= space.folio_heads(self._head[own]) != self._head[own]
        left, nodes = own[~gone], nodes[~gone]
        sizes = space.pages_per_bit[space.class_of[self._head[left]]]
        cost = np.zeros(len(left))
        for node, size in np.unique(np.stack([nodes, sizes]), axis=1).T.tolist():
            order = (size * stage.memory.pages_per_frame).bit_length() - 1
            alike = (nodes == node) & (sizes == size)
            cost[alike] = stage.migrator.cost_of(node, target, order)
        each = cost + SHOOTDOWNS * stage.costs.tlb_shootdown
        ready = (np.cumsum(each) - each < SLICE_NS) & (np.cumsum(sizes) <= room)
        heads, cost = self._head[left[ready]], cost[ready]
        off = np.r_[own[gone], left[ready]]
        self._queued[self._head[off]] = False
        self._head, self._target = np.delete(self._head, off), np.delete(self._target, off)
        return heads, cost

    def _room(self, target: int) -> int:
        """Frames that a node has above MIN: promotion asks for no other mark."""
        zones = self._stage.memory.zones_of_node(target)
        return sum(max(0, zone.free - zone.marks.min - zone.reserve - zone.kept) for zone in zones)

    def _waste(self, heads: np.ndarray, target: int) -> None:
        """Folios were copied in vain: bytes on the wires, and flushes."""
        stage, space = self._stage, self._stage.space
        traffic, classes = stage.migrator.traffic, space.class_of[heads]
        sizes = space.pages_per_bit[classes]
        self.aborted += int(sizes.sum()) * stage.memory.pages_per_frame
        nodes = stage.nodes_of(heads)
        for source in np.unique(nodes).tolist():
            nr_bytes = int(sizes[nodes == source].sum()) * stage.memory.frame_bytes
            way = (source, target)
            traffic.bytes[way] = traffic.bytes.get(way, 0) + nr_bytes
        traffic.pages_of_class += np.bincount(classes, sizes, space.nr_classes).astype(np.int64)
        traffic.folios += len(heads)


class Queueing:
    """TPP's rule for hint faults, with a thread to promote: no fault waits for a copy.

    Parameters
    ----------
    rule : ActiveFirst
    promoter : Promoter
    """

    mark = "min"
    next_ns = math.inf

    def __init__(self, rule: ActiveFirst, promoter: Promoter) -> None:
        self._rule, self._promoter = rule, promoter
        self.name, self.spared = rule.name, rule.spared

    def decide(self, batch: Batch, now_ns: int) -> tuple[Batch, np.ndarray]:
        """Nothing moves in a fault: hot pages are queued."""
        batch, hot = self._rule.decide(batch, now_ns)
        self._promoter.ask(batch.head[hot], batch.target[hot])
        return batch, np.zeros(len(hot), bool)

    def tick(self, now_ns: int) -> None:
        """As TPP's."""
        self._rule.tick(now_ns)

    def counters(self) -> dict[str, int]:
        """Those of the rule, and what the thread promoted of it."""
        return self._rule.counters() | {"pgpromote_success": self._promoter.promoted}
