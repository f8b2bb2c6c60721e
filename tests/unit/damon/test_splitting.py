"""Draws, and the state that contexts share."""

import numpy as np

from numasim.damon.regions import Regions
from numasim.damon.splitting import Draws, Shared, split_all, split_regions


def test_draws_come_one_for_each_try_whatever_is_asked_ahead():
    ahead = Draws.of(np.random.default_rng(1))
    ahead.peek(5000)
    one_by_one = Draws.of(np.random.default_rng(1))
    assert ahead.take(7).tolist() == [int(one_by_one.take(1)[0]) for _ in range(7)]
    assert ahead.used == one_by_one.used == 7


def test_draws_are_from_1_to_9():
    assert set(Draws.of(np.random.default_rng(0)).take(10_000).tolist()) == set(range(1, 10))


def test_exactly_twice_the_minimum_is_split_only_by_some():
    regions = Regions([(0, 8192)])
    split_all(regions, 2, Draws(lambda n: np.full(n, 5)), 4096)
    assert len(regions) == 1
    split_regions([regions], Shared(), Draws(lambda n: np.full(n, 5)), 4096, 1)
    assert len(regions) == 1  # at the maximum
    big = Regions([(i * 8192, (i + 1) * 8192) for i in range(3)])
    split_regions([big], Shared(), Draws(lambda n: np.full(n, 5)), 4096, 4)
    assert len(big) == 4


def test_three_pieces_only_where_the_count_did_not_change():
    shared = Shared()
    draws = Draws(lambda n: np.full(n, 5))
    for expected in (2, 3):
        regions = Regions([(0, 100 * 4096)])
        split_regions([regions], shared, draws, 4096, 1000)
        assert len(regions) == expected


def test_two_contexts_disturb_each_other_through_the_shared_count():
    shared = Shared()
    draws = Draws(lambda n: np.full(n, 5))
    for count, expected in ((1, 2), (2, 4), (1, 2), (2, 4)):
        regions = Regions([(i * 400_000, (i + 1) * 400_000) for i in range(count)])
        split_regions([regions], shared, draws, 4096, 1000)
        assert len(regions) == expected
