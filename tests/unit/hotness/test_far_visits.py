"""Visits to pages elsewhere come as often, and to such pages, as the law says."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.far_visits import FarVisits
from tests.unit.hotness.made import at_work, go_on

SPAN_NS = 1_000_000
HALF = {"pattern": "hot_cold", "mapping": "m", "hot": 0.5, "hot_visits": 0.8, "at": 0.0}


def far_visits(stage, *nodes: int) -> FarVisits:
    return FarVisits(stage, 0, nodes, np.ones(stage.space.nr_classes, bool), "far")


def test_visits_are_as_many_as_the_law_expects():
    made, stage, now = at_work([HALF])
    seen = far_visits(stage, 1)
    go_on(made, now + SPAN_NS)
    visits = seen.draw(now, now + SPAN_NS, 1 << 20)
    done = made.actors[0].rate_per_ns * SPAN_NS
    own = np.arange(stage.space.nr_pages)
    away = stage.nodes_of(own) == 1
    cold = own >= stage.space.nr_pages // 2
    share = 0.8 * (away & ~cold).sum() / (~cold).sum() + 0.2 * (away & cold).sum() / cold.sum()
    assert visits.expected[0] == pytest.approx(done * share, rel=1e-6)
    assert len(visits.pages) == pytest.approx(visits.expected[0], abs=5 * done**0.5)
    assert (stage.nodes_of(visits.pages) == 1).all()


def test_pages_are_visited_by_their_rates():
    made, stage, now = at_work([HALF], "16 MiB", "64 MiB")
    seen = far_visits(stage, 1)
    go_on(made, now + 20 * SPAN_NS)
    pages = seen.draw(now, now + 20 * SPAN_NS, 1 << 20).pages
    half = stage.space.nr_pages // 2
    away = np.flatnonzero(stage.nodes_of(np.arange(stage.space.nr_pages)) == 1)
    hot, cold = away[away < half], away[away >= half]
    ratio = (pages < half).sum() / len(hot) / ((pages >= half).sum() / len(cold))
    assert ratio == pytest.approx(4.0, rel=0.15), "0.8 of the visits go to half of the pages"
    counts = np.bincount(pages, minlength=stage.space.nr_pages)[cold]
    assert counts.var() == pytest.approx(counts.mean(), rel=0.2), "Poisson"


def test_no_more_are_drawn_than_asked_for_and_sweeps_are_followed():
    made, stage, now = at_work([{"pattern": "sweep", "mapping": "m", "lines": 64}])
    seen = far_visits(stage, 0, 1)
    go_on(made, now + SPAN_NS)
    pages = seen.draw(now, now + SPAN_NS, 1 << 20).pages
    assert len(pages) > 50 and (np.diff(pages) == 1).all()
    assert len(seen.draw(now, now + SPAN_NS, 10).pages) == 10


def test_nobody_else_is_asked_and_nothing_unmanaged_told():
    made, stage, now = at_work([HALF])
    go_on(made, now + SPAN_NS)
    none = FarVisits(stage, 0, (1,), np.zeros(stage.space.nr_classes, bool), "none")
    assert not len(none.draw(now, now + SPAN_NS, 100).pages)
    other = FarVisits(stage, 7, (0, 1), np.ones(stage.space.nr_classes, bool), "other")
    assert other.draw(now, now + SPAN_NS, 100).expected.sum() == 0
