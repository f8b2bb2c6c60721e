"""Sweeps and recordings on huge pages: touched when any page in them is."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.huge.fronts import HugeFront, HugeReel
from numasim.machine import Machine
from numasim.seeds import Seeds
from tests import recordings, worlds
from tests.unit.huge.scenes import HUGE, PER, hand_of, touch

STRETCH = 128
EACH = PER // STRETCH  # recorded pages of a block
BLOCKS = recordings.PAGES // EACH


def playing(page: str = "4 KiB", stretch: int = STRETCH) -> Machine:
    """One actor plays the recording on pages that may become huge, an interval a millisecond."""
    access = {"pattern": "trace", "mapping": "m", "file": str(recordings.TINY), "stretch": stretch}
    size = f"{recordings.PAGES * stretch * (4 if page == '4 KiB' else 2048)} KiB"
    work = worlds.workload(
        [worlds.mapping("m", size, page=page, address=1 << 30), worlds.mapping("b", "4 KiB")],
        [access],
        phase={"compute": 0, "pace": "1000 /s"},
    )
    topology = worlds.topology("256 MiB", "64 MiB")
    machine = Machine(topology, work, Seeds(1), lambda: None, huge=True)
    machine.start_process(0, 0)
    while machine.populators:
        machine.change(int(machine.next_change_ns()) + 1)
    machine.settle(machine.now_ns)
    return machine


def reel_of(machine: Machine) -> HugeReel:
    (reel,) = machine.law.fronts
    assert isinstance(reel, HugeReel)
    return reel


def make_huge(machine: Machine, nr: int) -> np.ndarray:
    """Make the first blocks huge; first pages of all blocks."""
    huge, pages = machine.populator.huge, machine.space.mappings[0]
    heads = huge.blocks_within(pages, 0, BLOCKS * HUGE)
    assert len(heads) == BLOCKS and huge.collapse(pages, heads[:nr], "me").complete
    return heads


@pytest.mark.parametrize(("low", "high"), [(3.0, 4.0), (60.0, 62.0), (149.6, 150.3), (5.25, 5.5)])
def test_a_huge_page_is_as_likely_touched_as_any_of_its_pages(low, high):
    machine = playing()
    reel = reel_of(machine)
    small = np.arange(recordings.PAGES) * STRETCH
    alone = reel.chance(small, low, high).reshape(BLOCKS, EACH)
    heads = make_huge(machine, BLOCKS // 2)
    found = reel.chance(heads, low, high)
    half = BLOCKS // 2
    np.testing.assert_allclose(found[:half], 1 - (1 - alone[:half]).prod(axis=1))
    np.testing.assert_allclose(found[half:], alone[half:, 0])  # those are as they were
    assert found[:half].mean() >= alone[:half].mean()


def test_shares_and_turns_of_huge_pages_are_those_of_the_blocks():
    machine = playing()
    reel = reel_of(machine)
    nr = recordings.INTERVALS
    small = np.arange(recordings.PAGES) * STRETCH
    each = [reel.chance(small, i, i + 1).reshape(BLOCKS, EACH).max(axis=1) for i in range(nr)]
    touched = np.array(each).sum(axis=0)
    assert reel.wholes.touched().tolist() == touched.tolist()
    huge = reel.classes >= machine.space.huge.nr_own
    assert len(reel.classes) == len(reel.turn) == len(reel.touched_share(2.0))
    assert (reel.turn[huge] >= 1).all() and reel.touched_share(2.0)[huge].max() <= 1
    mean = reel.touched_share(1.0)[huge].mean()
    assert mean == pytest.approx(touched.mean() / nr, rel=0.2)


def test_recorded_pages_may_be_larger_than_blocks():
    machine = playing(stretch=2 * PER)
    reel = reel_of(machine)
    huge, pages = machine.populator.huge, machine.space.mappings[0]
    heads = huge.blocks_within(pages, 0, pages.mapping.size)
    before = reel.chance(heads, 3.0, 9.0)
    assert huge.collapse(pages, heads[:40], "me").complete
    np.testing.assert_array_equal(reel.chance(heads, 3.0, 9.0), before)


def test_mappings_of_huge_pages_play_as_ever():
    machine = playing("2 MiB", stretch=1)  # of huge pages of their own
    assert not isinstance(machine.law.fronts[0], HugeReel)


# -- sweeps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 100])
def test_a_front_touches_a_huge_page_as_long_as_it_is_in_it(first):
    """Against every page that it turns to, one by one."""
    access = [{"pattern": "sweep", "mapping": "m"}]
    mapping = worlds.mapping("m", "6 MiB", address=(1 << 30) + first * 4096)
    hand, huge, pages = hand_of(mapping, access=access)
    touch(hand, pages, 0, pages.nr)
    classes = np.flatnonzero(hand.space.patterns[0, 0, 0, 0].weights[0])
    front = HugeFront(0, pages.first, pages.nr, 1, classes, space=hand.space)
    assert huge.collapse(pages, huge.blocks_within(pages, 0, 6 << 20)[:2], "me").complete
    every = np.arange(pages.first, pages.last)
    heads = hand.space.folio_heads(every)
    rng = np.random.default_rng(1)
    for before in rng.uniform(0, 4 * pages.nr, 40).tolist():
        after = before + rng.choice([0.4, 5, 300, 900, pages.nr])
        turned = np.arange(int(np.floor(before)) + 1, int(np.floor(after)) + 1) % pages.nr
        want = np.isin(heads, heads[turned])
        assert (front.passed(every, before, after) == want).all()
    share = front.touched_share(64.0)
    assert share[classes >= hand.space.huge.nr_own] == pytest.approx((64 + PER - 1) / pages.nr)
