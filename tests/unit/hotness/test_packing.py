"""HeMem's policy thread, one step at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from numasim.hotness.balance import Balance
from numasim.hotness.packing import Packing, PackingRules
from numasim.hotness.throttle import Throttle
from tests.unit.hotness.made import at_work
from tests.worlds import check

MIB = 1 << 20
RULES = PackingRules(2 * MIB, 2 * MIB, 1e12, 1e12, 8, 4, 10, 10_000_000, 10.0, 4, 0)
QUIET = [{"pattern": "uniform", "mapping": "m"}]


def packing(rules: PackingRules = RULES, balance: Balance | None = None, fast: str = "16 MiB"):
    """HeMem on 24 spans, the last of which are on the slow node; samples come from the test."""
    made, stage, now = at_work(QUIET, fast, "64 MiB", size="48 MiB", page="2 MiB")
    return made, Packing(stage, rules, now, balance)


def sample(one: Packing, spans: list[int], nr: int, writes: bool = False) -> None:
    units = np.repeat(np.array(spans), nr)
    one.counts.add(units, np.full(len(units), writes))
    one._list(np.unique(units))


def nodes(one: Packing) -> list[int]:
    return one.spans.nodes(np.arange(len(one.spans))).tolist()


def test_eight_reads_or_four_writes_make_a_page_hot():
    _, one = packing()
    sample(one, [20], 7)
    sample(one, [21], 3, writes=True)
    assert not one.hot.any()
    sample(one, [20], 1)
    sample(one, [21], 1, writes=True)
    assert np.flatnonzero(one.hot).tolist() == [20, 21]
    assert len(one.hot_slow[0]) == 1 and len(one.hot_slow[1]) == 1


def test_a_hot_page_takes_the_place_of_a_cold_one():
    made, one = packing()
    before = nodes(one)
    assert before[20] == 1
    sample(one, [0], 8)
    sample(one, [20], 8)
    assert one.pack() > 0
    after = nodes(one)
    assert after[20] == 0 and after[0] == 0
    assert after.count(0) == before.count(0)
    assert [a for a, (x, y) in enumerate(zip(before, after, strict=True)) if x != y] == [1, 20]
    check(made.migrator)


def test_room_is_used_before_anything_is_sent_away():
    made, one = packing(fast="64 MiB")
    pages = one.spans.heads(np.array([5]))
    made.migrator.migrate(pages, 1, "test")
    sample(one, [5], 8)
    one.pack()
    assert nodes(one) == [0] * 24


def test_nothing_moves_where_all_of_the_fast_memory_is_hot():
    _, one = packing()
    before = nodes(one)
    sample(one, [s for s, node in enumerate(before) if node == 0], 9)
    sample(one, [20, 21], 9)
    assert one.pack() == 0 and nodes(one) == before
    assert len(one.hot_slow[1]) == 2, "they wait"


def test_pages_that_are_written_go_first_and_the_rate_is_kept():
    rules = replace(RULES, rate_bytes_per_ns=4 * MIB / 10_000_000)  # two moves a step: one swap
    _, one = packing(rules)
    sample(one, [20, 21], 9)
    sample(one, [23], 4, writes=True)
    for moved in (23, 20, 21):
        before = np.array(nodes(one))
        one.pack()
        after = np.array(nodes(one))
        assert after[moved] == 0 and (before != after).sum() == 2


def test_a_throttle_shrinks_the_budget():
    _, one = packing()
    one.throttle = Throttle(40, 100)
    one.throttle.measure(10)
    sample(one, [20], 9)
    assert one.pack() == 0
    one.throttle.measure(100)
    assert one.pack() > 0


def test_cooling_takes_pages_off_the_hot_list():
    _, one = packing()
    sample(one, [0, 1], 8)
    assert one.hot[[0, 1]].all()
    assert one.counts.add(np.full(11, 2), np.zeros(11, bool)) == 1
    one._list(np.flatnonzero(one.hot))
    assert not one.hot.any()
    assert len(one.cold_fast) == 2


@pytest.mark.parametrize(("wanted", "moved"), [(0.35, [20]), (0.6, [20, 22]), (0.05, [])])
def test_colloid_moves_the_hottest_that_fit(wanted, moved):
    """Shares of samples: 0.3 and 0.25 on the slow node, the rest is where it should be."""
    _, one = packing(replace(RULES, cooling=1000), Balance(np.array([100.0, 200.0])))
    for span, nr in ((20, 30), (22, 25), (0, 45)):
        sample(one, [span], nr)
    before = nodes(one)
    one.shift(wanted, 50)
    assert [s for s in (20, 22) if nodes(one)[s] != before[s]] == moved
    assert nodes(one)[0] == 0


def test_colloid_moves_hot_pages_away_too():
    _, one = packing(replace(RULES, cooling=1000), Balance(np.array([100.0, 200.0])))
    for span, nr in ((0, 60), (1, 30), (20, 10)):
        sample(one, [span], nr)
    one.shift(-0.4, 50)
    assert nodes(one)[:2] == [0, 1], "0.6 does not fit, 0.3 does"
    one.shift(-0.4, 0)
    assert nodes(one)[0] == 0, "nothing without a budget"
