"""Rate classes of small pages that have become one huge page.

A huge page has one accessed bit for pages that may be of many classes. So a page of class c in it
gets a class of its own, which is visited as c is, and whose bit is set as often as any page of the
huge page is visited. How often that is depends on what the huge page is made of; blocks that are
made of the same, or of nearly the same, are of one kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numasim.pages import MappingPages

HUGE_BYTES = 2 << 20
NONE = -1
STEPS_PER_OCTAVE = 8  # blocks whose visits differ by less than 9 per cent are of one kind
MOST_STEPS = 64  # of blocks that patterns visit alike; more of them are drawn together
BLOCKS_AT_ONCE = 4096


@dataclass(frozen=True)
class Blocks:
    """The aligned 2 MiB blocks that lie whole in a mapping.

    Parameters
    ----------
    first : int
        First page of the first one; small where none lies in the mapping.
    kind : int64[B]
        Kind of each block; `NONE` where a huge page has the mapping's own classes.
    """

    first: int
    kind: np.ndarray


def block_frames(frame_bytes: int) -> int:
    """Frames of a huge page; 1 where frames are huge themselves."""
    return max(1, HUGE_BYTES // frame_bytes)


def first_block(pages: MappingPages, frame_bytes: int) -> tuple[int, int]:
    """First page of a mapping's first whole block, and how many blocks it has."""
    per = block_frames(frame_bytes)
    first = pages.first + -(pages.address // frame_bytes) % per
    return first, max(0, (pages.last - first) // per)


class HugeKinds:
    """Kinds of blocks, and the classes that pages have in them.

    Parameters
    ----------
    mappings : sequence of MappingPages
    class_of : uint16[P]
        Classes of the workload.
    classes : sequence of (int, int, int)
        Of each class: mapping, pages per bit, class once split.
    visits : float64[E, C]
        Visits to one page of each class by each extent of every pattern.
    frame_bytes : int

    Attributes
    ----------
    per : int
        Pages of a huge page.
    nr_own : int
        Classes of the workload; those of huge pages follow.
    added : list of (int, int, int)
        As `classes`.
    base : int64[H]
        Class of the workload that each added class is visited as.
    made_of : float64[K, C]
        Pages of each class in a block of each kind, on average; they sum to `per`.

    Notes
    -----
    Visits are exact in any case. Blocks with the same extents are of one kind where their visits
    differ by less than 9 per cent, and the bits of all of them are then set at their mean rate:
    that concerns patterns with a rate for every page, whose sums over 512 pages differ little.
    Blocks between two extents, and those of equal pages, are what they are. Mappings with pages
    that are in use all the time, and of files, stay as they are.
    """

    def __init__(
        self,
        mappings: Sequence[MappingPages],
        class_of: np.ndarray,
        classes: Sequence[tuple[int, int, int]],
        visits: np.ndarray,
        frame_bytes: int,
    ) -> None:
        self.per, self.nr_own = block_frames(frame_bytes), len(classes)
        self._split = np.array([split for _, _, split in classes], np.int64)
        self._visits = visits
        self.blocks: dict[int, Blocks] = {}
        self._made_of: list[np.ndarray] = []
        self._native = np.full(len(classes), NONE)
        for number, (_, size, split) in enumerate(classes):
            if size == self.per > 1:
                self._native[split] = number
        for index, pages in enumerate(mappings):
            if self.per > 1 and pages.mapping.kind == "anonymous" and not pages.mapping.busy:
                self.blocks[index] = self._find(pages, class_of, frame_bytes)
        self.made_of = np.array(self._made_of).reshape(-1, self.nr_own)
        self._number = np.full((max(1, len(self.made_of)), self.nr_own), NONE)
        kind, base = np.nonzero(self.made_of)
        self._number[kind, base] = self.nr_own + np.arange(len(kind))
        self.kind, self.base = kind, base
        self.added = [(classes[b][0], self.per, b) for b in base.tolist()]
        origins = np.array([b.first % self.per for b in self.blocks.values()] or [0])
        which = {index: k for k, index in enumerate(self.blocks)}
        own = np.array([which[mapping] for mapping, _, _ in self.added], np.int64)
        self.origin = np.r_[np.zeros(self.nr_own, np.int64), origins[own]]

    def _find(self, pages: MappingPages, class_of: np.ndarray, frame_bytes: int) -> Blocks:
        first, nr = first_block(pages, frame_bytes)
        if pages.folio_pages == self.per:
            return Blocks(first, np.full(nr, NONE))
        made_of, own = self._count(class_of, first, nr)
        signature = self._signature(made_of > 0, self._visits[:, own] > 0)
        heat = made_of @ self._visits[:, own].sum(axis=0)
        kind = np.full(nr, NONE)
        for one in np.unique(signature).tolist():
            alike = np.flatnonzero(signature == one)
            step = _steps(heat[alike])
            for s in np.unique(step).tolist():
                members = alike[step == s]
                mean = np.zeros(self.nr_own)
                mean[own] = made_of[members].mean(axis=0)
                kind[members] = len(self._made_of)
                self._made_of.append(mean)
        return Blocks(first, kind)

    def _count(self, class_of: np.ndarray, first: int, nr: int) -> tuple[np.ndarray, np.ndarray]:
        """Pages of each class in each of `nr` blocks, int64[nr, L]; which classes they are."""
        base = self._split
        present = np.zeros(self.nr_own, bool)
        present[base[class_of[first : first + nr * self.per]]] = True
        own = np.flatnonzero(present)
        local = np.zeros(self.nr_own, np.int64)
        local[own] = np.arange(len(own))
        rows = [np.zeros((0, len(own)), np.int64)]
        for at in range(0, nr, BLOCKS_AT_ONCE):
            some = min(BLOCKS_AT_ONCE, nr - at)
            low = first + at * self.per
            found = local[base[class_of[low : low + some * self.per]]].reshape(some, self.per)
            found = found + np.arange(some)[:, None] * len(own)
            counts = np.bincount(found.reshape(-1), minlength=some * len(own))
            rows.append(counts.reshape(some, len(own)))
        return np.concatenate(rows), own

    @staticmethod
    def _signature(there: np.ndarray, visited: np.ndarray) -> np.ndarray:
        """int64[B]: equal where blocks (bool[B, L], classes) share extents (bool[E, L])."""
        _, cell = np.unique(visited, axis=1, return_inverse=True)
        cell = cell.reshape(-1)
        inside = np.zeros((len(there), int(cell.max(initial=-1)) + 1), bool)
        for c in range(inside.shape[1]):
            inside[:, c] = there[:, cell == c].any(axis=1)
        if not inside.size:
            return np.zeros(len(there), np.int64)
        _, signature = np.unique(inside, axis=0, return_inverse=True)
        found: np.ndarray = signature.reshape(-1)
        return found

    def whole(self, index: int, blocks: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Classes of pages once they are part of a huge page.

        Parameters
        ----------
        index : int
            Of the mapping.
        blocks : int64[N]
            Block of each page.
        classes : uint16[N]
            What it is now.

        Returns
        -------
        uint16[N]
        """
        base = self._split[np.where(classes < self.nr_own, classes, 0)]
        kinds = self.blocks[index].kind[blocks]
        own = np.where(kinds >= 0, self._number[np.maximum(kinds, 0), base], self._native[base])
        found: np.ndarray = np.where(classes < self.nr_own, own, classes).astype(np.uint16)
        return found

    def of_bits(self, visits: np.ndarray) -> np.ndarray:
        """float64[..., H]: visits to a whole huge page from those to a page (float64[..., C])."""
        of_kinds = visits[..., : self.nr_own] @ self.made_of.T
        found: np.ndarray = of_kinds[..., self.kind]
        return found


def _steps(heat: np.ndarray) -> np.ndarray:
    """int64[N]: blocks' visits (float64[N]) in steps, an eighth of a doubling or coarser."""
    hot = heat > 0
    step = np.zeros(len(heat), np.int64)
    if hot.any():
        octaves = np.log2(heat[hot])
        octaves -= octaves.min()
        size = max(1 / STEPS_PER_OCTAVE, float(octaves.max()) / MOST_STEPS)
        step[hot] = 1 + np.rint(octaves / size)
    return step
