"""Thrashing detection, by hand."""

from __future__ import annotations

import numpy as np

from numasim.hotness.managed import ManagedRules, Thrashing

RULES = ManagedRules(256, 30_000, 100_000, 3, 500_000, 300_000_000, True)
BLOCK = np.array([1])
US = 1000


def test_a_block_that_is_taken_to_and_fro_is_pinned_for_a_while():
    thrashing = Thrashing(3, RULES)
    for k, side in enumerate([0, 1, 0, 1]):
        now = 1_000_000 + 100 * US * k
        assert not thrashing.pinned(BLOCK, now)[0]
        thrashing.note(BLOCK, side, now)
    assert thrashing.pinned(BLOCK, now)[0], "taken three times within 500 us of each other"
    assert not thrashing.pinned(np.array([0, 2]), now).any()
    assert thrashing.pinned(BLOCK, now + RULES.pin_ns - 1)[0]
    assert not thrashing.pinned(BLOCK, now + RULES.pin_ns)[0]
    assert thrashing.nr_pinned == 1


def test_slow_exchange_is_no_thrashing():
    thrashing = Thrashing(3, RULES)
    for k in range(20):
        thrashing.note(BLOCK, k % 2, 1_000_000 + 501 * US * k)
    assert not thrashing.pinned(BLOCK, 1_000_000 + 501 * US * 20)[0]


def test_faults_of_one_side_alone_are_no_thrashing():
    thrashing = Thrashing(3, RULES)
    for k in range(20):
        thrashing.note(BLOCK, 0, 1_000_000 + 10 * US * k)
    assert thrashing.nr_pinned == 0
