"""Whole scenarios in the settled state: simulated seconds per CPU second, and memory."""

from __future__ import annotations

import random
from collections.abc import Generator

import numpy as np
import simpy

from benchmarks.estimating import Estimate, rate, ratio
from benchmarks.harness import Answers, Ask, at_least, at_most, benchmark, cpu_s, peak_gib
from benchmarks.machines import DEFAULT_REGIONS, INTERVALS, KEPT, TUNED, physical_view, settled
from benchmarks.paced import Paced
from numasim.kdamond import Thread
from numasim.view import View

SPEED = "simulated s / CPU s"
STRETCHES = 20
STRETCH_S = 25  # of 1000: six monitoring snapshots fall into each
TICKS = 20  # of an aggregation
MOST_MOVED = 1e6  # bytes per simulated second that still count as settled
START_S, SETTLED_S, DURATION_S = 20, 45, 1000
EVENTS_S = 1  # simulated seconds of the run with one event per check


def moved_bytes(paced: Paced) -> int:
    """Bytes that all schemes have moved."""
    return sum(s.stat.sz_applied for t in paced.engine.threads for s in t.context.schemes)


def speed(paced: Paced, from_s: float, length_s: float, nr: int = STRETCHES) -> Estimate:
    """Simulated seconds per CPU second, by equal stretches, once the run has settled."""
    paced.until(from_s)
    found, before = [], moved_bytes(paced)
    for k in range(nr):
        begin = paced.now_s
        used = paced.until(from_s + (k + 1) * length_s)
        found.append(used / (paced.now_s - begin))
    per_s = (moved_bytes(paced) - before) / (nr * length_s)
    assert per_s < MOST_MOVED, f"not settled: {per_s / 1e6:.1f} MB/s moving"
    return rate(found)


def kept(paced: Paced) -> None:
    """Refuse a run whose kdamonds are not at work on some 900 regions."""
    numbers = [thread.context.nr_regions for thread in paced.engine.threads]
    assert len(numbers) == 2 and all(600 <= nr <= 1000 for nr in numbers), numbers


def terabyte(limits: str, young: bool = False) -> tuple[Paced, Estimate]:
    """1 TiB in 4 KiB pages, fixed 5 ms / 100 ms, and its speed."""
    paced = Paced(settled(1024, START_S, DURATION_S, INTERVALS, limits, young=young))
    return paced, speed(paced, SETTLED_S, STRETCH_S)


@benchmark(
    Ask("1 TiB, 900 regions each, 5 ms / 100 ms, settled", SPEED, at_least(60)),
    Ask("peak memory of 1 TiB in 4 KiB pages", "GiB", at_most(8)),
)
def kept_regions() -> Answers:
    """The headline: two kdamonds kept at some 900 regions, plain numpy."""
    paced, found = terabyte(KEPT)
    kept(paced)
    return found, Estimate(peak_gib())


@benchmark(
    Ask("1 TiB, 900 regions each, settled, with the compiled extra", SPEED, at_least(250)),
    compiled=True,
)
def kept_regions_compiled() -> Answers:
    """The headline with the compiled extra."""
    paced, found = terabyte(KEPT)
    kept(paced)
    return (found,)


@benchmark(
    Ask("1 TiB, 900 regions each, settled, with young filters", SPEED, better="higher"),
    Ask("peak memory of 1 TiB with young filters", "GiB", at_most(8)),
)
def young_filters() -> Answers:
    """Page filters make every page's bit a thing to remember."""
    paced, found = terabyte(KEPT, young=True)
    kept(paced)
    return found, Estimate(peak_gib())


@benchmark(Ask("1 TiB, default region limits, 5 ms / 100 ms, settled", SPEED, at_least(300)))
def default_limits() -> Answers:
    """As users run it: 10 to 1000 regions, most of the time some tens."""
    return (terabyte(DEFAULT_REGIONS)[1],)


@benchmark(Ask("1 TiB, default limits, auto-tuned intervals, settled", SPEED, at_least(2000)))
def tuned_intervals() -> Answers:
    """As users should run it: intervals tuned by the kernel's goal, 5 ms to 10 s."""
    paced = Paced(settled(1024, START_S, 5000, TUNED, DEFAULT_REGIONS))
    return (speed(paced, 1000, 125),)  # also with six snapshots each


