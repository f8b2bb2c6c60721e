"""Colloid on TPP, fault by fault: the way follows the latencies, and bytes are what it allows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numasim.balancing.steered import QUANTUM_NS, Steered
from numasim.hotness.balance import Balance
from tests.unit.balancing.test_active import bench, faults

MS = 1_000_000


def steered(here_ns: float, there_ns: float, lines: float = 1e6) -> tuple[Any, Steered]:
    """Pages 0..9 are active and slow, 10..19 active and fast; half of all reads are fast."""
    stage, rule = bench()
    hand = stage.migrator
    hand.migrate(np.arange(10, 20), 0, "somebody")
    hand.residents.act("lru_prio", np.arange(20), 0)
    balance = Balance(np.array([100.0, 200.0]))
    balance.share, balance.latency_ns = 0.5, np.array([here_ns, there_ns])
    measured: Any = SimpleNamespace(balance=balance, take_arrived=lambda: lines)
    return stage, Steered(stage, rule, measured)


def test_nothing_moves_before_the_balance_has_decided():
    stage, judge = steered(100, 200)
    assert not judge.decide(faults(stage, [0, 10]), MS)[1].any()


def test_up_while_the_default_tier_is_faster():
    stage, judge = steered(100, 200)
    judge.tick(MS)
    assert judge.wanted == 0.25, "half way to the upper end of the bracket"
    batch, moves = judge.decide(faults(stage, [0, 10, 21]), 2 * MS)
    assert moves.tolist() == [True, False, False] and batch.target[0] == 0


def test_down_while_it_is_slower():
    stage, judge = steered(300, 200)
    judge.tick(MS)
    assert judge.wanted == -0.25
    batch, moves = judge.decide(faults(stage, [0, 10, 11]), 2 * MS)
    assert moves.tolist() == [False, True, True]
    assert batch.target.tolist() == [0, 1, 1]


def test_neither_way_while_they_are_alike():
    stage, judge = steered(200, 205)
    judge.tick(MS)
    assert judge.wanted == 0 and not judge.decide(faults(stage, [0, 10]), MS)[1].any()


@pytest.mark.parametrize("where", [0, 10])
def test_bytes_of_a_quantum_are_a_share_of_what_was_read(where):
    """A quarter of 1000 lines are 16000 bytes: three pages, the first that fault."""
    stage, judge = steered(*((100, 200) if where == 0 else (300, 200)), lines=1000)
    judge.tick(MS)
    own = list(range(where, where + 10))
    moves = [judge.decide(faults(stage, own[:2]), MS)[1], judge.decide(faults(stage, own), MS)[1]]
    assert [int(m.sum()) for m in moves] == [2, 1] and moves[1][0]
    judge.tick(MS + QUANTUM_NS - 1)
    assert not judge.decide(faults(stage, own), MS)[1].any()
    judge.tick(MS + QUANTUM_NS)
    assert judge.decide(faults(stage, own), MS)[1].any()


def test_fast_pages_that_are_not_active_yet_become_so():
    stage, judge = steered(300, 200)
    stage.migrator.migrate(np.array([30]), 0, "somebody")
    judge.tick(MS)
    assert judge.decide(faults(stage, [30]), MS)[1].tolist() == [False]
    assert judge.decide(faults(stage, [30]), MS)[1].tolist() == [True]
