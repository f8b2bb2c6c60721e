"""How recorded runs are simulated: as well as we know, or wrong on purpose in one named way.

A judge that never rejects is worth nothing, so it is tried on models that are known to be wrong.
Settings of the machine and the workload are carried out where the run is described (`guest`).
Rules of DAMON are replaced for the time of one run by `deliberately_wrong`; the monitor itself
knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np

from numasim.damon import context as damon_context
from numasim.damon.regions import Regions, nr_regions
from numasim.damon.splitting import Draws, Shared, split_all, split_some

THRESHOLD_DIVISOR = 10


@dataclass(frozen=True)
class Model:
    """What is simulated; the defaults are right, everything else is wrong on purpose.

    Parameters
    ----------
    nominal_periods : bool
        Sampling takes exactly its interval: no slack, no time for the checks.
    nominal_rates : bool
        Accesses come at the rates that were asked for, not at those that were counted.
    no_stalls : bool
        Lost time of the program makes it slower instead of standing still.
    no_tlb : bool
        No translation is ever cached.
    rounding_merges : bool
        Merging rounds weighted means to the nearest number instead of cutting them.
    two_way_splits : bool
        Regions are never split in three.
    no_zero_crossing_reset : bool
        Ages survive the step from no access to some and back.
    threshold_divisor : int
        Regions are similar within this part of the largest count.
    """

    nominal_periods: bool = False
    nominal_rates: bool = False
    no_stalls: bool = False
    no_tlb: bool = False
    rounding_merges: bool = False
    two_way_splits: bool = False
    no_zero_crossing_reset: bool = False
    threshold_divisor: int = THRESHOLD_DIVISOR

    @property
    def deviations(self) -> dict[str, bool | int]:
        """What differs from the right model, by name."""
        right = Model()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v for name, v in values.items() if v != getattr(right, name)}


@contextmanager
def deliberately_wrong(model: Model) -> Iterator[None]:
    """Replace rules of DAMON in this process while a wrong model runs; for tests of the judge.

    Contexts running in other threads of the process would follow the wrong rules, too.
    """
    rules = vars(damon_context)  # the names by which a context calls them
    right = {name: rules[name] for name in ("merge_regions", "split_regions")}
    wrong = model.deviations.keys()
    if wrong & {"rounding_merges", "no_zero_crossing_reset", "threshold_divisor"}:
        rules["merge_regions"] = _Merging(model).merge_regions
    if "two_way_splits" in wrong:
        rules["split_regions"] = _split_in_two
    try:
        yield
    finally:
        rules.update(right)


class _Merging:
    """Plain twins of the merging rules, each of which a model may get wrong."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def merge_regions(
        self, targets: Sequence[Regions], threshold: int, sz_limit: int, max_thres: int,
        max_nr_regions: int,
    ) -> None:  # fmt: skip
        most = max((int(r.nr_accesses.max()) for r in targets if len(r)), default=0)
        if self._model.threshold_divisor != THRESHOLD_DIVISOR:
            threshold = most // self._model.threshold_divisor
        count_age = True
        while True:
            for regions in targets:
                if count_age:
                    self._update_ages(regions, threshold)
                self._merge(regions, threshold, sz_limit)
            count_age = False
            if nr_regions(targets) <= max_nr_regions or threshold >= max_thres:
                return
            threshold = max(1, 2 * threshold) if threshold < max_thres // 2 else max_thres

    def _update_ages(self, regions: Regions, threshold: int) -> None:
        now, last = regions.nr_accesses, regions.last_nr_accesses
        changed = np.abs(now - last) > threshold
        if not self._model.no_zero_crossing_reset:
            changed |= (now == 0) != (last == 0)
        regions.age = np.where(changed, 0, regions.age + 1)

    def _merge(self, regions: Regions, threshold: int, sz_limit: int) -> None:
        kept: list[list[int]] = []
        for start, end, nr, last, age in regions.rows():
            if kept and kept[-1][1] == start and abs(nr - kept[-1][2]) <= threshold:
                left = kept[-1]
                sz_left, sz_right = left[1] - left[0], end - start
                total = sz_left + sz_right
                if total <= sz_limit:
                    more = total // 2 if self._model.rounding_merges else 0
                    left[2] = (left[2] * sz_left + nr * sz_right + more) // total
                    left[4] = (left[4] * sz_left + age * sz_right + more) // total
                    left[1] = end
                    continue
            kept.append([start, end, nr, last, age])
        regions.assign(kept)


def _split_in_two(
    targets: Sequence[Regions], shared: Shared, draws: Draws, min_region_sz: int,
    max_nr_regions: int,
) -> None:  # fmt: skip
    count = nr_regions(targets)
    if max_nr_regions // 2 < count < max_nr_regions:
        step = max_nr_regions // (max_nr_regions - count)
        split_some(targets, step, shared, draws, min_region_sz)
    elif count < max_nr_regions:
        for regions in targets:
            split_all(regions, 2, draws, min_region_sz)
    shared.last_nr_regions = count
