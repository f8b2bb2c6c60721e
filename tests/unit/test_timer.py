"""When sleepers wake: fine timers below four ticks, the timer wheel above."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.timer import wake_ns

MS = 1_000_000
SLACK = 50_000


@pytest.mark.parametrize("sleep_us", [1, 5_000, 15_999])
def test_short_sleeps_end_late_by_the_slack(sleep_us):
    for now in (0, 1, 3 * MS + 7):
        assert wake_ns(now, sleep_us, 250, SLACK) == now + sleep_us * 1000 + SLACK


def test_no_sleep_is_a_microsecond():
    assert wake_ns(100, 0, 250, SLACK) == 100 + 1000 + SLACK


@pytest.mark.parametrize(
    ("sleep_us", "granularity"),
    [(16_000, 1), (20_000, 1), (248_000, 1), (252_000, 8), (2_012_000, 8), (2_016_000, 64),
     (16_124_000, 64), (16_128_000, 512)],
)  # fmt: skip
def test_long_sleeps_end_on_the_wheel(sleep_us, granularity):
    ticks = -(-sleep_us // 4000)
    rng = np.random.default_rng(sleep_us)
    for now in rng.integers(0, 10**12, 50).tolist():
        woke = wake_ns(now, sleep_us, 250, SLACK)
        tick = now // (4 * MS)
        plain = tick + ticks + 1  # the first multiple of the granularity beyond the last tick slept
        while plain % granularity:
            plain += 1
        assert woke == plain * 4 * MS
        assert woke >= now + sleep_us * 1000


@pytest.mark.parametrize(
    ("sleep_ms", "recorded_ms"), [(20, 24.4), (40, 44.2), (80, 84.2), (160, 164.2)]
)
def test_periods_are_those_recorded(sleep_ms, recorded_ms):
    """A thread that sleeps again 0.3 ms after it woke."""
    now = start = 4 * MS
    for _ in range(50):
        now = wake_ns(now + 300_000, sleep_ms * 1000, 250, SLACK)
    assert (now - start) / 50 / MS == pytest.approx(recorded_ms, abs=0.5)


@pytest.mark.parametrize(("sleep_ms", "recorded_ms"), [(320, 352), (640, 672), (1280, 1312)])
def test_long_periods_are_those_recorded(sleep_ms, recorded_ms):
    now = start = 32 * MS
    for _ in range(50):
        now = wake_ns(now + 300_000, sleep_ms * 1000, 250, SLACK)
    assert (now - start) / 50 / MS == pytest.approx(recorded_ms, abs=1)


@pytest.mark.parametrize("hz", [100, 250, 300, 1000])
def test_time_always_goes_on(hz):
    for sleep_us in (0, 1, 4_000, 39_999, 40_000, 10**7):
        woke = wake_ns(12_345_678, sleep_us, hz, 0)
        assert woke > 12_345_678
        assert isinstance(woke, int)
