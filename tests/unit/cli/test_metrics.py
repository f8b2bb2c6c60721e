"""How numbers are called and written."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from numasim.cli.compare import _mean
from numasim.cli.metrics import METRICS, metrics_of, seconds, significant, written
from numasim.statistics import mean_interval

BY_KEY = {metric.key: metric for metric in METRICS}


def compared(*values: float) -> SimpleNamespace:
    """As much of a comparison as a cell of the table asks for."""
    return SimpleNamespace(
        per_seed=lambda policy, metric: list(values),
        mean=lambda policy, metric: mean_interval(values),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (8_426_321, "8,426,000"), (0.12345, "0.1235"), (12.0, "12.00"), (1e-12, "1e-12")],
)
def test_four_digits_tell_enough(value: float, text: str) -> None:
    assert significant(value) == text


def test_a_time_may_not_come() -> None:
    assert [seconds(v) for v in (12.34, math.nan, math.inf)] == ["12.3", "-", "never"]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("shifts_followed", 0.5, "50"),
        ("shifts_followed", math.nan, "-"),
        ("convergence_s", 151.26, "151.3"),
        ("convergence_s", math.nan, "-"),
        ("loaded_latency_ns", math.inf, "never"),
    ],
)
def test_values_on_paper(key: str, value: float, text: str) -> None:
    assert written(BY_KEY[key], value) == text


def test_metrics_come_in_one_order_and_strangers_last() -> None:
    found = metrics_of(["own", "emd", "local_share"])
    assert [m.title for m in found] == ["local access share (%)", "monitoring error (EMD)", "own"]


def test_an_interval_is_cut_to_what_the_number_can_be() -> None:
    assert _mean(compared(0.0, 1.0), "p", BY_KEY["shifts_followed"]) == "50 [0, 100]"
    assert _mean(compared(1.0, 5.0), "p", BY_KEY["convergence_s"]) == "3.0 [0.0, 28.4]"


def test_seeds_that_never_got_there_are_counted() -> None:
    assert _mean(compared(1.0, math.inf), "p", BY_KEY["convergence_s"]) == "never in 1 of 2"
