"""What observers are told equals plain twins: counts, chances, fronts, addresses, young bits."""

from __future__ import annotations

import math
import os
import unittest.mock
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim import blockwise
from numasim.addresses import AddressSpace
from numasim.blockwise import Bounds, successes
from numasim.counts import BlockCounts, exact_parts
from numasim.damon.compiled import KERNELS, SWITCH
from numasim.damon.ops import Window
from numasim.kdamond import Clock
from numasim.law import KNOWN_YOUNG, STAMP_NS, Law, Ticks
from numasim.sources.accessed_bits import AccessedBits
from numasim.timer import wake_ns
from numasim.traffic import Exposure, Front
from numasim.view import View
from tests import worlds
from tests.mirror.conftest import without_numba

quick = settings(max_examples=60, deadline=None)


# -- counts by block -------------------------------------------------------------------------------

MOVES = st.lists(
    st.tuples(st.integers(0, 99_999), st.integers(1, 3000), st.integers(0, 2), st.booleans()),
    min_size=1,
    max_size=12,
)
BOUNDS = st.lists(st.integers(0, 6250), min_size=2, max_size=20)


@quick
@given(MOVES, BOUNDS)
def test_block_counts_are_sums(moves, bounds):
    nr = 100_000
    counts, truth = BlockCounts(nr, 3), np.full(nr, -1)
    for first, length, cls, add in moves:
        slots = np.arange(first, min(nr, first + length))
        if add:
            slots = slots[truth[slots] < 0]
            counts.add(slots, np.full(len(slots), cls))
            truth[slots] = cls
        else:
            slots = slots[truth[slots] >= 0]
            counts.remove(slots, truth[slots])
            truth[slots] = -1
        first_block, last_block = np.minimum(bounds[0], bounds), np.maximum(bounds[0], bounds)
        found = counts.between(first_block, last_block)
        for row, a, b in zip(found, first_block, last_block, strict=True):
            inside = truth[a * counts.block_slots : b * counts.block_slots]
            assert row.tolist() == [int((inside == c).sum()) for c in range(3)]
    assert counts.totals().tolist() == [int((truth == c).sum()) for c in range(3)]


GROUPS = st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=3)


def ticks_of(groups, nr=None):
    """Ticks of so many groups, one each or `nr`, with those chances."""
    nr = np.ones(len(groups), int) if nr is None else nr
    return Ticks(np.arange(len(groups)), nr, np.array(groups))


