"""Sampling an aggregation: the shortcut by class counts beside one page per tick."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.harness import Answers, Ask, at_least, benchmark, ratios, turns
from benchmarks.machines import edges, physical_view, populated
from numasim.damon.ops import Window
from numasim.machine import Machine
from numasim.sources import registry

GIB = 64
TICKS, TICK_NS, STEP_NS = 20, 5_300_000, 5_400_000


def window(machine: Machine) -> Window:
    """Twenty ticks from now on."""
    starts = np.arange(TICKS) * STEP_NS + machine.now_ns + 1
    return Window(starts, starts + TICK_NS)


def aggregation(machine: Machine, nr_regions: int, exact: bool) -> Callable[[], object]:
    """Twenty ticks of 5 ms over all of memory."""
    view, first, last = physical_view(machine)
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    source = registry.get("accessed_bits")(
        views=[view], law=machine.law, rng=rng, check_cost_ns=1000, addr_unit=1, exact_ticks=exact
    )
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


@benchmark(
    Ask("sampling by class counts against one page per tick", "times faster", at_least(5)),
    Ask("sampling 900 regions", "regions / CPU s", better="higher"),
)
def shortcut() -> Answers:
    """An aggregation of 900 regions, both ways of the same source."""
    machine = populated(GIB)
    found = turns({str(exact): aggregation(machine, 900, exact) for exact in (False, True)})
    return ratios(found["True"], found["False"]), [900 / one for one in found["False"]]


@benchmark(Ask("sampling of 10,000 regions", "times the twin's speed", at_least(10)))
def sampling_against_loops() -> Answers:
    """An aggregation of 10,000 regions against a loop over regions and ticks."""
    machine = populated(GIB)
    found = turns(
        {"fast": aggregation(machine, 10_000, False), "plain": plain(machine, 10_000)}, nr=5
    )
    return (ratios(found["plain"], found["fast"]),)
