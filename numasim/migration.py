"""The one hand that moves pages: first touch, migration, unmapping, folio splits.

It alone writes the frame maps and keeps every count of pages by place up to date. Whoever wants a
page moved asks here and learns what moved and how long the asking thread was busy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numasim.counts import BlockCounts
from numasim.errors import SimulationError
from numasim.law import Law
from numasim.ledger import CostOf, Ledger, Moved, Residents, Traffic
from numasim.mapping import Mempolicy
from numasim.memory import ABSENT, SWAPPED, Memory
from numasim.pages import MappingPages, PageSpace
from numasim.swapped import Swapped
from numasim.view import Arrivals, View, ascending

MAX_RECLAIM_RETRIES = 16


class Migrator:
    """Places pages in frames and keeps the counts.

    Parameters
    ----------
    memory : Memory
    space : PageSpace
    law : Law
    cost_of : callable
        See `CostOf`.
    before_change : callable
        Called just before placement changes, so that observers can account for ticks that are over.
    """

    def __init__(
        self,
        memory: Memory,
        space: PageSpace,
        law: Law,
        cost_of: CostOf,
        before_change: Callable[[], None],
    ) -> None:
        self.memory, self.space, self.law = memory, space, law
        self.cost_of, self.before_change = cost_of, before_change
        self.node_counts = np.zeros((len(memory.topology.nodes), space.nr_classes), np.int64)
        self.frame_counts = BlockCounts(len(memory.page_of), space.nr_classes)
        self.page_counts: BlockCounts | None = None
        self.views: list[tuple[View, bool]] = []  # the view, and whether it is physical
        self.ledger = Ledger()
        self.traffic = Traffic({}, np.zeros(space.nr_classes, np.int64))
        self.watch: Callable[[np.ndarray, np.ndarray, str], None] | None = None
        self.allowed: Callable[[np.ndarray, int, str], np.ndarray] | None = None
        self.residents: Residents | None = None
        self.keep: Callable[[np.ndarray, np.ndarray, str], np.ndarray] | None = None
        self.swapped = Swapped(space.nr_classes)
        self.now_ns = 0  # of the last first touch
        self.stall_ns = 0  # that tasks which allocate have to reclaim by themselves
        self._frames_of: dict[int, np.ndarray] = {}
        for pages in space.mappings:
            if pages.mapping.frames:
                self._frames_of[pages.first] = self._promised_frames(pages)

    # -- views -------------------------------------------------------------------------------------

    def watch_pages(self) -> BlockCounts:
        """Counts by virtual page, kept from the first call on."""
        if self.page_counts is None:
            self.page_counts = BlockCounts(self.space.nr_pages, self.space.nr_classes)
            present = np.flatnonzero(self.memory.frame_of >= 0)
            self.page_counts.add(present, self.space.class_of[present].astype(np.int64))
        return self.page_counts

    # -- first touch -------------------------------------------------------------------------------

    def first_touch(
        self,
        pages: MappingPages,
        first: int,
        last: int,
        home: int,
        policy: Mempolicy,
        from_ns: int,
        now_ns: int,
    ) -> None:
        """Fault in pages ``[first, last)`` of a mapping (offsets), touched between two instants.

        Parameters
        ----------
        pages : MappingPages
        first, last : int
            Whole folios.
        home : int
            Nearest node of the accessor that touches.
        policy : Mempolicy
        from_ns, now_ns : int

        Raises
        ------
        SimulationError
            If no allowed node has room: the machine is out of memory.
        """
        new = np.arange(pages.first + first, pages.first + last, dtype=np.int64)
        new = new[self.memory.frame_of[new] == ABSENT]
        if not len(new):
            return
        k, self.now_ns = pages.folio_pages, now_ns
        folios = new.reshape(-1, k)
        frames = np.full(folios.shape, ABSENT, np.int64)
        if pages.mapping.frames:
            promised = self._frames_of[pages.first][new - pages.first]
            kept = self.memory.claim(promised)
            frames[kept, 0] = promised[kept]
        base = pages.mapping.page_offset(pages.address) // (k * self.memory.pages_per_frame)
        index = base + (folios[:, 0] - pages.first) // k
        wanted = policy.wanted(self.memory.topology, home, index)
        for node in np.flatnonzero(np.bincount(wanted)).tolist():
            rows = np.flatnonzero((wanted == node) & (frames[:, 0] == ABSENT))
            if not self._fault_in(folios, frames, rows, node, policy):
                self.memory.release(frames[frames >= 0])
                raise SimulationError(self._out_of_memory(pages, node, policy), now_ns, "allocator")
        all_frames = frames.reshape(-1)
        for view, physical in self.views:
            view.arrivals.append(
                Arrivals(from_ns, now_ns, ascending(all_frames) if physical else new)
            )
        self.before_change()
        self.place(new, all_frames)
        self.law.note_first_touch(new)
        if self.watch is not None:
            self.watch(new, all_frames, "first touch")

    def _promised_frames(self, pages: MappingPages) -> np.ndarray:
        """int64[nr]: frame that a real machine gave each page of a mapping, or absent."""
        frames = np.full(pages.nr, ABSENT, np.int64)
        for page, pfn, nr in pages.mapping.frames:
            frames[page : page + nr] = self.memory.frames_at(pfn + np.arange(nr))
        return frames

    def _fault_in(
        self, folios: np.ndarray, frames: np.ndarray, rows: np.ndarray, node: int, policy: Mempolicy
    ) -> bool:
        """Find frames for some rows of `folios` (int64[N, K] pages); whether there was room."""
        k = folios.shape[1]
        heads = self._allocate(len(rows), node, policy, k)
        frames[rows[: len(heads)]] = heads[:, None] + np.arange(k)
        rest = rows[len(heads) :]
        if not len(rest) or k == 1:
            return not len(rest)
        # no block of frames is left: base pages take its place, as when a huge fault falls back
        bases = self._allocate(len(rest) * k, node, policy, 1)
        if len(bases) < len(rest) * k:
            self.memory.release(bases)
            return False
        frames[rest] = bases.reshape(-1, k)
        self.space.class_of[folios[rest]] = self.space.split_class[
            self.space.class_of[folios[rest]]
        ]
        return True

    def _allocate(self, nr: int, node: int, policy: Mempolicy, size: int) -> np.ndarray:
        """int64[<=nr]: frames (of folios the first), as first touch gets them."""
        memory, frames, tries = self.memory, np.empty(0, np.int64), 0
        for order in policy.orders(memory.topology, node):
            if len(frames) < nr:
                frames = np.r_[frames, memory.allocate(nr - len(frames), order, ("low",), size)]
            while len(frames) < nr:
                # the slow path wakes kswapd everywhere before it digs deeper, and reclaims
                freed = sum(memory.wake_kswapd(n) for n in order)
                more = memory.allocate(nr - len(frames), order, ("low", "min"), size)
                frames = np.r_[frames, more]
                tries = 0 if len(more) else tries + 1
                room = 0
                # a huge fault falls back to base pages rather than wait for reclaim
                if size == 1 and len(frames) < nr and tries < MAX_RECLAIM_RETRIES:
                    room = memory.make_room(order, nr - len(frames))
                if not freed and not len(more) and not room:
                    break
        return frames

    def _out_of_memory(self, pages: MappingPages, node: int, policy: Mempolicy) -> str:
        memory = self.memory
        free = ", ".join(
            f"{memory.topology.nodes[n].name} "
            f"{memory.free_frames(n) * memory.frame_bytes >> 20} MiB"
            for n in policy.orders(memory.topology, node)[-1]
        )
        name = f"{pages.mapping.name} of process {pages.process}"
        return f"out of memory while populating {name} (free: {free})"

    def place(self, pages: np.ndarray, frames: np.ndarray) -> None:
        """Put pages (int64[N], of whole folios) into frames (int64[N])."""
        memory, classes = self.memory, self.space.class_of[pages].astype(np.int64)
        memory.frame_of[pages] = frames
        memory.page_of[frames] = pages
        self.frame_counts.add(frames, classes)
        if self.page_counts is not None:
            self.page_counts.add(pages, classes)
        nodes = memory.node_of(frames)
        np.add.at(self.node_counts, (nodes, classes), 1)
        if self.residents is not None:
            first = self.space.folio_heads(pages) == pages
            self.residents.arrive(pages[first], nodes[first])

    def lift(self, pages: np.ndarray, freed: bool = False) -> np.ndarray:
        """Take pages out of their frames; the frames."""
        memory, classes = self.memory, self.space.class_of[pages].astype(np.int64)
        frames: np.ndarray = memory.frame_of[pages].astype(np.int64)
        nodes = memory.node_of(frames)
        if self.residents is not None:
            first = self.space.folio_heads(pages) == pages
            self.residents.leave(pages[first], nodes[first], freed)
        memory.frame_of[pages] = ABSENT
        self.frame_counts.remove(frames, classes)
        if self.page_counts is not None:
            self.page_counts.remove(pages, classes)
        np.subtract.at(self.node_counts, (nodes, classes), 1)
        return frames

    def unmap(self, pages: MappingPages) -> None:
        """Give back all frames of a mapping: its process ended."""
        own = np.arange(pages.first, pages.last)
        self.bring_back(own[self.memory.frame_of[own] == SWAPPED])
        own = own[self.memory.frame_of[own] >= 0]
        if len(own):
            self.before_change()
            self.memory.release(self.lift(own, freed=True))

    # -- swap --------------------------------------------------------------------------------------

    def put_away(self, heads: np.ndarray) -> np.ndarray:
        """Free the frames of folios whose content is in swap now; int64: their pages, split."""
        sizes = self.space.pages_per_bit[self.space.class_of[heads]]
        large = heads[sizes > 1]
        pages = np.r_[heads[sizes == 1], self.split(large)] if len(large) else heads
        self.before_change()
        self.memory.release(self.lift(pages, freed=True))
        self.memory.frame_of[pages] = SWAPPED
        np.add.at(self.swapped.counts, self.space.class_of[pages], 1)
        return pages

    def bring_back(
        self, pages: np.ndarray, home: int | None = None, policy: Mempolicy | None = None
    ) -> bool:
        """Swapped pages are forgotten, or come back where first touch would put them.

        Parameters
        ----------
        pages : int64[N]
        home : int, optional
            Nearest node of who touches; None forgets them.
        policy : Mempolicy, optional

        Returns
        -------
        bool
            Whether there was room; else nothing has changed.
        """
        if home is not None:
            frames = self._allocate(len(pages), home, policy or Mempolicy(), 1)
            if len(frames) < len(pages):
                self.memory.release(frames)
                return False
        np.subtract.at(self.swapped.counts, self.space.class_of[pages], 1)
        self.memory.frame_of[pages] = ABSENT
        if home is not None and len(pages):
            self.before_change()
            self.place(pages, frames)
            self.law.note_first_touch(pages)
        return True

    # -- migration ---------------------------------------------------------------------------------

    def migrate(self, heads: np.ndarray, target: int, cause: str, split: bool = True) -> Moved:
        """Move folios to a node as the kernel does for DAMON: no reclaim, stop at a refusal.

        Parameters
        ----------
        heads : int64[N]
            First pages of present folios, in the order in which they are tried.
        target : int
        cause : str
            Who asks, for the ledger.
        split : bool
            Whether a huge folio that finds no block is split.

        Returns
        -------
        Moved

        Notes
        -----
        Source: Linux 7.3.4 migration of an isolated list: pages already there are put back; the
        target is tried down to its MIN watermark; its kswapd is woken when LOW refuses; a huge
        folio that finds no block is split and its base pages are tried once.
        """
        memory = self.memory
        frames = memory.frame_of[heads].astype(np.int64)
        away = memory.node_of(frames) != target
        heads = heads[away]
        if self.allowed is not None:  # the order between accessors: see `contention`
            heads = heads[self.allowed(heads, target, cause)]
        if not len(heads):
            return Moved(heads, 0, 0, True)
        sizes = self.space.pages_per_bit[self.space.class_of[heads]]
        done: list[np.ndarray] = []
        busy = 0
        complete = True
        for size in np.flatnonzero(np.bincount(sizes))[::-1].tolist():
            batch, left_size = heads[sizes == size], size
            moved, spent, left = self._migrate_batch(batch, size, target, cause)
            if len(left) and size > 1 and split:
                bases, left_size = self.split(left), 1
                more, extra, left = self._migrate_batch(bases, 1, target, cause)
                moved, spent = np.r_[moved, more], spent + extra
            if len(left):
                complete = False
                nr_bytes = len(left) * left_size * memory.frame_bytes
                self.ledger.failed[cause] = self.ledger.failed.get(cause, 0) + nr_bytes
            done.append(moved)
            busy += spent
        pages = np.concatenate(done)
        return Moved(pages, len(pages) * memory.frame_bytes, busy, complete)

    def _migrate_batch(
        self, heads: np.ndarray, size: int, target: int, cause: str
    ) -> tuple[np.ndarray, int, np.ndarray]:
        """Move folios of one size; pages moved, time spent, folios that found no room."""
        memory = self.memory
        new = memory.allocate(len(heads), [target], ("low",), size, "move")
        if len(new) < len(heads):
            if size == 1:
                memory.wake_kswapd(target)
            new = np.r_[
                new, memory.allocate(len(heads) - len(new), [target], ("min",), size, "move")
            ]
        going = heads[: len(new)]
        if not len(going):
            return going, 0, heads
        self.before_change()
        within = np.arange(size)
        pages = (going[:, None] + within).reshape(-1)
        frames = (new[:, None] + within).reshape(-1)
        sources = memory.node_of(memory.frame_of[going].astype(np.int64))
        old = self.lift(pages)
        self.place(pages, frames)
        memory.release(old if self.keep is None else self.keep(pages, old, cause))
        self._record(pages, np.repeat(sources, size), target, cause)
        self.ledger.note(cause, pages, old, frames)
        self.traffic.folios += len(going)
        order = (size * memory.pages_per_frame).bit_length() - 1
        counts = np.bincount(sources)
        busy = sum(n * self.cost_of(s, target, order) for s, n in enumerate(counts.tolist()) if n)
        self.traffic.busy_ns += busy
        if self.watch is not None:
            self.watch(pages, frames, cause)
        return pages, busy, heads[len(new) :]

    def _record(self, pages: np.ndarray, sources: np.ndarray, target: int, cause: str) -> None:
        nr_nodes = len(self.memory.topology.nodes)
        counts = np.bincount(self.space.mapping_index_of(pages) * nr_nodes + sources)
        for code in np.flatnonzero(counts).tolist():
            mapping, source = divmod(code, nr_nodes)
            key, way = (cause, mapping, source, target), (source, target)
            nr_bytes = int(counts[code]) * self.memory.frame_bytes
            self.ledger.moved[key] = self.ledger.moved.get(key, 0) + nr_bytes
            self.traffic.bytes[way] = self.traffic.bytes.get(way, 0) + nr_bytes
        classes = self.space.class_of[pages]
        self.traffic.pages_of_class += np.bincount(classes, minlength=self.space.nr_classes)

    def take_traffic(self) -> Traffic:
        """What moved since last asked, and start afresh."""
        found = self.traffic
        self.traffic = Traffic({}, np.zeros(self.space.nr_classes, np.int64))
        return found

    def split(self, heads: np.ndarray) -> np.ndarray:
        """Split huge folios into base pages; int64: the pages, each its own folio from now on."""
        classes = self.space.class_of[heads]
        sizes = self.space.pages_per_bit[classes]
        pages = np.concatenate(
            [np.arange(h, h + n) for h, n in zip(heads.tolist(), sizes.tolist(), strict=True)]
        )
        self.before_change()
        if self.residents is not None:
            self.residents.split(heads, pages, sizes)
        frames = self.lift(pages)
        self.space.class_of[pages] = self.space.split_class[self.space.class_of[pages]]
        if self.law.cleared_at is not None:
            self.law.cleared_at[pages] = np.repeat(self.law.cleared_at[heads], sizes)
        self.place(pages, frames)
        return pages
