"""The order in which a zone's free frames are handed out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class FreeFrames:
    """Free frames of one zone in the order in which they are handed out.

    Frames freed last are taken first; then never-used ones, upwards. Assumption: Linux's buddy
    lists behave so to within a few megabytes; the recorded page maps show runs of thousands of
    pages that rise with the virtual address.
    """

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self._runs = [list(run) for run in reversed(runs)]  # the last one is used first
        self._freed: list[np.ndarray] = []
        self._first = 0
        self._named = self._promised = np.zeros(0, bool)

    def give(self, frames: np.ndarray) -> None:
        """Free `frames` (int64[N]); the last of them is the first to be taken again."""
        if len(self._named):
            back = self._named[frames - self._first]
            self._promised[frames[back] - self._first] = True
            frames = frames[~back]
        self._freed.append(frames)

    def all(self) -> list[np.ndarray]:
        """Everything on the list, in parts of no order."""
        promised = self._first + np.flatnonzero(self._promised)
        return [*self._freed, *(np.arange(*run) for run in self._runs), promised]

    def promise(self, frames: np.ndarray, span: Sequence[tuple[int, int]]) -> None:
        """Keep `frames` (int64[N], ascending, never handed out so far) for who names them.

        When nothing else is left they are handed out all the same; freed again before they were
        named, they are kept again. `span` is the zone's, reserved frames included.
        """
        self._first = min(first for first, _ in span)
        self._named = np.zeros(max(last for _, last in span) - self._first, bool)
        self._named[frames - self._first] = True
        self._promised = self._named.copy()
        self._drop(frames)

    @property
    def nr_promised(self) -> int:
        """Free frames that are kept for who names them."""
        return int(self._promised.sum())

    def _drop(self, frames: np.ndarray) -> None:
        """Take these (ascending) off the never-used ones."""
        left: list[list[int]] = []
        for first, last in self._runs:
            a, b = np.searchsorted(frames, [first, last])
            holes = frames[a:b]
            starts, ends = np.r_[first, holes + 1], np.r_[holes, last]
            pieces = np.stack([starts, ends], axis=1)[starts < ends]
            left += pieces[::-1].tolist()
        self._runs = left

    def take_beside(self, kept: np.ndarray, nr: int) -> np.ndarray:
        """int64[<=nr]: the highest free frames that are not among `kept` (ascending)."""
        parts: list[np.ndarray] = []
        for index in np.argsort([-run[0] for run in self._runs]).tolist():
            if nr <= 0:
                break
            first, last = self._runs[index]
            free = np.setdiff1d(np.arange(first, last), kept, assume_unique=True)[-nr:]
            parts.append(free)
            nr -= len(free)
        found = np.concatenate(parts) if parts else np.empty(0, np.int64)
        self._drop(np.sort(found))
        return found

    def claim(self, frames: np.ndarray) -> np.ndarray:
        """bool[N]: which of `frames` (int64[N]) were promised and are free; they no longer are."""
        there = np.zeros(len(frames), bool)
        if len(self._promised):
            inside = (frames >= self._first) & (frames - self._first < len(self._promised))
            there[inside] = self._promised[frames[inside] - self._first]
            own = frames[there] - self._first
            self._promised[own] = self._named[own] = False
        return there

    def take(self, nr: int) -> np.ndarray:
        """int64[nr]: frames, which the caller knows to be there."""
        parts = [np.empty(0, np.int64)]
        while nr and self._freed:
            chunk = self._freed.pop()
            if len(chunk) > nr:
                self._freed.append(chunk[:-nr])
                chunk = chunk[-nr:]
            parts.append(chunk[::-1])
            nr -= len(chunk)
        while nr:
            if not self._runs:  # nothing else is left: promises are broken
                broken = np.flatnonzero(self._promised)[:nr]
                self._promised[broken] = False
                parts.append(self._first + broken)
                break
            run = self._runs[-1]
            last = min(run[0] + nr, run[1])
            parts.append(np.arange(run[0], last, dtype=np.int64))
            nr -= last - run[0]
            run[0] = last
            if run[0] == run[1]:
                self._runs.pop()
        return np.concatenate(parts)

    def take_aligned(self, nr: int, size: int) -> np.ndarray:
        """int64[<=nr]: first frames of aligned blocks of `size`, fewer if there are no more."""
        heads = self._aligned_from_runs(nr, size)
        if len(heads) < nr and self._freed:
            self._gather_blocks(size)
            heads = np.r_[heads, self._aligned_from_runs(nr - len(heads), size)]
        return heads

    def _aligned_from_runs(self, nr: int, size: int) -> np.ndarray:
        heads: list[np.ndarray] = []
        left = nr
        for index in range(len(self._runs) - 1, -1, -1):
            if not left:
                break
            first, last = self._runs[index]
            start = -(-first // size) * size
            n = min(left, max(0, (last - start) // size))
            if not n:
                continue
            heads.append(start + size * np.arange(n, dtype=np.int64))
            end = start + n * size
            rest = [[end, last]] if end < last else []
            rest += [[first, start]] if first < start else []
            self._runs[index : index + 1] = rest
            left -= n
        return np.concatenate(heads) if heads else np.empty(0, np.int64)

    def _gather_blocks(self, size: int) -> None:
        """Coalesce freed frames: whole aligned blocks become runs again, as buddies do."""
        frames = np.concatenate(self._freed)
        order = np.argsort(frames // size, kind="stable")
        blocks, first, count = np.unique(
            frames[order] // size, return_index=True, return_counts=True
        )
        whole = np.zeros(len(frames), bool)
        for at, n in zip(first[count == size], count[count == size], strict=True):
            whole[order[at : at + n]] = True
        for block in blocks[count == size][::-1].tolist():
            self._runs.append([block * size, block * size + size])
        self._freed = [frames[~whole]] if not whole.all() else []
