"""Array kernels over regions equal their plain twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon.attrs import convert_results
from numasim.damon.merging import merge_back, merge_pass, merge_regions
from numasim.damon.ranges import set_regions
from numasim.damon.regions import (
    Regions,
    apply_min_nr_regions,
    left_window_bp,
    mvsum,
    raw_size_limit,
    reset_aggregated,
)
from numasim.damon.scores import scores
from numasim.damon.spec import Attrs, Quota
from numasim.damon.splitting import Shared, split_all, split_regions
from tests.mirror import damon_twin as twin
from tests.mirror.strategies import covered_and_wanted, draws, ranges, tables
from tests.vectors.runs import cycled

pytestmark = pytest.mark.usefixtures("arithmetic")
many = settings(max_examples=80, deadline=None)
sizes = st.sampled_from([0, 1, 50, 5_000, 100_000, 10**7, 2**63])


@many
@given(tables(), st.integers(0, 21), sizes, st.booleans())
def test_merge_pass(table, threshold, limit, count_age):
    rows, _ = table
    fast, plain = Regions(rows), twin.from_rows(rows)
    merge_pass(fast, threshold, limit, count_age)
    twin.merge_pass(plain, threshold, limit, count_age)
    assert fast.rows() == twin.rows(plain)


@many
@given(tables(big=True, most=2**32 - 1), st.integers(0, 2**32))
def test_merge_pass_wraps_as_64_bits_do(table, threshold):
    rows, _ = table
    fast, plain = Regions(rows), twin.from_rows(rows)
    merge_pass(fast, threshold, 2**62, False)
    twin.merge_pass(plain, threshold, 2**62, False)
    assert fast.rows() == twin.rows(plain)


@many
@given(st.lists(tables(), min_size=0, max_size=3), st.integers(0, 4), sizes, st.integers(1, 30))
def test_merge_regions(drawn, threshold, limit, max_nr):
    fast = [Regions(rows) for rows, _ in drawn]
    plain = [twin.from_rows(rows) for rows, _ in drawn]
    merge_regions(fast, threshold, limit, 20, max_nr)
    twin.merge_regions(plain, threshold, limit, 20, max_nr)
    assert [r.rows() for r in fast] == [twin.rows(t) for t in plain]


@many
@given(tables(), st.integers(2, 5), draws)
def test_split_all(table, nr_subs, drawn):
    rows, unit = table
    fast, plain = Regions(rows), twin.from_rows(rows)
    queue, used = cycled(drawn), []
    line = twin.cycle(drawn)
    split_all(fast, nr_subs, queue, unit)
    twin.split_all(plain, nr_subs, lambda: used.append(1) or next(line), unit)
    assert fast.rows() == twin.rows(plain)
    assert queue.used == len(used)


@many
@given(
    st.lists(tables(unit=st.just(4096), max_regions=12), min_size=1, max_size=3),
    st.integers(2, 60),
    st.integers(0, 12),
    st.integers(0, 9),
    draws,
)
def test_split_regions_twice(drawn_tables, max_nr, last, rotation, drawn):
    fast = [Regions(rows) for rows, _ in drawn_tables]
    plain = [twin.from_rows(rows) for rows, _ in drawn_tables]
    shared, state = Shared(last, rotation), {"last_nr_regions": last, "rotation": rotation}
    queue, line = cycled(drawn), twin.cycle(drawn)
    for _ in range(2):
        split_regions(fast, shared, queue, 4096, max_nr)
        twin.split_regions(plain, state, lambda: next(line), 4096, max_nr)
        assert [r.rows() for r in fast] == [twin.rows(t) for t in plain]
    assert (shared.last_nr_regions, shared.rotation) == (
        state["last_nr_regions"],
        state["rotation"],
    )


def set_both(rows, wanted, unit):
    fast, plain = Regions(rows), twin.from_rows(rows)
    ok = True
    try:
        set_regions(fast, wanted, unit)
    except ValueError:
        ok = False
    assert ok == twin.set_regions(plain, wanted, unit)
    assert fast.rows() == twin.rows(plain)


@many
@given(tables(unit=st.just(1)), ranges(), st.sampled_from([1, 2, 16]))
def test_set_regions(table, wanted, unit):
    set_both(table[0], wanted, unit)


@many
@given(covered_and_wanted(), st.sampled_from([1, 2, 16]))
def test_set_regions_at_their_bounds(drawn, unit):
    set_both(*drawn, unit)


@many
@given(covered_and_wanted(unit=4096))
def test_set_regions_of_pages(drawn):
    set_both(*drawn, 4096)


@many
@given(
    st.lists(tables(), min_size=1, max_size=3), st.integers(1, 40), st.sampled_from([1, 16, 4096])
)
def test_apply_min_nr_regions(drawn, least, unit):
    fast = [Regions(rows) for rows, _ in drawn]
    plain = [twin.from_rows(rows) for rows, _ in drawn]
    assert raw_size_limit(fast, least, unit) == twin.raw_limit(plain, least, unit)
    assert apply_min_nr_regions(fast, least, unit) == twin.apply_min(plain, least, unit)
    assert [r.rows() for r in fast] == [twin.rows(t) for t in plain]


@many
@given(tables(), sizes)
def test_merge_back(table, limit):
    rows, _ = table
    flat = [(start, end, nr // 10, last // 10, age % 2) for start, end, nr, last, age in rows]
    fast, plain = Regions(flat), twin.from_rows(flat)
    merge_back(fast, limit)
    i = 1
    while i < len(plain):
        left, right = plain[i - 1], plain[i]
        equal = left.row()[2:] == right.row()[2:] and left.end == right.start
        if equal and right.end - left.start <= limit:
            left.end = right.end
            del plain[i]
        else:
            i += 1
    assert fast.rows() == twin.rows(plain)


@many
@given(
    tables(most=2**32 - 1),
    st.integers(0, 300),
    st.sampled_from([(0, 0), (1, 7), (5, 100), (3, 1000)]),
)
def test_mvsum(table, left, intervals):
    rows, _ = table
    fast, plain = Regions(rows), twin.from_rows(rows)
    sample, aggr = intervals
    window = (aggr or 1) // (sample or 1)
    left = min(left, window)
    bp = left_window_bp(left, sample, aggr)
    got = mvsum(fast.nr_accesses, fast.last_nr_accesses, bp)
    assert got.tolist() == [twin.mvsum(r, left, window) for r in plain]


@many
@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=20),
    st.sampled_from([(5_000, 100_000), (0, 0), (1, 10**9), (1, 2**33), (10**7, 2 * 10**8), (7, 5)]),
    st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1), (100, 900), (3, 7)]),
    st.sampled_from(["hot", "cold", "flat"]),
)
def test_scores(pairs, intervals, weights, kind):
    attrs = Attrs(*intervals)
    quota = Quota(weight_nr_accesses=weights[0], weight_age=weights[1])
    sums = np.array([nr for nr, _ in pairs], dtype=np.int64)
    ages = np.array([age for _, age in pairs], dtype=np.int64)
    got = scores(kind, sums, ages, attrs, quota).tolist()
    assert got == [twin.score(kind, nr, age, attrs, quota) for nr, age in pairs]


intervals = st.sampled_from([0, 1, 3, 1_000, 5_000, 35_000, 100_000, 10**7, 2**32, 2**33])


@many
@given(tables(big=True, most=2**32 - 1), *[intervals] * 4, st.booleans())
def test_convert_results(table, old_sample, old_aggr, new_sample, new_aggr, aggregating):
    rows, _ = table
    fast, plain = Regions(rows), twin.from_rows(rows)
    old, new = Attrs(old_sample, old_aggr), Attrs(new_sample, new_aggr)
    convert_results([fast], old, new, aggregating)
    twin.convert([plain], old, new, aggregating)
    assert fast.rows() == twin.rows(plain)


@given(tables())
def test_reset_aggregated(table):
    rows, _ = table
    fast, plain = Regions(rows), twin.from_rows(rows)
    reset_aggregated([fast])
    twin.reset([plain])
    assert fast.rows() == twin.rows(plain)
