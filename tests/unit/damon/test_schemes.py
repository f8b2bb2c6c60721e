"""Schemes: watermarks and patterns."""

import numpy as np
import pytest

from numasim.damon.schemes import SchemeState, pattern_mask, pattern_match
from numasim.damon.spec import AccessPattern, Scheme, Watermarks

MARKS = Watermarks("free_mem_rate", 5_000_000, high=500, mid=400, low=200)


@pytest.mark.parametrize(
    ("permil", "was_active", "is_active"),
    [
        (501, True, False),
        (500, True, True),
        (500, False, False),
        (400, False, False),
        (399, False, True),
        (200, False, True),
        (199, True, False),
    ],
)
def test_watermarks(permil, was_active, is_active):
    scheme = SchemeState(Scheme(wmarks=MARKS))
    scheme.activated = was_active
    wait_us = scheme.watermark_wait_us(1000, permil)
    assert (scheme.activated, wait_us) == (is_active, 0 if is_active else 5_000_000)


def test_without_a_metric_the_flag_is_left_alone():
    scheme = SchemeState(Scheme())
    scheme.activated = False
    assert scheme.watermark_wait_us(1000, 0) == 0
    assert not scheme.activated


def test_patterns_include_their_bounds():
    pattern = AccessPattern(10, 20, 1, 2, 3, 4)
    rows = [(s, n, a) for s in (9, 10, 20, 21) for n in (0, 1, 2, 3) for a in (2, 3, 4, 5)]
    size, nr, age = np.array(rows).T
    expected = [s in (10, 20) and n in (1, 2) and a in (3, 4) for s, n, a in rows]
    assert pattern_mask(pattern, size, nr, age).tolist() == expected
    assert [pattern_match(pattern, *row) for row in rows] == expected


def test_a_commit_keeps_counters_and_activates():
    scheme = SchemeState(Scheme(wmarks=MARKS))
    scheme.activated, scheme.stat.nr_tried, scheme.next_apply_sis = False, 3, 77
    scheme.quota.charged_sz = 9
    scheme.commit(Scheme(action="pageout"))
    assert scheme.action == "pageout" and scheme.activated
    assert (scheme.stat.nr_tried, scheme.next_apply_sis, scheme.quota.charged_sz) == (3, 77, 9)
