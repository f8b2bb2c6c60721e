"""Small pages become one huge page: advice by address range, faults that heed it, collapsing.

Part of the one hand that moves pages, as `numasim.copies` is: it places pages through the migrator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.huge.kinds import HUGE_BYTES, HugeKinds
from numasim.kernel import CostSettings
from numasim.ledger import Traffic
from numasim.mapping import Mempolicy
from numasim.memory import ABSENT, SWAPPED
from numasim.migration import Migrator
from numasim.pages import MappingPages
from numasim.view import Arrivals

NO_ADVICE, HUGE, NEVER = 0, 1, 2
AT_ONCE = 64  # blocks that are collapsed together


@dataclass(frozen=True)
class Collapsed:
    """What came of a call.

    Parameters
    ----------
    complete : bool
        Whether every block asked for is huge now.
    out_of_memory : bool
        Whether some block found no free 2 MiB.
    busy_ns : int
    """

    complete: bool
    out_of_memory: bool
    busy_ns: int


class HugePages:
    """Advice of all pages, and who makes huge ones.

    Parameters
    ----------
    migrator : Migrator
    costs : CostSettings
    allowed : bool
        Whether faults and khugepaged heed the advice (``transparent_hugepage`` is not "never").

    Attributes
    ----------
    advice : uint8[P]
        `NO_ADVICE`, `HUGE` or `NEVER` of each page, as madvise() left it.
    collapsed, collapse_failed, faulted : int
        Huge pages so far: made of small ones, not made for want of memory, made by faults.

    Notes
    -----
    Source: Linux madvise(2) and its documentation of transparent huge pages. Assumptions: memory is
    not compacted to make a free block; blocks with pages in swap stay as they are; so do mappings
    of files. Each small page that goes into a huge one takes as long as its own migration would,
    and a hole its share of a huge fault. The new mapping is young, as after a fault. A program
    gains nothing by it but what its faults save: there is no cost of page walks in the model.
    """

    def __init__(self, migrator: Migrator, costs: CostSettings, allowed: bool) -> None:
        assert migrator.space.huge is not None
        self._migrator, self._costs, self.allowed = migrator, costs, allowed
        self._kinds: HugeKinds = migrator.space.huge
        self.advice = np.zeros(migrator.space.nr_pages, np.uint8)
        self.collapsed = self.collapse_failed = self.faulted = 0
        self._index = {m.first: i for i, m in enumerate(migrator.space.mappings)}

    @property
    def nr_huge(self) -> int:
        """Huge pages that there are now, of whatever origin."""
        per, space = self._kinds.per, self._migrator.space
        huge = space.pages_per_bit == per
        return int(self._migrator.node_counts[:, huge].sum()) // per

    # -- advice ------------------------------------------------------------------------------------

    def advise(self, pages: MappingPages, low: int, high: int, wanted: bool) -> None:
        """Write that huge pages are wanted, or not, in bytes ``[low, high)`` of a mapping."""
        frame = self._migrator.space.frame_bytes
        self.advice[pages.first + low // frame : pages.first - (-high // frame)] = (
            HUGE if wanted else NEVER
        )

    def blocks_within(self, pages: MappingPages, low: int, high: int) -> np.ndarray:
        """int64[B]: first pages of the aligned blocks that lie whole in bytes of a mapping."""
        blocks = self._kinds.blocks.get(self._index[pages.first])
        if blocks is None:
            return np.zeros(0, np.int64)
        frame, per = self._migrator.space.frame_bytes, self._kinds.per
        first = pages.first + -(-low // frame) - blocks.first
        last = pages.first + high // frame - blocks.first
        numbers = np.arange(max(0, -(-first // per)), min(len(blocks.kind), last // per))
        return blocks.first + numbers * per

    def advised(self, heads: np.ndarray, advice: int) -> np.ndarray:
        """bool[B]: which blocks (int64[B], first pages) have that advice throughout."""
        found: np.ndarray = (self.advice[self._pages_of(heads)] == advice).all(axis=1)
        return found

    def allowed_blocks(self, heads: np.ndarray) -> int:
        """How many of these blocks (int64[B]) come before one with a page that must not be huge."""
        never = (self.advice[self._pages_of(heads)] == NEVER).any(axis=1)
        return int(np.argmax(never)) if never.any() else len(heads)

    def _pages_of(self, heads: np.ndarray) -> np.ndarray:
        """int64[B, per]: pages of blocks."""
        found: np.ndarray = heads[:, None] + np.arange(self._kinds.per)
        return found

    def pages_of_block(self, head: int) -> np.ndarray:
        """int64[per]: pages of one block."""
        return np.arange(head, head + self._kinds.per)

    def are_whole(self, heads: np.ndarray) -> np.ndarray:
        """bool[B]: which blocks are huge pages already."""
        space = self._migrator.space
        huge = space.pages_per_bit[space.class_of[heads]] == self._kinds.per
        found: np.ndarray = huge & (self._migrator.memory.frame_of[heads] >= 0)
        return found

    # -- collapsing --------------------------------------------------------------------------------

    def can_collapse(self, pages: MappingPages) -> bool:
        """Whether a mapping's small pages may become huge ones."""
        return self._index[pages.first] in self._kinds.blocks

    def collapse(self, pages: MappingPages, heads: np.ndarray, cause: str) -> Collapsed:
        """Make blocks of a mapping huge, in order, until one finds no memory.

        Parameters
        ----------
        pages : MappingPages
        heads : int64[B]
            First pages of blocks, ascending.
        cause : str
            For the ledger.

        Notes
        -----
        A block is allocated on the node that holds most of its pages. Those without any page stay,
        as there is nothing to collapse. Holes are filled with zeros.
        """
        complete, out_of_memory, busy = True, False, 0
        for at in range(0, len(heads), AT_ONCE):
            part = heads[at : at + AT_ONCE]
            part = part[~self.are_whole(part)]
            frames = self._migrator.memory.frame_of[self._pages_of(part)]
            good = (frames >= 0).any(axis=1) & ~(frames == SWAPPED).any(axis=1)
            complete &= bool(good.all())
            part = part[good]
            while len(part) and not out_of_memory:  # what one leaves is room for the next
                made, spent = self._collapse(pages, part, cause)
                busy, out_of_memory = busy + spent, not made
                part = part[~self.are_whole(part)]
            if out_of_memory:
                self.collapse_failed += 1
                return Collapsed(False, True, busy)
        return Collapsed(complete, False, busy)

    def _collapse(self, pages: MappingPages, heads: np.ndarray, cause: str) -> tuple[int, int]:
        """Blocks that have some page become huge as far as there is memory; how many, and time."""
        memory, done, busy = self._migrator.memory, 0, 0
        frames = memory.frame_of[self._pages_of(heads)].astype(np.int64)
        nodes = np.where(frames >= 0, memory.node_of(np.maximum(frames, 0)), -1)
        shares = [(nodes == n).sum(axis=1) for n in range(len(memory.topology.nodes))]
        most = np.argmax(np.array(shares), axis=0)
        for node in np.unique(most).tolist():
            own = heads[most == node]
            new = memory.allocate(len(own), [node], ("low", "min"), self._kinds.per, "move")
            if len(new):
                busy += self._fold(pages, own[: len(new)], new, node, cause)
                done += len(new)
        self.collapsed += done
        return done, busy

    def _fold(
        self, pages: MappingPages, heads: np.ndarray, new: np.ndarray, node: int, cause: str
    ) -> int:
        """Put blocks into blocks of frames (int64[B] each) on one node; time, ns."""
        migrator, memory = self._migrator, self._migrator.memory
        all_pages = self._pages_of(heads).reshape(-1)
        there = all_pages[memory.frame_of[all_pages] >= 0]
        sources = memory.node_of(memory.frame_of[there].astype(np.int64))
        busy = self._time_ns(there, sources, node, len(all_pages) - len(there))
        migrator.before_change()
        old = migrator.lift(there, freed=True)
        self._become_whole(pages, heads, all_pages)
        frames = self._pages_of(new).reshape(-1)
        migrator.place(all_pages, frames)
        memory.release(old)
        migrator.law.note_first_touch(all_pages)
        self._record(there, sources, node, len(heads), busy, cause)
        migrator.ledger.note(cause, there, old, memory.frame_of[there].astype(np.int64))
        if migrator.watch is not None:
            migrator.watch(all_pages, frames, cause)
        return busy

    def _become_whole(self, pages: MappingPages, heads: np.ndarray, every: np.ndarray) -> None:
        """Give all pages of blocks (int64[B]) the classes that they have in huge pages."""
        index, space = self._index[pages.first], self._migrator.space
        number = (heads - self._kinds.blocks[index].first) // self._kinds.per
        numbers = np.repeat(number, self._kinds.per)
        space.class_of[every] = self._kinds.whole(index, numbers, space.class_of[every])

    def _time_ns(self, there: np.ndarray, sources: np.ndarray, node: int, holes: int) -> int:
        """Time to copy folios (their pages int64[N], on nodes int64[N]) and to fill holes."""
        space, migrator = self._migrator.space, self._migrator
        first = space.folio_heads(there) == there
        sizes = space.pages_per_bit[space.class_of[there[first]]]
        per, total = migrator.memory.pages_per_frame, 0
        ways, counts = np.unique(np.stack([sizes, sources[first]]), axis=1, return_counts=True)
        for (size, source), nr in zip(ways.T.tolist(), counts.tolist(), strict=True):
            total += nr * migrator.cost_of(source, node, (size * per).bit_length() - 1)
        return total + round(holes / self._kinds.per * self._costs.minor_fault_huge)

    def _record(
        self, there: np.ndarray, sources: np.ndarray, node: int, nr: int, busy_ns: int, cause: str
    ) -> None:
        """What was copied, for the load; what came to another node, for the ledger."""
        migrator, size = self._migrator, self._migrator.memory.frame_bytes
        traffic: Traffic = migrator.traffic
        mappings = migrator.space.mapping_index_of(there)
        ways, counts = np.unique(np.stack([mappings, sources]), axis=1, return_counts=True)
        for (mapping, source), pages in zip(ways.T.tolist(), counts.tolist(), strict=True):
            way, key = (source, node), (cause, mapping, source, node)
            traffic.bytes[way] = traffic.bytes.get(way, 0) + pages * size
            if source != node:
                migrator.ledger.moved[key] = migrator.ledger.moved.get(key, 0) + pages * size
        classes = migrator.space.class_of[there]
        traffic.pages_of_class += np.bincount(classes, minlength=len(traffic.pages_of_class))
        traffic.folios += nr
        traffic.busy_ns += busy_ns

    # -- faults ------------------------------------------------------------------------------------

    def fault(
        self, pages: MappingPages, first: int, stop: int, home: int, policy: Mempolicy,
        from_ns: int, now_ns: int,
    ) -> tuple[int, int]:  # fmt: skip
        """Huge pages for blocks that are touched for the first time where advice wants them.

        Parameters
        ----------
        pages : MappingPages
        first, stop : int
            Pages touched, offsets in the mapping; a block counts if any of its pages is.
        home : int
            Nearest node of the accessor that touches.
        policy : Mempolicy
        from_ns, now_ns : int

        Returns
        -------
        nr, touched : int
            Huge pages made, and how many of their pages were among those touched.
        """
        per, frame = self._kinds.per, self._migrator.space.frame_bytes
        low, high = max(0, first - per + 1), min(pages.nr, stop + per - 1)
        heads = self.blocks_within(pages, low * frame, high * frame)
        low, high = pages.first + first, pages.first + stop
        if not self.allowed or not (self.advice[heads] == HUGE).any():
            return 0, 0
        empty = (self._migrator.memory.frame_of[self._pages_of(heads)] == ABSENT).all(axis=1)
        heads = heads[empty & self.advised(heads, HUGE)]
        index = pages.mapping.page_offset(pages.address) * 4096 // HUGE_BYTES
        index = index + (heads - pages.first) // per
        wanted = policy.wanted(self._migrator.memory.topology, home, index)
        nr = touched = 0
        for node in np.unique(wanted).tolist():
            own = heads[wanted == node]
            done = self._fault_on(pages, own, node, policy, (from_ns, now_ns))
            nr += len(done)
            touched += int((np.minimum(done + per, high) - np.maximum(done, low)).sum())
        self.faulted += nr
        return nr, touched

    def _fault_on(
        self, pages: MappingPages, heads: np.ndarray, node: int, policy: Mempolicy,
        span_ns: tuple[int, int],
    ) -> np.ndarray:  # fmt: skip
        """int64[<=B]: blocks that found memory, a node asked first; the others fault as small."""
        migrator, memory = self._migrator, self._migrator.memory
        new = np.zeros(0, np.int64)
        for order in policy.orders(memory.topology, node):
            left = len(heads) - len(new)
            if left:
                new = np.r_[new, memory.allocate(left, order, ("low",), self._kinds.per)]
        done = heads[: len(new)]
        if not len(done):
            return done
        every, frames = self._pages_of(done).reshape(-1), self._pages_of(new).reshape(-1)
        for view, physical in migrator.views:
            view.arrivals.append(Arrivals(*span_ns, np.sort(frames) if physical else every))
        migrator.before_change()
        self._become_whole(pages, done, every)
        migrator.place(every, frames)
        migrator.law.note_first_touch(every)
        if migrator.watch is not None:
            migrator.watch(every, frames, "first touch")
        return done
