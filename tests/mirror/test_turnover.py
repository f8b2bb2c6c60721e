"""The end of an aggregation at a stroke is what its steps give, to the last bit."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon.compiled import KERNELS, SWITCH
from numasim.damon.merging import FEW_REGIONS, merge_regions
from numasim.damon.regions import Regions, apply_min_nr_regions, reset_aggregated
from numasim.damon.spec import Attrs
from numasim.damon.splitting import Draws, Shared, split_regions
from numasim.damon.turnover import turn_over
from tests.mirror.conftest import without_numba
from tests.mirror.strategies import draws as some_draws
from tests.mirror.strategies import tables

MAX_THRES = 20
ways = pytest.mark.parametrize("way", ["few", pytest.param("compiled", marks=without_numba)])


class AnEnd:
    """An aggregation that is about to end."""

    def __init__(self, rows, unit, attrs, limit, known, line):
        fed = itertools.cycle(line)
        self.draws = Draws(lambda n: np.array([next(fed) for _ in range(n)]))
        self.regions, self.unit, self.attrs, self.limit = Regions(rows), unit, attrs, limit
        self.shared = Shared(*known)

    def left(self, merged):
        """All that it leaves."""
        self.regions.check()
        return merged, self.regions.rows(), self.limit, self.shared, self.draws.used

    def step_by_step(self):
        targets, most = [self.regions], self.attrs.max_nr_regions
        threshold = int(self.regions.nr_accesses.max()) // 10
        merge_regions(targets, threshold, self.limit, MAX_THRES, most)
        self.limit = apply_min_nr_regions(targets, self.attrs.min_nr_regions, self.unit)
        merged = self.regions.rows()
        reset_aggregated(targets)
        split_regions(targets, self.shared, self.draws, self.unit, most)
        return self.left(merged)

    def at_a_stroke(self, way):
        """The same, or None where that is left to the steps; then nothing has changed."""
        KERNELS.decide("1" if way == "compiled" else "0")
        before = self.left(None)
        try:
            turned = turn_over(
                [self.regions], self.attrs, MAX_THRES, self.limit, self.unit, self.shared,
                self.draws,
            )  # fmt: skip
        finally:
            KERNELS.decide(os.environ.get(SWITCH))
        if turned is None:
            assert self.left(None) == before
            return None
        merged, self.limit = self.regions.rows(), turned.size_limit
        shown = self.regions.view()
        turned.close(self.regions)
        assert shown.rows() == merged
        return self.left(merged)


@ways
@settings(max_examples=150, deadline=None)
@given(
    st.one_of(tables(), tables(big=True)),
    st.integers(3, 30),
    st.integers(0, 60),
    st.integers(1, 10**6),
    st.tuples(st.integers(0, 40), st.integers(0, 2**40)),
    some_draws,
)
def test_any_regions(way, table, least, more, limit, known, line):
    rows, unit = table
    if not rows:
        return
    attrs = Attrs(min_nr_regions=least, max_nr_regions=least + more)
    given = rows, unit, attrs, limit * unit, known, line
    found = AnEnd(*given).at_a_stroke(way)
    assert found is not None or way == "few"
    if found is not None:
        assert found == AnEnd(*given).step_by_step()


@ways
@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(330, 2**27), st.sampled_from([0, 0, 0, 1, 19, 20]), st.integers(-1, 1),
            st.integers(0, 2000),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 50),
    some_draws,
)  # fmt: skip
def test_common_regions(way, made, known, line):
    """Tens of large regions, side by side, of which about 10 are to remain."""
    unit, start, rows = 4096, 0, []
    for size, nr, more, age in made:
        rows.append((start, start + size * unit, nr, max(nr + more, 0), age))
        start = rows[-1][1]
    limit = start // 3 // unit * unit + unit
    given = rows, unit, Attrs(min_nr_regions=3, max_nr_regions=1000), limit, (known, 0), line
    found = AnEnd(*given).at_a_stroke(way)
    assert found == AnEnd(*given).step_by_step() or (found is None and way == "few")


def test_few_regions_are_dealt_with_on_lists():
    """What most runs with default limits do, every time."""
    rows = [(i << 30, i + 1 << 30, i % 3, i % 3, i) for i in range(24)]
    given = rows, 4096, Attrs(), 4 << 30, (24, 0), [5, 1, 9]
    found = AnEnd(*given).at_a_stroke("few")
    assert found is not None and found == AnEnd(*given).step_by_step()
    assert found[-1] == 2 * len(found[0])  # cut in three, as nothing has changed since
    many = [(i << 30, i + 1 << 30) for i in range(FEW_REGIONS + 1)]
    assert AnEnd(many, *given[1:]).at_a_stroke("few") is None
