"""The truth: what a tick finds, what a bit remembers, at which mean rates."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.law import KNOWN_YOUNG, STAMP_NS, Law
from numasim.traffic import Front
from tests import worlds

MS = 1_000_000


def law_of(nr_pages: int = 16, fronts: int = 0) -> Law:
    """Two classes: pages of the first half and of the second."""
    access = [
        {"pattern": "uniform", "mapping": "m", "last": 0.5},
        {"pattern": "uniform", "mapping": "m", "first": 0.5},
    ]
    work = worlds.workload([worlds.mapping("m", f"{4 * nr_pages} KiB")], access)
    law = Law(worlds.migrator(work=work).space, fronts, 0)
    classes = np.unique(law.space.class_of)
    law.fronts = [Front(2 + i, 0, nr_pages, 1, classes) for i in range(fronts)]
    return law


def ticks(law: Law, *spans_ms: tuple[float, float]):
    spans = (np.array(spans_ms) * MS).astype(int)
    return law.ticks(spans[:, 0], spans[:, 1])


def test_equal_ticks_of_one_stretch_are_one_group():
    law = law_of()
    law.exposure.set_rates(0, np.array([1e-7, 2e-7]))
    found = ticks(law, *((5 * k, 5 * k + 5) for k in range(20)))
    assert len(found.probability) == 1 and set(found.group) == {0}
    np.testing.assert_allclose(found.probability[0], 1 - np.exp([-0.5, -1.0]))


def test_a_change_inside_a_tick_makes_it_one_of_its_own():
    law = law_of()
    law.exposure.set_rates(0, np.array([1e-7, 0.0]))
    law.exposure.set_rates(7 * MS, np.array([3e-7, 0.0]))
    found = ticks(law, *((5 * k, 5 * k + 5) for k in range(4)))
    assert len(found.probability) == 3
    visits = [0.5, 0.2 + 0.9, 1.5, 1.5]
    np.testing.assert_allclose(found.probability[found.group][:, 0], 1 - np.exp(-np.array(visits)))


def test_tiny_chances_keep_their_digits():
    law = law_of()
    law.exposure.set_rates(0, np.array([1e-24, 0.0]))
    chance = ticks(law, (0, 5)).probability[0]
    assert chance[0] == pytest.approx(5e-18, rel=1e-9) and chance[1] == 0


def test_fronts_that_stand_still_are_not_looked_at():
    law = law_of(fronts=2)
    law.exposure.set_rates(0, np.array([0.0, 0.0, 0.0, 1e-6]))
    found = ticks(law, (0, 5), (5, 10))
    ((front, before, after),) = found.fronts
    assert front is law.fronts[1]
    assert before.tolist() == [0, 5] and after.tolist() == [5, 10]


def test_the_last_look_at_a_page_counts():
    law = law_of()
    law.track_bits()
    heads = np.array([3, 3, 3])
    law.note_checked(heads, np.array([5, 10, 15]) * MS, np.array([False, True, False]))
    assert law.cleared_at[3] == 15 * MS // STAMP_NS
    law.note_checked(heads, np.array([5, 10, 15]) * MS, np.array([False, False, True]))
    assert law.cleared_at[3] == KNOWN_YOUNG


def test_what_nobody_cleared_is_young():
    law = law_of()
    law.track_bits()
    assert law.young_chance(np.arange(16), 10**9).tolist() == [1.0] * 16
    law.note_checked(np.arange(16), np.array([10**9]), np.zeros(16, bool))
    law.note_first_touch(np.array([4]))
    law.track_bits()
    assert law.young_chance(np.arange(16), 10**9).tolist() == [0.0] * 4 + [1.0] + [0.0] * 11


def test_a_clear_at_the_very_beginning_is_remembered():
    law = law_of()
    law.track_bits()
    law.note_checked(np.array([0]), np.array([0]), np.array([False]))
    assert law.young_chance(np.array([0]), STAMP_NS)[0] == 0.0


def test_no_page_has_no_chance():
    law = law_of()
    law.track_bits()
    nothing = np.empty(0, np.int64)
    assert law.young_chance(nothing, 10**9).tolist() == []
    assert law.test_and_clear_young(nothing, 10**9, np.random.default_rng(1)).tolist() == []


def test_a_front_makes_young_what_it_passed_since():
    law = law_of(fronts=1)
    law.track_bits()
    law.exposure.set_rates(0, np.array([0.0, 0.0, 1e-6]))  # a page a millisecond
    law.note_checked(np.arange(16), np.array([2 * MS]), np.zeros(16, bool))
    assert np.flatnonzero(law.young_chance(np.arange(16), 5 * MS)).tolist() == [3, 4, 5]
    assert law.young_chance(np.arange(16), 18 * MS).tolist() == [1.0] * 16


def test_testing_makes_old():
    law = law_of()
    law.track_bits()
    rng = np.random.default_rng(1)
    assert law.test_and_clear_young(np.arange(16), 10**9, rng).all()
    assert not law.test_and_clear_young(np.arange(16), 10**9, rng).any()


@pytest.mark.parametrize("span_ms", [5, 50, 500])
def test_mean_chances_are_those_of_ticks(span_ms):
    """Over many ticks, sweeps included: what `tick_chance` says is the share found accessed."""
    law = law_of(64, fronts=1)
    law.exposure.set_rates(0, np.array([2e-8, 1e-7, 0.37e-6]))
    nr = 4000
    starts = np.arange(nr) * 7 * MS
    window = law.ticks(starts, starts + span_ms * MS)
    expected = law.tick_chance(span_ms * MS, 0, int(starts[-1]) + span_ms * MS)
    for page in (5, 60):
        hits = law.touched(np.full((nr, 1), page), window, np.random.default_rng(2))
        assert hits.mean() == pytest.approx(expected[law.space.class_of[page]], abs=0.04)


def test_mean_rates_count_sweeps_by_their_rounds():
    law = law_of(16, fronts=1)
    law.exposure.set_rates(0, np.array([1e-8, 2e-8, 1.6e-7]))
    law.exposure.set_rates(100 * MS, np.array([3e-8, 2e-8, 0.0]))
    rates = law.mean_visit_rates_per_ns(0, 200 * MS)
    np.testing.assert_allclose(rates, [2e-8 + 0.5e-8, 2e-8 + 0.5e-8])
    np.testing.assert_allclose(law.visit_rates_per_ns(), [3e-8, 2e-8])


def test_a_touch_that_walked_for_sure_is_young_though_bits_stay_hidden():
    law = law_of()
    law.track_bits()
    assert law.cleared_at is not None
    law.cleared_at[:] = np.uint32(100 * MS // STAMP_NS)
    heads = np.array([1, 2])
    law.note_touched(heads, np.array([150 * MS, 50 * MS]))  # after it was cleared, and before
    chance = law.young_chance(np.arange(4), 200 * MS)
    assert chance.tolist() == [0, 1, 0, 0]