def filled(seed, nr=100_000, nr_classes=3, alike=1):
    """Counts of random pages, so many neighbours alike, some absent, and what is in each slot.

    -1 for nothing.
    """
    counts = BlockCounts(nr, nr_classes)
    truth = np.random.default_rng(seed).integers(-1, nr_classes, nr // alike).repeat(alike)
    present = np.flatnonzero(truth >= 0)
    counts.add(present, truth[present])
    return counts, truth


@quick
@given(GROUPS, st.integers(0, 2**32), st.lists(st.integers(0, 100_000), min_size=2, max_size=20))
def test_weights_of_counts_are_sums_that_never_round(groups, seed, places):
    counts, truth = filled(seed)
    weights = np.array(groups).T
    parts = exact_parts(weights)
    np.testing.assert_allclose(parts.reshape(3, 2, -1).sum(axis=1), weights, atol=2**-45)
    before = counts.before_slots(np.array(places))
    for place, rows, found in zip(places, before, before @ parts, strict=True):
        here = truth[:place]
        pages = np.bincount(here[here >= 0], minlength=3).tolist()
        assert rows.tolist() == pages
        for column, got in zip(parts.T, found, strict=True):
            assert Fraction(got) == sum(n * Fraction(w) for n, w in zip(pages, column, strict=True))
    blocks = np.arange(0, counts.nr_blocks, 100)
    heat = counts.heat(blocks * counts.block_slots, weights)
    want = counts.before_slots(blocks * counts.block_slots) @ weights
    np.testing.assert_allclose(heat, want, rtol=1e-9, atol=1e-7)


CUTS = st.lists(st.integers(1, 99_999), min_size=1, max_size=40, unique=True)
SHIFTS = st.sampled_from([0, 0, 1024])


@quick
@given(GROUPS, st.integers(0, 2**32), st.lists(st.tuples(CUTS, SHIFTS, st.booleans()), min_size=1,
       max_size=4))  # fmt: skip
def test_chances_of_regions_are_means_over_their_pages(arithmetic, groups, seed, windows):
    """Window after window, some bounds inside pages, gaps between regions, pages that move."""
    counts, truth = filled(seed)
    plain = np.vstack([np.array(groups).T, np.zeros(len(groups))])  # the last: no page
    bounds = Bounds(counts, 4096)
    for cuts, shift, gaps in windows:
        edges = np.r_[0, np.sort(cuts) * 4096 + shift, 100_000 * 4096]
        line = np.array([edges[:-1], edges[1:]])[:, :: 2 if gaps else 1]
        size = line[1] - line[0] + 4096 * (np.arange(line.shape[1]) % 2)  # some with holes
        chance, _ = bounds.chances(*line, 0, size, ticks_of(groups))
        before = np.vstack([np.zeros(len(groups)), np.cumsum(plain[truth], axis=0)])
        at = line // 4096
        heat = before[at] + (line % 4096 / 4096)[..., None] * plain[np.r_[truth, -1]][at]
        want = (heat[1] - heat[0]).T * 4096 / size
        np.testing.assert_allclose(chance, want, rtol=1e-9, atol=1e-9)
        gone = np.flatnonzero(truth >= 0)[:7]
        counts.remove(gone, truth[gone])
        truth[gone] = -1


def test_chances_too_small_for_their_sums_are_not_below_zero(arithmetic):
    """A region that ends with a page of all but no chance: its sum and its cut page round apart."""
    counts = BlockCounts(100, 1)
    counts.add(np.arange(100), np.zeros(100, np.int64))
    line = np.array([[50 * 65536 + k * 4096 for k in range(16)], [51 * 65536] * 16])
    tiny = [(p,) for p in (7.607463848473993e-60, 5.0716425735e-62, 3e-90, 1e-170, 5e-324)]
    for group in tiny:
        size = line[1] - line[0]
        chance, _ = Bounds(counts, 65536).chances(*line, 0, size, ticks_of([group]))
        assert (chance >= 0).all() and (chance <= 1).all()


@quick
@given(
    GROUPS,
    st.integers(0, 2**32),
    st.lists(st.tuples(CUTS, SHIFTS), min_size=2, max_size=4),
    st.sampled_from([1, 50, 100]),
    st.sampled_from([1, 20]),
)
@without_numba
def test_chances_are_the_same_compiled(groups, seed, windows, times, alike):
    """To the last bit, from whatever window before; kinds take two bytes where there are many."""
    counts, _ = filled(seed, nr_classes=3 * times, alike=alike)
    groups = np.tile(groups, times)
    ours = {switch: Bounds(counts, 4096) for switch in "01"}
    for cuts, shift in windows:
        edges = np.r_[0, np.sort(cuts) * 4096 + shift, 100_000 * 4096]
        line = np.array([edges[:-1], edges[1:]])
        found = []
        for switch, bounds in ours.items():
            KERNELS.decide(switch)
            size = line[1] - line[0]
            found.append(bounds.chances(*line - 4096, 4096, size, ticks_of(groups))[0])
        KERNELS.decide(os.environ.get(SWITCH))
        assert np.array_equal(*found)
        assert np.array_equal(ours["0"].rows, ours["1"].rows)


SURE = st.sampled_from([0.0, 1.0, 0.5, 1e-300, 1.0 - 2**-53])


@quick
@given(
    st.integers(0, 2**32),
    st.integers(1, 70),
    st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.01), SURE), min_size=1, max_size=600),
    st.sampled_from([blockwise.DOUBT, 0.01, 2.0]),
)
@without_numba
def test_successes_are_those_the_generator_draws(seed, nr, chances, doubt):
    """To the last bit, and the generator goes on from there; also where it must be asked itself."""
    ours, its = (np.random.Generator(np.random.PCG64DXSM(seed)) for _ in "ab")
    chance = np.array(chances)
    KERNELS.decide("1")
    with unittest.mock.patch.object(blockwise, "DOUBT", doubt):
        found = [successes(ours, nr, chance) for _ in "12"]
    KERNELS.decide(os.environ.get(SWITCH))
    assert np.array_equal(found, [its.binomial(nr, chance) for _ in "12"])
    assert ours.random() == its.random()


