"""Colloid's binary search, step by step as computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.hotness.balance import Balance, hottest_that_fit

IDLE = np.array([70.0, 135.0])


def step(balance: Balance, latencies: tuple[float, float], share: float) -> float:
    """A measurement of loaded latencies and of the default tier's share of a thousand reads."""
    arrived = np.array([share, 1 - share]) * 1000
    balance.measure(arrived * np.array(latencies), arrived)
    return balance.decide()


def test_the_bracket_closes_from_either_side():
    balance = Balance(IDLE, weight=1.0)
    assert step(balance, (200, 100), 0.8) == pytest.approx(-0.4), "high 0.8, middle 0.4"
    assert step(balance, (100, 150), 0.4) == pytest.approx(0.2), "low 0.4, middle 0.6"
    assert step(balance, (160, 120), 0.6) == pytest.approx(-0.1), "high 0.6, middle 0.5"
    assert (balance.low, balance.high) == (0.4, 0.6)


def test_nothing_moves_within_the_tolerance():
    balance = Balance(IDLE, weight=1.0)
    assert step(balance, (104, 100), 0.7) == 0.0
    assert step(balance, (100, 105), 0.7) == 0.0
    assert (balance.low, balance.high) == (0.0, 1.0), "and the bracket stays"
    assert step(balance, (106, 100), 0.7) < 0


def test_a_collapsed_bracket_opens_in_the_direction_of_the_move():
    balance = Balance(IDLE, weight=1.0, low=0.595, high=0.9)
    assert step(balance, (200, 100), 0.6) == pytest.approx(-0.3), "low opened to 0: middle 0.3"
    balance = Balance(IDLE, weight=1.0, low=0.1, high=0.6)
    assert step(balance, (100, 200), 0.595) == pytest.approx(0.2025), "high opened to 1"


def test_occupancy_and_rate_are_averaged_before_they_are_divided():
    balance = Balance(IDLE)
    step(balance, (100, 100), 0.5)
    balance.measure(np.array([0.0, 50_000.0 * 17]), np.array([0.0, 500.0]))
    flight = 50_000 * (1 - 0.0625)
    assert balance.latency_ns[0] == pytest.approx(flight / (500 * (1 - 0.0625)))
    assert balance.latency_ns[1] == pytest.approx(50_000 * (1 + 16 * 0.0625) / 500)
    assert balance.share == pytest.approx(0.9375 / 1.9375)


def test_a_tier_without_reads_is_taken_to_be_unloaded():
    balance = Balance(IDLE)
    assert step(balance, (120, 0), 1.0) == 0.0, "share is 1 already: nothing is left to move in"
    assert balance.latency_ns.tolist() == [120, 135]
    balance = Balance(IDLE)
    assert step(balance, (150, 0), 1.0) == pytest.approx(-0.5)


def test_a_machine_at_rest_moves_nothing():
    balance = Balance(IDLE)
    balance.measure(np.zeros(2), np.zeros(2))
    assert balance.decide() == 0.0


@pytest.mark.parametrize(
    ("most", "nr", "expected"),
    [
        (0.45, 9, [1, 3]),  # 0.3, then 0.15 is left: 0.2 does not fit, 0.1 does
        (1.0, 9, [0, 1, 2]),
        (1.1, 9, [0, 1, 2, 3]),
        (1.1, 2, [0, 1]),
        (0.05, 9, []),
    ],
)
def test_the_hottest_that_fit(most, nr, expected):
    weights = np.array([0.5, 0.3, 0.2, 0.1, 0.0])
    assert hottest_that_fit(weights, most + 1e-12, nr).tolist() == expected


def test_many_alike_are_taken_in_order():
    chosen = hottest_that_fit(np.full(1000, 0.001), 0.0505, 100)
    assert chosen.tolist() == list(range(50))
