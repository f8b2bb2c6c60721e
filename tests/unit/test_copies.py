"""Copies that promoted pages leave: frames held, given back, gone back to; nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.copies import Copies
from numasim.mapping import Mempolicy
from numasim.memory import FREE, OTHER
from tests import worlds

FAST, SLOW = 0, 1


def bench(page: str = "4 KiB"):
    """8 MiB on the slow node, and whoever is called "up" leaves copies."""
    work = worlds.workload([worlds.mapping("m", "8 MiB", page=page), worlds.mapping("n", "4 KiB")])
    hand = worlds.migrator(worlds.topology("16 MiB", "64 MiB"), work)
    pages = hand.space.mappings[0]
    hand.first_touch(pages, 0, pages.nr, 0, Mempolicy(mode="bind", nodes=(SLOW,)), 0, 0)
    return hand, Copies(hand, "up")


def all_is_accounted(hand, copies) -> bool:
    """Every frame is free, a page's, or a copy's."""
    memory = hand.memory
    free = sum(zone.free + zone.in_pcp for zone in memory.zones)
    used = int((memory.page_of >= 0).sum())
    there = np.flatnonzero(memory.frame_of >= 0)
    assert (memory.page_of[memory.frame_of[there]] == there).all()
    assert (memory.page_of == OTHER).sum() == copies.nr == (copies.frame_of >= 0).sum()
    return free + used + copies.nr == sum(zone.managed for zone in memory.zones)


def test_only_its_own_mover_leaves_copies():
    hand, copies = bench()
    old = hand.memory.frame_of[:4].copy()
    hand.migrate(np.array([0, 1]), FAST, "up")
    hand.migrate(np.array([2, 3]), FAST, "somebody else")
    assert copies.frame_of[:4].tolist() == [*old[:2].tolist(), -1, -1]
    assert copies.nr == 2 and all_is_accounted(hand, copies)
    assert (hand.memory.page_of[old[2:]] == FREE).all()


def test_going_back_copies_nothing_and_is_on_the_ledger():
    hand, copies = bench()
    up = np.arange(10)
    before = hand.memory.frame_of[up].copy()
    hand.migrate(up, FAST, "up")
    hand.take_traffic()
    seen = []
    hand.watch = lambda pages, frames, cause: seen.append((cause, len(pages)))
    assert copies.put_back(up[:6], "kswapd0 (remap)") == 6
    assert (hand.memory.frame_of[:6] == before[:6]).all() and copies.nr == 4
    traffic = hand.take_traffic()
    assert not traffic.bytes and not traffic.busy_ns
    assert hand.ledger.moved["kswapd0 (remap)", 0, FAST, SLOW] == 6 * 4096
    assert seen == [("kswapd0 (remap)", 6)]
    assert hand.node_counts.sum(axis=1).tolist() == [4, 2044]
    assert all_is_accounted(hand, copies)


def test_dropping_and_reclaiming_free_frames_the_oldest_first():
    hand, copies = bench()
    for first in (0, 10, 20):
        hand.migrate(np.arange(first, first + 10), FAST, "up")
    free = hand.memory.free_frames(SLOW)
    assert copies.drop(np.array([0, 1, 40])) == 2
    assert copies.reclaim(SLOW, 12) == 12 and copies.reclaim(FAST, 5) == 0
    assert np.flatnonzero(copies.has(np.arange(30))).tolist() == list(range(14, 30))
    assert hand.memory.free_frames(SLOW) == free + 14
    assert copies.reclaim(SLOW, 100) == 16 and copies.nr == 0
    assert all_is_accounted(hand, copies)


def test_a_page_that_comes_again_has_its_new_copy_only():
    hand, copies = bench()
    one = np.array([5])
    hand.migrate(one, FAST, "up")
    copies.put_back(one, "down")
    hand.migrate(one, FAST, "up")
    assert copies.nr == 1 and copies.reclaim(SLOW, 10) == 1
    assert all_is_accounted(hand, copies)


@pytest.mark.parametrize("page", ["64 KiB", "2 MiB"])
def test_large_folios_go_as_one(page):
    hand, copies = bench(page)
    size = hand.space.mappings[0].folio_pages
    head = np.array([size])
    assert len(hand.migrate(head, FAST, "up", split=False).pages) == size == copies.nr
    assert copies.put_back(head, "down") == size
    assert hand.node_counts[FAST].sum() == 0 and all_is_accounted(hand, copies)
