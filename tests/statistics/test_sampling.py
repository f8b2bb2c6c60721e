"""Accessed bits found by sampling: the shortcut, its twin and closed forms are one distribution.

Levels: see `fit.py`; each comparison errs once in a million.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from numasim import blockwise
from numasim.addresses import AddressSpace
from numasim.counts import BlockCounts
from numasim.damon.ops import Window
from numasim.law import Law
from numasim.seeds import Seeds
from numasim.sources import accessed_bits
from numasim.sources.accessed_bits import AccessedBits
from numasim.traffic import Front
from numasim.view import Arrivals, View
from tests import worlds
from tests.statistics.fit import LEVEL, alike, fits, near

TICK = 5_000_000
BASE = 0x10_0000_0000
ROUNDS = 3000


class Eye:
    """A virtual view of mappings side by side (with holes between), whose law a test sets."""

    def __init__(
        self,
        mappings: list[dict],
        access: list[dict],
        holes: int = 0,
        fronts: int = 0,
        seed: int = 5,
    ) -> None:
        address = BASE
        placed = []
        for one in mappings:
            placed.append({**one, "address": address})
            size = worlds.workload([one]).footprint_bytes
            address += size + holes
        self.work = worlds.workload(placed, access)
        self.hand = worlds.migrator(worlds.topology("256 MiB"), self.work, seed)
        self.space = self.hand.space
        self.law = Law(self.space, fronts, 0)
        self.hand.law = self.law
        frame_of = self.hand.memory.frame_of
        ranges = [
            (m.address, m.address + m.mapping.size, m.first)
            for m in sorted(self.space.mappings, key=lambda m: m.address)
        ]
        self.addresses = AddressSpace(ranges, self.space.frame_bytes)
        self.view = View(
            self.addresses,
            lambda slots: np.where(frame_of[slots] >= 0, slots, -1),
            self.hand.watch_pages(),
            self.law,
        )
        self.hand.views = [(self.view, False)]

    def source(self, exact: bool, seed: int) -> AccessedBits:
        return AccessedBits([self.view], self.law, Seeds(seed).stream("eye"), 0, 1, exact)

    def spread_rates(self, speed: float) -> np.ndarray:
        """Rates per ns of a bit of each class, `speed` visits per ns in all of the first access."""
        weights = self.space.patterns[0, 0, 0, 0].page_weights(0)
        return speed * weights * self.space.pages_per_bit

    def set_rates(self, now_ns: int, rates: np.ndarray, *fronts: float) -> None:
        self.law.exposure.set_rates(now_ns, np.r_[rates, fronts])

    def chance(self, start: int, end: int, span_ns: int = TICK) -> float:
        """Closed form: mean of 1 - exp(-rate·span) over all addresses of a region, page by page."""
        total = 0.0
        rates = self.law.exposure.rates
        for a in range(start, end, 4096):
            for low, high, first in zip(*self._table(), strict=True):
                if low <= a < high:
                    page = first + (a - low) // self.space.frame_bytes
                    if self.hand.memory.frame_of[page] >= 0:
                        total += -np.expm1(-rates[self.space.class_of[page]] * span_ns)
        return total * 4096 / (end - start)

    def _table(self):
        return self.addresses._start, self.addresses._end, self.addresses._first


def window(nr: int, start_ns: int = 0, tick_ns: int = TICK, gap_ns: int = 0) -> Window:
    starts = start_ns + np.arange(nr) * (tick_ns + gap_ns)
    return Window(starts, starts + tick_ns)


def histograms(
    eye: Eye, exact: bool, regions: list[tuple[int, int]], ticks: Window, rounds: int, seed: int
) -> np.ndarray:
    """int64[R, T + 1]: how often each region had so many hits."""
    source = eye.source(exact, seed)
    start, end = np.array(regions, np.int64).T
    # many copies of every region at once: they are independent of each other
    copies = 100
    found = np.zeros((len(regions), len(ticks) + 1), np.int64)
    target = np.zeros(len(regions) * copies, np.int64)
    for _ in range(rounds // copies):
        hits = source.hits(np.tile(start, copies), np.tile(end, copies), target, ticks)
        assert hits.min() >= 0 and hits.max() <= len(ticks)
        np.add.at(found, (np.tile(np.arange(len(regions)), copies), hits), 1)
    return found


def binomial(nr: int, chance: float) -> np.ndarray:
    return stats.binom.pmf(np.arange(nr + 1), nr, chance)


MB = worlds.MIB
REGIONS = {
    "a page": (BASE + 4096, BASE + 8192),
    "three pages": (BASE, BASE + 3 * 4096),
    "inside a block": (BASE + 40 * 4096, BASE + 400 * 4096),
    "two partial blocks": (BASE + 500 * 4096, BASE + 530 * 4096),
    "a whole block": (BASE + 2 * MB, BASE + 4 * MB),
    "blocks and ends": (BASE + 3 * MB + 4096, BASE + 7 * MB + 3 * 4096),
    "all": (BASE, BASE + 12 * MB),
    "a hole alone": (BASE + 12 * MB, BASE + 13 * MB),
    "over the hole": (BASE + 10 * MB, BASE + 15 * MB),
    "far beyond": (BASE + 15 * MB, BASE + 40 * MB),
    "half touched": (BASE + 14 * MB, BASE + 20 * MB),
}


@pytest.fixture(scope="module")
def hot_and_cold() -> Eye:
    """12 MiB with a hot third, a hole of 2 MiB, 8 MiB of which half was touched."""
    access = [
        {"pattern": "hot_cold", "mapping": "a", "hot": 0.3, "hot_visits": 0.9, "at": 0.2},
        {"pattern": "uniform", "mapping": "b", "visits": 0.4},
    ]
    eye = Eye([worlds.mapping("a", "12 MiB"), worlds.mapping("b", "8 MiB")], access, holes=2 * MB)
    a, b = eye.space.mappings
    eye.hand.first_touch(a, 0, a.nr, 0, a.mapping.policy, 0, 0)
    eye.hand.first_touch(b, 0, b.nr // 2, 0, b.mapping.policy, 0, 0)
    eye.view.arrivals.clear()
    weights = [eye.space.patterns[0, 0, 0, k] for k in range(2)]
    rates = sum(p.pattern.visits * p.page_weights(0) for p in weights)
    eye.set_rates(0, rates * 2e-4)  # 200 visits per ms: hot pages 0.2 per ms
    return eye


@pytest.mark.parametrize("exact", [False, True], ids=["shortcut", "twin"])
def test_hits_are_binomial(hot_and_cold, exact):
    found = histograms(hot_and_cold, exact, list(REGIONS.values()), window(20), ROUNDS, 1)
    for (name, (start, end)), counts in zip(REGIONS.items(), found, strict=True):
        chance = hot_and_cold.chance(start, end)
        assert fits(counts, binomial(20, chance)) > LEVEL, name


def test_an_unmapped_region_is_never_found_accessed(hot_and_cold):
    regions = [(BASE - 8 * MB, BASE - 4 * MB), REGIONS["a hole alone"]]
    assert (
        histograms(hot_and_cold, False, regions, window(20), 1000, 2)[:, 0].tolist() == [1000] * 2
    )


def spread_eye(access: dict, size: str = "4 MiB", **more) -> Eye:
    eye = Eye([worlds.mapping("m", size, **more)], [{"mapping": "m", **access}])
    worlds.touch_all(eye.hand)
    eye.view.arrivals.clear()
    return eye


SPREADS = [
    {"pattern": "gamma", "shape": 1.0},
    {"pattern": "gamma", "shape": 0.3},
    {"pattern": "zipf", "exponent": 0.99},
    {"pattern": "hot_cold", "scattered": True},
]


@pytest.mark.parametrize("access", SPREADS, ids=lambda a: "-".join(map(str, a.values())))
@pytest.mark.parametrize("exact", [False, True], ids=["shortcut", "twin"])
def test_spreads_average_the_exponential_not_the_rate(access, exact):
    eye = spread_eye(access)
    eye.set_rates(0, eye.spread_rates(1024 * 0.8 / TICK))  # a page is visited 0.8 times a tick
    end = BASE + 4 * MB
    (counts,) = histograms(eye, exact, [(BASE, end)], window(20), ROUNDS, 3)
    right = eye.chance(BASE, end)
    naive = 1 - np.exp(-0.8)
    assert fits(counts, binomial(20, right)) > LEVEL
    assert fits(counts, binomial(20, naive)) < 1e-12, "the mean rate in the exponential is wrong"


@pytest.mark.parametrize("shape", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("touches", [0.1, 1.0, 10.0])
def test_classes_of_a_gamma_spread_stand_for_the_whole_distribution(shape, touches):
    eye = spread_eye({"pattern": "gamma", "shape": shape}, "64 MiB")
    eye.set_rates(0, eye.spread_rates(16384 * touches / TICK))
    exact = 1 - (1 + touches / shape) ** -shape
    assert eye.chance(BASE, BASE + 64 * MB) == pytest.approx(exact, rel=0.01)


def test_a_folio_has_one_bit_for_all_its_pages():
    """The chance is that of all 512 pages together, wherever in the folio the sample falls."""
    access = [{"pattern": "uniform", "mapping": "h"}]
    eye = Eye([worlds.mapping("h", "8 MiB", page="2 MiB"), worlds.mapping("b", "1 MiB")], access)
    worlds.touch_all(eye.hand)
    eye.view.arrivals.clear()
    per_page = 0.5 / 512 / TICK
    weights = eye.space.patterns[0, 0, 0, 0].page_weights(0)
    eye.set_rates(0, per_page * 2048 * weights * eye.space.pages_per_bit)
    regions = [(BASE + 4096, BASE + 8192), (BASE, BASE + 8 * MB), (BASE + MB, BASE + 3 * MB)]
    for exact in (False, True):
        for counts in histograms(eye, exact, regions, window(20), ROUNDS, 4):
            assert fits(counts, binomial(20, 1 - np.exp(-0.5))) > LEVEL


def test_a_split_folio_has_a_bit_per_page():
    access = [{"pattern": "uniform", "mapping": "h"}]
    eye = Eye([worlds.mapping("h", "8 MiB", page="2 MiB"), worlds.mapping("b", "1 MiB")], access)
    worlds.touch_all(eye.hand)
    eye.hand.split(np.array([512]))
    eye.view.arrivals.clear()
    weights = eye.space.patterns[0, 0, 0, 0].page_weights(0)
    eye.set_rates(0, 0.3 / TICK * 2048 * weights * eye.space.pages_per_bit)
    regions = [(BASE, BASE + 2 * MB), (BASE + 2 * MB, BASE + 4 * MB)]
    for exact in (False, True):
        whole, split = histograms(eye, exact, regions, window(20), ROUNDS, 5)
        assert fits(whole, binomial(20, 1 - np.exp(-0.3 * 512))) > LEVEL
        assert fits(split, binomial(20, 1 - np.exp(-0.3))) > LEVEL


@pytest.mark.parametrize("exact", [False, True], ids=["shortcut", "twin"])
def test_speed_may_change_inside_a_window_and_inside_a_tick(exact):
    eye = spread_eye({"pattern": "uniform"}, "5 MiB")
    unit = eye.spread_rates(1280 / TICK)
    cuts = [(0, 0.2), (2 * TICK, 1.5), (4 * TICK + TICK // 4, 0.0), (5 * TICK, 0.7)]
    for at, times in cuts:
        eye.set_rates(at, unit * times)
    means = [0.2, 0.2, 1.5, 1.5, 1.5 / 4, 0.7, 0.7, 0.7]  # visits of a page in each tick
    chances = [1 - np.exp(-m) for m in means]
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])  # a sum of unequal trials
    regions = [(BASE + 4096, BASE + 3 * MB), (BASE, BASE + 4096)]
    for counts in histograms(eye, exact, regions, window(8), ROUNDS, 6):
        assert fits(counts, law) > LEVEL


@pytest.mark.parametrize("exact", [False, True], ids=["shortcut", "twin"])
def test_the_first_tick_may_be_longer_than_the_others(exact):
    """So it is on the timer wheel, where the others wait for the same place of it."""
    eye = spread_eye({"pattern": "uniform"}, "5 MiB")
    eye.set_rates(0, eye.spread_rates(1280 / TICK) * 0.3)
    starts = np.r_[0, 3 * TICK + np.arange(9) * TICK]
    ticks = Window(starts, np.r_[starts[1:], starts[-1] + TICK])
    law = np.convolve(binomial(9, 1 - np.exp(-0.3)), binomial(1, 1 - np.exp(-0.9)))
    regions = [(BASE + 4096, BASE + 3 * MB), (BASE, BASE + 4096)]
    for counts in histograms(eye, exact, regions, ticks, ROUNDS, 20):
        assert fits(counts, law) > LEVEL


# -- sweeps ----------------------------------------------------------------------------------------


def passed(nr: int, before: float, after: float) -> np.ndarray:
    """bool[nr]: pages that a front turned to between two positions, counted one by one."""
    found = np.zeros(nr, bool)
    step = int(np.floor(before)) + 1
    while step <= after:
        found[step % nr] = True
        step += 1
    return found


def sweep_eye(size: str = "4 MiB", first: float = 0.0, last: float = 1.0) -> tuple[Eye, Front]:
    access = [{"pattern": "sweep", "mapping": "m", "first": first, "last": last}]
    eye = Eye([worlds.mapping("m", size)], access, fronts=1)
    worlds.touch_all(eye.hand)
    eye.view.arrivals.clear()
    compiled = eye.space.patterns[0, 0, 0, 0]
    extent = compiled.extents[0]
    classes = np.flatnonzero(compiled.weights[0])
    front = Front(eye.space.nr_classes, extent.first, extent.last - extent.first, 1, classes)
    eye.law.fronts = [front]
    return eye, front


@pytest.mark.parametrize("part", [0.03, 0.5, 0.97, 1.4])
def test_sweeps_touch_what_the_front_passes_and_grow_linearly_until_the_period(part):
    eye, front = sweep_eye()
    eye.set_rates(0, np.zeros(eye.space.nr_classes), part * front.nr / TICK)
    ticks = window(16)
    regions = [(BASE, BASE + 4 * MB), (BASE + 37 * 4096, BASE + 300 * 4096), (BASE, BASE + 4096)]
    found = histograms(eye, False, regions, ticks, ROUNDS, 7)
    assert (found == histograms(eye, True, regions, ticks, ROUNDS, 7)).all(), "there is one way"
    for (start, end), counts in zip(regions, found, strict=True):
        law = np.ones(1)
        for k in range(16):
            seen = passed(front.nr, k * part * front.nr, (k + 1) * part * front.nr)
            chance = float(seen[(start - BASE) // 4096 : (end - BASE) // 4096].mean())
            law = np.convolve(law, [1 - chance, chance])
        assert fits(counts, law) > LEVEL
    share = (found[0] @ np.arange(17)) / found[0].sum() / 16
    assert share == pytest.approx(min(part, 1.0), abs=0.01)


def test_a_sweep_of_a_part_leaves_the_rest_alone():
    eye, front = sweep_eye(first=0.25, last=0.5)
    eye.set_rates(0, np.zeros(eye.space.nr_classes), 0.5 * front.nr / TICK)
    regions = [(BASE, BASE + MB), (BASE + MB, BASE + 2 * MB), (BASE + 2 * MB, BASE + 4 * MB)]
    before, inside, after = histograms(eye, False, regions, window(8), 1000, 8)
    assert before[0] == after[0] == 1000
    assert (inside @ np.arange(9)) / 8000 == pytest.approx(0.5, abs=0.05)


def test_a_sweep_and_random_visits_add_up():
    eye, front = sweep_eye()
    rates = np.zeros(eye.space.nr_classes)
    rates[:] = 0.5 / TICK
    eye.set_rates(0, rates, 0.4 * front.nr / TICK)
    (counts,) = histograms(eye, False, [(BASE, BASE + 4 * MB)], window(10), ROUNDS, 9)
    assert fits(counts, binomial(10, 1 - 0.6 * np.exp(-0.5))) > LEVEL


# -- first touch -----------------------------------------------------------------------------------


def test_pages_that_arrive_within_a_tick_are_found_accessed():
    """A sample hits if its page was faulted in between choosing the address and looking at it."""
    eye = spread_eye({"pattern": "uniform"}, "4 MiB")
    eye.set_rates(0, np.zeros(eye.space.nr_classes))
    source = eye.source(False, 10)
    rng = np.random.default_rng(11)
    nr, pages, rounds = 6, np.arange(200, 840), 2000
    begins, ends = TICK // 3, 4 * TICK + TICK // 2
    start, end = np.array([BASE]), np.array([BASE + 4 * MB])
    ours, plain = np.zeros(nr + 1, int), np.zeros(nr + 1, int)
    for _ in range(rounds):
        eye.view.arrivals.append(Arrivals(begins, ends, pages))
        ours[source.hits(start, end, np.zeros(1, int), window(nr))[0]] += 1
        assert not eye.view.arrivals, "each is accounted for once"
        # plainly: pages come in order at an even pace, and each tick looks at one of 1024
        come = np.full(1024, np.inf)
        come[pages] = begins + (np.arange(640) + 0.5) / 640 * (ends - begins)
        looked = come[rng.integers(0, 1024, nr)]
        at = np.arange(nr) * TICK
        plain[int(((at < looked) & (looked <= at + TICK)).sum())] += 1
    assert alike(ours, plain) > LEVEL


def test_an_arrival_waits_for_the_tick_that_sees_it():
    eye = spread_eye({"pattern": "uniform"}, "4 MiB")
    eye.set_rates(0, np.zeros(eye.space.nr_classes))
    source = eye.source(False, 12)
    eye.view.arrivals.append(Arrivals(TICK // 2, 2 * TICK, np.arange(1024)))
    one = (np.array([BASE]), np.array([BASE + 4 * MB]), np.zeros(1, int))
    source.hits(*one, window(1))
    assert len(eye.view.arrivals) == 1
    source.hits(*one, window(1, TICK))
    assert not eye.view.arrivals


# -- the young filter ------------------------------------------------------------------------------


def young(touches: np.ndarray, cleared: float, at: float) -> bool:
    """Whether a bit is set: never cleared (-1), or a touch came since."""
    return cleared < 0 or bool(((touches > cleared) & (touches <= at)).any())


@pytest.mark.parametrize(
    ("per_tick", "rounds"),
    [
        (0.4, 3000),
        pytest.param(0.05, 20_000, marks=pytest.mark.slow),
        pytest.param(0.4, 20_000, marks=pytest.mark.slow),
        pytest.param(2.0, 20_000, marks=pytest.mark.slow),
    ],
)
def test_hits_and_passing_young_are_jointly_those_of_a_page_by_page_simulation(per_tick, rounds):
    """Both look at one bit: what monitoring cleared, the filter finds old, unless touched since.

    The plain simulation keeps a list of touches of eight pages. It never aggregates anything.
    """
    nr_pages, nr_ticks = 8, 6
    gap = 3 * TICK  # of the second pass of the filter after the first
    rates = np.array([1, 1, 1, 1, 1, 1, 0.2, 5]) * per_tick / TICK
    plain = np.zeros((nr_ticks + 1, nr_pages + 1, nr_pages + 1), int)
    rng = np.random.default_rng(13)
    last = nr_ticks * TICK + gap
    for _ in range(rounds):
        touches = [np.sort(rng.random(rng.poisson(r * last))) * last for r in rates]
        cleared = np.full(nr_pages, -1.0)  # -1: first touched, never cleared
        hits = 0
        for k in range(nr_ticks):
            page = rng.integers(nr_pages)
            cleared[page] = k * TICK
            hits += young(touches[page], cleared[page], (k + 1) * TICK)
        passes = []
        for at in (nr_ticks * TICK, last):
            passes.append(sum(young(touches[p], cleared[p], at) for p in range(nr_pages)))
            cleared[:] = at
        plain[hits, passes[0], passes[1]] += 1
    ours = np.zeros_like(plain)
    eye = Eye([worlds.mapping("m", "32 KiB")], [])
    eye.law.exposure = type(eye.law.exposure)(3)
    eye.space.class_of[:] = [0, 0, 0, 0, 0, 0, 1, 2]
    eye.space.pages_per_bit = np.ones(3, int)
    eye.law.nr_classes = 3
    pages = eye.space.mappings[0]
    eye.hand.memory.frame_of[:] = np.arange(8)
    eye.law.track_bits()
    eye.law.exposure.set_rates(0, rates[[0, 6, 7]])
    source = eye.source(False, 14)
    rng = Seeds(15).stream("young")
    heads = np.arange(pages.first, pages.last)
    one = (np.array([BASE]), np.array([BASE + 32768]), np.zeros(1, int))
    for _ in range(rounds):
        eye.law.note_first_touch(heads)
        hits = source.hits(*one, window(nr_ticks))[0]
        passes = [
            eye.law.test_and_clear_young(heads, at, rng).sum() for at in (nr_ticks * TICK, last)
        ]
        ours[hits, passes[0], passes[1]] += 1
    assert alike(ours, plain) > LEVEL


TWO_PASSES = [
    pytest.param("hot_cold", 0.3, 3000),
    pytest.param("zipf", 0.5, 3000),
    pytest.param("hot_cold", 0.3, 30_000, marks=pytest.mark.slow),
    pytest.param("zipf", 0.5, 30_000, marks=pytest.mark.slow),
    pytest.param("zipf", 0.05, 30_000, marks=pytest.mark.slow),
]
PAGE_RATES = {
    "hot_cold": np.repeat([4.0, 0.0], [3, 9]),
    "zipf": 12 / np.arange(1, 13) / (1 / np.arange(1, 13)).sum(),
}
SECOND = ((0, 3), (3, 12))  # regions of the second window, and where each page lies then
MOVED = np.array([9, 10, 11, 3, 4, 5, 6, 7, 8, 0, 1, 2])
FILTERED = slice(0, 6)  # frames whose pages the filter looks at


@pytest.mark.parametrize("looks", ["all", "doubtful"])
@pytest.mark.parametrize(("spread", "per_tick", "rounds"), TWO_PASSES)
def test_bits_are_remembered_while_regions_change_and_pages_move(
    spread, per_tick, rounds, looks, monkeypatch
):
    """Two windows over twelve frames, the filter after each: hits and young pages, jointly.

    Pages are looked at in all ticks, or where the extremes of their region leave a doubt.

    Between the windows one region is cut and the first pages change places with the last. The
    plain simulation keeps the touches of every page and never aggregates anything.
    """
    rates, nr_ticks = PAGE_RATES[spread] * per_tick / TICK, 4
    windows = [(np.arange(12), ((0, 12),)), (MOVED, SECOND)]
    shape = (nr_ticks + 1, 7, nr_ticks + 1, nr_ticks + 1, 7)
    plain, ours = np.zeros(shape, int), np.zeros(shape, int)
    rng, span = np.random.default_rng(17), 2 * nr_ticks * TICK
    for _ in range(rounds):
        touches = [np.sort(rng.random(rng.poisson(r * span))) * span for r in rates]
        cleared = np.full(12, -1.0)
        seen: list[int] = []
        for number, (page_in, regions) in enumerate(windows):
            hits = [0] * len(regions)
            for k in range(number * nr_ticks, (number + 1) * nr_ticks):
                for region, (low, high) in enumerate(regions):
                    page = page_in[rng.integers(low, high)]
                    cleared[page] = k * TICK
                    hits[region] += young(touches[page], cleared[page], (k + 1) * TICK)
            end = (number + 1) * nr_ticks * TICK
            tested = page_in[FILTERED]
            seen += [*hits, sum(young(touches[page], cleared[page], end) for page in tested)]
            cleared[tested] = end
        plain[tuple(seen)] += 1
    eye = Eye([worlds.mapping("m", "48 KiB")], [])
    kinds, classes = np.unique(rates, return_inverse=True)
    eye.space.class_of[:12] = classes
    eye.space.pages_per_bit = np.ones(len(kinds), int)
    eye.law.nr_classes = len(kinds)
    eye.law.exposure = type(eye.law.exposure)(len(kinds))
    eye.law.exposure.set_rates(0, kinds)
    eye.law.track_bits()
    place = np.arange(12)
    addresses, counts = eye.addresses, BlockCounts(12, len(kinds))
    counts.add(place, classes)
    eye.view = View(addresses, lambda slots: place[slots], counts, eye.law)
    if looks == "doubtful":
        monkeypatch.setattr(accessed_bits, "FEW", 0)
        monkeypatch.setattr(blockwise, "MOST_DOUBT", 1.0)
    source, rng = eye.source(False, 18), Seeds(19).stream("young")
    for _ in range(rounds):
        eye.law.note_first_touch(np.arange(12))
        seen = []
        for number, (page_in, regions) in enumerate(windows):
            counts.remove(np.arange(12), classes[place])
            place[:] = page_in
            counts.add(np.arange(12), classes[place])
            start, end = BASE + 4096 * np.array(regions).T
            ticks = window(nr_ticks, number * nr_ticks * TICK)
            seen += source.hits(start, end, np.zeros(len(regions), int), ticks).tolist()
            now = (number + 1) * nr_ticks * TICK
            seen.append(int(eye.law.test_and_clear_young(place[FILTERED].copy(), now, rng).sum()))
        ours[tuple(seen)] += 1
    assert alike(ours, plain) > LEVEL


def test_a_page_that_monitoring_saw_cleared_is_young_by_what_came_since():
    eye = spread_eye({"pattern": "uniform"}, "4 MiB")
    eye.set_rates(0, eye.spread_rates(1024 / TICK))
    eye.law.track_bits()
    heads = np.arange(1024)
    eye.law.note_checked(heads, np.array([4 * TICK]), np.zeros(1024, bool))
    rng, rounds = Seeds(16).stream("young"), 200
    young = 0
    for _ in range(rounds):
        eye.law.note_checked(heads, np.array([4 * TICK]), np.zeros(1024, bool))
        young += int(eye.law.test_and_clear_young(heads, 6 * TICK, rng).sum())
    chance = 1 - np.exp(-2)
    assert (
        near(young / rounds / 1024, chance, np.sqrt(chance * (1 - chance)), rounds * 1024) > LEVEL
    )
