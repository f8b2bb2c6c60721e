"""Spans: aligned stretches of mappings, such as 2 MiB, that a policy counts and moves as one."""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.mapping import BASE_PAGE_BYTES

NONE = -1


class Spans:
    """All spans of the mappings that a policy manages, numbered by address.

    Parameters
    ----------
    stage : Stage
    size : int
        Bytes of a span; the last of a mapping may be shorter.
    least : int
        Mappings below so many bytes are left alone.

    Attributes
    ----------
    first, last : int64[U]
        Pages ``[first, last)`` of each span.
    """

    def __init__(self, stage: Stage, size: int, least: int = BASE_PAGE_BYTES) -> None:
        self._stage = stage
        self.per = max(1, size // stage.memory.frame_bytes)
        edges = [
            np.append(np.arange(pages.first, pages.last, self.per), pages.last)
            for pages in sorted(stage.space.mappings, key=lambda m: m.first)
            if pages.mapping.size >= least
        ]
        nothing = [np.zeros(0, np.int64)]
        self.first = np.concatenate([e[:-1] for e in edges] or nothing).astype(np.int64)
        self.last = np.concatenate([e[1:] for e in edges] or nothing).astype(np.int64)

    def __len__(self) -> int:
        return len(self.first)

    def of(self, pages: np.ndarray) -> np.ndarray:
        """int64[N]: span of each page (int64[N]), `NONE` where nobody manages it."""
        if not len(self):
            return np.full(len(pages), NONE)
        at = np.searchsorted(self.first, pages, "right") - 1
        inside = (at >= 0) & (pages < self.last[at])
        return np.where(inside, at, NONE)

    def nodes(self, spans: np.ndarray) -> np.ndarray:
        """int64[N]: node of each span's first page, -1 where it is absent."""
        return self._stage.nodes_of(self.first[spans])

    def heads(self, spans: np.ndarray) -> np.ndarray:
        """int64[M]: first pages of the folios present in spans (int64[N]), in the spans' order."""
        pages = (self.first[spans][:, None] + np.arange(self.per)).reshape(-1)
        pages = pages[pages < np.repeat(self.last[spans], self.per)]
        pages = pages[self._stage.memory.frame_of[pages] >= 0]
        heads: np.ndarray = pages[self._stage.space.folio_heads(pages) == pages]
        return heads
