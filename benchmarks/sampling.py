"""Sampling an aggregation: the shortcut by class counts beside one page per tick."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.estimating import rate, ratio
from benchmarks.harness import Answers, Ask, at_least, benchmark, turns
from benchmarks.machines import edges, physical_view, populated
from numasim.damon.ops import Window
from numasim.machine import Machine
from numasim.sources import AccessSource, registry
from numasim.view import View

GIB = 64
TICKS, TICK_NS, STEP_NS = 20, 5_300_000, 5_400_000


def window(machine: Machine) -> Window:
    """Twenty ticks from now on."""
    starts = np.arange(TICKS) * STEP_NS + machine.now_ns + 1
    return Window(starts, starts + TICK_NS)


def accessed_bits(machine: Machine, view: View, exact: bool) -> AccessSource:
    """The eye of a kdamond."""
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    return registry.get("accessed_bits")(
        views=[view], law=machine.law, rng=rng, check_cost_ns=1000, addr_unit=1, exact_ticks=exact
    )


def aggregation(machine: Machine, nr_regions: int, exact: bool) -> Callable[[], object]:
    """Twenty ticks of 5 ms over all of memory."""
    view, first, last = physical_view(machine)
    source = accessed_bits(machine, view, exact)
    bounds, ticks = edges(first, last, nr_regions), window(machine)
    target = np.zeros(nr_regions, np.int64)
    return lambda: source.hits(bounds[:-1], bounds[1:], target, ticks)


def plain(machine: Machine, nr_regions: int) -> Callable[[], object]:
    """The same by loops: every tick of every region looks at its page, as the kernel does."""
    view, first, last = physical_view(machine)
    low, high = (view.addresses.linear(b).tolist() for b in _bounds(first, last, nr_regions))
    ticks = machine.law.ticks(*_times(machine))
    chance = ticks.probability[0].tolist()
    rng, slot_bytes = np.random.Generator(np.random.PCG64DXSM(1)), view.addresses.slot_bytes
    page_of, class_of = machine.memory.page_of, machine.space.class_of

    def work() -> list[int]:
        where, luck = (rng.random((nr_regions, TICKS)).tolist() for _ in range(2))
        found = []
        for a, b, at, drawn in zip(low, high, where, luck, strict=True):
            hits = 0
            for share, u in zip(at, drawn, strict=True):
                page = page_of[int(a + share * (b - a)) // slot_bytes]
                if page >= 0 and u < chance[class_of[page]]:
                    hits += 1
            found.append(hits)
        return found

    return work


def _bounds(first: int, last: int, nr_regions: int) -> tuple[np.ndarray, np.ndarray]:
    bounds = edges(first, last, nr_regions)
    return bounds[:-1], bounds[1:]


def _times(machine: Machine) -> tuple[np.ndarray, np.ndarray]:
    ticks = window(machine)
    return ticks.starts_ns, ticks.ends_ns


def tick_by_tick(machine: Machine, nr_regions: int) -> Callable[[], object]:
    """The same as `aggregation`, one page per region and one tick at a time, as the kernel does."""
    view, first, last = physical_view(machine)
    source = accessed_bits(machine, view, exact=True)
    bounds, ticks = edges(first, last, nr_regions), window(machine)
    single = [Window(ticks.starts_ns[[t]], ticks.ends_ns[[t]]) for t in range(TICKS)]
    target = np.zeros(nr_regions, np.int64)

    def work() -> np.ndarray:
        found = np.zeros(nr_regions, np.int64)
        for one in single:
            found += source.hits(bounds[:-1], bounds[1:], target, one)
        return found

    return work


@benchmark(
    Ask("sampling by class counts against tick by tick", "times faster", at_least(5)),
    Ask("sampling by class counts against all pages in one array", "times faster", better="higher"),
    Ask("sampling 900 regions", "regions / CPU s", better="higher"),
)
def shortcut() -> Answers:
    """An aggregation of 900 regions: the shortcut, its twin, and what lies between."""
    machine = populated(GIB)
    found = turns(
        {
            "counts": aggregation(machine, 900, False),
            "array": aggregation(machine, 900, True),
            "ticks": tick_by_tick(machine, 900),
        }
    )
    counts = found["counts"]
    return ratio(found["ticks"], counts), ratio(found["array"], counts), rate(counts, 900)


@benchmark(Ask("sampling of 10,000 regions", "times the twin's speed", at_least(10)), processes=3)
def sampling_against_loops() -> Answers:
    """An aggregation of 10,000 regions against a loop over regions and ticks."""
    machine = populated(GIB)
    found = turns(
        {"fast": aggregation(machine, 10_000, False), "plain": plain(machine, 10_000)}, nr=11
    )
    return (ratio(found["plain"], found["fast"]),)
