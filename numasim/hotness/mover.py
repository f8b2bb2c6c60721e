"""Moving folios for a policy: only where there is room, and how long it takes its threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numasim.agents import Stage


class Mover:
    """One policy's way to the migrator.

    Parameters
    ----------
    stage : Stage
    name : str
        For the ledger.
    copy_threads : int
        Threads that copy a folio together.

    Attributes
    ----------
    moved_bytes : int
        So far.
    """

    def __init__(self, stage: Stage, name: str, copy_threads: int = 1) -> None:
        self._stage, self._name, self.moved_bytes = stage, name, 0
        self._costs = replace(stage.costs, copy_threads=copy_threads)
        kinds = [accessor.kind for accessor in stage.topology.accessors]
        self._cpu = kinds.index("CPU") if "CPU" in kinds else 0

    def room(self, node: int, mark: str = "low") -> int:
        """Frames that a node gives before its watermarks (``low`` or ``min``) refuse."""
        memory = self._stage.memory
        free = [
            zone.free - getattr(zone.marks, mark) - zone.reserve - zone.kept
            for zone in memory.zones_of_node(node)
        ]
        return sum(max(0, nr) for nr in free)

    def move(self, heads: np.ndarray, target: int) -> tuple[int, int]:
        """Move folios (int64[N]) to a node: bytes that moved, ns that it took."""
        if not len(heads):
            return 0, 0
        sizes = self._sizes(heads)
        before = self._stage.nodes_of(heads)
        moved = self._stage.migrator.migrate(heads, target, self._name)
        self.moved_bytes += moved.bytes
        gone = (self._stage.nodes_of(heads) == target) & (before != target)
        return moved.bytes, self._time_ns(sizes[gone], before[gone], target)

    def _sizes(self, heads: np.ndarray) -> np.ndarray:
        """int64[N]: frames of each folio."""
        space = self._stage.space
        sizes: np.ndarray = space.pages_per_bit[space.class_of[heads]]
        return sizes

    def _time_ns(self, sizes: np.ndarray, sources: np.ndarray, target: int) -> int:
        """As the machine's kernel takes per folio, its copying shared by this policy's threads.

        Assumption: the copying part goes with loaded latency, as in `numasim.machine`.
        """
        loaded = self._stage.observing.latency_ns[self._cpu]
        near = float(self._stage.topology.idle_latency_ns[self._cpu].min())
        total = 0
        pairs, counts = np.unique(np.stack([sizes, sources]), axis=1, return_counts=True)
        for (size, source), nr in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            order = (size * self._stage.memory.pages_per_frame).bit_length() - 1
            stretch = float(loaded[source] + loaded[target]) / (2 * near)
            total += nr * self._costs.migrate_ns(order, stretch)
        return total
