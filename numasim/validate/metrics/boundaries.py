"""Where regions were cut: how often, and how often twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numasim.validate.metrics.case import Measured
from numasim.validate.observed import Watch
from numasim.validate.terrain import Terrain

TENTHS = np.arange(1, 10)
RESOLUTION = 0.02


def boundaries(terrain: Terrain, watch: Watch, counted: np.ndarray) -> Iterator[Measured]:
    """New boundaries that lasted until the next snapshot, and those that only a second cut makes.

    A region is cut at a tenth of its size, or, where it is split in three, the left piece of that
    once more: at a place that often is no tenth of the whole.
    """
    cuts = seconds = steps = 0
    for s in counted[counted > 0]:
        if watch.index[s] != watch.index[s - 1] + 1:
            continue
        steps += 1
        offset, size = new_starts(watch.rows(s - 1), watch.rows(s), terrain)
        cuts += len(offset)
        seconds += int((offset[:, None] != size[:, None] * TENTHS // 10).all(axis=1).sum())
    if steps:
        yield Measured("new boundaries", cuts / steps, "per snapshot", True, False, RESOLUTION)
        yield Measured("second cuts", seconds / steps, "per snapshot", True, False, RESOLUTION)


def new_starts(old: np.ndarray, new: np.ndarray, terrain: Terrain) -> tuple[np.ndarray, np.ndarray]:
    """Starts of regions that were none before, in regions that hold data.

    Returns
    -------
    offset, size : int64[C], int64[C]
        Where in the region of before, and how large that was; pages.
    """
    holds = terrain.data(old) > 0
    at = np.searchsorted(old[:, 0], new[:, 0], "right") - 1
    inside = at >= 0
    start, pages = old[np.maximum(at, 0), 0], old[np.maximum(at, 0), 1]
    inside &= (new[:, 0] > start) & (new[:, 0] < start + pages) & holds[np.maximum(at, 0)]
    return (new[:, 0] - start)[inside], pages[inside]
