"""Whatever is touched, moved, split and given back: no frame is lost, doubled or miscounted."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from numasim.errors import SimulationError
from tests import worlds

MAPPINGS = [
    worlds.mapping("base", "12 MiB"),
    worlds.mapping("huge", "24 MiB", page="2 MiB"),
    worlds.mapping("middle", "3 MiB", page="64 KiB"),
    worlds.mapping("bound", "8 MiB", policy={"mode": "bind", "nodes": ["n1"]}),
    worlds.mapping(
        "striped", "5 MiB",
        policy={"mode": "weighted_interleave", "nodes": [0, 1, 2], "weights": [3, 1, 2]},
    ),
]  # fmt: skip
ZONES = [
    {"name": "DMA", "start": "4 GiB", "size": "2 MiB", "managed": 300},
    {"name": "Normal", "start": "4098 MiB", "size": "14 MiB"},
]


def three_nodes() -> worlds.Topology:
    """A node of two zones, one with page cache, one so small that it fills up."""
    common = {"latency": "100 ns", "bandwidth": "50 GB/s", "at": "socket0"}
    other = {"bytes": "5 MiB", "reclaimable_bytes": "3 MiB"}
    return worlds.topology(
        nodes=[
            {"name": "n0", "capacity": "16 MiB", "zones": ZONES, **common},
            {"name": "n1", "capacity": "24 MiB", "other_memory": other, **common},
            {"name": "n2", "capacity": "6 MiB", **common},
        ]
    )


class Placement(RuleBasedStateMachine):
    """First touch, migrate, split, unmap and sysctls in any order."""

    @initialize(
        seed=st.integers(0, 3), watched=st.booleans(), first=st.permutations(range(len(MAPPINGS)))
    )
    def begin(self, seed: int, watched: bool, first: list[int]) -> None:
        self.hand = worlds.migrator(three_nodes(), worlds.workload(MAPPINGS), seed)
        if watched:
            self.hand.watch_pages()
        self.rng = np.random.default_rng(seed)
        self.now = 0
        self.nr_other = int((self.hand.memory.page_of == -2).sum())
        for index in first[: seed + 1]:  # a machine that is filled already knows more trouble
            self.touch(index, home=seed % 3, start=0.0, part=1.0)

    def heads(self) -> np.ndarray:
        present = np.flatnonzero(self.hand.memory.frame_of >= 0)
        return np.unique(self.hand.space.folio_heads(present))

    @rule(
        index=st.integers(0, 4), home=st.integers(0, 2), start=st.floats(0, 1), part=st.floats(0, 1)
    )
    def touch(self, index: int, home: int, start: float, part: float) -> None:
        pages = self.hand.space.mappings[index]
        k = pages.folio_pages
        first = int(start * pages.nr / k) * k
        last = min(pages.nr, first + int(part * pages.nr / k + 1) * k)
        self.now += 1000
        before = int((self.hand.memory.frame_of >= 0).sum())
        try:
            self.hand.first_touch(
                pages, first, last, home, pages.mapping.policy, self.now - 1000, self.now
            )
        except SimulationError as error:
            assert pages.mapping.name in str(error)
            assert int((self.hand.memory.frame_of >= 0).sum()) == before
            return
        frames = self.hand.memory.frame_of[pages.first + first : pages.first + last]
        assert (frames >= 0).all()

    @precondition(lambda self: hasattr(self, "hand") and len(self.heads()))
    @rule(to=st.integers(0, 2), nr=st.integers(1, 4000), backwards=st.booleans())
    def migrate(self, to: int, nr: int, backwards: bool) -> None:
        heads = self.heads()
        chosen = np.sort(self.rng.choice(heads, min(nr, len(heads)), replace=False))
        chosen = chosen[::-1] if backwards else chosen
        memory, space = self.hand.memory, self.hand.space
        sizes = space.pages_per_bit[space.class_of[chosen]]
        away = memory.node_of(memory.frame_of[chosen]) != to
        wanted = int(sizes[away].sum()) * memory.frame_bytes
        failed_before = self.hand.ledger.failed.get("test", 0)
        moved = self.hand.migrate(chosen, to, "test")
        assert moved.bytes == len(moved.pages) * memory.frame_bytes
        assert (memory.node_of(memory.frame_of[moved.pages]) == to).all()
        failed = self.hand.ledger.failed.get("test", 0) - failed_before
        assert moved.bytes + failed == wanted, "bytes asked for are moved or failed"
        assert moved.complete == (failed == 0)

    @precondition(lambda self: hasattr(self, "hand") and len(self.heads()))
    @rule(nr=st.integers(1, 3))
    def split(self, nr: int) -> None:
        heads = self.heads()
        large = heads[self.hand.space.pages_per_bit[self.hand.space.class_of[heads]] > 1]
        if len(large):
            self.hand.split(large[:nr])

    @rule(index=st.integers(0, 4))
    def unmap(self, index: int) -> None:
        self.hand.unmap(self.hand.space.mappings[index])

    @rule(kbytes=st.integers(0, 4096), scale=st.integers(1, 3000))
    def sysctl(self, kbytes: int, scale: int) -> None:
        self.hand.memory.set_watermarks(kbytes, scale)
        for zone in self.hand.memory.zones:
            assert 0 <= zone.marks.min <= zone.marks.low <= zone.marks.high <= zone.marks.promo

    @rule(node=st.integers(0, 2))
    def kswapd(self, node: int) -> None:
        before = self.hand.memory.free_frames(node)
        assert self.hand.memory.wake_kswapd(node) == self.hand.memory.free_frames(node) - before

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "hand"):
            return
        worlds.check(self.hand)
        memory = self.hand.memory
        other = int((memory.page_of == -2).sum())
        assert other <= self.nr_other
        used = int((memory.page_of >= 0).sum())
        managed = sum(zone.managed for zone in memory.zones)
        assert used + other + sum(zone.available for zone in memory.zones) == managed


TestPlacement = Placement.TestCase
TestPlacement.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
