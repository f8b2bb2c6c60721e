"""Cached translations hide visits."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hardware import Tlb
from numasim.tlb import SERIES_BELOW, seen_chance, walk_rates


def test_without_a_tlb_every_visit_walks():
    rates = np.array([1.0, 2.0])
    assert walk_rates(rates, np.array([10.0, 10.0]), 4, Tlb()) is rates


def test_che_keeps_as_many_translations_as_there_are_entries():
    rates, nr = np.array([1e-3, 1e-5]), np.array([100.0, 10_000.0])
    walks = walk_rates(rates, nr, 1, Tlb(entries=200))
    residency = np.log(rates / walks) / rates
    assert residency[0] == pytest.approx(residency[1]), "one residency for all"
    kept = nr @ -np.expm1(-rates * residency[0])
    assert kept == pytest.approx(200, rel=1e-6)


def test_what_fits_hides_for_ever():
    assert walk_rates(np.array([1e-3]), np.array([64.0]), 1, Tlb(entries=64)).tolist() == [0.0]


def test_what_fits_walks_once_after_each_flush():
    tlb = Tlb(entries=64, flush_interval=1_000_000)
    walks = walk_rates(np.array([1e-6, 1e-3]), np.array([10.0, 10.0]), 1, tlb)
    assert walks == pytest.approx([1e-6 * -np.expm1(-1.0), 1e-6]), "a hot page once, at most"


def test_threads_share_visits_but_not_entries():
    tlb = Tlb(entries=64, flush_interval=1_000_000)
    walks = walk_rates(np.array([1e-6, 1e-3]), np.array([10.0, 10.0]), 4, tlb)
    assert walks == pytest.approx([4e-6 * -np.expm1(-0.25), 4e-6])


def test_rare_flushes_matter_little_where_entries_are_few():
    rates, nr = np.array([1e-3, 1e-5]), np.array([100.0, 10_000.0])
    never = walk_rates(rates, nr, 1, Tlb(entries=200))
    seldom = walk_rates(rates, nr, 1, Tlb(entries=200, flush_interval=10**10))
    assert seldom == pytest.approx(never, rel=1e-3) and (seldom > never).all()


def test_walks_are_those_of_a_cache_that_is_flushed():
    """Plain twin: visits to one page as points in time; a residency, and flushes."""
    rates, nr, flush = np.array([2e-3, 1e-5]), np.array([50.0, 10_000.0]), 5000
    found = walk_rates(rates, nr, 1, Tlb(entries=100, flush_interval=flush))[0]
    alone = walk_rates(rates, nr, 1, Tlb(entries=100))[0]
    residency = np.log(rates[0] / alone) / rates[0]
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.exponential(1 / rates[0], 400_000))
    gap = np.diff(times, prepend=-np.inf)
    flushed = times // flush != np.r_[-1, times[:-1] // flush]
    walks = (flushed | (gap > residency)).sum() / times[-1]
    assert found == pytest.approx(walks, rel=0.03)


def test_idle_classes_walk_never_and_take_no_entry():
    walks = walk_rates(np.array([0.0, 1e-4]), np.array([1e6, 50.0]), 1, Tlb(entries=64))
    assert walks.tolist() == [0.0, 0.0]


def test_more_entries_hide_more():
    rates, nr = np.array([1e-3, 1e-5]), np.array([100.0, 10_000.0])
    found = [walk_rates(rates, nr, 1, Tlb(entries=n)).sum() for n in (16, 64, 256, 1024)]
    assert found == sorted(found, reverse=True)


def hidden_until_a_flush(rate, span, flush, rng, trials=200_000):
    """Plain twin: visits as points in time, a cache that keeps all until its next flush."""
    since = rng.random(trials) * flush  # last flush before the bit is cleared
    cached = rng.random(trials) < -np.expm1(-rate * since)
    hidden = np.where(cached, np.minimum(flush - since, span), 0.0)
    first = rng.exponential(1 / rate, trials)  # next visit from then on
    return (first < span - hidden).mean()


@pytest.mark.parametrize("rate", [0.02, 0.2, 1.0])
@pytest.mark.parametrize(("span", "flush"), [(5.7, 1.0), (5.7, 4.0), (3.0, 10.0), (1.0, 50.0)])
def test_what_a_flushed_cache_hides(rate, span, flush):
    """Within five standard errors of 200,000 trials (false alarm one in 100,000 for all)."""
    found = hidden_until_a_flush(rate, span, flush, np.random.Generator(np.random.PCG64DXSM(1)))
    chance = seen_chance(np.array([[rate * span]]), np.array([span]), np.array([flush]))[0, 0]
    assert abs(found - chance) < 5 * np.sqrt(chance * (1 - chance) / 200_000)
    assert chance < -np.expm1(-rate * span)


def test_a_flushed_cache_at_the_extremes():
    visits = np.array([[0.0, 1e-12, 1e-6, 1e3, 1e6]])
    none = seen_chance(visits, np.array([5.0]), np.zeros(5))
    np.testing.assert_array_equal(none, -np.expm1(-visits))
    some = seen_chance(visits, np.array([5.0]), np.full(5, 2.0))
    assert (some >= 0).all() and (some <= 1).all() and some[0, 0] == 0
    np.testing.assert_allclose(some[0, 1:3], visits[0, 1:3], rtol=1e-5)
    np.testing.assert_allclose(some[0, 3:], 1.0)
    assert (np.diff(some[0]) >= 0).all()


def test_the_beginning_of_the_series_meets_the_formula():
    for flush in (2.0, 9.0):
        below, above = (
            seen_chance(np.array([[v]]), np.array([5.0]), np.array([flush]))[0, 0]
            for v in (5 * SERIES_BELOW / flush * (1 - 1e-9), 5 * SERIES_BELOW / flush * (1 + 1e-9))
        )
        assert abs(above / below - 1) < 1e-7
