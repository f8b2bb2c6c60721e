"""What each pattern says it visits, in numbers one can check by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numasim.checking import build
from numasim.errors import ConfigError
from numasim.patterns import registry, steps_done, window


def make(name: str, **parameters):
    return build(registry.get(name), {"mapping": "m", **parameters}, context=None)


def bounds(pattern, nr: int) -> list[tuple[int, int]]:
    return [(e.first, e.last) for e in pattern.extents(nr)]


@pytest.mark.parametrize(
    ("first", "last", "nr", "found"),
    [
        (0, 1, 10, (0, 10)),
        (0.25, 0.5, 8, (2, 4)),
        (0.999, 1, 10, (9, 10)),
        (0.5, 0.5001, 10, (5, 6)),
    ],
)
def test_a_window_is_rounded_and_never_empty(first, last, nr, found):
    assert window(first, last, nr) == found


@pytest.mark.parametrize("name", ["uniform", "sweep"])
def test_a_range_ends_after_it_begins(name):
    for first, last in ((0.5, 0.5), (0.6, 0.2), (1.0, 1.0)):
        with pytest.raises(ConfigError, match=r"last: got .*expected more than first"):
            make(name, first=first, last=last)


@pytest.mark.parametrize("field", ["lines", "parallelism"])
@pytest.mark.parametrize("name", ["uniform", "sweep"])
def test_numbers_that_make_no_sense_are_refused(name, field):
    with pytest.raises(ConfigError, match=field):
        make(name, **{field: 0.0})


def test_shared_fields_are_checked():
    with pytest.raises(ConfigError) as caught:
        make("uniform", visits=-1.0, miss=1.5, write=2.0, overlap="lazy", colour="red")
    places = {p.place for p in caught.value.problems}
    assert places == {"visits", "miss", "write", "overlap", "colour"}


def test_hot_cold_side_by_side():
    pattern = make("hot_cold", hot=0.2, hot_visits=0.9, at=0.5)
    assert bounds(pattern, 100) == [(50, 70), (0, 50), (70, 100)]
    np.testing.assert_allclose(pattern.shares(0, 100), [0.9, 0.1 * 50 / 80, 0.1 * 30 / 80])


def test_hot_cold_all_hot():
    pattern = make("hot_cold", hot=1.0, hot_visits=1.0)
    assert bounds(pattern, 10) == [(0, 10)]
    assert pattern.shares(0, 10).tolist() == [1.0]
    assert make("hot_cold", hot=1.0, hot_visits=1.0, scattered=True).extents(10)[0].spread is None


def test_hot_cold_scattered_is_a_spread_of_two():
    (extent,) = make("hot_cold", hot=0.2, hot_visits=0.8, scattered=True).extents(10)
    assert extent.spread.edges == (0.0, 0.2, 1.0)
    assert extent.spread.rates == pytest.approx((4.0, 0.25))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"hot": 0.0}, "hot:"),
        ({"hot": 0.5, "at": 0.6}, "at:"),
        ({"hot": 1.0, "hot_visits": 0.9}, "hot_visits:"),
    ],
)
def test_impossible_hot_sets_are_refused(wrong, place):
    with pytest.raises(ConfigError, match=place):
        make("hot_cold", **wrong)


def test_stairs_fall_by_their_ratio():
    pattern = make("stairs", steps=4, ratio=0.5)
    assert bounds(pattern, 8) == [(0, 2), (2, 4), (4, 6), (6, 8)]
    np.testing.assert_allclose(pattern.shares(0, 8), np.array([8, 4, 2, 1]) / 15)
    assert len(make("stairs", steps=8).extents(3)) == 3, "no more steps than pages"


def test_growth_adds_slices():
    pattern = make("growth", slices=4, add_every=10.0)
    assert [pattern.populated_pages(w, 8) for w in (0, 9.9, 10, 25, 1e9)] == [2, 2, 4, 6, 8]
    assert pattern.shares(10.0, 8).tolist() == [0.5, 0.5, 0, 0]
    assert [pattern.next_change(w) for w in (0, 9.9, 10, 29.9, 30)] == [10, 10, 20, 30, math.inf]


def test_a_window_moves_and_wraps():
    pattern = make("moving_window", cells=4, width=2, hop_every=5.0, outside=0.2)
    assert pattern.shares(0, 8).tolist() == [0.4, 0.4, 0.1, 0.1]
    assert pattern.shares(5, 8).tolist() == [0.1, 0.4, 0.4, 0.1]
    assert pattern.shares(15, 8).tolist() == [0.4, 0.1, 0.1, 0.4]
    assert pattern.shares(20, 8).tolist() == pattern.shares(0, 8).tolist()


def test_a_window_as_wide_as_the_mapping_has_no_outside():
    pattern = make("moving_window", cells=4, width=9, outside=0.5)
    assert pattern.shares(0, 8).tolist() == [0.25] * 4


@pytest.mark.parametrize("every", [0.1, 1 / 3, 0.7, 1e9 / 7, 3.3e-3, 12345.678])
def test_steps_are_counted_whatever_the_rounding(every):
    total = 0.0
    for k in range(1, 20_000):
        assert steps_done(k * every, every) == k
        if k < 300:
            total += every
            assert steps_done(total, every) == k
        assert steps_done((k + 0.999) * every, every) == k


def test_zipf_has_the_masses_of_its_ranks():
    for exponent in (0.0, 0.5, 0.99, 1.0, 2.0):
        nr = 5000
        (extent,) = make("zipf", exponent=exponent).extents(nr)
        edges = np.rint(np.array(extent.spread.edges) * nr).astype(int)
        ranks = np.arange(1, nr + 1) ** -exponent
        for a, b, rate in zip(edges, edges[1:], extent.spread.rates, strict=False):
            assert rate == pytest.approx(ranks[a:b].mean(), rel=1e-6)
        assert edges[0] == 0 and edges[-1] == nr


def test_zipf_shuffles_by_word():
    spreads = [make("zipf", shuffle=w).extents(10)[0].spread for w in ("", "a", "")]
    assert spreads[0].key == spreads[2].key != spreads[1].key


@pytest.mark.parametrize("shape", [0.1, 1.0, 3.0, 100.0])
def test_gamma_classes_have_mean_one(shape):
    (extent,) = make("gamma", shape=shape).extents(1000)
    edges, rates = np.array(extent.spread.edges), np.array(extent.spread.rates)
    assert np.diff(edges) @ rates == pytest.approx(1)
    assert (np.diff(rates) >= 0).all()
    second = np.diff(edges) @ rates**2  # of the gamma distribution: 1 + 1 / shape
    assert second == pytest.approx(1 + 1 / shape, rel=0.02)


def test_an_exponential_has_its_known_quantiles():
    (extent,) = make("gamma", shape=1.0).extents(1000)
    edges, rates = np.array(extent.spread.edges), np.array(extent.spread.rates)
    median = float(np.interp(0.5, (edges[1:] + edges[:-1]) / 2, rates))
    assert median == pytest.approx(math.log(2), rel=0.02)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_numbers_are_finite(value):
    for name, field in (("uniform", "visits"), ("gamma", "shape"), ("growth", "add_every")):
        with pytest.raises(ConfigError, match=field):
            make(name, **{field: value})
