"""Invariants of regions under anything that may happen to them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon.merging import merge_back, merge_pass, merge_regions
from numasim.damon.ranges import set_regions
from numasim.damon.regions import (
    Regions,
    apply_min_nr_regions,
    reset_aggregated,
)
from numasim.damon.splitting import Draws, Shared, split_all, split_regions
from tests.mirror.strategies import ranges, tables


def covered(regions):
    """The ranges that regions cover, touching ones joined: what merging and splitting keep."""
    joined = []
    for start, end in zip(regions.start.tolist(), regions.end.tolist(), strict=True):
        if joined and joined[-1][1] == start:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    return joined


steps = st.lists(
    st.sampled_from(["merge", "split", "split3", "min", "back", "reset", "sample"]), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(tables(), steps, st.integers(0, 2**32 - 1))
def test_regions_tile_what_they_tiled(table, wanted, seed):
    rows, unit = table
    regions, before = Regions(rows), covered(Regions(rows))
    rng = np.random.default_rng(seed)
    draws = Draws.of(rng)
    for step in wanted:
        if step == "merge":
            merge_pass(regions, int(rng.integers(0, 21)), int(rng.integers(1, 10**6)), True)
        elif step == "split":
            split_all(regions, 2, draws, unit)
        elif step == "split3":
            split_all(regions, 3, draws, unit)
        elif step == "min":
            apply_min_nr_regions([regions], int(rng.integers(1, 50)), unit)
        elif step == "back":
            merge_back(regions, int(rng.integers(1, 10**6)))
        elif step == "reset":
            reset_aggregated([regions])
        else:
            regions.nr_accesses = np.minimum(regions.nr_accesses + 1, 20)
        regions.check()
        assert covered(regions) == before
        assert not len(regions) or int(regions.nr_accesses.max()) <= 20
        assert not np.any(regions.start % unit) and not np.any(regions.end % unit)


@settings(max_examples=60, deadline=None)
@given(tables(unit=st.just(1)), ranges(), st.sampled_from([1, 4, 64]))
def test_set_regions_covers_the_ranges_and_nothing_else(table, wanted, unit):
    rows, _ = table
    regions = Regions(rows)
    try:
        set_regions(regions, wanted, unit)
    except ValueError:
        assert regions.rows() == rows
        return
    regions.check()
    aligned = Regions([(start // unit * unit, -(-end // unit) * unit) for start, end in wanted])
    assert covered(regions) == covered(aligned)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_merging_meets_the_maximum_where_nothing_forbids_it(count, max_nr, seed):
    rng = np.random.default_rng(seed)
    regions = Regions([(i, i + 1, int(rng.integers(0, 21))) for i in range(count)])
    merge_regions([regions], 0, 2**62, 20, max_nr)
    assert len(regions) <= max_nr


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=3), st.integers(3, 100), st.integers(0, 2**32)
)
def test_splitting_never_exceeds_the_maximum(counts, max_nr, seed):
    targets = [Regions([(i * 100, i * 100 + 100) for i in range(count)]) for count in counts]
    before = sum(counts)
    shared, draws = Shared(), Draws.of(np.random.default_rng(seed))
    for _ in range(3):
        split_regions(targets, shared, draws, 1, max_nr)
        assert sum(len(r) for r in targets) <= max(max_nr, before)


@settings(max_examples=50, deadline=None)
@given(tables(), st.integers(0, 20))
def test_merged_counters_stay_between_those_merged(table, threshold):
    rows, _ = table
    regions = Regions(rows)
    most = max((row[4] for row in rows), default=0)
    merge_pass(regions, threshold, 2**62, False)
    assert all(row[4] <= most for row in regions.rows())
