"""Stretches of mappings, their pages and folios."""

from __future__ import annotations

import numpy as np

from numasim.experimenter import stage_of
from numasim.hotness.spans import NONE, Spans
from tests.worlds import machine, mapping, touch_all, workload

MIB = 1 << 20


def test_spans_tile_the_mappings_that_are_large_enough():
    small, large = mapping("small", "1 MiB"), mapping("large", "5 MiB")
    made = machine(work=workload([small, large]))
    spans = Spans(stage_of(made), 2 * MIB, least=2 * MIB)
    assert len(spans) == 3 and spans.per == 512
    assert (spans.last - spans.first).tolist() == [512, 512, 256], "the last one is shorter"
    first = made.space.mappings[1].first
    pages = np.array([first - 1, first, first + 511, first + 512, first + 1279])
    assert spans.of(pages).tolist() == [NONE, 0, 0, 1, 2]


def test_nothing_is_managed_where_all_is_too_small():
    made = machine(work=workload([mapping("m", "1 MiB")]))
    spans = Spans(stage_of(made), 2 * MIB, least=2 * MIB)
    assert len(spans) == 0 and spans.of(np.array([0, 5])).tolist() == [NONE, NONE]


def test_heads_come_in_the_order_of_spans_and_absent_pages_do_not():
    made = machine(work=workload([mapping("m", "6 MiB", page="2 MiB"), mapping("n", "2 MiB")]))
    stage = stage_of(made)
    spans = Spans(stage, 2 * MIB)
    assert not len(spans.heads(np.arange(4)))
    touch_all(made.migrator, 0)
    touch_all(made.migrator, 1)
    heads = spans.heads(np.array([2, 0, 3]))
    assert heads[:2].tolist() == [2 * 512, 0], "a huge page is one folio"
    assert heads[2:].tolist() == list(range(3 * 512, 4 * 512)), "base pages are one each"
    assert spans.nodes(np.array([0, 3])).tolist() == [0, 0]
