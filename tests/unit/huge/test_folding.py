"""Making huge pages: where they go, what that takes, when it fails; nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.mapping import Mempolicy
from numasim.memory import SWAPPED
from tests import worlds
from tests.unit.huge.scenes import FAST, HUGE, PER, SLOW, all_whole, hand_of, touch


def blocks(huge, pages) -> np.ndarray:
    return huge.blocks_within(pages, 0, pages.mapping.size)


def test_small_pages_become_one_folio():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, pages.nr)
    before = hand.node_counts.sum()
    found = huge.collapse(pages, blocks(huge, pages), "me")
    assert found.complete and not found.out_of_memory
    assert found.busy_ns == 2048 * 1000, "each small page takes its own move"
    assert (hand.space.folio_heads(np.arange(2048)) == np.arange(2048) // PER * PER).all()
    assert hand.node_counts.sum() == before and huge.nr_huge == huge.collapsed == 4
    worlds.check(hand)


def test_frames_of_small_pages_are_free_again():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, pages.nr)
    free = hand.memory.zones[0].available
    huge.collapse(pages, blocks(huge, pages), "me")
    assert hand.memory.zones[0].available == free


def test_copies_are_on_the_wires_and_only_what_changed_its_node_is_on_the_ledger():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, 400, SLOW)
    touch(hand, pages, 400, PER, FAST)
    huge.collapse(pages, blocks(huge, pages)[:1], "me")
    traffic = hand.take_traffic()
    assert traffic.bytes == {(SLOW, SLOW): 400 * 4096, (FAST, SLOW): 112 * 4096}
    assert (traffic.folios, traffic.busy_ns) == (1, 512_000)
    assert hand.ledger.moved == {("me", 0, FAST, SLOW): 112 * 4096}
    assert (hand.memory.node_of(hand.memory.frame_of[:PER]) == SLOW).all(), "most of it was there"
    worlds.check(hand)


def test_holes_are_filled_with_zeros_in_the_time_of_a_huge_fault():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, 128)
    found = huge.collapse(pages, blocks(huge, pages)[:1], "me")
    assert found.complete and found.busy_ns == 128 * 1000 + 100_000 * 384 // 512
    assert (hand.memory.frame_of[:PER] >= 0).all()
    worlds.check(hand)


def test_a_block_without_a_page_stays_and_the_others_are_done():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, PER)
    touch(hand, pages, 2 * PER, 3 * PER)
    found = huge.collapse(pages, blocks(huge, pages), "me")
    assert not found.complete and not found.out_of_memory
    assert huge.are_whole(blocks(huge, pages)).tolist() == [True, False, True, False]
    worlds.check(hand)


def test_what_is_huge_already_takes_no_time():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, pages.nr)
    huge.collapse(pages, blocks(huge, pages), "me")
    hand.take_traffic()
    again = huge.collapse(pages, blocks(huge, pages), "me")
    assert again.complete and again.busy_ns == 0 and huge.collapsed == 4
    assert not hand.take_traffic().bytes


TIGHT = {"min_free_kbytes": 64, "transparent_hugepage": "never"}


def test_without_a_free_block_it_ends_there():
    hand, huge, pages = hand_of(sizes=("9 MiB", "64 MiB"), kernel=TIGHT)
    touch(hand, pages, 0, pages.nr)
    found = huge.collapse(pages, blocks(huge, pages), "me")
    assert found.out_of_memory and not found.complete and found.busy_ns == 0
    assert huge.collapsed == 0 and huge.collapse_failed == 1
    worlds.check(hand)


def test_what_one_block_leaves_is_room_for_the_next():
    hand, huge, pages = hand_of(sizes=("11 MiB", "64 MiB"), kernel=TIGHT)
    touch(hand, pages, 0, pages.nr)
    assert huge.collapse(pages, blocks(huge, pages), "me").complete
    worlds.check(hand)


def test_free_pages_here_and_there_are_no_block():
    hand, huge, pages = hand_of(
        worlds.mapping("m", "8 MiB", address=1 << 30), worlds.mapping("n", "8 MiB"),
        sizes=("17 MiB", "64 MiB"), kernel=TIGHT,
    )  # fmt: skip
    other = hand.space.mappings[1]
    touch(hand, other, 0, other.nr)
    touch(hand, pages, 0, pages.nr)
    every = np.arange(other.first, other.last)
    hand.memory.release(hand.lift(every[every % 16 > 0], freed=True))
    assert hand.memory.free_frames(FAST) > 3 * PER
    assert huge.collapse(pages, blocks(huge, pages), "me").out_of_memory
    worlds.check(hand)


def test_pages_in_swap_keep_their_block_small():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, pages.nr)
    hand.put_away(np.array([5]))
    found = huge.collapse(pages, blocks(huge, pages), "me")
    assert not found.complete and huge.collapsed == 3
    assert hand.memory.frame_of[5] == SWAPPED
    worlds.check(hand)


def test_a_split_gives_the_classes_back():
    access = [{"pattern": "zipf", "mapping": "m"}]
    hand, huge, pages = hand_of(access=access)
    touch(hand, pages, 0, pages.nr)
    before = hand.space.class_of.copy()
    huge.collapse(pages, blocks(huge, pages), "me")
    assert (hand.space.class_of != before).all()
    hand.split(blocks(huge, pages))
    assert (hand.space.class_of == before).all() and huge.nr_huge == 0
    worlds.check(hand)


def test_a_huge_page_moves_whole():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, pages.nr)
    huge.collapse(pages, blocks(huge, pages), "me")
    moved = hand.migrate(blocks(huge, pages)[1:2], SLOW, "me")
    assert moved.bytes == HUGE and moved.busy_ns == 1000, "one folio"
    worlds.check(hand)


def test_the_new_mapping_is_young_and_has_one_bit():
    hand, huge, pages = hand_of()
    touch(hand, pages, 0, pages.nr)
    heads = blocks(huge, pages)
    rng = np.random.default_rng(1)
    hand.law.test_and_clear_young(np.arange(pages.nr), 10**9, rng)
    huge.collapse(pages, heads, "me")
    assert hand.law.young_chance(heads, 2 * 10**9).tolist() == [1, 1, 1, 1]
    hand.law.test_and_clear_young(heads, 2 * 10**9, rng)
    assert hand.law.young_chance(heads, 3 * 10**9).tolist() == [0, 0, 0, 0], "nobody visits it"


def test_a_mapping_at_any_address_has_its_blocks_where_addresses_say():
    hand, huge, pages = hand_of(worlds.mapping("m", "8 MiB", address=(1 << 30) + 12 * 4096))
    touch(hand, pages, 0, pages.nr)
    assert blocks(huge, pages).tolist() == [500, 1012, 1524]
    assert huge.collapse(pages, blocks(huge, pages), "me").complete
    heads = hand.space.folio_heads(np.arange(pages.nr))
    assert heads[:500].tolist() == list(range(500)) and (heads[500:1012] == 500).all()
    worlds.check(hand)


@pytest.mark.parametrize("page", ["64 KiB", "4 KiB"])
def test_frames_may_be_larger_than_pages(page):
    """Of 64 KiB pages alone, a frame is 64 KiB; beside small ones it is not."""
    more = () if page == "64 KiB" else (worlds.mapping("b", "4 KiB"),)
    hand, huge, pages = hand_of(worlds.mapping("m", "8 MiB", address=1 << 30, page="64 KiB"), *more)
    touch(hand, pages, 0, pages.nr)
    found = huge.collapse(pages, blocks(huge, pages), "me")
    assert found.complete and found.busy_ns == 128 * 1000, "folios of 64 KiB, one by one"
    assert all_whole(huge, pages)
    worlds.check(hand)


# -- faults ----------------------------------------------------------------------------------------


def faulted(hand, huge, pages, first: int, stop: int, policy: Mempolicy | None = None):
    return huge.fault(pages, first, stop, FAST, policy or Mempolicy(), 0, 1000)


def test_a_fault_in_advised_memory_brings_the_whole_block():
    hand, huge, pages = hand_of()
    huge.advise(pages, 0, 2 * HUGE, True)
    assert faulted(hand, huge, pages, 100, 520) == (2, 420)
    assert (hand.memory.frame_of[: 2 * PER] >= 0).all() and huge.nr_huge == 2
    assert faulted(hand, huge, pages, 520, 2048) == (0, 0), "the rest was not advised"
    worlds.check(hand)


def test_blocks_with_a_page_or_with_half_the_advice_fault_as_small_pages():
    hand, huge, pages = hand_of()
    huge.advise(pages, 0, 8 << 20, True)
    huge.advise(pages, HUGE + 4096, HUGE + 8192, False)
    touch(hand, pages, 3, 4)
    assert faulted(hand, huge, pages, 0, 2048) == (2, 1024)
    assert not (hand.memory.frame_of[: 2 * PER] >= 0)[4:].any()


def test_advice_is_not_heeded_where_transparent_huge_pages_are_off():
    hand, huge, pages = hand_of(allowed=False)
    huge.advise(pages, 0, 8 << 20, True)
    assert faulted(hand, huge, pages, 0, 2048) == (0, 0)


def test_huge_faults_follow_the_policy_by_huge_pages():
    hand, huge, pages = hand_of()
    huge.advise(pages, 0, 8 << 20, True)
    policy = Mempolicy(mode="interleave", nodes=(FAST, SLOW))
    assert faulted(hand, huge, pages, 0, 2048, policy) == (4, 2048)
    nodes = hand.memory.node_of(hand.memory.frame_of[blocks(huge, pages)])
    assert nodes.tolist() == [FAST, SLOW, FAST, SLOW]
    worlds.check(hand)


def test_without_a_block_a_fault_brings_small_pages():
    hand, huge, pages = hand_of(sizes=("5 MiB", "64 MiB"), kernel=TIGHT)
    huge.advise(pages, 0, 8 << 20, True)
    bound = Mempolicy(mode="bind", nodes=(FAST,))
    nr, touched = faulted(hand, huge, pages, 0, 2048, bound)
    assert 0 < nr < 4 and touched == nr * PER
