"""What a GPU's access counters report is brought to its memory.

Source: open GPU kernel modules (UVM), policies specification section 9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.agents import Stage
from numasim.counting import BlockCounter, CounterRule
from numasim.hotness.device_memory import BLOCK_BYTES, DeviceMemory
from numasim.hotness.spans import Spans
from numasim.hotness.worker import Worker
from numasim.threads import device_cpus


@dataclass(frozen=True)
class CountedRules:
    """Parameters; see `numasim.policies.access_counter_migration` for their sources.

    Parameters
    ----------
    threshold, batch : int
    drain_ns, notification_ns, period_ns : int
    """

    threshold: int
    batch: int
    drain_ns: int
    notification_ns: int
    period_ns: int


class Counted(Worker):
    """The driver's thread for one GPU.

    Parameters
    ----------
    stage : Stage
    rules : CountedRules
    accessor : int
    now_ns : int

    Notes
    -----
    The accesses of a notification fell on the 64 KiB parts of its block in proportion to their
    heat, `lines` of them with every visit.
    """

    def __init__(self, stage: Stage, rules: CountedRules, accessor: int, now_ns: int) -> None:
        device = stage.topology.accessors[accessor].name
        super().__init__(stage, f"access_counter/{device}", now_ns, rules.period_ns)
        self.rules, self.accessor = rules, accessor
        self.memory = DeviceMemory(stage, accessor, Spans(stage, BLOCK_BYTES), self.name)
        remote = tuple(n for n in range(len(stage.topology.nodes)) if n != self.memory.node)
        cpu = device_cpus(stage.topology)[accessor]
        self.counter = BlockCounter(
            CounterRule(
                self.name, remote, accessor, BLOCK_BYTES, rules.threshold, rules.drain_ns,
                rules.batch, cpu,
            ),
            stage.observing,
        )  # fmt: skip
        self._rng = stage.seeds.stream(f"{self.name}/parts")
        self._since_ns = now_ns

    def counters(self) -> dict[str, int]:
        """Notifications, those lost, blocks evicted."""
        tally = self.stage.observing.tally(self.name)
        return {
            "notifications": tally.events,
            "lost": tally.lost,
            "evicted_blocks": self.memory.evicted_blocks,
        }

    def step(self, now_ns: int) -> int:
        """Bring the touched parts of all blocks that notified; ns."""
        reports = self.counter.draw(np.array([self._since_ns, now_ns], np.int64))
        pages = self.touched(np.unique(reports.offset), self._since_ns, now_ns)
        self._since_ns = now_ns
        if not len(pages):
            return 0
        spent = self.memory.bring(pages, now_ns)
        return spent + len(reports) * self.rules.notification_ns

    def touched(self, offsets: np.ndarray, from_ns: int, to_ns: int) -> np.ndarray:
        """int64[N]: folios of the 64 KiB parts that were touched in blocks (bytes of frames)."""
        memory, leaf = self.stage.memory, self.memory.leaf_pages
        if not len(offsets):
            return np.zeros(0, np.int64)
        visits, lines = self._visits(from_ns, to_ns)
        per = BLOCK_BYTES // memory.frame_bytes or 1
        frames = offsets[:, None] // memory.frame_bytes + np.arange(max(per, leaf))
        frames = np.minimum(frames, len(memory.page_of) - 1)
        pages = memory.page_of[frames].astype(np.int64)
        heat = np.where(pages >= 0, visits[self.stage.space.class_of[np.maximum(pages, 0)]], 0.0)
        parts = heat.reshape(len(offsets), -1, leaf).sum(axis=2)
        total = parts.sum(axis=1)
        some = total > 0
        nr = max(1, round(self.rules.threshold / max(lines, 1.0)))
        hits = self._rng.multinomial(nr, parts[some] / total[some][:, None]) > 0
        inside = np.repeat(hits, leaf, axis=1) & (pages[some] >= 0)
        heads = np.unique(self.stage.space.folio_heads(pages[some][inside]))
        return heads

    def _visits(self, from_ns: int, to_ns: int) -> tuple[np.ndarray, float]:
        """Visits of the GPU by class (float64[C], relative), and missing lines per visit."""
        seen = self.stage.observing
        own = [t.accessor == self.accessor for t in seen.threads]
        visits = seen.truth.visits(from_ns, to_ns)[own].sum(axis=(0, 1))
        weighted = [
            (float(s.operations.sum() * s.visits.sum()), s.lines * s.miss)
            for s in seen.truth.strands(np.array([from_ns]), np.array([to_ns]))
            if own[s.actor] and s.front is None
        ]
        total = sum(w for w, _ in weighted)
        lines = sum(w * n for w, n in weighted) / total if total > 0 else 1.0
        return visits, lines
