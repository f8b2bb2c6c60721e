"""Second copies of pages, left where they were copied from: part of the one hand that moves pages.

A copy holds a frame that nobody else gets. As long as the page has not changed, going back to it
costs no copying: the page is mapped to its old frame again.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from numasim.memory import ABSENT, OTHER
from numasim.migration import Migrator


class Copies:
    """Copies of the pages that one mover moves.

    Parameters
    ----------
    migrator : Migrator
        Asks here what happens to the frames that pages leave.
    cause : str
        Whose moves leave copies.

    Attributes
    ----------
    frame_of : int32[P]
        Frame of each page's copy; -1 where there is none.
    nr : int
        Frames held.
    """

    def __init__(self, migrator: Migrator, cause: str) -> None:
        self._migrator, self._cause, self.nr = migrator, cause, 0
        self.frame_of = np.full(len(migrator.memory.frame_of), ABSENT, np.int32)
        self._kept: deque[tuple[np.ndarray, np.ndarray]] = deque()  # pages, frames: oldest first
        migrator.keep = self._keep

    def _keep(self, pages: np.ndarray, frames: np.ndarray, cause: str) -> np.ndarray:
        """Frames (int64[N]) that pages just left: those to free."""
        if cause != self._cause:
            return frames
        self.frame_of[pages] = frames
        self._migrator.memory.page_of[frames] = OTHER
        self._kept.append((pages, frames))
        self.nr += len(frames)
        return frames[:0]

    def _pages_of(self, heads: np.ndarray) -> np.ndarray:
        """int64[M]: pages of folios that have copies."""
        sizes = self._migrator.space.pages_per_bit[self._migrator.space.class_of[heads]]
        ends = np.cumsum(sizes)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        pages = np.repeat(heads, sizes) + within
        found: np.ndarray = pages[self.frame_of[pages] >= 0]
        return found

    def has(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which folios have one."""
        found: np.ndarray = self.frame_of[heads] >= 0
        return found

    def drop(self, heads: np.ndarray) -> int:
        """Free the copies of folios (int64[N]); pages that had one."""
        pages = self._pages_of(heads)
        self._free(pages)
        return len(pages)

    def _free(self, pages: np.ndarray) -> None:
        self._migrator.memory.release(self.frame_of[pages].astype(np.int64))
        self.frame_of[pages] = ABSENT
        self.nr -= len(pages)

    def reclaim(self, nid: int, nr: int) -> int:
        """Free about so many copies on a node, the oldest first; frames freed.

        Parameters
        ----------
        nid : int
        nr : int
        """
        freed, later = 0, []
        while self._kept and freed < nr:
            pages, frames = self._kept.popleft()
            there = self.frame_of[pages] == frames
            pages, frames = pages[there], frames[there]
            here = self._migrator.memory.node_of(frames) == nid
            if not here.all():
                later.append((pages[~here], frames[~here]))
            own = pages[here]
            self._free(own[: nr - freed])
            if len(own) > nr - freed:
                later.append((own[nr - freed :], frames[here][nr - freed :]))
            freed += min(len(own), nr - freed)
        self._kept.extendleft(reversed(later))
        return freed

    def put_back(self, heads: np.ndarray, cause: str) -> int:
        """Map folios to their copies again; pages that went.

        Parameters
        ----------
        heads : int64[N]
            All of these have a copy that is as they are.
        cause : str
            For the ledger, which counts what came to another node, whether copied or not.
        """
        migrator, memory = self._migrator, self._migrator.memory
        pages = self._pages_of(heads)
        if not len(pages):
            return 0
        frames = self.frame_of[pages].astype(np.int64)
        self.frame_of[pages] = ABSENT
        self.nr -= len(pages)
        migrator.before_change()
        old = migrator.lift(pages)
        migrator.place(pages, frames)
        memory.release(old)
        ways = np.stack(
            [migrator.space.mapping_index_of(pages), memory.node_of(old), memory.node_of(frames)]
        )
        self._record(ways, cause)
        migrator.ledger.note(cause, pages, old, frames)
        if migrator.watch is not None:
            migrator.watch(pages, frames, cause)
        return len(pages)

    def _record(self, ways: np.ndarray, cause: str) -> None:
        """Tell the ledger of pages by mapping, source and target (int64[3, N])."""
        moved, size = self._migrator.ledger.moved, self._migrator.memory.frame_bytes
        found, counts = np.unique(ways, axis=1, return_counts=True)
        for (mapping, source, target), nr in zip(found.T.tolist(), counts.tolist(), strict=True):
            key = (cause, mapping, source, target)
            moved[key] = moved.get(key, 0) + nr * size
