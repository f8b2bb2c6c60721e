"""The one hand that moves pages: first touch, migration, splits, and what it tells."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.errors import SimulationError
from numasim.memory import OTHER
from numasim.view import View
from tests import worlds


def mover(*mappings: dict, nodes=("32 MiB", "64 MiB"), **more):
    mappings = mappings or (worlds.mapping("m", "8 MiB"),)
    hand = worlds.migrator(worlds.topology(*nodes, **more), worlds.workload(mappings))
    return hand, hand.memory


def nodes_of(hand, pages) -> list[int]:
    return hand.memory.node_of(hand.memory.frame_of[pages]).tolist()


# -- first touch -----------------------------------------------------------------------------------


def test_first_touch_fills_the_home_node_upwards():
    hand, memory = mover()
    pages = worlds.touch_all(hand)
    assert memory.frame_of[pages].tolist() == list(range(2048))
    assert hand.node_counts.sum(axis=1).tolist() == [2048, 0]


def test_pages_that_are_there_stay():
    hand, memory = mover()
    worlds.touch_all(hand, home=1)
    before = memory.frame_of.copy()
    worlds.touch_all(hand, home=0)
    assert (memory.frame_of == before).all()


def test_it_spills_to_the_next_node_at_low_and_comes_back_at_min():
    hand, memory = mover(worlds.mapping("m", "96000 KiB"), kernel={"min_free_kbytes": 2048})
    pages = worlds.touch_all(hand)
    marks = memory.zones[0].marks
    nodes = np.array(nodes_of(hand, pages))
    turns = nodes[np.r_[True, nodes[1:] != nodes[:-1]]].tolist()
    assert turns == [0, 1, 0]
    first = int((nodes == 1).argmax())
    assert abs(8192 - first - marks.low) <= 64
    assert marks.min - 64 <= memory.zones[0].free < marks.low


def test_kswapd_makes_room_before_the_reserves_are_touched():
    other = {"bytes": "16 MiB", "reclaimable_bytes": "16 MiB"}
    common = {"latency": "100 ns", "bandwidth": "50 GB/s", "at": "socket0"}
    node = {"name": "n0", "capacity": "32 MiB", "other_memory": other, **common}
    hand, memory = mover(worlds.mapping("m", "24 MiB"), nodes=[node])
    worlds.touch_all(hand)
    assert (memory.page_of == OTHER).sum() < 4096


def test_bound_pages_do_not_leave_their_nodes():
    policy = {"mode": "bind", "nodes": ["n0"]}
    hand, _ = mover(worlds.mapping("app", "40 MiB", policy=policy))
    with pytest.raises(SimulationError) as caught:
        worlds.touch_all(hand, now_ns=5_000_000_000)
    text = str(caught.value)
    assert text.startswith("at 5.000 s: allocator: out of memory while populating app of process 0")
    assert "free: n0" in text and "n1" not in text
    assert not hand.node_counts.any()


def test_more_than_all_memory_is_an_error_with_every_node():
    hand, _ = mover(worlds.mapping("m", "100 MiB"))
    with pytest.raises(SimulationError, match=r"n0 \d+ MiB, n1 \d+ MiB"):
        worlds.touch_all(hand)


def test_huge_pages_lie_in_aligned_blocks():
    hand, memory = mover(worlds.mapping("a", "1 MiB"), worlds.mapping("h", "8 MiB", page="2 MiB"))
    worlds.touch_all(hand, 0)
    pages = worlds.touch_all(hand, 1)
    heads = memory.frame_of[pages].reshape(-1, 512)
    assert (heads[:, 0] % 512 == 0).all()
    assert (np.diff(heads, axis=1) == 1).all()


def fill_but_singles(hand, every: int) -> None:
    """Take all of node 0 but one frame in each `every`, so that no block is left."""
    zone = hand.memory.zones[0]
    frames = zone.frames.take(zone.free)
    zone.free = 0
    hand.memory.page_of[frames] = OTHER
    hand.memory.release(frames[::every])


def bound_huge(size: str):
    policy = {"mode": "bind", "nodes": ["n0"]}
    huge = worlds.mapping("h", size, page="2 MiB", policy=policy)
    hand, memory = mover(huge, worlds.mapping("b", "4 KiB"))
    memory.set_watermarks(0)
    return hand, memory


def test_without_blocks_a_huge_fault_takes_base_pages():
    hand, memory = bound_huge("2 MiB")
    hand.law.track_bits()
    fill_but_singles(hand, 8)
    hand.law.cleared_at[:] = 1
    pages = worlds.touch_all(hand)
    assert (memory.frame_of[pages] >= 0).all()
    assert (hand.space.pages_per_bit[hand.space.class_of[pages]] == 1).all(), "they are split"
    assert (hand.space.folio_heads(pages) == pages).all()
    assert (hand.law.cleared_at[pages] == 0).all(), "each of them is young"
    worlds.check(hand)


def test_blocks_are_used_up_before_base_pages():
    hand, memory = bound_huge("6 MiB")
    fill_but_singles(hand, 4)
    block = np.arange(1024, 1024 + 2 * 512)
    memory.release(block[memory.page_of[block] == OTHER])
    pages = worlds.touch_all(hand)
    per_bit = hand.space.pages_per_bit[hand.space.class_of[pages]]
    assert per_bit.tolist() == [512] * 1024 + [1] * 512
    worlds.check(hand)


def test_where_not_even_base_pages_are_left_nothing_is_kept():
    hand, memory = bound_huge("6 MiB")
    fill_but_singles(hand, 16)
    before = memory.zones[0].available
    with pytest.raises(SimulationError, match="out of memory while populating h"):
        worlds.touch_all(hand)
    assert memory.zones[0].available == before == 512
    assert (memory.frame_of < 0).all()


# -- migration -------------------------------------------------------------------------------------


def test_what_is_there_already_is_put_back():
    hand, _ = mover()
    pages = worlds.touch_all(hand)
    moved = hand.migrate(pages[:10], 0, "test")
    assert (moved.bytes, moved.busy_ns, moved.complete) == (0, 0, True)
    assert hand.ledger.take() == ({}, {})


def test_frames_of_the_target_are_taken_last_freed_first():
    hand, memory = mover()
    pages = worlds.touch_all(hand)
    there = hand.migrate(pages[:4], 1, "test").pages
    assert memory.frame_of[there].tolist() == [8192, 8193, 8194, 8195]
    hand.migrate(there[[2, 0]], 0, "back")  # frees 8194, then 8192
    again = hand.migrate(pages[100:103], 1, "test").pages
    assert memory.frame_of[again].tolist() == [8192, 8194, 8196]


def test_time_and_bytes_add_up():
    hand, _ = mover()
    pages = worlds.touch_all(hand)
    moved = hand.migrate(pages[:7], 1, "test")
    assert (moved.bytes, moved.busy_ns, moved.complete) == (7 * 4096, 7000, True)
    assert hand.ledger.take() == ({("test", 0, 0, 1): 7 * 4096}, {})
    traffic = hand.take_traffic()
    assert (traffic.bytes, traffic.folios) == ({(0, 1): 7 * 4096}, 7)
    assert traffic.pages_of_class.sum() == 7
    assert hand.take_traffic().bytes == {}


def test_a_full_target_is_filled_to_min_in_the_order_asked_for():
    hand, memory = mover(nodes=("32 MiB", "4 MiB"), kernel={"min_free_kbytes": 4096})
    pages = worlds.touch_all(hand)
    moved = hand.migrate(pages[::-1], 1, "test")
    marks = memory.zones[1].marks
    assert marks.min - 1 <= memory.free_frames(1) + 31 and memory.free_frames(1) <= marks.min
    assert not moved.complete
    assert moved.pages.tolist() == pages[::-1][: len(moved.pages)].tolist(), "high addresses won"
    failed = hand.ledger.take()[1]["test"]
    assert failed == (len(pages) - len(moved.pages)) * 4096


def test_a_refused_base_page_wakes_kswapd_whose_page_cache_makes_room():
    other = {"bytes": "2 MiB", "reclaimable_bytes": "2 MiB"}
    common = {"latency": "100 ns", "bandwidth": "50 GB/s", "at": "socket0"}
    near = {"name": "n0", "capacity": "4 MiB", "other_memory": other, **common}
    far = {"name": "n1", "capacity": "32 MiB", **common}
    hand, memory = mover(nodes=[near, far])
    pages = worlds.touch_all(hand, home=1)
    moved = hand.migrate(pages, 0, "test")
    assert (memory.page_of == OTHER).sum() < 512
    assert len(moved.pages) > 512 - memory.zones[0].marks.low


def test_huge_folios_move_whole():
    hand, _ = mover(worlds.mapping("h", "8 MiB", page="2 MiB"), worlds.mapping("b", "4 KiB"))
    pages = worlds.touch_all(hand)
    heads = np.unique(hand.space.folio_heads(pages))
    moved = hand.migrate(heads, 1, "test")
    assert moved.bytes == 8 * worlds.MIB
    assert moved.busy_ns == 4 * 1000
    assert hand.take_traffic().folios == 4
    worlds.check(hand)
    assert (hand.space.pages_per_bit[hand.space.class_of[pages]] == 512).all()


def test_a_huge_folio_without_a_block_is_split_and_its_pages_tried_once():
    hand, _ = mover(
        worlds.mapping("h", "4 MiB", page="2 MiB"), worlds.mapping("b", "4 KiB"),
        nodes=("32 MiB", "3 MiB"),
        kernel={"min_free_kbytes": 64, "transparent_hugepage": "never"},
    )  # fmt: skip
    pages = worlds.touch_all(hand)
    moved = hand.migrate(np.array([0, 512]), 1, "test")
    # one block fits; of the second folio the pages that still find room
    assert len(moved.pages) > 512
    assert moved.pages[:512].tolist() == list(range(512))
    assert (hand.space.pages_per_bit[hand.space.class_of[pages[:512]]] == 512).all()
    assert (hand.space.pages_per_bit[hand.space.class_of[pages[512:]]] == 1).all()
    failed = hand.ledger.take()[1]["test"]
    assert failed + moved.bytes == 4 * worlds.MIB
    worlds.check(hand)


def test_splitting_changes_the_class_and_keeps_the_rate():
    work = worlds.workload(
        [worlds.mapping("h", "4 MiB", page="2 MiB"), worlds.mapping("b", "1 MiB")],
        [{"pattern": "uniform", "mapping": "h"}],
    )
    hand = worlds.migrator(work=work)
    pages = worlds.touch_all(hand)
    weights = hand.space.patterns[0, 0, 0, 0].page_weights(0)
    before = weights[hand.space.class_of[pages]]
    assert hand.split(np.array([512])).tolist() == list(range(512, 1024))
    assert (weights[hand.space.class_of[pages]] == before).all()
    assert hand.space.folio_heads(np.array([511, 512, 513])).tolist() == [0, 512, 513]
    worlds.check(hand)


def test_unmapping_gives_all_frames_back():
    hand, memory = mover()
    before = memory.zones[0].available
    pages = worlds.touch_all(hand)
    hand.migrate(pages[:100], 1, "test")
    hand.unmap(hand.space.mappings[0])
    assert memory.zones[0].available == before
    assert not hand.node_counts.any()
    worlds.check(hand)


def test_half_a_mapping_can_be_unmapped():
    hand, _ = mover()
    pages = hand.space.mappings[0]
    hand.first_touch(pages, 0, 1000, 0, pages.mapping.policy, 0, 1)
    hand.unmap(pages)
    hand.unmap(pages)
    worlds.check(hand)


# -- who is told -----------------------------------------------------------------------------------


def test_observers_account_for_the_past_before_anything_changes():
    work = worlds.workload([worlds.mapping("m", "8 MiB")])
    seen: list[int] = []
    hand = worlds.migrator(work=work)
    hand.before_change = lambda: seen.append(int(hand.node_counts[1].sum()))
    pages = worlds.touch_all(hand)
    hand.migrate(pages[:5], 1, "test")
    hand.migrate(pages[:9], 1, "test")
    hand.unmap(hand.space.mappings[0])
    assert seen == [0, 0, 5, 9]


def test_views_learn_of_first_touches_in_their_own_slots():
    hand, memory = mover()
    memory.zones[0].frames.give(memory.zones[0].frames.take(3))  # so that frames do not rise
    physical = View(None, None, hand.frame_counts, hand.law)
    virtual = View(None, None, hand.watch_pages(), hand.law)
    hand.views = [(physical, True), (virtual, False)]
    pages = hand.space.mappings[0]
    hand.first_touch(pages, 4, 9, 0, pages.mapping.policy, 100, 200)
    (arrived,) = virtual.arrivals
    assert (arrived.from_ns, arrived.to_ns) == (100, 200)
    assert arrived.slots.tolist() == [4, 5, 6, 7, 8]
    assert physical.arrivals[0].slots.tolist() == sorted(memory.frame_of[4:9].tolist())


def test_the_watch_sees_every_placement():
    hand, memory = mover()
    seen = []
    hand.watch = lambda pages, frames, cause: seen.append((cause, pages.tolist(), frames.tolist()))
    worlds.touch_all(hand)
    hand.migrate(np.array([7, 3]), 1, "up")
    assert [cause for cause, *_ in seen] == ["first touch", "up"]
    assert seen[1][1:] == ([7, 3], memory.frame_of[[7, 3]].tolist())


def test_first_touched_pages_are_young():
    hand, _ = mover()
    hand.law.track_bits()
    worlds.touch_all(hand)
    hand.law.note_checked(np.arange(10), np.array([10**9]), np.zeros(10, bool))
    assert hand.law.young_chance(np.array([3, 30]), 10**9).tolist() == [0.0, 1.0]
