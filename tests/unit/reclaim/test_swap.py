"""Swap: what is touched comes back, at a cost; compressed pages take memory."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.experimenter import stage_of
from numasim.kernel import SwapSettings
from numasim.memory import OTHER, SWAPPED
from numasim.reclaim.kswapd import kernel_agents
from numasim.reclaim.swap import Pile, Swap
from tests import worlds

MS = 1_000_000


def bench(swap: dict, *access: dict, size: str = "8 MiB", **mapping):
    access = access or ({"pattern": "uniform", "mapping": "m"},)
    kernel = {"min_free_kbytes": 512, "transparent_hugepage": "never", "swap": swap}
    work = worlds.workload(
        [worlds.mapping("m", size, **mapping), worlds.mapping("base", "4 KiB")], access
    )
    machine = worlds.machine(worlds.topology("32 MiB", kernel=kernel), work)
    agents = kernel_agents(stage_of(machine), machine.topology.kernel)
    pages = machine.space.mappings[0]
    machine.migrator.first_touch(pages, 0, pages.nr, 0, pages.mapping.policy, 0, 0)
    return machine, agents[-1]


def available(machine) -> int:
    """Frames that are free, per-CPU lists included."""
    return sum(zone.available for zone in machine.memory.zones)


def rates(machine, per_s: float, now: int = 0) -> None:
    found = np.full(machine.law.exposure.rates.shape, per_s / 1e9)
    machine.law.exposure.set_rates(now, found)


def test_pages_that_are_swapped_out_have_no_frame():
    machine, swap = bench({"size": "4 MiB"})
    memory, free = machine.memory, available(machine)
    left, busy = swap.put(np.arange(1500), 0, MS)
    assert left.tolist() == list(range(1024, 1500)), "swap is full"
    assert (memory.frame_of[:1024] == SWAPPED).all() and available(machine) == free + 1024
    assert busy == 1024 * round(4096 / 3.0) or busy == pytest.approx(1024 * 4096 / 3.0, abs=1)
    assert machine.migrator.swapped.counts.sum() == 1024 and swap.free_pages == 0


def test_untouched_pages_stay_away_and_touched_ones_return():
    machine, swap = bench({"size": "16 MiB"})
    rates(machine, 0.0)
    swap.put(np.arange(1000), 0, MS)
    assert not swap.act(50 * MS) and swap.counters()["pswpin"] == 0
    rates(machine, 20.0, 50 * MS)
    swap.act(100 * MS)
    back = swap.counters()["pswpin"]
    expected = 1000 * -np.expm1(-20 * 0.05)
    assert abs(back - expected) < 5 * np.sqrt(1000 * 0.25)
    present = (machine.memory.frame_of[:1000] >= 0).sum()
    assert present == back == 1000 - machine.migrator.swapped.counts.sum()


def test_a_sweep_brings_back_what_it_has_passed():
    machine, swap = bench({"size": "16 MiB"}, {"pattern": "sweep", "mapping": "m"})
    front = machine.law.fronts[0]
    found = np.zeros(machine.law.exposure.rates.shape)
    found[front.column] = 300 / (10 * MS)
    machine.law.exposure.set_rates(0, found)
    swap.put(np.arange(2048), 0, 0)
    swap.act(10 * MS)
    there = np.flatnonzero(machine.memory.frame_of >= 0)
    assert there.tolist() == list(range(1, 301)), "it stood on page 0 already"


def test_the_pause_is_as_long_as_a_hundredth_of_the_pages_takes():
    machine, swap = bench({"size": "16 MiB"})
    rates(machine, 1.0)
    swap.put(np.arange(2000), 0, MS)
    swap.act(2 * MS)
    assert swap.due_ns == pytest.approx(2 * MS + 64 / 2000 * 1e9, rel=0.01)


def test_who_touches_a_swapped_page_waits():
    machine, swap = bench({"size": "16 MiB", "read_latency": "80 us", "bandwidth": "4 GB/s"})
    machine.start_process(0, 0)
    machine.change(100 * MS)
    machine.settle(100 * MS)
    actor = machine.actors[0]
    assert machine.migrator.swapped.stall_ns(machine.patterns_of(actor), machine.weights[0, 0]) == 0
    before = actor.rate_per_ns
    swap.put(np.arange(1024), 0, 100 * MS)
    machine.settle(100 * MS)
    fault = 80_000 + 4096 / 4 + machine.topology.costs.minor_fault
    stall = machine.migrator.swapped.stall_ns(machine.patterns_of(actor), machine.weights[0, 0])
    assert stall == pytest.approx(0.5 * fault), "half of the pages of one visit an operation"
    assert 1 / actor.rate_per_ns == pytest.approx(1 / before + stall, rel=0.05)


def test_compressed_pages_take_a_third_of_their_size():
    machine, swap = bench({"size": "16 MiB", "kind": "compressed", "ratio": 3})
    rates(machine, 0.0)
    free = available(machine)
    left, busy = swap.put(np.arange(1200), 0, MS)
    assert not len(left) and busy == 1200 * 9_000
    assert available(machine) == free + 1200 - 400
    assert (machine.memory.page_of == OTHER).sum() == 400
    rates(machine, 1e6, MS)
    swap.act(100 * MS)
    assert available(machine) == free and (machine.memory.page_of == OTHER).sum() == 0


def test_who_ends_leaves_nothing_behind():
    machine, swap = bench({"size": "16 MiB", "kind": "compressed"})
    free = available(machine)
    swap.put(np.arange(600), 0, MS)
    machine.migrator.unmap(machine.space.mappings[0])
    assert not machine.migrator.swapped.counts.any()
    swap.act(2 * MS)
    assert swap.free_pages == 4096 and available(machine) == free + 2048
    assert swap.due_ns == np.inf


def test_huge_folios_are_split_on_their_way():
    machine, swap = bench({"size": "16 MiB"}, page="2 MiB", size="8 MiB")
    rates(machine, 0.0)
    swap.put(np.array([0, 512]), 0, MS)
    classes = machine.space.class_of[:1024]
    assert (machine.space.pages_per_bit[classes] == 1).all()
    assert machine.migrator.swapped.counts.sum() == 1024


def test_a_pile_gives_what_lies_at_places_and_keeps_the_rest():
    rng = np.random.default_rng(1)
    pile, plain = Pile(), set()
    for step in range(50):
        more = np.arange(step * 100, step * 100 + int(rng.integers(1, 100)))
        pile.add(more)
        plain |= set(more.tolist())
        places = rng.choice(pile.nr, int(rng.integers(0, pile.nr + 1)), replace=False)
        expected = pile.pages[places].tolist()
        assert pile.take(places).tolist() == expected
        plain -= set(expected)
        assert sorted(pile.pages.tolist()) == sorted(plain)


def test_priors_of_both_kinds():
    device = SwapSettings(size=1 << 30)
    assert device.read_ns == 90_000 + 4096 / 3 and device.write_ns == 4096 / 3
    packed = SwapSettings(size=1 << 30, kind="compressed", read_latency=5_000, write_latency=8_000)
    assert (packed.read_ns, packed.write_ns) == (5_000, 8_000)


def test_it_is_an_agent_without_sysctls():
    _, swap = bench({"size": "4 MiB"})
    assert isinstance(swap, Swap)
    swap.settings({"vm.swappiness": 3})
    assert swap.counters() == {"pswpin": 0, "pswpout": 0, "pgmajfault": 0}


def test_somebody_waits_as_long_as_faults_take():
    machine, swap = bench({"size": "16 MiB"})
    rates(machine, 100.0)
    swap.put(np.arange(2000), 0, 0)
    swap.act(10 * MS)
    stall = swap.counters()["pgmajfault"] * machine.migrator.swapped.fault_ns
    assert swap.some_ns == pytest.approx(10 * MS * -np.expm1(-stall / (10 * MS)))
    assert machine.migrator.residents.stall_us == int(swap.some_ns // 1000)
