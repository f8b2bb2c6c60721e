"""paddr and vaddr on simulated memory: which folios an action meets, in what order, where to."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.damon.folios import Folios
from numasim.damon.paddr import Paddr
from numasim.damon.schemes import SchemeState
from numasim.damon.spec import Dest, Filter, Scheme
from numasim.damon.vaddr import ProcessView, Vaddr
from numasim.monitors import physical_addresses
from numasim.seeds import Seeds
from numasim.workload import Workload
from tests import worlds

PAGE = 4096
HUGE = 2 << 20
CHECK_NS = 7


class World:
    """Two processes on two nodes, everything on the first; what moves is written down."""

    def __init__(self, *mappings: dict, **topology) -> None:
        mappings = mappings or (worlds.mapping("m", "4 MiB"),)
        processes = [
            {"name": "a", "cgroup": "/a", "mappings": list(mappings)},
            {"name": "b", "cgroup": "/b", "mappings": [worlds.mapping("x", "1 MiB", kind="file")]},
        ]
        work = Workload.from_dict({"name": "w", "processes": processes})
        self.hand = worlds.migrator(worlds.topology(**topology), work)
        self.hand.law.track_bits()
        for index in range(len(self.hand.space.mappings)):
            worlds.touch_all(self.hand, index)
        self.memory, self.space = self.hand.memory, self.hand.space
        self.moved: list[int] = []
        self.hand.watch = lambda pages, frames, cause: self.moved.extend(pages.tolist())
        rng = Seeds(1).stream("young")
        law = self.hand.law
        self.folios = Folios(self.space, law, self.hand, ["/a", "/b"], CHECK_NS, rng, "k")
        self.base = int(self.memory.range_start[0])

    def paddr(self, unit: int = 1) -> Paddr:
        return Paddr(self.folios, physical_addresses(self.memory), self.memory.page_of, unit)

    def vaddr(self, fixed: bool = False, alive: bool = True) -> Vaddr:
        own = [m for m in self.space.mappings if m.process == 0]
        process = ProcessView(own, lambda: alive)
        return Vaddr(self.folios, [process], self.memory.frame_of, PAGE, fixed)

    def nodes(self, pages) -> list[int]:
        return self.memory.node_of(self.memory.frame_of[pages]).tolist()


def scheme(action: str = "migrate_cold", *filters: Filter, **more) -> SchemeState:
    return SchemeState(Scheme(action=action, filters=filters, **{"target_nid": 1, **more}))


def frames(world: World, first: int, last: int) -> tuple[int, int]:
    """Physical addresses of frames."""
    return world.base + first * PAGE, world.base + last * PAGE


# -- paddr -----------------------------------------------------------------------------------------


def test_high_addresses_move_first():
    world = World()
    found = world.paddr().apply(scheme(), 0, *frames(world, 10, 14), 0)
    assert world.moved == [13, 12, 11, 10]
    assert (found.applied_bytes, found.passed_bytes, found.busy_ns) == (4 * PAGE, 4 * PAGE, 4000)
    assert world.memory.frame_of[[13, 12]].tolist() == [8192, 8193]


def test_free_frames_and_holes_hold_nothing():
    world = World()
    ops = world.paddr()
    for first, last in ((6000, 6100), (50_000, 60_000)):
        assert ops.apply(scheme(), 0, *frames(world, first, last), 0).passed_bytes == 0


def test_an_address_unit_counts_in_its_own_units():
    world = World()
    start, end = frames(world, 16, 32)
    found = world.paddr(16).apply(scheme(), 0, start // 16, end // 16, 0)
    assert found.applied_bytes == found.passed_bytes == 16 * PAGE // 16
    assert len(world.moved) == 16


def huge_world(**more) -> World:
    return World(worlds.mapping("h", "8 MiB", page="2 MiB"), worlds.mapping("m", "1 MiB"), **more)


def test_a_folio_is_met_whole_and_once_per_pass():
    """A region that begins inside it acts on all of it; the next region of the pass skips it."""
    world = huge_world()
    state, ops = scheme("stat", Filter("anon", True, True)), world.paddr()
    first = ops.apply(state, 0, *frames(world, 100, 700), 0)
    assert first.passed_bytes == 2 * HUGE
    second = ops.apply(state, 0, *frames(world, 700, 1100), 0)
    assert second.passed_bytes == HUGE, "the folio at 512 was looked at already"
    ops.end_pass(state)
    assert ops.apply(state, 0, *frames(world, 700, 800), 0).passed_bytes == HUGE


def test_applied_bytes_may_exceed_the_region():
    world = huge_world()
    assert world.paddr().apply(scheme(), 0, *frames(world, 100, 101), 0).applied_bytes == HUGE


def test_stat_without_filters_looks_at_nothing():
    world = World()
    found = world.paddr().apply(scheme("stat"), 0, *frames(world, 0, 100), 0)
    assert (found.applied_bytes, found.passed_bytes) == (0, 0)


def test_what_is_there_already_passes_but_does_not_move():
    world = World()
    found = world.paddr().apply(scheme(target_nid=0), 0, *frames(world, 0, 10), 0)
    assert (found.applied_bytes, found.passed_bytes, world.moved) == (0, 10 * PAGE, [])


# -- filters ---------------------------------------------------------------------------------------


def passed(world: World, *filters: Filter, first: int = 0, last: int = 5000) -> int:
    found = world.paddr().apply(scheme("stat", *filters), 0, *frames(world, first, last), 10**9)
    return found.passed_bytes


def test_anonymous_memory_and_files():
    world = World()
    assert passed(world, Filter("anon", True, True)) == 4 << 20
    assert passed(world, Filter("anon", False, True)) == 1 << 20
    assert passed(world, Filter("anon", True, False)) == 1 << 20


def test_cgroups():
    world = World()
    for path, size in (("/a", 4 << 20), ("/b", 1 << 20), ("/c", 0)):
        assert passed(world, Filter("memcg", True, True, memcg_path=path)) == size


@pytest.mark.parametrize(
    ("low", "high", "size"), [(HUGE, HUGE, 8 << 20), (0, PAGE, 2 << 20), (1, 1, 0)]
)
def test_folio_sizes(low, high, size):
    filters = Filter("hugepage_size", True, True, min_sz=low, max_sz=high)
    assert passed(huge_world(), filters) == size


def test_every_page_here_is_mapped():
    assert passed(World(), Filter("unmapped", True, True)) == 0


def test_young_pages_are_made_old_and_the_test_takes_time():
    world = World()
    young = Filter("young", True, True)
    found = world.paddr().apply(scheme("stat", young), 0, *frames(world, 0, 100), 10**9)
    assert (found.passed_bytes, found.busy_ns) == (100 * PAGE, 100 * CHECK_NS), "just touched"
    assert passed(world, young, last=100) == 0, "nobody touches them"


def test_the_first_filter_that_matches_decides():
    world = World()
    reject_a = Filter("memcg", True, False, memcg_path="/a")
    allow = Filter("anon", True, True)
    assert passed(world, reject_a, allow) == 0
    assert passed(world, allow, reject_a) == 5 << 20
    # pages that a filter before it decided are not tested for youth
    assert passed(world, reject_a, Filter("young", True, True)) == 1 << 20
    assert passed(world, Filter("young", True, True)) == 4 << 20


# -- vaddr -----------------------------------------------------------------------------------------


def virtual(world: World, first: int, last: int) -> tuple[int, int]:
    start = world.space.mappings[0].address
    return start + first * PAGE, start + last * PAGE


def test_virtual_regions_move_their_pages_high_ones_first():
    world = World()
    found = world.vaddr().apply(scheme(), 0, *virtual(world, 3, 6), 0)
    assert world.moved == [5, 4, 3]
    assert (found.applied_bytes, found.passed_bytes) == (3 * PAGE, 0), "vaddr counts none passed"


def test_absent_pages_and_gaps_are_nothing():
    world = World(worlds.mapping("m", "4 MiB"), worlds.mapping("n", "4 MiB"))
    world.hand.unmap(world.space.mappings[1])
    start = world.space.mappings[0].address
    found = world.vaddr().apply(
        scheme("stat", Filter("anon", True, True)), 0, start, start + (64 << 20), 0
    )
    assert found.passed_bytes == 4 << 20


def test_regions_are_three_or_the_mappings():
    two = World(worlds.mapping("m", "4 MiB"), worlds.mapping("n", "4 MiB"))
    assert two.vaddr().init_ranges(0) == [
        (m.address, m.address + m.mapping.size) for m in two.space.mappings if m.process == 0
    ]
    four = World(*(worlds.mapping(n, "2 MiB") for n in "abcd"))
    assert len(four.vaddr().init_ranges(0)) == 3
    assert four.vaddr(fixed=True).init_ranges(0) is None
    assert four.vaddr(fixed=True).update_ranges(0) is None
    assert four.vaddr(alive=False).update_ranges(0) is None
    assert not four.vaddr(alive=False).target_valid(0)


def dests(*weights: int) -> tuple[Dest, ...]:
    return tuple(Dest(nid, weight) for nid, weight in enumerate(weights))


def test_weights_place_pages_by_their_index_whatever_came_before():
    world = World()
    state = scheme("migrate_hot", dests=dests(3, 1))
    start = world.space.mappings[0].address
    wanted = [int(((start + i * PAGE) // PAGE) % 4 == 3) for i in range(1024)]
    for _ in range(2):
        world.vaddr().apply(state, 0, *virtual(world, 0, 1024), 0)
        assert world.nodes(np.arange(1024)) == wanted
    moved = len(world.moved)
    assert moved == 256, "the second time nothing moves"
    world.vaddr().apply(scheme("migrate_hot", dests=dests(1, 3)), 0, *virtual(world, 0, 1024), 0)
    assert world.nodes(np.arange(1024)) == [
        int(((start + i * PAGE) // PAGE) % 4 != 0) for i in range(1024)
    ]


def test_files_count_from_their_beginning():
    world = World(worlds.mapping("m", "4 MiB", kind="file", address=0x7F00_0000_3000))
    state = scheme("migrate_hot", dests=dests(1, 1))
    world.vaddr().apply(state, 0, *virtual(world, 0, 1024), 0)
    assert world.nodes(np.arange(1024)) == [i % 2 for i in range(1024)]


def test_huge_pages_count_in_huge_pages_and_split_ones_in_base_pages():
    world = huge_world()
    world.hand.split(np.array([1024]))
    state = scheme("migrate_hot", dests=dests(1, 1))
    start = world.space.mappings[0].address
    world.vaddr().apply(state, 0, start, start + (8 << 20), 0)
    nodes = np.array(world.nodes(np.arange(2048))).reshape(4, 512)
    index = start >> 21
    for k in (0, 1, 3):
        assert set(nodes[k]) == {(index + k) % 2}
    assert nodes[2].tolist() == [i % 2 for i in range(512)]


def test_without_weights_nothing_moves():
    world = World()
    world.vaddr().apply(scheme("migrate_hot", dests=dests(0, 0)), 0, *virtual(world, 0, 10), 0)
    assert world.moved == []
