"""The end of an aggregation at a stroke: merge, cut to size, close the window, split.

In one compiled call, or where regions are few by lists and one table. Only where nothing comes in
between that could see or change regions: no scheme is due, nothing is tuned, nobody called. The
steps are those of `merging`, `regions` and `splitting`, to the last bit. Source: DAMON core
specification, section 6 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numasim.damon import listed
from numasim.damon.arith import INT64_MAX, align_up
from numasim.damon.compiled import KERNELS
from numasim.damon.merging import FEW_REGIONS
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
        None, and nothing has happened, without compiled kernels (but where regions are few and
        nothing out of the common), or with several targets or sampling addresses.
    """
    if len(targets) != 1 or not targets[0].plain or not len(targets[0].start):
        return None
    regions, given = targets[0], targets[0].columns()
    room, pieces = len(regions.start), 2
    compiled = KERNELS.ready
    if compiled is None:
        few = room <= FEW_REGIONS and KERNELS.after(room) is None
        limits = max_thres, min(size_limit, INT64_MAX), min_region_sz
        return _turn_few(regions, attrs, limits, shared, draws) if few else None
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


def _turn_few(
    regions: Regions, attrs: Attrs, limits: tuple[int, int, int], shared: Shared, draws: Draws
) -> Turned | None:
    """The same by `listed`; `limits` are `max_thres`, `size_limit` and `min_region_sz`."""
    max_thres, limit, unit = limits
    columns = [column.tolist() for column in regions.columns()]
    most_nr, most = max(columns[2]), attrs.max_nr_regions
    if not listed.fits(columns, most_nr):
        return None
    threshold = most_nr // 10
    columns = listed.merged(columns, threshold, limit, count_age=True)
    while len(columns[0]) > most and threshold < max_thres:
        threshold = max(1, 2 * threshold) if threshold < max_thres // 2 else max_thres
        columns = listed.merged(columns, threshold, limit, count_age=False)
    sizes, count = [end - start for start, end in zip(*columns[:2], strict=True)], len(columns[0])
    limit = align_up(max(sum(sizes) // max(attrs.min_nr_regions, 1), unit), unit)
    too_small = min(sizes) < listed.ALWAYS_CUT * unit
    if too_small or max(sizes) > limit or count > most // 2:
        return None
    stuck = shared.last_nr_regions == count and count < most // 3
    tries, merged = 2 if stuck else 1, np.array(columns, dtype=np.int64)
    split = listed.split(merged, draws.take(tries * count).reshape(count, tries), unit)
    regions.adopt(merged, count)
    shared.last_nr_regions = count
    return Turned(limit, split)
