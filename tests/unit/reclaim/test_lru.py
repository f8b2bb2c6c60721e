"""The laws of both LRU models, step by step against the specification."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.reclaim.mglru import MultiGen, Position, prefers_file
from numasim.reclaim.records import ANON, FILE, REFERENCED, WORKINGSET, Records
from numasim.reclaim.two_lists import Costs, Sizes, TwoLists, inactive_is_low, scan_balance
from tests import worlds

MS = 1_000_000
GIB = 1 << 18


def records_of(nr: int = 256, rate_per_s: float = 0.0, kind: str = "anonymous") -> Records:
    """Base pages of one mapping, all present and young, visited at that rate."""
    access = [{"pattern": "uniform", "mapping": "m"}]
    work = worlds.workload([worlds.mapping("m", f"{4 * nr} KiB", kind=kind)], access)
    hand = worlds.migrator(work=work)
    worlds.touch_all(hand)
    rates = np.full(hand.law.exposure.rates.shape, rate_per_s / 1e9)
    hand.law.exposure.set_rates(0, rates)
    return Records(hand.space, hand.law, hand.memory, np.random.default_rng(1))


def generations(records: Records, nr: int | None = None) -> MultiGen:
    nr = records.space.nr_pages if nr is None else nr
    kind = int(records.file_class.any())
    lists = MultiGen(records, 0, lambda nid: np.array([nr * (1 - kind), nr * kind]))
    lists.arrive(np.arange(nr))
    return lists


# -- active and inactive ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inactive", "active", "low"),
    [
        (100, 100, False), (99, 100, True), (0, 0, False),  # below 1 GiB: 1:1
        (GIB // 2, GIB // 2 + 1, False),  # 1 GiB: ratio 3
        (GIB // 8, GIB, True), (GIB // 4, 3 * GIB // 4, False),
        (GIB // 4 - 1, 3 * GIB // 4 + 1, True),
        (GIB, 9 * GIB, False), (GIB, 10 * GIB, False),  # 10 GiB: ratio 10, 11 GiB: 10
        (GIB, 11 * GIB, True),  # 12 GiB: ratio 10
    ],
)  # fmt: skip
def test_inactive_is_low(inactive, active, low):
    assert inactive_is_low(inactive, active) == low


def balance(inactive, active, kinds=(ANON, FILE), priority=12, costs=(0, 0), free=10**6, high=0):
    return scan_balance(Sizes(inactive, active), Costs(*costs), priority, 60, kinds, free, high)


def test_without_swap_or_demotion_only_files_are_scanned():
    found = balance((1 << 20, 1 << 14), (0, 1 << 15), kinds=(FILE,))
    assert found == ((0, 4), (0, 8))


def test_at_the_last_priority_all_are_scanned_alike():
    assert balance((100, 50), (30, 20), priority=0) == ((100, 50), (30, 20))


def test_files_that_are_few_are_left_alone():
    found = balance((1 << 20, 10), (0, 10), free=100, high=1000)
    assert found == ((256, 0), (0, 0))


def test_many_inactive_files_are_trimmed_first():
    assert balance((1 << 20, 1 << 20), (0, 0)) == ((0, 256), (0, 0))


def test_else_swappiness_and_costs_share_it():
    # files are deactivated (inactive low), so no trimming; no costs: 60 to 140
    found = balance((1 << 20, 1 << 12), (0, 1 << 20))
    assert found == ((256 * 60 // 200, 1 * 140 // 200), (0, 256 * 140 // 200))
    # ca = 100, cf = 300: total 400, T 1200: ap = 60*1201//501 = 143, fp = 140*1201//701 = 239
    found = balance((1 << 20, 1 << 12), (0, 1 << 20), costs=(100, 300))
    assert found == ((256 * 143 // 382, 0), (0, 256 * 239 // 382))


def test_costs_are_halved_beyond_a_quarter_of_the_lists():
    costs = Costs(anon=100, file=50)
    costs.note(ANON, 10, 2, 4 * 1000)
    assert (costs.anon, costs.file) == (174, 50)
    costs.note(FILE, 800, 0, 4 * 1000)
    assert (costs.anon, costs.file) == (87, 425)


def two_lists(records: Records) -> TwoLists:
    lists = TwoLists(records, 0, lambda nid: (0, 0))
    lists.arrive(np.arange(records.space.nr_pages))
    return lists


def test_a_touched_page_goes_round_once_and_then_becomes_active():
    records = records_of(rate_per_s=1e5)
    lists = two_lists(records)
    for now, pages, marked in ((1, (0, 256), True), (2, (256, 0), False)):
        assert lists.begin(0, (ANON,), 60) == 256
        found = lists.isolate(256, (ANON,), 0, now * MS)
        assert found.scanned == 256 and not len(found.heads)
        assert ((records.flags & REFERENCED) > 0).all() == marked
        low_part = 32 if pages[0] else 0  # as inactive is empty, 32 pages are deactivated
        assert lists.pages() == (pages[0] - low_part, pages[1] + low_part)


def test_an_idle_page_survives_one_round_and_goes_in_the_second():
    lists = two_lists(records_of(rate_per_s=0.0))
    lists.begin(0, (ANON,), 60)
    assert not len(lists.isolate(256, (ANON,), 0, MS).heads), "its first touch set the bit"
    lists.begin(0, (ANON,), 60)
    assert lists.isolate(100, (ANON,), 0, 2 * MS).heads.tolist() == list(range(100))
    assert lists.isolate(100, (ANON,), 0, 2 * MS).heads.tolist() == list(range(100, 200))


def test_what_is_put_back_is_active_and_marked_ones_follow_the_action():
    lists = two_lists(records_of())
    lists.begin(0, (ANON,), 60)
    lists.isolate(256, (ANON,), 0, MS)
    lists.begin(0, (ANON,), 60)
    heads = lists.isolate(64, (ANON,), 0, 2 * MS).heads
    assert lists.pages() == (0, 192)
    lists.put_back(heads)
    assert lists.pages() == (64, 192)
    lists.prioritise(np.arange(60, 70))
    assert lists.pages() == (70, 186)
    lists.deprioritise(np.arange(0, 10))
    assert lists.pages() == (60, 196)


# -- generations -----------------------------------------------------------------------------------


def test_new_pages_are_of_the_second_youngest_generation():
    records = records_of()
    lists = generations(records)
    assert (lists.max_seq, set(records.gen.tolist())) == (3, {2})
    files = records_of(kind="file")
    lists = generations(files)
    assert set(files.gen.tolist()) == {0}, "files begin in the oldest"


def test_aging_comes_first_and_then_the_oldest_are_evicted():
    records = records_of()
    lists = generations(records)
    assert lists.begin(4, (ANON,), 60) == 16
    assert lists.isolate(16, (ANON,), 4, MS).walked == 256, "2 + 2 > 3: a walk over all entries"
    assert lists.max_seq == 4
    found = lists.isolate(16, (ANON,), 12, 2 * MS)
    assert found.heads.tolist() == list(range(64)), "nothing was touched since the walk"
    assert (records.flags[found.heads] == REFERENCED).all(), "though the walk found it young"


def test_with_two_generations_above_it_ages_only_below_the_default_priority():
    lists = generations(records_of())
    lists.isolate(16, (ANON,), 12, MS)
    assert lists.max_seq - lists.min_seq[ANON] == 2
    assert lists.isolate(16, (ANON,), 11, 2 * MS).walked == 256
    assert lists.max_seq == 5


def test_found_young_twice_is_the_youngest_generation():
    records = records_of(rate_per_s=1e5)
    lists = generations(records)
    lists.age(MS)
    lists.age(2 * MS)
    lists.settle(np.arange(256))
    assert (records.gen == 5).all() and ((records.flags & WORKINGSET) > 0).all()


def test_found_young_once_stays_where_it_is():
    records = records_of(rate_per_s=0.0)
    lists = generations(records)
    lists.age(MS)
    lists.age(2 * MS)
    lists.settle(np.arange(256))
    assert (records.gen == 2).all() and (records.flags == REFERENCED).all()


def test_a_check_that_finds_it_young_keeps_it_among_the_young():
    records = records_of(rate_per_s=1e5)
    lists = generations(records)
    lists.isolate(16, (ANON,), 12, MS)  # ages: all are referenced now
    found = lists.isolate(64, (ANON,), 12, 2 * MS)
    assert not len(found.heads) and found.scanned == found.checked == 64
    assert (records.gen[:64] == lists.max_seq).all(), "the second time"
    assert found.walked == 64, "those beside it are looked at"


def test_neighbours_of_a_young_page_are_seen():
    records = records_of(rate_per_s=1e5)
    lists = generations(records)
    lists.isolate(16, (ANON,), 12, MS)
    lists.take_off(np.arange(32))
    lists.isolate(1, (ANON,), 12, 2 * MS)  # takes a batch of 64: pages 32 to 95
    assert (records.gen[96:128] == lists.max_seq).all(), "in the window of 64 to 127"
    assert (records.gen[128:] == 2).all(), "but not in the next"


def test_the_fourth_generation_is_folded_into_the_third():
    lists = generations(records_of(nr=64))
    for now in range(1, 4):
        lists.age(now * MS)
    assert (lists.max_seq, lists.min_seq[ANON]) == (6, 3)
    assert lists.isolate(64, (ANON,), 12, 4 * MS).heads.tolist() == list(range(64))


@pytest.mark.parametrize(
    ("anon", "file", "swappiness", "first"),
    [
        ((0, 0), (0, 0), 60, True), ((0, 0), (1000, 500), 1, True), ((0, 0), (0, 0), 200, False),
        ((1000, 0), (1000, 63), 60, True),  # fewer than a batch of refaults
        ((1000, 0), (1000, 500), 60, False),  # 500*1064*60 > 1*1000*140
        ((1000, 500), (1000, 500), 60, True),  # 31.92M <= 501*1000*140 = 70.14M
        ((1000, 200), (1000, 500), 60, False),  # 31.92M > 28.14M
    ],
)  # fmt: skip
def test_the_kind_that_comes_back_less_is_evicted(anon, file, swappiness, first):
    assert prefers_file(Position(*anon), Position(*file), swappiness) == first


def test_lru_actions_of_damos():
    records = records_of()
    lists = generations(records)
    lists.prioritise(np.arange(10))
    lists.deprioritise(np.arange(100, 110))
    lists.isolate(16, (ANON,), 12, MS)
    first = lists.isolate(1, (ANON,), 12, 2 * MS).heads
    assert first[:10].tolist() == list(range(100, 110)) and not set(first) & set(range(10))


def test_a_walk_takes_bits_away_from_the_young_filter():
    """A page used before the last aging and not since is idle to DAMON, as reclaim cleared it."""
    for walked in (False, True):
        records = records_of(rate_per_s=1e5)
        lists, law = generations(records), records.law
        assert law.cleared_at is not None
        law.cleared_at[:256] = 1  # DAMON has looked before
        law.before_reading = lists.settle
        if walked:
            lists.age(5 * MS)
        law.exposure.set_rates(5 * MS, np.zeros(law.exposure.rates.shape))
        young = law.test_and_clear_young(np.arange(256), 9 * MS, np.random.default_rng(2))
        assert young.all() != walked and young.any() != walked


def test_a_check_by_damon_hides_accesses_from_the_next_walk():
    records = records_of(rate_per_s=1e5)
    lists, law = generations(records), records.law
    law.before_reading = lists.settle
    law.exposure.set_rates(5 * MS, np.zeros(law.exposure.rates.shape))
    assert law.test_and_clear_young(np.arange(256), 6 * MS, np.random.default_rng(2)).all()
    lists.age(9 * MS)
    lists.settle(np.arange(256))
    assert not (records.flags & REFERENCED).any()
