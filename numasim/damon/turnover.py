"""The end of an aggregation in one compiled call: merge, cut to size, close the window, split.

Only where nothing comes in between that could see or change regions: no scheme is due, nothing is
tuned, nobody called. The steps are those of `merging`, `regions` and `splitting`, to the last bit.
Source: DAMON core specification, section 6 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numasim.damon.arith import INT64_MAX
from numasim.damon.compiled import KERNELS
from numasim.damon.regions import Regions
from numasim.damon.spec import Attrs
from numasim.damon.splitting import Draws, Shared


@dataclass(slots=True)
class Turned:
    """Regions that are merged, and what becomes of them once the window is closed.

    Attributes
    ----------
    size_limit : int
        Largest size a merged region may have next time, core address units.
    """

    size_limit: int
    _split: np.ndarray  # int64[5, N]

    def close(self, regions: Regions) -> None:
        """Close the window: the regions become those that were split."""
        regions.adopt(self._split, self._split.shape[1])


def turn_over(
    targets: Sequence[Regions],
    attrs: Attrs,
    max_thres: int,
    size_limit: int,
    min_region_sz: int,
    shared: Shared,
    draws: Draws,
) -> Turned | None:
    """Merge regions, and prepare what they become.

    Parameters
    ----------
    targets : sequence of Regions
        Changed in place: merged.
    attrs : Attrs
    max_thres : int
        Samples of an aggregation.
    size_limit, min_region_sz : int
        Core address units.
    shared : Shared
    draws : Draws

    Returns
    -------
    Turned or None
        None, and nothing has happened, without compiled kernels, or with several targets or
        sampling addresses.
    """
    compiled = KERNELS.ready
    if compiled is None or len(targets) != 1 or not targets[0].plain or not len(targets[0]):
        return None
    regions, given = targets[0], targets[0].columns()
    room, pieces = len(regions), 2
    while True:
        merged, split = np.empty((5, room), np.int64), np.empty((5, pieces * room), np.int64)
        count, written, limit, used, rotates = compiled.turn(
            *given,
            max_thres,
            min(size_limit, INT64_MAX),
            attrs.min_nr_regions,
            attrs.max_nr_regions,
            min_region_sz,
            shared.last_nr_regions,
            shared.rotation,
            draws.peek(2 * (len(regions) + attrs.min_nr_regions + 1)),
            merged,
            split,
        )
        if count:
            break
        room, pieces = 2 * room + attrs.min_nr_regions, 3  # some are too large, or all split in 3
    regions.adopt(merged, count)
    draws.take(used)
    shared.rotation += rotates
    shared.last_nr_regions = count
    return Turned(limit, split[:, :written])
