"""Sweeps and recordings on pages that may become huge: touched when any page of theirs is."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from numasim.reels import WORD, Reel
from numasim.traffic import Front

if TYPE_CHECKING:
    from numasim.huge.kinds import HugeKinds
    from numasim.pages import MappingPages, PageSpace


@dataclass(frozen=True)
class HugeFront(Front):
    """A sweep over small pages of which some are huge by now.

    Parameters
    ----------
    space : PageSpace

    Notes
    -----
    A huge page is touched whenever the front turns to any of its pages, not with the first alone.
    """

    space: PageSpace = field(kw_only=True)

    def passed(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """bool[N]: as `Front.passed`."""
        kinds = self.space.huge
        assert kinds is not None
        found = super().passed(pages, before, after)
        huge = np.flatnonzero(self.space.class_of[pages] >= kinds.nr_own)
        if len(huge):
            low, high = (
                np.floor(np.broadcast_to(np.asarray(x), found.shape)[huge]) for x in (before, after)
            )
            place = self.space.folio_heads(pages[huge]) - self.first
            last = np.minimum(place + kinds.per, self.nr) - 1
            come = np.floor((high - np.maximum(place, 0)) / self.nr)
            inside = (last >= 0) & (place < self.nr) & (high > low)
            found[huge] = inside & (come > np.floor((low - last) / self.nr))
        return found

    def touched_share(self, span: float) -> Any:
        """float64[K]: share of the pages of each class that the front turns to on such a way."""
        kinds = self.space.huge
        assert kinds is not None
        width = np.where(self.classes >= kinds.nr_own, kinds.per - 1, 0)
        return np.minimum(1.0, (span + width) / self.nr)


@dataclass(eq=False)
class Wholes(Reel):
    """A recording as the blocks of a mapping see it, each as if it were one recorded page.

    Parameters
    ----------
    played : Reel
        On the small pages.
    low, high : int64[B]
        Recorded pages ``[low, high)`` that lie in each block, some or none.
    """

    played: Reel = field(kw_only=True)
    low: np.ndarray = field(kw_only=True)
    high: np.ndarray = field(kw_only=True)

    def _word(self, number: int) -> np.ndarray:
        words = np.append(self.played._word(number), np.uint64(0))
        bounds = np.stack([self.low, self.high], axis=1).reshape(-1)
        joined = np.bitwise_or.reduceat(words, bounds)[::2]
        word: np.ndarray = np.where(self.low < self.high, joined, np.uint64(0))
        return word

    def _visits(self, interval: int) -> tuple[np.ndarray, np.ndarray]:
        pages, visits = self.played._visits(interval)
        total = np.append(0.0, np.cumsum(visits))
        first, last = np.searchsorted(pages, self.low), np.searchsorted(pages, self.high)
        blocks = np.flatnonzero(last > first)
        return blocks, total[last[blocks]] - total[first[blocks]]

    def touched(self) -> np.ndarray:
        """int64[B]: intervals of the recording in which each block is touched."""
        found = np.zeros(len(self.low), np.int64)
        for number in range(-(-self.tape.header.intervals // WORD)):
            bits = np.unpackbits(self._word(number).view(np.uint8).reshape(-1, WORD // 8), axis=1)
            found += bits.sum(axis=1, dtype=np.int64)
        return found


@dataclass(eq=False)
class HugeReel(Reel):
    """A recording on small pages of which some are huge by now.

    Parameters
    ----------
    space : PageSpace
    own : Reel
        Of pages that are not; its classes are the first of ours.
    wholes : Wholes
        Of those that are.
    kind_of : int64[H]
        Class among those of `wholes` for each of our further classes.
    """

    space: PageSpace = field(kw_only=True)
    own: Reel = field(kw_only=True)
    wholes: Wholes = field(kw_only=True)
    kind_of: np.ndarray = field(kw_only=True)

    def chance(
        self, pages: np.ndarray, before: np.ndarray | float, after: np.ndarray | float
    ) -> np.ndarray:
        """float64[N]: as `Reel.chance`."""
        assert self.space.huge is not None
        found = self.own.chance(pages, before, after)
        huge = np.flatnonzero(self.space.class_of[pages] >= self.space.huge.nr_own)
        if len(huge):
            low, high = (np.broadcast_to(np.asarray(x), found.shape)[huge] for x in (before, after))
            found[huge] = self.wholes.chance(pages[huge], low, high)
        return found

    def touched_share(self, span: float) -> np.ndarray:
        """float64[K]: as `Reel.touched_share`."""
        own, huge = self.own.touched_share(span), self.wholes.touched_share(span)
        share: np.ndarray = np.concatenate([own, huge[self.kind_of]])
        return share


def with_huge(own: Reel, space: PageSpace, pages: MappingPages) -> Reel:
    """A recording on a mapping, some of whose pages may become huge.

    Parameters
    ----------
    own : Reel
    space : PageSpace
    pages : MappingPages
    """
    kinds = space.huge
    index = space.mappings.index(pages)
    if kinds is None or index not in kinds.blocks or pages.folio_pages == kinds.per:
        return own
    blocks = kinds.blocks[index]
    wholes = _wholes(own, kinds, blocks.first, blocks.kind)
    present, local = np.unique(blocks.kind, return_inverse=True)
    wholes.classes, wholes.class_of = present, local.reshape(-1)
    touched = np.bincount(wholes.class_of, wholes.touched())
    turn = own.tape.header.intervals / np.maximum(touched / np.bincount(wholes.class_of), 1e-9)
    more = np.flatnonzero(np.isin(kinds.kind, present))
    kind_of = np.searchsorted(present, kinds.kind[more])
    return HugeReel(
        own.tape, own.column, own.first, own.stretch, own.folio_pages, own.threads, own.begin,
        own.loop, np.r_[own.classes, kinds.nr_own + more], own.class_of,
        np.r_[own.turn, turn[kind_of]], space=space, own=own, wholes=wholes, kind_of=kind_of,
    )  # fmt: skip


def _wholes(own: Reel, kinds: HugeKinds, first: int, kind: np.ndarray) -> Wholes:
    nr = own.tape.header.pages
    start = first + kinds.per * np.arange(len(kind)) - own.first
    low = np.clip(start // own.stretch, 0, nr)
    high = np.clip(-(-(start + kinds.per) // own.stretch), 0, nr)
    tape: Any = SimpleNamespace(
        header=SimpleNamespace(pages=len(kind), intervals=own.tape.header.intervals)
    )
    return Wholes(
        tape, own.column, first, kinds.per, kinds.per, own.threads, own.begin, own.loop,
        played=own, low=low, high=high,
    )  # fmt: skip
