"""Every pattern, with any parameters: shares and weights add up, extents stay inside, steps end."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.pages import PageSpace
from numasim.patterns import registry
from numasim.seeds import Seeds
from tests import recordings, worlds

share = st.floats(0, 1)
some = st.floats(0.001, 1)
# not multiples of anything in binary: where rounding bites
every = st.floats(1e-3, 1e9)
PARAMETERS = {
    "uniform": st.tuples(share, share).filter(lambda p: p[0] < p[1]).map(
        lambda p: {"first": p[0], "last": p[1]}
    ),
    "sweep": st.tuples(share, share).filter(lambda p: p[0] < p[1]).map(
        lambda p: {"first": p[0], "last": p[1]}
    ),
    "hot_cold": st.tuples(some, share, share, st.booleans()).map(
        lambda p: {
            "hot": p[0],
            "hot_visits": p[1] if p[0] < 1 else 1.0,
            "at": p[2] * (1 - p[0]),
            "scattered": p[3],
        }
    ),
    "gamma": st.fixed_dictionaries({"shape": st.floats(0.01, 1e4)}),
    "classes": st.lists(
        st.tuples(st.floats(0.01, 1), st.floats(1e-9, 1e6)), min_size=1, max_size=9
    ).map(
        lambda p: {
            "pages": tuple(a / sum(b for b, _ in p) for a, _ in p),
            "rates": tuple(rate for _, rate in p),
            "run": len(p) % 4 + 1,
        }
    ),
    "zipf": st.fixed_dictionaries({"exponent": st.floats(0, 10)}),
    "stairs": st.fixed_dictionaries({"steps": st.integers(1, 64), "ratio": st.floats(0.1, 10)}),
    "blocks": st.fixed_dictionaries(
        {"weights": st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=64).map(tuple)}
    ),
    "permuted": st.fixed_dictionaries(
        {"regions": st.integers(2, 512), "change_every": every, "shuffle": st.text(max_size=3)}
    ),
    "growth": st.fixed_dictionaries({"slices": st.integers(1, 512), "add_every": every}),
    "moving_window": st.fixed_dictionaries(
        {
            "cells": st.integers(2, 512),
            "width": st.integers(1, 600),
            "hop_every": every,
            "outside": share,
        }
    ),
    "trace": st.fixed_dictionaries(
        {
            "file": st.just(str(recordings.TINY)),
            "begin": st.floats(0, 149),
            "loop": st.booleans(),
            "resolution": st.integers(1, 400),
            "threads": st.sampled_from([(), (1,), (2,)]),
        }
    ),
}  # fmt: skip
LEAST = {"trace": recordings.PAGES}
"""Pages that a pattern needs."""
quick = settings(max_examples=40, deadline=None)


def strategy(name: str) -> st.SearchStrategy:
    """Parameters to try; a pattern that is new here is tried with its defaults."""
    return PARAMETERS.get(name, st.just({}))


def make(name: str, parameters: dict):
    return registry.get(name)(mapping="m", **parameters)


each = pytest.mark.parametrize("name", registry.names())


def test_no_pattern_is_forgotten_here():
    assert set(PARAMETERS) == {
        n for n in registry.names() if "numasim" in registry.get(n).__module__
    }


@each
@quick
@given(data=st.data())
def test_extents_lie_inside_and_apart(name, data):
    pattern, nr = (
        make(name, data.draw(strategy(name))),
        data.draw(st.integers(LEAST.get(name, 1), 5000)),
    )
    extents = sorted(pattern.extents(nr), key=lambda e: e.first)
    assert extents
    for extent in extents:
        assert 0 <= extent.first < extent.last <= nr
    for one, other in itertools.pairwise(extents):
        assert one.last <= other.first
    assert [(e.first, e.last) for e in pattern.extents(nr)] == [
        (e.first, e.last) for e in pattern.extents(nr)
    ]


@each
@quick
@given(data=st.data(), work=st.floats(0, 1e12))
def test_shares_add_up_to_one_at_any_time(name, data, work):
    pattern, nr = (
        make(name, data.draw(strategy(name))),
        data.draw(st.integers(LEAST.get(name, 1), 5000)),
    )
    shares = pattern.shares(work, nr)
    assert len(shares) == len(pattern.extents(nr))
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)


@each
@quick
@given(data=st.data())
def test_spreads_are_classes_of_one_unit(name, data):
    pattern, nr = (
        make(name, data.draw(strategy(name))),
        data.draw(st.integers(LEAST.get(name, 1), 5000)),
    )
    for extent in pattern.extents(nr):
        if extent.spread is None:
            continue
        edges, rates = np.array(extent.spread.edges), np.array(extent.spread.rates)
        assert edges[0] == 0 and edges[-1] == pytest.approx(1)
        assert (np.diff(edges) > 0).all()
        assert len(rates) == len(edges) - 1
        assert (rates >= 0).all() and np.isfinite(rates).all() and rates.any()


@each
@quick
@given(data=st.data(), scale=st.floats(0, 600))
def test_every_step_gets_somewhere(name, data, scale):
    """From any point of the work, and from each change on, the next one is later, and it is one."""
    parameters = data.draw(strategy(name))
    pattern, nr = make(name, parameters), 1000
    work = scale * parameters.get("add_every", parameters.get("hop_every", 1.0))
    for _ in range(40):
        change = pattern.next_change(work)
        assert change > work
        if math.isinf(change):
            assert (pattern.shares(work, nr) == pattern.shares(work * 2 + 1e12, nr)).all()
            return
        before, at = pattern.shares(work, nr), pattern.shares(change, nr)
        middle = work + (change - work) * 0.999
        assert (pattern.shares(middle, nr) == before).all(), "nothing changes in between"
        assert pattern.next_change(change) > change * (1 + 1e-12)
        if name == "growth" and nr >= parameters["slices"]:
            assert not (before == at).all()
        work = change


@each
@quick
@given(data=st.data(), work=st.floats(0, 1e12))
def test_what_is_visited_exists(name, data, work):
    pattern, nr = (
        make(name, data.draw(strategy(name))),
        data.draw(st.integers(LEAST.get(name, 1), 5000)),
    )
    there = pattern.populated_pages(work, nr)
    assert 0 < there <= nr
    for extent, part in zip(pattern.extents(nr), pattern.shares(work, nr), strict=True):
        assert part == 0 or extent.last <= there
    assert pattern.populated_pages(work * 2, nr) >= there


@each
@settings(max_examples=15, deadline=None)
@given(
    data=st.data(), seed=st.integers(0, 9), work=st.floats(0, 1e10),
    page=st.sampled_from(["4 KiB", "64 KiB"]),
)  # fmt: skip
def test_weights_add_up_to_one_over_the_pages(name, data, seed, work, page):
    """Beside another pattern that cuts the same mapping elsewhere, and before and after splits."""
    parameters = data.draw(strategy(name))
    access = [
        {"pattern": name, "mapping": "m", **parameters},
        {"pattern": "zipf", "mapping": "m"},
        {"pattern": "uniform", "mapping": "m", "first": 0.31, "last": 0.77},
    ]
    work_load = worlds.workload(
        [worlds.mapping("m", "3 MiB", page=page), worlds.mapping("n", "64 KiB")], access
    )
    space = PageSpace(work_load, Seeds(seed))
    m = space.mappings[0]
    for compiled in space.patterns.values():
        weights = compiled.page_weights(work)
        assert weights[space.class_of[m.first : m.last]].sum() == pytest.approx(1)
        assert weights[space.class_of[space.mappings[1].first]] == 0
        split = space.split_class[space.class_of[m.first : m.last]]
        assert (weights[split] == weights[space.class_of[m.first : m.last]]).all()
    pages = np.arange(m.first, m.last)
    assert (space.mapping_index_of(pages) == 0).all()
    heads = space.folio_heads(pages)
    assert (heads == pages - pages % m.folio_pages).all()
