"""Late looks at the law find the pages that real lists and real bits would: the same shares of hot
and cold ones, after as many pages scanned.

Every comparison is of means over seeds, at 4.5 standard errors: one false alarm in 100,000 tests.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from numasim.reclaim.mglru import MultiGen
from numasim.reclaim.records import ANON, Lru, Records
from numasim.reclaim.two_lists import TwoLists
from tests import worlds
from tests.mirror.lru_twin import MultiGenTwin, TwoListsTwin, World

MS = 1_000_000
PAGES, SEEDS = 1024, 60
RATES = {"hot": 200.0, "warm": 20.0, "cold": 0.5}  # visits a second
SHARES = {"hot": 0.25, "warm": 0.25, "cold": 0.5}


def law_world() -> tuple[np.ndarray, Callable[[int], Records]]:
    """Rates of pages, and records over a law with those rates."""
    edges = np.cumsum([0.0, *SHARES.values()])
    access = [
        {"pattern": "uniform", "mapping": "m", "first": a, "last": b}
        for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    work = worlds.workload([worlds.mapping("m", f"{4 * PAGES} KiB")], access)

    def make(seed: int) -> Records:
        hand = worlds.migrator(work=work)
        worlds.touch_all(hand)
        rates = np.zeros(hand.law.exposure.rates.shape)
        first = (edges[:-1] * PAGES).astype(int)
        rates[hand.space.class_of[first]] = np.array(list(RATES.values())) / 1e9
        hand.law.exposure.set_rates(0, rates)
        records = Records(hand.space, hand.law, hand.memory, np.random.default_rng(seed))
        return records

    of_page = np.repeat(list(RATES.values()), [round(s * PAGES) for s in SHARES.values()])
    return of_page, make


def schedule(nr: int = 40) -> list[tuple[float, int, int]]:
    """Rounds: seconds since the one before, pages, priority; bursts between long pauses."""
    rng = np.random.default_rng(5)
    pauses = rng.choice([0.001, 0.01, 0.1], nr)
    return [
        (float(p), int(n), int(q))
        for p, n, q in zip(
            pauses, rng.choice([64, 100, 200], nr), rng.choice([12, 11], nr), strict=True
        )
    ]


def tally(found: list[np.ndarray], scanned: int) -> np.ndarray:
    """Pages reclaimed of each sort, then those scanned."""
    pages = np.concatenate(found) if found else np.empty(0, np.int64)
    bounds = (np.cumsum([0.0, *SHARES.values()]) * PAGES).astype(int)
    return np.r_[np.histogram(pages, bounds)[0], scanned]


def fast_run(make: Callable[[int], Records], seed: int, lru: str) -> np.ndarray:
    records = make(seed)
    left = np.array([PAGES, 0])
    lists: Lru
    if lru == "mglru":
        lists = MultiGen(records, 0, lambda nid: left)
    else:
        lists = TwoLists(records, 0, lambda nid: (0, 0))
    lists.arrive(np.arange(PAGES))
    found, scanned, now = [], 0, 0
    for pause, nr, priority in schedule():
        now += round(pause * 1e9)
        if lru != "mglru":
            priority = 3
            lists.begin(priority, (ANON,), 60)
            nr = PAGES
        one = lists.isolate(nr, (ANON,), priority, now)
        found.append(one.heads)
        scanned += one.scanned
        lists.forget(one.heads)
    return tally(found, scanned)


def twin_run(rates: np.ndarray, seed: int, lru: str) -> np.ndarray:
    world = World(rates, np.random.default_rng([seed, 1]))
    multi, two = MultiGenTwin(world), TwoListsTwin(world)
    found, scanned = [], 0
    for pause, nr, priority in schedule():
        world.pass_time(pause)
        if lru == "mglru":
            pages, more = multi.scan(nr, priority)
        else:
            pages, more = two.turn(*two.sizes(3))
        found.append(np.array(pages, np.int64))
        scanned += more
    return tally(found, scanned)


@pytest.mark.parametrize("lru", ["mglru", "active_inactive"])
def test_who_is_reclaimed_is_who_real_lists_reclaim(lru):
    rates, make = law_world()
    fast = np.array([fast_run(make, seed, lru) for seed in range(SEEDS)], float)
    twin = np.array([twin_run(rates, seed, lru) for seed in range(SEEDS)], float)
    error = np.sqrt((fast.var(axis=0, ddof=1) + twin.var(axis=0, ddof=1)) / SEEDS)
    apart = np.abs(fast.mean(axis=0) - twin.mean(axis=0))
    assert (apart <= 4.5 * error + 1e-9).all(), (fast.mean(axis=0), twin.mean(axis=0), error)
    hot, _, cold = fast.mean(axis=0)[:3] / [s * PAGES for s in SHARES.values()]
    assert cold > 0.5, "most of what is cold is found"
    assert hot < cold / 2, "and little of what is hot"
