"""Whatever is touched, reclaimed, swapped and brought back: no page is lost, and kswapd stops."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from numasim.errors import SimulationError
from numasim.experimenter import stage_of
from numasim.memory import ABSENT, SWAPPED
from numasim.reclaim.kswapd import MAX_FAILURES, Kswapd, kernel_agents
from numasim.reclaim.two_lists import TwoLists
from tests import worlds

MAPPINGS = [
    worlds.mapping("base", "8 MiB"),
    worlds.mapping("huge", "8 MiB", page="2 MiB"),
    worlds.mapping("file", "4 MiB", kind="file"),
    worlds.mapping("bound", "6 MiB", policy={"mode": "bind", "nodes": ["n0"]}),
]
ACCESS = [{"pattern": "uniform", "mapping": m["name"]} for m in MAPPINGS]
SWAPS = [None, {"size": "4 MiB"}, {"size": "6 MiB", "kind": "compressed", "ratio": 3}]


class Reclaiming(RuleBasedStateMachine):
    """First touch, kswapd, swap, DAMOS actions, migrations, ends of processes, in any order."""

    @initialize(
        seed=st.integers(0, 3),
        lru=st.sampled_from(["mglru", "active_inactive"]),
        demotion=st.booleans(),
        swap=st.sampled_from(SWAPS),
        rates=st.lists(st.sampled_from([0.0, 1.0, 100.0, 1e5]), min_size=4, max_size=4),
    )
    def begin(self, seed, lru, demotion, swap, rates) -> None:
        kernel = {"min_free_kbytes": 256, "transparent_hugepage": "never", "lru": lru}
        kernel |= {"demotion": demotion, "swap": swap, "watermark_scale_factor": 100}
        work = worlds.workload(MAPPINGS, ACCESS)
        self.machine = worlds.machine(
            worlds.topology("10 MiB", "12 MiB", kernel=kernel), work, seed
        )
        self.agents = kernel_agents(stage_of(self.machine), self.machine.topology.kernel)
        self.hand, self.law = self.machine.migrator, self.machine.law
        of_mapping = np.array(rates)[self.machine.space.mapping_of_class] / 1e9
        self.law.exposure.set_rates(0, of_mapping)
        self.rng, self.now = np.random.default_rng(seed), 0
        for index in ([3, 0], [0, 1], [2, 0, 3], [1, 0])[seed]:  # full enough for trouble
            self.touch(index, 0.0, 1.0)
            self.time_passes(10)

    def act(self, until: int) -> None:
        """Let agents act in their order until an instant."""
        while True:
            agent = min(self.agents, key=lambda a: a.due_ns)
            if agent.due_ns > until:
                break
            self.now = max(self.now + 1, math.ceil(agent.due_ns))
            agent.act(self.now)
        self.now = max(self.now, until)

    @rule(ms=st.sampled_from([1, 10, 200]))
    def time_passes(self, ms: int) -> None:
        try:
            self.act(self.now + ms * 1_000_000)
        except SimulationError as error:
            assert "out of memory while swapping in" in str(error)

    @rule(index=st.integers(0, 3), start=st.floats(0, 1), part=st.floats(0, 1))
    def touch(self, index: int, start: float, part: float) -> None:
        pages = self.hand.space.mappings[index]
        k = pages.folio_pages
        first = int(start * pages.nr / k) * k
        last = min(pages.nr, first + int(part * pages.nr / k + 1) * k)
        self.now += 1000
        try:
            self.hand.first_touch(
                pages, first, last, 0, pages.mapping.policy, self.now - 1000, self.now
            )
        except SimulationError as error:
            assert "out of memory" in str(error)

    @rule(
        action=st.sampled_from(["pageout", "cold", "lru_prio", "lru_deprio"]),
        nr=st.integers(1, 900),
    )
    def damos(self, action: str, nr: int) -> None:
        heads = self.heads()
        if len(heads):
            chosen = np.sort(self.rng.choice(heads, min(nr, len(heads)), replace=False))
            free = sum(zone.available for zone in self.machine.memory.zones)
            pages, _ = self.hand.residents.act(action, chosen, self.now)
            more = sum(zone.available for zone in self.machine.memory.zones) - free
            assert pages == 0 or action != "pageout" or more <= pages

    @rule(to=st.integers(0, 1), nr=st.integers(1, 2000))
    def migrate(self, to: int, nr: int) -> None:
        heads = self.heads()
        if len(heads):
            chosen = np.sort(self.rng.choice(heads, min(nr, len(heads)), replace=False))
            self.hand.migrate(chosen, to, "test")

    @rule(index=st.integers(0, 3))
    def unmap(self, index: int) -> None:
        self.hand.unmap(self.hand.space.mappings[index])

    @precondition(lambda self: hasattr(self, "hand"))
    @rule(demotion=st.integers(0, 1))
    def sysctl(self, demotion: int) -> None:
        for agent in self.agents:
            agent.settings({"numa/demotion_enabled": demotion})

    def heads(self) -> np.ndarray:
        present = np.flatnonzero(self.hand.memory.frame_of >= 0)
        return np.unique(self.hand.space.folio_heads(present))

    @precondition(lambda self: hasattr(self, "hand") and self.hand.residents.swap is None)
    @rule()
    def until_they_sleep(self) -> None:
        """kswapd does not go on for ever (unless what it swaps out comes back at once)."""
        threads = [a for a in self.agents if isinstance(a, Kswapd)]
        awake = [a for a in threads if a.due_ns < math.inf]
        for _ in range(600):
            if all(a.due_ns == math.inf for a in threads):
                break
            self.act(math.ceil(min(a.due_ns for a in threads if a.due_ns < math.inf)))
        for thread in awake:
            assert thread.due_ns == math.inf, "kswapd does not come to an end"
            balanced = self.machine.memory.is_balanced(thread.nid)
            assert balanced or thread.failures >= MAX_FAILURES, "it sleeps too early"

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "hand"):
            return
        memory, space, hand = self.machine.memory, self.hand.space, self.hand
        worlds.check(hand)
        assert set(np.unique(memory.frame_of[memory.frame_of < 0])) <= {ABSENT, SWAPPED}
        swapped = np.flatnonzero(memory.frame_of == SWAPPED)
        counts = np.bincount(space.class_of[swapped], minlength=space.nr_classes)
        assert (counts == hand.swapped.counts).all()
        reclaimer = hand.residents
        held = reclaimer.records.tickets.held
        heads = self.heads()
        assert (held[heads] > 0).all(), "a folio is on no list"
        assert np.count_nonzero(held) == len(heads), "a list holds what is not there"
        nodes = memory.node_of(memory.frame_of[heads].astype(np.int64))
        for nid, lru in enumerate(reclaimer.lrus):
            listed = (
                [fifo for kind in lru._lists for fifo in kind]
                if isinstance(lru, TwoLists)
                else [fifo for kind in lru._lists for fifo in kind.values()]
            )
            found = np.concatenate([np.empty(0, np.int64), *(fifo.heads() for fifo in listed)])
            assert np.array_equal(np.sort(found), heads[nodes == nid]), "lists and node differ"
            if isinstance(lru, TwoLists):
                assert sum(lru.pages()) == reclaimer.records.nr_pages(found)
        if reclaimer.swap is not None:
            assert int(reclaimer.swap._stored.sum()) >= len(swapped)


TestReclaiming = Reclaiming.TestCase
TestReclaiming.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
