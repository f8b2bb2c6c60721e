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

    def give(self, frames: np.ndarray) -> None:
        """Free `frames` (int64[N]); the last of them is the first to be taken again."""
        self._freed.append(frames)

    def all(self) -> list[np.ndarray]:
        """Everything on the list, in parts of no order."""
        return [*self._freed, *(np.arange(*run) for run in self._runs)]

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
