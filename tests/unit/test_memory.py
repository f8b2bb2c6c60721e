"""Frames, zones, watermarks, and the order in which the allocator hands frames out."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.free_frames import FreeFrames
from numasim.memory import FREE, OTHER, PCP_BATCH_PAGES, PCP_MAX_SCALE, RESERVED, Memory
from numasim.watermarks import zone_watermarks
from tests import worlds

COMMON = {"latency": "100 ns", "bandwidth": "50 GB/s", "at": "socket0"}


def memory(*nodes: dict, frame_bytes: int = 4096, kernel: dict | None = None) -> Memory:
    named = [{"name": f"n{i}", **COMMON, **node} for i, node in enumerate(nodes)]
    more = {} if kernel is None else {"kernel": kernel}
    return Memory(worlds.topology(nodes=named, **more), 100_000, frame_bytes)


def zoned(node: str, *zones: tuple) -> dict:
    made = [dict(zip(("name", "start", "size"), zone, strict=True)) for zone in zones]
    return {"capacity": node, "zones": made}


# -- layout ----------------------------------------------------------------------------------------


def test_frames_rise_with_addresses_whatever_the_order_of_nodes():
    far = zoned("4 MiB", ("Normal", 0x1000_0000, "4 MiB"))
    near = zoned("2 MiB", ("Normal", 0x800_0000, "2 MiB"))
    found = memory(far, near)
    assert found.node_runs(1) == [(0, 512)]
    assert found.node_runs(0) == [(512, 1536)]
    frames = np.array([0, 511, 512, 1535])
    assert found.node_of(frames).tolist() == [1, 1, 0, 0]
    assert found.addresses_of(frames).tolist() == [0x800_0000, 0x81F_F000, 0x1000_0000, 0x103F_F000]


def test_holes_have_no_frames():
    holed = zoned("6 MiB", ("Normal", 0x1000_0000, "6 MiB")) | {
        "ranges": [[0x1000_0000, 0x1010_0000], [0x1030_0000, 0x1060_0000]]
    }
    found = memory(holed)
    assert len(found.page_of) == 256 + 768
    assert found.node_runs(0) == [(0, 256), (256, 1024)]
    assert found.frames_in(0x1000_0000, 0x1040_0000) == [(0, 256), (256, 512)]
    assert found.frames_in(0x1010_0000, 0x1030_0000) == []
    assert found.addresses_of(np.array([255, 256])).tolist() == [0x100F_F000, 0x1030_0000]


def test_ranges_too_small_for_a_huge_frame_are_left_out():
    node = zoned("8 MiB", ("Normal", 0x1000_0000, "8 MiB")) | {
        "ranges": [[0x1000_1000, 0x1009_F000], [0x1010_0000, 0x1080_0000]]
    }
    found = memory(node, frame_bytes=2 << 20)
    assert found.range_start.tolist() == [0x1020_0000]
    assert found.managed_frames(0) == 3


def test_a_node_smaller_than_a_frame_is_refused():
    with pytest.raises(ConfigError, match=r"nodes\[0\].*no room for a page of 2048 KiB"):
        memory({"capacity": "1 MiB"}, frame_bytes=2 << 20)


def test_a_zone_owns_the_frames_that_begin_in_it():
    """No frame of 2 MiB belongs to two zones, though the border is inside one."""
    split = zoned("8 MiB", ("DMA", 0, "3 MiB"), ("Normal", 0x30_0000, "5 MiB"))
    found = memory(split, frame_bytes=2 << 20)
    assert [zone.runs for zone in found.zones] == [[(1, 2)], [(2, 4)]]


def test_unmanaged_frames_are_the_lowest():
    zone = {"name": "Normal", "start": 0, "size": "4 MiB", "managed": 1000}
    found = memory({"capacity": "4 MiB", "zones": [zone]})
    assert (found.page_of == RESERVED).nonzero()[0].tolist() == list(range(24))
    assert found.managed_frames(0) == found.free_frames(0) == 1000


def test_other_memory_takes_frames_and_is_not_the_workloads():
    found = memory({"capacity": "8 MiB", "other_memory": {"bytes": "3 MiB"}})
    assert (found.page_of == OTHER).sum() == 768
    assert found.free_frames(0) == 2048 - 768


def test_other_memory_larger_than_what_is_managed_is_refused():
    zone = {"name": "Normal", "start": 0, "size": "4 MiB", "managed": 100}
    with pytest.raises(ConfigError, match=r"other_memory.*larger"):
        memory({"capacity": "4 MiB", "zones": [zone], "other_memory": {"bytes": "1 MiB"}})


# -- the order of free frames ----------------------------------------------------------------------


def test_fresh_frames_come_upwards():
    assert FreeFrames([(10, 13), (20, 22)]).take(4).tolist() == [10, 11, 12, 20]


def test_taking_none_gives_none():
    assert FreeFrames([(0, 4)]).take(0).tolist() == []


def test_the_frame_freed_last_is_taken_first():
    free = FreeFrames([(0, 100)])
    free.take(50)
    free.give(np.array([7, 3, 9]))
    free.give(np.array([1]))
    assert free.take(5).tolist() == [1, 9, 3, 7, 50]


def test_a_chunk_is_taken_in_parts():
    free = FreeFrames([(0, 10)])
    free.take(10)
    free.give(np.arange(6))
    assert [free.take(2).tolist() for _ in range(3)] == [[5, 4], [3, 2], [1, 0]]


def test_blocks_are_aligned_and_leave_the_rest():
    free = FreeFrames([(3, 30)])
    assert free.take_aligned(2, 8).tolist() == [8, 16]
    assert sorted(np.concatenate(free.all()).tolist()) == [3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29]
    assert free.take_aligned(1, 8).tolist() == []


def test_freed_frames_coalesce_into_blocks():
    free = FreeFrames([(0, 32)])
    free.take(32)
    free.give(np.arange(31, -1, -1))
    assert sorted(free.take_aligned(9, 8).tolist()) == [0, 8, 16, 24]


def test_a_block_with_a_frame_missing_is_none():
    free = FreeFrames([(0, 16)])
    free.take(16)
    free.give(np.delete(np.arange(16), 3))
    assert free.take_aligned(2, 8).tolist() == [8]
    assert sorted(free.take(7).tolist()) == [0, 1, 2, 4, 5, 6, 7]


# -- watermarks ------------------------------------------------------------------------------------


def test_watermarks_are_those_of_the_formula():
    found = memory({"capacity": "64 MiB"}, {"capacity": "32 MiB"}, kernel={"min_free_kbytes": 4096})
    marks = zone_watermarks(4096, 16384, 24576)
    assert found.zones[0].marks == marks
    found.set_watermarks(scale=200)
    assert found.zones[0].marks.low == marks.min + 16384 * 200 // 10_000
    assert found.min_free_kbytes == 4096


def test_movable_zones_do_not_share_the_minimum():
    movable = zoned("64 MiB", ("Movable", 0x1000_0000, "64 MiB"))
    found = memory({"capacity": "32 MiB"}, movable, kernel={"min_free_kbytes": 4096})
    normal, other = sorted(found.zones, key=lambda z: z.name, reverse=True)
    assert normal.marks.min == 1024, "the only lowmem zone has all of it"
    assert other.marks.min == 32, "movable zones have a floor of their own"


def test_low_zones_are_reserved_for_those_who_need_them():
    two = zoned("40 MiB", ("DMA", 0, "8 MiB"), ("DMA32", 0x80_0000, "32 MiB"))
    found = memory(two)
    assert [zone.reserve for zone in found.zones] == [8192 // 256, 0]


def drain(found: Memory, nodes: list[int], marks: tuple[str, ...], step: int = 300) -> list[int]:
    """Allocate until nothing comes; free frames of each node then."""
    while len(found.allocate(step, nodes, marks)):
        pass
    return [found.free_frames(n) for n in nodes]


@pytest.mark.parametrize("mark", ["low", "min"])
def test_a_zone_serves_until_its_mark_and_one_refill_more(mark):
    found = memory({"capacity": "64 MiB"}, kernel={"min_free_kbytes": 16384})
    floor = getattr(found.zones[0].marks, mark)
    (left,) = drain(found, [0], (mark,))
    assert floor - (4 << PCP_MAX_SCALE) < left <= floor, "batches of 1/4096 of 16384 pages"


def test_highest_zone_first_then_the_next_node_then_deeper():
    two = zoned("40 MiB", ("DMA", 0, "8 MiB"), ("DMA32", 0x80_0000, "32 MiB"))
    far = zoned("16 MiB", ("Normal", 0x1000_0000, "16 MiB"))
    found = memory(two, far)
    frames = [found.allocate(100, [0, 1], ("low", "min")) for _ in range(200)]
    order = np.concatenate([f for f in frames if len(f)])
    zone = np.select([order < 2048, order < 10240], [0, 1], 2)
    turns = zone[np.r_[True, zone[1:] != zone[:-1]]].tolist()
    assert turns[:3] == [1, 0, 2]
    assert sum(z.free + z.in_pcp for z in found.zones) == 14336 - len(order)
    dma = found.zones[0]
    assert dma.free > dma.marks.min + dma.reserve - (1 << PCP_MAX_SCALE)
    assert order[:100].tolist() == list(range(2048, 2148))


def test_batches_of_a_large_zone_double_up_to_their_limit():
    found = memory({"capacity": "2 GiB"})
    sizes = []
    for _ in range(8):
        before = found.free_frames(0)
        while found.free_frames(0) == before:
            found.allocate(1, [0], ("low",))
        sizes.append(before - found.free_frames(0))
    assert sizes == [63, 126, 252, 504, 1008, 2016, 2016, 2016]


def test_blocks_leave_the_floor_alone():
    found = memory({"capacity": "16 MiB"})
    floor = found.zones[0].marks.min
    heads = found.allocate(100, [0], ("min",), 512)
    assert len(heads) == (4096 - floor) // 512
    assert (heads % 512 == 0).all()
    assert found.free_frames(0) >= floor


def test_lists_of_another_cpu_are_drained():
    found = memory({"capacity": "1 GiB"})
    found.allocate(1, [0], ("low",))
    assert found.zones[0].in_pcp == PCP_BATCH_PAGES - 1
    found.allocate(1, [0], ("low",), cpu="move")
    assert found.zones[0].available == (1 << 18) - 2
    assert found.free_frames(0) == (1 << 18) - 1 - PCP_BATCH_PAGES


def test_released_frames_go_back_to_their_zones():
    found = memory({"capacity": "16 MiB"}, {"capacity": "16 MiB"})
    frames = np.r_[found.allocate(10, [0], ("low",)), found.allocate(10, [1], ("low",))]
    found.page_of[frames] = 5
    before = [zone.available for zone in found.zones]
    found.release(frames)
    assert [zone.available - b for zone, b in zip(found.zones, before, strict=True)] == [10, 10]
    assert (found.page_of[frames] == FREE).all()


def test_kswapd_drops_page_cache_until_high():
    other = {"bytes": "40 MiB", "reclaimable_bytes": "30 MiB"}
    found = memory({"capacity": "64 MiB", "other_memory": other}, kernel={"min_free_kbytes": 8192})
    drain(found, [0], ("low", "min"))
    marks = found.zones[0].marks
    assert found.free_frames(0) <= marks.min
    freed = found.wake_kswapd(0)
    assert found.free_frames(0) == marks.high
    assert (found.page_of == OTHER).sum() == 10240 - freed
    assert found.wake_kswapd(0) == 0


def test_kswapd_without_page_cache_frees_nothing():
    found = memory({"capacity": "16 MiB"})
    drain(found, [0], ("low", "min"))
    assert found.wake_kswapd(0) == 0
