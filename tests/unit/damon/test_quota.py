"""Quotas: windows, limits, tuners."""

import pytest

from numasim.damon import clock
from numasim.damon.quota import QuotaState, compute_esz, start_window
from numasim.damon.spec import ULONG_MAX, Quota, QuotaGoal

MS = 1_000_000  # ns; also the tick here


def windows(quota, jiffies):
    return [start_window(quota, now, MS, 4096, lambda: None) for now in jiffies]


def test_not_set_means_never_full():
    quota = QuotaState.of(Quota())
    quota.charged_sz = 10**12
    assert not quota.is_set and not quota.full(4096)


def test_less_than_a_region_left_is_full():
    quota = QuotaState.of(Quota(sz=10_000))
    compute_esz(quota, 4096, lambda: None)
    quota.charged_sz = 10_000 - 4096
    assert not quota.full(4096)
    quota.charged_sz += 1
    assert quota.full(4096)


def test_a_window_ends_at_its_interval_not_before():
    quota = QuotaState.of(Quota(sz=10_000, reset_interval_ms=100))
    windows(quota, [1000])
    quota.charged_sz = 9_000
    assert windows(quota, [1099]) == [False]
    assert quota.charged_sz == 9_000
    assert windows(quota, [1100]) == [True]
    assert (quota.charged_sz, quota.charged_from, quota.total_charged_sz) == (0, 1100, 9_000)


def test_max_interval_never_ends():
    quota = QuotaState.of(Quota(sz=10_000, reset_interval_ms=ULONG_MAX))
    quota.charged_sz = 0
    windows(quota, [5, 10**12])
    assert quota.charged_from == 5


def test_interval_0_makes_every_pass_a_window_and_the_first_one_two():
    goal = QuotaGoal("user_input", 10_000, 0)
    quota = QuotaState.of(Quota(reset_interval_ms=0, goals=(goal,)))
    windows(quota, [7])
    assert quota.esz_bp == 40_000
    windows(quota, [7])
    assert quota.esz_bp == 80_000


def test_the_twelfth_window_is_the_first_with_a_page():
    quota = QuotaState.of(Quota(goals=(QuotaGoal("user_input", 10_000, 0),)))
    sizes = []
    for _ in range(12):
        compute_esz(quota, 4096, lambda: None)
        sizes.append(quota.esz)
    assert [esz >= 4096 for esz in sizes] == [False] * 11 + [True]


def test_the_goal_nearest_to_being_met_decides():
    goals = (QuotaGoal("user_input", 100, 0), QuotaGoal("user_input", 100, 100))
    quota = QuotaState.of(Quota(goals=goals))
    compute_esz(quota, 4096, lambda: None)
    assert quota.esz_bp == 10_000


@pytest.mark.parametrize(
    ("sz", "current", "esz"), [(0, 0, ULONG_MAX // 10_000), (5_000, 0, 5_000), (5_000, 100, 0)]
)
def test_temporal_tuner(sz, current, esz):
    goal = QuotaGoal("user_input", 100, current)
    quota = QuotaState.of(Quota(sz=sz, goals=(goal,), goal_tuner="temporal"))
    compute_esz(quota, 4096, lambda: None)
    assert quota.esz == esz


def test_time_quota_before_and_after_the_first_measurement():
    quota = QuotaState.of(Quota(ms=10))
    compute_esz(quota, 4096, lambda: None)
    assert quota.esz == 10 * 4096 * 1024
    quota.total_charged_sz, quota.total_charged_ns = 1000, 10**12
    compute_esz(quota, 4096, lambda: None)
    assert quota.esz == 4096  # at least one region


def test_failed_bytes_may_be_charged_at_a_discount_or_a_premium():
    quota = QuotaState.of(Quota(fail_charge_num=3, fail_charge_denom=2))
    quota.charge(100, 40)
    assert quota.charged_sz == 40 + 90
    quota.charge(100, 101)
    assert quota.charged_sz == 130 + 100


def test_coarse_clock():
    assert clock.coarse_elapsed_ns(3 * MS, 4 * MS - 1, MS) == 0
    assert clock.coarse_elapsed_ns(4 * MS - 1, 4 * MS, MS) == MS


def test_milliseconds_round_up_to_ticks():
    assert clock.msecs_to_jiffies(1, 4 * MS) == 1
    assert clock.msecs_to_jiffies(1001, 4 * MS) == 251
    assert clock.msecs_to_jiffies(2**32 + 8, 4 * MS) == 2  # the kernel takes 32 bits
    assert clock.msecs_to_jiffies(2**31, 4 * MS) > 10**18
    assert clock.jiffies(0, 4 * MS) > 0