# -- against what cannot be left out ---------------------------------------------------------------


class Irreducible:
    """What no simulation of an aggregation can do without: a chance and a draw for each region.

    Parameters
    ----------
    paced : Paced
        A running scenario; regions, rates and placement are taken from it.
    """

    def __init__(self, paced: Paced) -> None:
        machine = paced.engine.machine
        view, _, _ = physical_view(machine)
        counts = view.counts.by_block()
        self._before = np.zeros((len(counts) + 1, counts.shape[1]), np.int32)
        np.cumsum(counts, axis=0, out=self._before[1:])
        span_ns = 5_000_000
        self._chance = -np.expm1(-machine.law.exposure.rates[: counts.shape[1]] * span_ns)
        self._slots = view.counts.block_slots
        self._blocks = [self._edges(thread, view) for thread in paced.engine.threads]
        self._rng = np.random.Generator(np.random.PCG64DXSM(2))

    def _edges(self, thread: Thread, view: View) -> tuple[np.ndarray, np.ndarray]:
        block = self._slots * view.addresses.slot_bytes
        regions, linear = thread.context.regions[0], view.addresses.linear
        first = linear(regions.start) // block
        return first, np.maximum(linear(regions.end) // block, first + 1)

    def aggregation(self, number: int) -> np.ndarray:
        """Samples found accessed in every region of one kdamond."""
        first, last = self._blocks[number]
        inside = self._before[last] - self._before[first]
        chance = inside @ self._chance / ((last - first) * self._slots)
        return self._rng.binomial(TICKS, np.minimum(chance, 1.0))


@benchmark(Ask("whole scenario against its irreducible part", "times the cost", at_most(6)))
def irreducible() -> Answers:
    """Chances from class counts and one binomial for the same regions, nothing else."""
    paced = Paced(settled(64, 5, DURATION_S))
    paced.until(30)
    whole, part = [], []
    for k in range(STRETCHES):
        least = Irreducible(paced)
        before = [t.context.passed_sample_intervals for t in paced.engine.threads]
        used = paced.until(30 + (k + 1) * STRETCH_S)
        after = [t.context.passed_sample_intervals for t in paced.engine.threads]
        done = [(b - a) // TICKS for a, b in zip(before, after, strict=True)]

        def same(least: Irreducible = least, done: list[int] = done) -> None:
            for number, nr in enumerate(done):
                for _ in range(nr):
                    least.aggregation(number)

        whole.append(used / sum(done))
        part.append(cpu_s(same) / sum(done))
    kept(paced)
    return (ratio(whole, part),)


# -- against an event for every check --------------------------------------------------------------


def event_per_check(chances: list[list[float]], seconds: int) -> None:
    """Two kdamonds in SimPy that check one region per event and do nothing else."""
    env, rng = simpy.Environment(), random.Random(1)

    def kdamond(chance: list[float]) -> Generator[simpy.Event, None, None]:
        counts, draw, timeout = [0] * len(chance), rng.random, env.timeout
        while True:
            yield timeout(5_000_000)
            for i, p in enumerate(chance):
                yield timeout(1_000)
                if draw() < p:
                    counts[i] += 1

    for chance in chances:
        env.process(kdamond(chance))
    env.run(until=seconds * 10**9)


@benchmark(Ask("whole scenario against one SimPy event per check", "times faster", at_least(30)))
def events() -> Answers:
    """The plain way to write such a simulator, without merging, splitting or recording."""
    paced = Paced(settled(64, 5, DURATION_S))
    paced.until(30)
    plain, ours = [], []
    for k in range(STRETCHES):
        chances = [
            (t.context.regions[0].nr_accesses / TICKS).tolist() for t in paced.engine.threads
        ]
        ours.append(paced.until(30 + (k + 1) * STRETCH_S) / STRETCH_S)
        plain.append(cpu_s(lambda chances=chances: event_per_check(chances, EVENTS_S)) / EVENTS_S)
    kept(paced)
    return (ratio(plain, ours),)
