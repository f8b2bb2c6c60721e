"""The allocator and first touch equal plain twins that go page by page."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.memory import Memory
from tests import worlds

PCP = 63


class PlainZone:
    """A zone as lists: a stack of freed frames above the fresh ones."""

    def __init__(
        self, node: int, first: int, last: int, marks: dict[str, int], reserve: int
    ) -> None:
        self.node, self.first, self.last = node, first, last
        self.marks, self.reserve = marks, reserve
        self.stack = list(range(last - 1, first - 1, -1))
        self.pcp, self.cpu, self.refills = 0, "", 0
        self.batch = min(PCP, max(1, (last - first) >> 12))

    @property
    def free(self) -> int:
        return len(self.stack) - self.pcp

    def one(self, mark: str, cpu: str) -> int | None:
        if self.cpu != cpu:
            self.cpu, self.pcp, self.refills = cpu, 0, 0
        if self.pcp == 0 and self.free > self.marks[mark] + self.reserve:
            self.pcp = min(self.batch << min(self.refills, 5), self.free)
            self.refills += 1
        if self.pcp == 0:
            return None
        self.pcp -= 1
        return self.stack.pop()


class PlainMemory:
    """Page by page over marks, nodes, zones."""

    def __init__(self, memory: Memory) -> None:
        self.zones = [
            PlainZone(z.node, *z.runs[0], {"low": z.marks.low, "min": z.marks.min}, z.reserve)
            for z in memory.zones
        ]

    def allocate(self, nr: int, nodes: list[int], marks: tuple[str, ...], cpu: str) -> list[int]:
        found = []
        for mark in marks:
            for node in nodes:
                for zone in reversed([z for z in self.zones if z.node == node]):
                    while len(found) < nr:
                        frame = zone.one(mark, cpu)
                        if frame is None:
                            break
                        found.append(frame)
        return found

    def release(self, frames: list[int]) -> None:
        for frame in frames:
            next(z for z in self.zones if z.first <= frame < z.last).stack.append(frame)


ZONES = [
    {"name": "DMA", "start": 0, "size": "4 MiB"},
    {"name": "DMA32", "start": "4 MiB", "size": "60 MiB"},
]
STEP = st.tuples(
    st.integers(-3000, 9000),
    st.permutations([0, 1]),
    st.sampled_from([("low",), ("min",), ("low", "min")]),
    st.sampled_from(["touch", "move"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_frames_come_in_the_order_of_the_plain_allocator(steps, random):
    common = {"latency": "100 ns", "bandwidth": "50 GB/s", "at": "socket0"}
    nodes = [
        {"name": "n0", "capacity": "64 MiB", "zones": ZONES, **common},
        {"name": "n1", "capacity": "48 MiB", **common},
    ]
    fast = Memory(worlds.topology(nodes=nodes), 1)
    plain = PlainMemory(fast)
    held: list[int] = []
    for nr, order, marks, cpu in steps:
        if nr > 0:
            got = fast.allocate(nr, order, marks, cpu=cpu).tolist()
            assert got == plain.allocate(nr, order, marks, cpu)
            held += got
        else:
            random.shuffle(held)
            gone, held = held[:-nr], held[-nr:]
            fast.release(np.array(gone, np.int64))
            plain.release(gone)
        assert [(z.free, z.in_pcp) for z in fast.zones] == [(z.free, z.pcp) for z in plain.zones]


# -- where first touch puts pages ------------------------------------------------------------------

NODES = ("16 MiB", "8 MiB", "24 MiB")
POLICIES = [
    {"mode": "local"},
    {"mode": "bind", "nodes": ["n1", "n2"]},
    {"mode": "preferred", "nodes": ["n1"]},
    {"mode": "preferred_many", "nodes": ["n1", "n2"]},
    {"mode": "interleave"},
    {"mode": "interleave", "nodes": ["n2", "n0"]},
    {"mode": "weighted_interleave", "nodes": ["n0", "n2"], "weights": [3, 2]},
]


def plain_node(policy: dict, home: int, folio: int) -> int:
    """Node that a page's first touch asks first."""
    names = policy.get("nodes") or ["n0", "n1", "n2"]
    nodes = [int(name[1:]) for name in names]
    if policy["mode"] == "interleave":
        return nodes[folio % len(nodes)]
    if policy["mode"] == "weighted_interleave":
        place = folio % sum(policy["weights"])
        for node, weight in zip(nodes, policy["weights"], strict=True):
            if place < weight:
                return node
            place -= weight
    if policy["mode"] in ("bind", "preferred", "preferred_many") and home not in nodes:
        return min(nodes, key=lambda n: (abs(n - home), n))  # distances of `worlds.topology`
    return home


@settings(max_examples=40, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    home=st.integers(0, 2),
    page=st.sampled_from(["4 KiB", "64 KiB"]),
    chunks=st.lists(st.integers(1, 600), min_size=1, max_size=6),
)
def test_first_touch_asks_the_node_that_the_policy_says(policy, home, page, chunks):
    distances = [[10, 20, 30], [20, 10, 20], [30, 20, 10]]
    work = worlds.workload([worlds.mapping("m", "3 MiB", page=page, policy=policy)])
    hand = worlds.migrator(worlds.topology(*NODES, distances=distances), work)
    pages = hand.space.mappings[0]
    size, k = pages.nr, pages.folio_pages
    at = 0
    for chunk in chunks:
        last = min(size, at + chunk * k)
        if at < last:
            hand.first_touch(pages, at, last, home, pages.mapping.policy, 0, 1)
        at = last
    placed = hand.memory.node_of(hand.memory.frame_of[:at])
    # every node has room to spare here, so each page is where its policy wants it
    assert placed.tolist() == [
        plain_node(policy, home, (pages.address // 4096 + i) // k) for i in range(at)
    ]
    worlds.check(hand)
