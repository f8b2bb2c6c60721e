"""Clocks of kdamonds that were late on a real machine."""

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.kdamond import Clock
from numasim.loader import load_scenario
from numasim.recorded_clock import ClockRecord, RecordedClock
from numasim.running import run_scenario
from tests import worlds

HZ, SLACK = 250, 300_000
MS = 1_000_000


def clock(late=(), still=()):
    return RecordedClock(HZ, SLACK, ClockRecord(tuple(late), tuple(still)))


@pytest.mark.parametrize("sample_us", [1000, 5000, 20_000, 640_000])
def test_without_a_record_it_is_the_plain_clock(sample_us):
    ours = clock().ticks(3_456_789, 40, sample_us, 123_456)
    plain = Clock(HZ, SLACK).ticks(3_456_789, 40, sample_us, 123_456)
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(a, b)


def test_short_sleeps_are_late_by_what_was_recorded():
    starts, ends, done = clock(late=[(0, 200_000), (20 * MS, -100_000)]).ticks(0, 6, 5000, 0)
    np.testing.assert_array_equal(np.diff(np.r_[0, ends])[:4], 5_500_000)
    np.testing.assert_array_equal(np.diff(ends)[4:], 5_200_000)
    np.testing.assert_array_equal(done[:-1], starts[1:])


def test_no_sleep_is_shorter_than_asked():
    _, ends, _ = clock(late=[(0, -900_000)]).ticks(0, 3, 5000, 0)
    np.testing.assert_array_equal(np.diff(np.r_[0, ends]), 5_000_000)


def test_sleep_and_checks_share_what_a_tick_was_late():
    """Checks of 5 ms and a sleep of 5 ms, 1 ms late together."""
    _, ends, done = clock(late=[(0, 1_000_000)]).ticks(0, 3, 5000, 5_000_000)
    np.testing.assert_array_equal(done - ends, 2_750_000)
    np.testing.assert_array_equal(np.diff(np.r_[0, done]), 11_300_000)


def test_what_a_sleep_cannot_be_shorter_checks_were():
    """0.9 ms early: 0.3 were slack, the checks of 1 ms took 0.4."""
    _, ends, done = clock(late=[(0, -900_000)]).ticks(0, 3, 5000, 1_000_000)
    np.testing.assert_array_equal(done - ends, 200_000)
    np.testing.assert_array_equal(np.diff(np.r_[0, done]), 5_400_000)


def test_on_the_wheel_lateness_adds_up_to_whole_steps():
    """20 ms end every 24 ms; half a millisecond each adds up to one 4 ms tick in eight."""
    _, ends, _ = clock(late=[(0, 500_000)]).ticks(0, 17, 20_000, 0)
    steps = np.diff(ends) // MS
    assert set(steps.tolist()) == {24, 28}
    assert (steps == 28).sum() == 2


def test_nothing_ends_while_the_machine_stands_still():
    _, ends, done = clock(still=[(5 * MS, 30 * MS)]).ticks(0, 3, 5000, 1000)
    assert ends[0] == 30 * MS
    assert (done >= ends).all() and (ends[1:] > done[:-1]).all()


def test_work_stands_still_with_the_machine():
    held = clock(still=[(10, 20), (25, 30)])
    assert held.finish(0, 5) == 5
    assert held.finish(0, 10) == 10
    assert held.finish(0, 12) == 22
    assert held.finish(12, 4) == 24
    assert held.finish(0, 16) == 31
    assert clock().finish(7, 5) == 12


def test_a_scenario_takes_clocks_by_name_and_is_slowed_by_them():
    damo = (
        "damo start --target_pid 1000 --ops vaddr --monitoring_intervals 5ms 100ms 1s"
        " --monitoring_nr_regions_range 10 50"
    )
    document = worlds.document(policy={"kind": "damos", "damo": damo})
    quick = run_scenario(load_scenario(document))
    document["clocks"] = {"kdamond.0": {"late": [["0 ns", 5_000_000]]}}
    slow = run_scenario(load_scenario(document))
    passed = [r.kdamonds.passed_sample_intervals.max() for r in (quick, slow)]
    assert passed[0] > 1.7 * passed[1]


def test_wrong_clocks_are_refused_with_their_place():
    document = worlds.document(clocks={"kdamond.0": {"late": "soon", "lost": 1}})
    with pytest.raises(ConfigError) as error:
        load_scenario(document)
    assert "clocks" in str(error.value) and "lost" in str(error.value)
