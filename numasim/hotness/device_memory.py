"""A GPU's memory as its driver keeps it: 2 MiB blocks, filled by 64 KiB pages, evicted by age.

Source: open GPU kernel modules, unified memory (UVM), policies specification section 9.
"""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.hotness.spans import NONE, Spans

BLOCK_BYTES, LEAF_BYTES = 2 << 20, 64 << 10
DENSITY = 0.51
"""A subtree of a block is taken whole if more of it is there or asked for."""


def dense_subtrees(present: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which leaves of blocks to bring: those asked for, and the dense subtrees around them.

    Parameters
    ----------
    present, wanted : bool[N, L]
        Leaves there, and asked for; L is a power of two.

    Returns
    -------
    bool[N, L]
        Of each leaf asked for, the largest subtree of more than 51 % present or wanted leaves;
        without what is there.
    """
    filled, taken = present | wanted, wanted.copy()
    size = 2
    while size <= filled.shape[1]:
        groups = (len(filled), -1, size)
        dense = filled.reshape(groups).sum(axis=2) > DENSITY * size
        dense &= wanted.reshape(groups).any(axis=2)
        taken |= np.repeat(dense, size, axis=1)
        size *= 2
    missing: np.ndarray = taken & ~present
    return missing


class DeviceMemory:
    """Blocks of managed mappings on one device's node.

    Parameters
    ----------
    stage : Stage
    accessor : int
        The device.
    blocks : Spans
        Of 2 MiB.
    cause : str
        For the ledger.

    Attributes
    ----------
    node : int
        The device's own memory.
    used_ns : int64[B]
        When each block was last brought or faulted.
    """

    def __init__(self, stage: Stage, accessor: int, blocks: Spans, cause: str) -> None:
        self._stage, self._accessor, self._cause = stage, accessor, cause
        tiers = stage.topology.tiers(accessor)
        self.node, self.others = tiers[0], tuple(tiers[1:])
        self.blocks = blocks
        self.used_ns = np.zeros(len(blocks), np.int64)
        self.evicted_blocks = 0
        self.leaf_pages = max(1, LEAF_BYTES // stage.memory.frame_bytes)

    @property
    def nr_leaves(self) -> int:
        """Leaves of a block."""
        return max(1, self.blocks.per // self.leaf_pages)

    def leaves_of(self, block: np.ndarray) -> np.ndarray:
        """int64[N, L]: first page of every leaf of blocks (int64[N]); `NONE` beyond a mapping."""
        pages = self.blocks.first[block][:, None] + np.arange(self.nr_leaves) * self.leaf_pages
        found: np.ndarray = np.where(pages < self.blocks.last[block][:, None], pages, NONE)
        return found

    def present(self, block: np.ndarray) -> np.ndarray:
        """bool[N, L]: which leaves of blocks are in the device's memory, or are no leaves."""
        pages = self.leaves_of(block)
        nodes = self._stage.nodes_of(np.maximum(pages, 0).reshape(-1)).reshape(pages.shape)
        found: np.ndarray = (nodes == self.node) | (pages == NONE)
        return found

    def heads_of(self, leaves: np.ndarray) -> np.ndarray:
        """int64[M]: folios that hold any page of leaves (first pages, int64[N]), ascending."""
        pages = (leaves[:, None] + np.arange(self.leaf_pages)).reshape(-1)
        pages = pages[pages < self._stage.space.nr_pages]
        pages = pages[self._stage.memory.frame_of[pages] >= 0]
        return np.unique(self._stage.space.folio_heads(pages))

    def room(self) -> int:
        """Frames that are free on the device above the LOW watermark."""
        zones = self._stage.memory.zones_of_node(self.node)
        return sum(max(0, z.free - z.marks.low - z.reserve - z.kept) for z in zones)

    def bring(self, heads: np.ndarray, now_ns: int) -> int:
        """Move folios (first pages, int64[N]) here, a device evicts its oldest blocks for them.

        Returns
        -------
        int
            ns that copying takes, out and in.
        """
        sizes = self._stage.space.pages_per_bit[self._stage.space.class_of[heads]]
        wanted = np.unique(self.blocks.of(heads))
        self.used_ns[wanted[wanted != NONE]] = now_ns
        short = int(sizes.sum()) - self.room()
        is_device = self._stage.topology.accessors[self._accessor].kind == "GPU"
        spent = self._evict(short, wanted) if short > 0 and is_device else 0
        fits = np.cumsum(sizes) <= self.room()
        return spent + self.move(heads[fits], self.node)

    def _evict(self, frames: int, kept: np.ndarray) -> int:
        """Send the least recently used blocks away until so many frames are free; ns."""
        memory = self._stage.memory
        pages = [memory.page_of[first:last] for first, last in memory.node_runs(self.node)]
        here = np.concatenate(pages)
        block, held = np.unique(
            self.blocks.of(here[here >= 0].astype(np.int64)), return_counts=True
        )
        own = (block != NONE) & ~np.isin(block, kept)
        block, held = block[own], held[own]
        order = np.argsort(self.used_ns[block], kind="stable")
        nr = int(np.searchsorted(np.cumsum(held[order]), frames, "left")) + 1
        victims = block[order[:nr]]
        self.evicted_blocks += len(victims)
        heads = self.blocks.heads(victims)
        heads = heads[self._stage.nodes_of(heads) == self.node]
        return self.move(heads, self.others[0]) if self.others else 0

    def move(self, heads: np.ndarray, target: int) -> int:
        """Copy folios by the device's engines; ns at the bandwidth of the way."""
        before = self._stage.nodes_of(heads)
        moved = self._stage.migrator.migrate(heads, target, self._cause)
        sources = before[np.isin(heads, moved.pages)]
        far = int(np.bincount(sources).argmax()) if target == self.node and len(sources) else target
        speed = self._stage.topology.peak_bandwidth_bytes_per_ns[self._accessor, far]
        return round(moved.bytes / float(speed))