@quick
@given(GROUPS, st.integers(0, 2**32), CUTS)
def test_extremes_are_those_of_the_pages_in_each_region(groups, seed, cuts):
    counts, truth = filled(seed)
    edges = np.r_[0, np.sort(cuts), 100_000]
    line = np.array([edges[:-1], edges[1:]]) * 4096
    found = Bounds(counts, 4096).extremes(line, ticks_of(groups))
    if len(groups) > 2 or (np.ptp(groups, axis=1) > 0.3).any():
        return  # not worth finding, or perhaps not
    assert found is not None
    for r, (low, high) in enumerate(line.T.tolist()):
        here = np.unique(truth[low // 4096 : high // 4096])
        for g, chances in enumerate(np.array(groups)):
            own = chances[here[here >= 0]]
            if len(own):
                assert found[:, g, r].tolist() == [own.min(), own.max()]


# -- exposure --------------------------------------------------------------------------------------

COURSE = st.lists(
    st.tuples(st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30
)


@quick
@given(COURSE, st.lists(st.integers(0, 2 * 10**10), min_size=1, max_size=10))
def test_exposure_is_the_integral_of_the_rates(course, times):
    exposure, plain, now = Exposure(2), [], 0
    for wait, *rates in course:
        now += wait
        exposure.set_rates(now, np.array(rates))
        plain.append((now, rates))
    for at, got in zip(times, exposure.at(np.array(times)), strict=True):
        want = [0.0, 0.0]
        for (begin, rates), (end, _) in zip(plain, [*plain[1:], (math.inf, [])], strict=True):
            for c in range(2):
                want[c] += rates[c] * max(0, min(at, end) - begin)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-6)
        assert exposure.of(np.array([1]), np.array([at]))[0] == got[1]


# -- fronts ----------------------------------------------------------------------------------------


@quick
@given(
    nr_folios=st.integers(1, 40),
    folio=st.sampled_from([1, 16]),
    first=st.integers(0, 5),
    before=st.floats(0, 2000),
    way=st.floats(0, 2000),
)
def test_a_front_passes_what_it_passes_page_by_page(nr_folios, folio, first, before, way):
    nr, first = nr_folios * folio, first * folio
    front, after = Front(0, first, nr, folio, np.zeros(1, int)), before + way
    touched = set()
    for step in range(math.floor(before) + 1, math.floor(after) + 1):
        if step % folio == 0:  # a folio is turned to at its first page
            head = step % nr
            touched |= {first + head + i for i in range(folio)}
    pages = np.arange(first + nr + 20)
    assert set(pages[front.passed(pages, before, after)].tolist()) == touched


# -- addresses -------------------------------------------------------------------------------------

RANGES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=5)


@quick
@given(RANGES, st.sampled_from([4096, 65536]))
def test_addresses_are_slots_one_by_one(gaps, slot_bytes):
    at, slot, table, plain = 1, 0, [], {}
    for gap, length in gaps:
        at += gap
        table.append((at * slot_bytes, (at + length) * slot_bytes, slot))
        plain |= {at + i: slot + i for i in range(length)}
        at, slot = at + length, slot + length
    space = AddressSpace(table[::-1], slot_bytes)
    assert space.vmas() == [(a, b) for a, b, _ in table]
    edges = np.arange(at + 3)
    line = space.linear(edges * slot_bytes)
    for low in range(at + 2):
        for high in range(low + 1, at + 2):
            want = [plain[i] for i in range(low, high) if i in plain]
            found = space.slots(low * slot_bytes, high * slot_bytes)
            assert [s for a, b in found for s in range(a, b)] == want
            assert line[high] - line[low] == len(want) * slot_bytes
            if want:
                assert line[low] == want[0] * slot_bytes


# -- chances of a tick -----------------------------------------------------------------------------


def law_of(nr_classes: int, nr_pages: int, nr_fronts: int = 0) -> Law:
    """A law over pages whose classes go round."""
    hand = worlds.migrator(work=worlds.workload([worlds.mapping("m", f"{4 * nr_pages} KiB")]))
    space = hand.space
    space.class_of[:] = np.arange(nr_pages) % nr_classes
    space.pages_per_bit = np.ones(nr_classes, int)
    space._classes = [(0, 1, c) for c in range(nr_classes)]
    return Law(space, nr_fronts, 0)


TICKS = st.lists(
    st.tuples(st.integers(0, 3_000_000), st.sampled_from([10**6, 5 * 10**6])),
    min_size=1,
    max_size=12,
)


@quick
@given(COURSE, TICKS)
def test_chances_of_ticks_are_those_of_each_tick_alone(course, spans):
    law, now = law_of(2, 8), 0
    for wait, *rates in course:
        now += wait // 100
        law.exposure.set_rates(now, np.array(rates) * 1e-6)
    starts, at = [], 0
    for gap, _ in spans:
        starts.append(at + gap)
        at += gap + 5 * 10**6
    starts = np.array(starts)
    ends = starts + np.array([span for _, span in spans])
    ticks = law.ticks(starts, ends)
    for t in range(len(starts)):
        pair = law.exposure.at(np.array([starts[t], ends[t]]))
        want = 1 - np.exp(-(pair[1] - pair[0]))
        # the difference of what came before loses digits
        np.testing.assert_allclose(ticks.probability[ticks.group[t]], want, rtol=1e-9, atol=1e-10)


@quick
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 30))
def test_the_page_of_every_tick_is_looked_at_as_drawn(seed, nr_regions, nr_ticks):
    """The twin, in loops, from the same draws: where to look, then whether it was touched."""
    law = law_of(3, 64, 1)
    law.fronts = [Front(3, 8, 32, 1, np.arange(3))]
    law.exposure.set_rates(0, np.array([0.0, 1e-7, 2e-6, 3e-6]))
    pages_at = np.arange(64)
    pages_at[40:48] = -1  # not there
    space = AddressSpace([(0, 32 * 4096, 0), (40 * 4096, 72 * 4096, 32)], 4096)  # a hole between
    view = View(space, lambda slots: pages_at[slots], BlockCounts(64, 3), law)
    cuts = np.sort(np.random.default_rng(seed).choice(72, nr_regions + 1, replace=False)) * 4096
    start, end = cuts[:-1], cuts[1:]
    starts = np.arange(nr_ticks) * 4_000_000
    window = Window(starts, starts + 3_000_000)
    source = AccessedBits([view], law, np.random.default_rng(seed), 0, 1, True)
    got = source.hits(start, end, np.zeros(nr_regions, int), window)

    rng = np.random.default_rng(seed)
    where = rng.random((nr_ticks, nr_regions))
    looks = []
    for k in range(nr_ticks):
        for r in range(nr_regions):
            # holes are behind what is mapped: only how much there is of either matters
            mapped = [a for a in range(start[r], end[r], 4096) if a < 32 * 4096 or a >= 40 * 4096]
            place = int(where[k, r] * (end[r] - start[r])) // 4096
            page = -1
            if place < len(mapped):
                address = mapped[place]
                page = pages_at[address // 4096 - (8 if address >= 40 * 4096 else 0)]
            looks.append((k, r, page))
    touched = rng.random(len(looks))
    want = np.zeros(nr_regions, int)
    for (k, r, page), u in zip(looks, touched, strict=True):
        if page < 0:
            continue
        visits = law.exposure.rates[law.space.class_of[page]] * 3_000_000
        before, after = (3e-6 * (t) for t in (starts[k], starts[k] + 3_000_000))
        swept = any(8 + step % 32 == page for step in range(int(before) + 1, int(after) + 1))
        want[r] += u < 1 - math.exp(-visits) or swept
    assert got.tolist() == want.tolist()


@quick
@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_kinds_of_few_pages_tell_as_much_as_the_pages(seed, nr_regions, uneven):
    """What is drawn for few pages is, to the last bit, what the twin draws."""
    law, rng = law_of(3, 64), np.random.default_rng(seed)
    law.exposure.set_rates(0, rng.random(3) * 4e-7)
    pages_at, counts = rng.permutation(64), BlockCounts(64, 3)
    pages_at[rng.random(64) < 0.2] = -1
    present = np.flatnonzero(pages_at >= 0)
    counts.add(present, law.space.class_of[pages_at[present]])
    space = AddressSpace([(0, 32 * 4096, 0), (40 * 4096, 72 * 4096, 32)], 4096)
    cuts = np.sort(rng.choice(72, nr_regions + 1, replace=False)) * 4096
    starts = np.arange(20) * 6_000_000
    window = Window(starts, starts + 3_000_000 + uneven * 10_000 * (np.arange(20) % 3))
    found = []
    for exact in (False, True):
        view = View(space, pages_at.take, counts, law)
        source = AccessedBits([view], law, np.random.default_rng(seed), 0, 1, exact)
        target = np.zeros(nr_regions, int)
        found.append([source.hits(cuts[:-1], cuts[1:], target, window).tolist() for _ in "ab"])
    assert found[0] == found[1]


# -- tick times ------------------------------------------------------------------------------------


@quick
@given(
    now=st.integers(0, 10**13),
    nr=st.integers(1, 60),
    sample_us=st.one_of(st.integers(0, 20_000), st.integers(0, 20_000_000)),
    work=st.integers(0, 30_000_000),
    hz=st.sampled_from([100, 250, 1000]),
    slack=st.integers(0, 100_000),
)
def test_tick_times_are_those_of_a_thread_that_sleeps_after_its_work(
    now, nr, sample_us, work, hz, slack
):
    starts, ends, done = Clock(hz, slack).ticks(now, nr, sample_us, work)
    at = now
    for k in range(nr):
        assert starts[k] == at
        at = wake_ns(at + work // 2, sample_us, hz, slack)
        assert ends[k] == at
        at += work - work // 2
        assert done[k] == at


# -- young bits ------------------------------------------------------------------------------------


@quick
@given(
    stamps=st.lists(st.integers(-1, 4000), min_size=1, max_size=40),
    now=st.integers(4000, 9000),
    speeds=COURSE,
)
def test_young_is_what_came_since_the_bit_was_cleared(stamps, now, speeds):
    law, at = law_of(2, 64), 0
    for wait, *rates in speeds:
        at += wait // 1000
        law.exposure.set_rates(at, np.array(rates) * 1e-8)
    law.track_bits()
    heads = np.arange(len(stamps))
    cleared = np.array([max(s, 1) for s in stamps]) * STAMP_NS
    law.note_checked(heads, cleared, np.array(stamps) < 0)
    chance = law.young_chance(heads, now * STAMP_NS)
    for page, stamp in enumerate(stamps):
        if stamp < 0:
            assert law.cleared_at[page] == KNOWN_YOUNG and chance[page] == 1.0
            continue
        pair = law.exposure.at(np.array([max(stamp, 1), now]) * STAMP_NS)[
            :, law.space.class_of[page]
        ]
        np.testing.assert_allclose(chance[page], 1 - math.exp(-(pair[1] - pair[0])), atol=1e-15)
