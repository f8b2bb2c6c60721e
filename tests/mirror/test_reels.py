"""What a replay answers equals a plain look through the rows of the recording."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim import reels
from numasim.reels import Reel
from numasim.seeds import Seeds
from numasim.tape import open_tape
from tests import recordings

MADE = recordings.columns()
INTERVALS, PAGES = recordings.INTERVALS, recordings.PAGES
ALL = np.arange(PAGES)
quick = settings(max_examples=60, deadline=None)


def visits(threads: tuple[int, ...]) -> dict[tuple[int, int], float]:
    """(interval, page) → visits, added up row by row."""
    found: dict[tuple[int, int], float] = {}
    names = ("interval", "thread", "page", "loads", "stores", "touches")
    for i, thread, page, loads, stores, n in zip(
        *(MADE[name].tolist() for name in names), strict=True
    ):
        if n and (not threads or thread in threads):
            streamed = loads + stores >= 32
            own = max(1.0, (loads + stores) / 64 if streamed else n / 5)
            found[i, page] = found.get((i, page), 0.0) + own
    return found


def plain_chance(table: dict, page: int, low: float, high: float, loop: bool) -> float:
    """Chance that a page is touched, interval by interval."""
    missed, at = 1.0, math.floor(low)
    while at < high:
        part = min(high, at + 1) - max(low, at)
        recorded = at % INTERVALS if loop else at
        n = table.get((recorded, page), 0)
        missed *= (1 - part) ** n if n else 1.0
        at += 1
    return 1 - missed


def reel(**more) -> Reel:
    return Reel(open_tape(recordings.TINY), 0, 0, **more)


THREADS = st.sampled_from([(), (1,), (2,)])


@quick
@given(st.integers(0, 500), st.integers(1, 200), THREADS, st.booleans(), st.integers(0, 149))
def test_whole_intervals_are_the_recordings_exactly(low, length, threads, loop, begin):
    table = visits(threads)
    found = reel(threads=threads, loop=loop, begin=float(begin)).chance(
        ALL, float(low), float(low + length)
    )
    span = range(low + begin, low + begin + length)
    played = {i % INTERVALS for i in span} if loop else {i for i in span if i < INTERVALS}
    want = [float(any(table.get((i, page), 0) for i in played)) for page in ALL.tolist()]
    assert found.tolist() == want


@quick
@given(st.floats(0, 400), st.floats(0, 80), THREADS, st.booleans())
def test_parts_of_intervals_are_chances(low, length, threads, loop):
    table = visits(threads)
    found = reel(threads=threads, loop=loop).chance(ALL, low, low + length)
    want = [plain_chance(table, page, low, low + length, loop) for page in ALL.tolist()]
    np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dense", [0, 10**6])
def test_tables_and_searches_find_the_same(dense, monkeypatch):
    monkeypatch.setattr(reels, "DENSE", dense)
    table = visits(())
    found = reel().chance(ALL, 17.3, 17.9)
    want = [plain_chance(table, page, 17.3, 17.9, True) for page in ALL.tolist()]
    np.testing.assert_allclose(found, want, rtol=1e-9)


def test_many_windows_in_one_array_are_each_by_itself():
    rng = np.random.default_rng(3)
    before = rng.random(400) * 300
    after = before + rng.choice([0.0, 0.3, 1.0, 5.5, 200.0], 400)
    pages = rng.integers(0, PAGES, 400)
    whole = reel().chance(pages, before, after)
    for k in range(400):
        assert whole[k] == reel().chance(pages[[k]], before[k], after[k])[0]


def test_windows_in_the_order_of_ticks_need_no_sorting():
    """As the law asks: all regions of a tick, tick by tick."""
    before = np.repeat(np.arange(20) * 2.5, PAGES)
    pages = np.tile(ALL, 20)
    found = reel().chance(pages, before, before + 2.5).reshape(20, PAGES)
    shuffled = np.random.default_rng(4).permutation(len(pages))
    again = np.empty(len(pages))
    again[shuffled] = reel().chance(pages[shuffled], before[shuffled], before[shuffled] + 2.5)
    assert (again.reshape(20, PAGES) == found).all()


def test_stretched_pages_do_as_their_recorded_one():
    wide = Reel(open_tape(recordings.TINY), 0, 1000, stretch=4)
    found = wide.chance(np.arange(990, 1000 + 4 * PAGES + 10), 10.0, 13.0)
    narrow = reel().chance(ALL, 10.0, 13.0)
    assert found[:10].tolist() == [0.0] * 10 == found[-10:].tolist()
    assert found[10:-10].tolist() == np.repeat(narrow, 4).tolist()


def test_seen_is_drawn_with_that_chance():
    nr, one, table = 20_000, reel(), visits(())
    interval, page = next(key for key, n in table.items() if n == 1 and key[1] > recordings.HOT)
    pages, low = np.full(nr, page), np.full(nr, interval + 0.25)
    assert one.chance(pages[:1], low[:1], low[:1] + 0.5)[0] == pytest.approx(0.5)
    seen = one.seen(pages, low, low + 0.5, Seeds(1).stream("seen"))
    assert seen.mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(nr))  # once in a million


def test_forgetting_words_and_counts_changes_nothing(monkeypatch):
    kept = [reel().chance(ALL, float(a), a + 90.5).tolist() for a in range(0, 300, 7)]
    monkeypatch.setattr(reels, "WORDS_BYTES", 0)
    monkeypatch.setattr(reels, "WORDS_LEAST", 1)
    monkeypatch.setattr(reels, "COUNTS_KEPT", 1)
    one = reel()
    assert [one.chance(ALL, float(a), a + 90.5).tolist() for a in range(0, 300, 7)] == kept
    assert len(one._words) == 1 == len(one._counts)


# -- lines -----------------------------------------------------------------------------------------


@quick
@given(st.floats(0, 400), st.integers(1, 40), THREADS)
def test_lines_are_sums_of_rows(position, length, threads):
    place, reads, writes = reel(threads=threads).lines(position, length)
    first = math.floor(position + 1e-9) % INTERVALS // length * length
    last = min(first + length, INTERVALS)
    want, written = np.zeros(PAGES), 0
    for row in range(len(MADE["page"])):
        i, t, page = (int(MADE[name][row]) for name in ("interval", "thread", "page"))
        if first <= i < last and (not threads or t in threads):
            want[page] += int(MADE["loads"][row]) + int(MADE["stores"][row])
            written += int(MADE["writebacks"][row])
    assert place.tolist() == np.flatnonzero(want).tolist()
    np.testing.assert_allclose(reads, want[place] / (last - first), rtol=1e-12)
    assert writes == pytest.approx(written / (last - first))


@pytest.mark.parametrize("stretch", [1, 3])
def test_lines_go_to_the_nodes_of_their_pages(stretch):
    one = Reel(open_tape(recordings.TINY), 0, 100, stretch=stretch)
    nodes = np.random.default_rng(5).integers(0, 3, PAGES * stretch)
    found, written = one.lines_by_node(40.0, 8, lambda pages: nodes[pages - 100], 3)
    place, reads, writes = one.lines(40.0, 8)
    want = np.zeros(3)
    for page, lines in zip(place.tolist(), reads.tolist(), strict=True):
        for k in range(stretch):
            want[nodes[page * stretch + k]] += lines / stretch
    np.testing.assert_allclose(found, want, rtol=1e-12)
    assert written == pytest.approx(writes / reads.sum())


def test_all_lines_of_a_round_are_the_recordings():
    one = reel()
    total = sum(one.lines(float(i), 8)[1].sum() for i in range(INTERVALS))
    assert total == pytest.approx(float((MADE["loads"] + MADE["stores"]).sum()))


# -- means -----------------------------------------------------------------------------------------


def test_touched_shares_of_classes_are_means_over_windows():
    class_of = (ALL >= recordings.SWEPT).astype(np.int64)
    one = reel(classes=np.array([7, 9]), class_of=class_of, turn=np.ones(2))
    share = one.touched_share(4.0)
    # a sweep of 24 pages, 3 an interval: in 4 intervals half of them
    assert share[0] == pytest.approx(0.5, abs=0.02)
    windows = [reel().chance(ALL, float(a), a + 4.0)[24:].mean() for a in range(146)]
    assert share[1] == pytest.approx(np.mean(windows), abs=0.05)
