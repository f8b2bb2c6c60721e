"""Which slow pages are hot: threshold, rate limit and access times, by hand and one by one."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.balancing.promotion import Promotion, access_time_bits, enough_pages, hint_latency_ms
from numasim.balancing.tunables import Tunables

MIB = 256  # pages


def test_the_threshold_moves_one_step_a_minute():
    """100 MiB/s wants 1,536,000 candidates a minute, give or take a tenth."""
    settings, node = Tunables(rate_limit_mbps=100), Promotion(th_start=0)
    node.adjust_threshold(60_000, settings)
    assert node.threshold == 0, "not yet"
    for came, expected in ((0, 1125), (1_536_000, 1125), (1_689_601, 1000), (1_382_399, 1125)):
        node.candidate += came
        node.adjust_threshold(node.th_start + 60_001, settings)
        assert node.threshold == expected


def test_the_threshold_stays_between_one_step_and_twice_the_reference():
    node, settings = Promotion(), Tunables()
    for _ in range(20):
        node.adjust_threshold(node.th_start + 60_001, settings)
    assert node.threshold == 2000
    for _ in range(40):
        node.candidate += 2**40
        node.adjust_threshold(node.th_start + 60_001, settings)
    assert node.threshold == 125


def test_a_window_begins_with_the_first_candidate_after_a_second():
    node, settings = Promotion(), Tunables(rate_limit_mbps=1)
    assert not node.limited(5000, 300, settings), "the first one begins a window, uncounted"
    assert not node.limited(5999, 255, settings)
    assert node.limited(6000, 1, settings), "exactly a second is not more than one"
    assert not node.limited(6001, 1, settings)


def test_one_step_for_many_equals_many_steps():
    rng = np.random.default_rng(1)
    settings = Tunables(rate_limit_mbps=2, scan_period_max_ms=3000)
    for _ in range(30):
        nr_faults = int(rng.integers(1, 300))
        now = 10_000 + np.cumsum(rng.integers(0, 120, nr_faults))
        latency = rng.integers(0, 1500, nr_faults)
        nr = rng.choice([1, 16, 512], nr_faults)
        together, one_by_one = Promotion(), Promotion()
        expected = []
        for at, late, size in zip(now.tolist(), latency.tolist(), nr.tolist(), strict=True):
            one_by_one.adjust_threshold(at, settings)
            hot = late < (one_by_one.threshold or settings.hot_threshold_ms)
            expected.append(hot and not one_by_one.limited(at, size, settings))
        cuts = np.sort(rng.integers(0, nr_faults, 2))
        parts = [
            together.hot(*part, settings)
            for part in zip(*(np.split(x, cuts) for x in (now, latency, nr)), strict=True)
        ]
        assert np.concatenate(parts).tolist() == expected
        assert together == one_by_one


def test_access_times_wrap():
    assert access_time_bits(16) == 12 and access_time_bits(8192) == 21
    armed, now = np.array([1000, 1000, 4095]), np.array([1500, 5596, 4097])
    assert hint_latency_ms(now, armed, 12).tolist() == [500, 500, 2]
    assert hint_latency_ms(now, armed, 21).tolist() == [500, 4596, 2]


@pytest.mark.parametrize(("pages", "expected"), [(1 << 20, 1 << 18), (1 << 24, 1 << 20)])
def test_how_much_room_is_plenty(pages, expected):
    assert enough_pages(pages) == expected


def test_plenty_forgets_the_threshold():
    node = Promotion(threshold=500)
    node.plenty(512)
    assert (node.threshold, node.candidate, node.candidate_nrl) == (0, 0, 512)
