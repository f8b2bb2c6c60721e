"""CUDA managed memory: whoever touches a page has it brought to his memory by a fault.

Source: open GPU kernel modules, unified memory (UVM), policies specification section 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.agents import Stage
from numasim.hotness.device_memory import BLOCK_BYTES, DeviceMemory, dense_subtrees
from numasim.hotness.far_visits import FarVisits, Visits
from numasim.hotness.spans import NONE, Spans

DRAWN = 8  # visits drawn for each fault that fits a batch: several may be to one page
LONGEST_LOOK_NS = 10_000_000


@dataclass(frozen=True)
class ManagedRules:
    """Parameters; see `numasim.policies.cuda_managed` for their sources.

    Parameters
    ----------
    batch : int
        Faults served together.
    fault_ns : int
        What serving a batch takes beside copying.
    look_ns : int
        Shortest time between two looks at the fault buffer.
    thrash_faults : int
        Faults of a block that make it thrashing,
    thrash_lapse_ns : int
        when no two are farther apart.
    pin_ns : int
        How long a thrashing block stays where it is.
    prefetch : bool
    """

    batch: int
    fault_ns: int
    look_ns: int
    thrash_faults: int
    thrash_lapse_ns: int
    pin_ns: int
    prefetch: bool


class Thrashing:
    """Which blocks go back and forth.

    Parameters
    ----------
    nr : int
        Blocks.
    rules : ManagedRules

    Notes
    -----
    Only faults that take a block from the side that asked last count. Assumption: the driver counts
    faults on what was migrated away or evicted before, which comes to the same.
    """

    def __init__(self, nr: int, rules: ManagedRules) -> None:
        self._rules = rules
        self._side = np.full(nr, -1, np.int16)
        self._count = np.zeros(nr, np.int16)
        self._last_ns = np.zeros(nr, np.int64)
        self._pinned_until_ns = np.zeros(nr, np.int64)
        self.nr_pinned = 0

    def pinned(self, blocks: np.ndarray, now_ns: int) -> np.ndarray:
        """bool[N]: blocks that are mapped remotely instead of being moved."""
        found: np.ndarray = self._pinned_until_ns[blocks] > now_ns
        return found

    def note(self, blocks: np.ndarray, side: int, now_ns: int) -> None:
        """A side (an accessor) faulted on distinct blocks (int64[N])."""
        taken = (self._side[blocks] != side) & (self._side[blocks] >= 0)
        self._side[blocks] = side
        near = now_ns - self._last_ns[blocks] <= self._rules.thrash_lapse_ns
        count = np.where(near, self._count[blocks], 0) + taken
        self._last_ns[blocks[taken]] = now_ns
        over = count >= self._rules.thrash_faults
        self._pinned_until_ns[blocks[over]] = now_ns + self._rules.pin_ns
        self._count[blocks] = np.where(over, 0, count)
        self.nr_pinned += int(over.sum())


class Managed:
    """The driver, serving the faults of all GPUs and of the CPUs that share memory with them.

    Parameters
    ----------
    stage : Stage
    rules : ManagedRules
    managed : tuple of str
        Names of managed mappings; empty: all.
    now_ns : int

    Notes
    -----
    A thread that turns to a page elsewhere waits until its batch is served. So of every window the
    share x / (1 + x) of an actor's time is lost, x being such visits per thread, at the speed of
    threads that do not wait, times the time of a batch, or of as many as the faults drawn fill.
    Assumption: between two looks pages are served remotely; a CPU's fault brings 64 KiB, no more.
    """

    name = "cuda_managed"

    def __init__(
        self, stage: Stage, rules: ManagedRules, managed: tuple[str, ...], now_ns: int
    ) -> None:
        self.stage, self.rules = stage, rules
        own = np.array([not managed or m.mapping.name in managed for m in stage.space.mappings])
        classes = own[stage.space.mapping_of_class]
        self.blocks = Spans(stage, BLOCK_BYTES)
        accessors = stage.topology.accessors
        gpus = [a for a, one in enumerate(accessors) if one.kind == "GPU"]
        near = [stage.topology.tiers(a)[0] for a in range(len(accessors))]
        device_nodes = {near[a] for a in gpus}
        self._sides: list[tuple[int, DeviceMemory, FarVisits]] = []
        for a in range(len(accessors)):
            far = {n for n in range(len(stage.topology.nodes)) if n != near[a]}
            if a not in gpus:
                far &= device_nodes
            if gpus and far:
                memory = DeviceMemory(stage, a, self.blocks, self.name)
                nodes = tuple(sorted(far))
                visits = FarVisits(stage, a, nodes, classes, f"{self.name}/{accessors[a].name}")
                self._sides.append((a, memory, visits))
        self._gpus = set(gpus)
        self.thrashing = Thrashing(len(self.blocks), rules)
        self.tally = stage.observing.tally(self.name)
        self._since_ns = self._told_ns = now_ns
        self._at_work = False
        self._look_ns = rules.look_ns
        self.moved_bytes = self.batches = 0
        self.due_ns: float = now_ns + rules.look_ns

    def settings(self, changed: dict[str, Any]) -> None:
        """Sysctls are not the driver's."""

    def counters(self) -> dict[str, int]:
        """Faults, batches, thrashing blocks, blocks evicted."""
        return {
            "faults": self.tally.events,
            "batches": self.batches,
            "pins": self.thrashing.nr_pinned,
            "evicted_blocks": sum(m.evicted_blocks for _, m, _ in self._sides),
        }

    def act(self, now_ns: int) -> bool:
        """Serve the faults since the last look; whether speeds have to be found anew."""
        changed = self._at_work
        if self._at_work:
            self.stage.end_work(self.name)
            self._at_work = False
        waiting = np.zeros(len(self.stage.actors))
        busy_ns = sum(self._serve(*side, now_ns, waiting) for side in self._sides)
        self._since_ns = now_ns
        changed |= self._wait(waiting)
        if busy_ns:
            self.stage.begin_work(self.name, busy_ns)
            self._at_work, self._look_ns = True, self.rules.look_ns
            self.due_ns = now_ns + max(busy_ns, self.rules.look_ns)
        else:
            self._look_ns = min(2 * self._look_ns, LONGEST_LOOK_NS)
            self.due_ns = now_ns + self._look_ns
        return changed or bool(busy_ns)

    def _serve(
        self, side: int, memory: DeviceMemory, far: FarVisits, now_ns: int, waiting: np.ndarray
    ) -> int:
        """One batch of one accessor's faults; ns. Adds to the share of each actor that waits."""
        visits = far.draw(self._since_ns, now_ns, DRAWN * self.rules.batch)
        block = self.blocks.of(visits.pages)
        moving = (block != NONE) & ~self.thrashing.pinned(np.maximum(block, 0), now_ns)
        if not moving.any():
            return 0
        leaves = visits.pages[moving] - self._within(visits.pages[moving], block[moving], memory)
        _, first = np.unique(leaves, return_index=True)
        rounds = max(1.0, len(first) / self.rules.batch)
        leaves = leaves[np.sort(first)][: self.rules.batch]
        touched = np.unique(self.blocks.of(leaves))
        self.thrashing.note(touched, side, now_ns)
        wanted = self._wanted(touched, leaves, memory, prefetch=side in self._gpus)
        busy_ns = self.rules.fault_ns + memory.bring(memory.heads_of(wanted), now_ns)
        waiting += self._share(visits, float(moving.mean()), busy_ns * rounds, now_ns)
        self.tally.events += len(leaves)
        self.batches += 1
        return busy_ns

    def _within(self, pages: np.ndarray, block: np.ndarray, memory: DeviceMemory) -> np.ndarray:
        """int64[N]: how far into its leaf each page lies."""
        within: np.ndarray = (pages - self.blocks.first[block]) % memory.leaf_pages
        return within

    def _wanted(
        self, blocks: np.ndarray, leaves: np.ndarray, memory: DeviceMemory, prefetch: bool
    ) -> np.ndarray:
        """First pages of the leaves to bring: those that faulted, and what is dense around them."""
        if not (prefetch and self.rules.prefetch):
            return leaves
        wanted = np.zeros((len(blocks), memory.nr_leaves), bool)
        row = np.searchsorted(blocks, self.blocks.of(leaves))
        column = (leaves - self.blocks.first[blocks[row]]) // memory.leaf_pages
        wanted[row, column] = True
        found: np.ndarray = memory.leaves_of(blocks)[dense_subtrees(memory.present(blocks), wanted)]
        return found

    def _share(self, visits: Visits, moving: float, wait_ns: float, now_ns: int) -> np.ndarray:
        """float64[A]: share of each actor's threads that waits if visits go on as in the window."""
        tolls, span_ns = self.stage.observing.tolls, now_ns - self._since_ns
        threads = np.array([float(a.actor.threads) for a in self.stage.actors])
        working = np.array([tolls.working_share(a.index) for a in self.stage.actors])
        each = visits.expected * moving / np.maximum(threads * working * span_ns, 1.0)
        x = each * wait_ns
        share: np.ndarray = x / (1 + x)
        return share

    def _wait(self, waiting: np.ndarray) -> bool:
        """Let threads wait from now on, and keep the account; whether that is news."""
        tolls = self.stage.observing.tolls
        news = not np.allclose(waiting, tolls.waiting, rtol=0.01)
        threads = np.array([float(a.actor.threads) for a in self.stage.actors])
        self.tally.stall_ns += float(threads @ tolls.waiting) * (self._since_ns - self._told_ns)
        self._told_ns = self._since_ns
        tolls.waiting[:] = waiting
        return news
