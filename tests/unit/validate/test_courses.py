"""True counts become courses; lost time becomes standstills; lateness becomes a clock."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from numasim.damon.spec import Attrs, Context
from numasim.recorder import COUNTERS
from numasim.validate.clocks import clock_of
from numasim.validate.courses import course, stalls_of
from numasim.validate.recording import KdamondRecord, Snapshot

RNG = np.random.Generator(np.random.PCG64DXSM(7))


def truth(late, *counts, phases=None):
    rows = {"t_s": 0.1 * np.arange(1, len(late) + 1), "late_us": late}
    rows |= {f"acc{j}": c for j, c in enumerate(counts)}
    rows["phase"] = phases or [0] * len(late)
    return pd.DataFrame(rows).set_index("t_s")


def test_standstills_add_up_to_the_time_lost_in_each_row():
    table = truth([0, 30_000, 99_000, 1000], [1] * 4)
    stalls = stalls_of(table, RNG)
    for row, late in enumerate([0.0, 0.03, 0.098, 0.001]):
        own = [b - a for a, b in stalls if 0.1 * row <= a < 0.1 * (row + 1) - 1e-12]
        assert sum(own) == pytest.approx(late)
    assert all(a < b for a, b in stalls)
    assert all(b <= c for (_, b), (c, _) in pairwise(stalls))


@pytest.mark.parametrize("with_stalls", [False, True])
def test_every_row_ends_with_its_count(with_stalls):
    table = truth([0, 30_000, 0, 80_000, 0], [10, 20, 0, 5, 7])
    stalls = stalls_of(table, RNG) if with_stalls else []
    times, done = course(table, 0, 0, stalls)
    assert (np.diff(times) > 0).all() and (np.diff(done) >= 0).all()
    np.testing.assert_allclose(np.interp(table.index, times, done), [10, 30, 30, 35, 42], rtol=1e-5)


def test_nothing_is_done_while_the_program_stands_still():
    table = truth([50_000] * 5, [100] * 5)
    stalls = stalls_of(table, RNG)
    times, done = course(table, 0, 0, stalls)
    for begin, end in stalls:
        before, after = np.interp([begin + 1e-6, end - 1e-6], times, done)
        assert after - before < 1e-2


def test_a_line_gets_on_in_its_phase_only():
    table = truth([0] * 4, [3, 3, 3, 3], phases=[0, 0, 1, 1])
    first, second = (course(table, 0, phase, [])[1][-1] for phase in (0, 1))
    assert (first, second) == (pytest.approx(6), pytest.approx(6))
    times, _ = course(table, 0, 1, [])
    assert times[0] == pytest.approx(0.2)


def test_a_line_without_accesses_never_gets_on():
    assert course(truth([0, 0], [0, 0]), 0, 0, [])[1].tolist() == [0, 0]


def record(times, tunings=()):
    regions = np.array([[0, 100, 0, 0]] * 10)
    snapshots = [Snapshot(t, i, 0, regions) for i, t in enumerate(times)]
    return KdamondRecord("kdamond.0", 5, snapshots, list(tunings))


CONTEXT = Context("vaddr", attrs=Attrs(5000, 100_000, 1_000_000, 10, 1000))
PERIOD = 5.3 + 20 * 0.005  # slack, and 20 regions after the split of 10


def test_lateness_is_what_timers_and_checks_leave_unexplained():
    late = clock_of(record([1.0, 1.0 + 20 * (PERIOD + 0.5) / 1e3]), CONTEXT, 250, [], 2.0)
    assert late["still"] == []
    ((at, ns),) = late["late"]
    assert at == "3000000000 ns" and ns == pytest.approx(500_000, abs=1)


def test_standstills_explain_their_part_of_a_window():
    still = [(1.01, 1.07)]
    span = 20 * PERIOD / 1e3 + 0.06 - PERIOD / 2e3
    ((_, ns),) = clock_of(record([1.0, 1.0 + span]), CONTEXT, 250, still, 0.0)["late"]
    assert ns == pytest.approx(0, abs=2)


def test_a_thread_stands_still_no_longer_than_its_window_shows():
    still = [(1.01, 1.07)]
    found = clock_of(record([1.0, 1.0 + 20 * PERIOD / 1e3 + 0.02]), CONTEXT, 250, still, 0.0)
    ((begin, end),) = found["still"]
    held = (int(end.split()[0]) - int(begin.split()[0])) / 1e9
    assert 0.015 < held < 0.03


def test_what_schemes_did_takes_its_time_and_hides_lateness():
    kdamond = record([1.0, 1.12, 1.24, 3.24])
    kdamond.stats[0] = [
        (1.241, dict.fromkeys(COUNTERS, 0)),
        (
            3.241,
            dict.fromkeys(COUNTERS, 0) | {"sz_applied": 4096 * 50_000, "sz_tried": 4096 * 60_000},
        ),
    ]
    late = [ns for _, ns in clock_of(kdamond, CONTEXT, 250, [], 0.0)["late"]]
    assert late[0] == pytest.approx(0.12e9 / 20 - PERIOD * 1e6, abs=2)
    assert late[2] == late[0], "the usual one"
    still = [(1.3, 2.3)]
    ((begin, end),) = clock_of(kdamond, CONTEXT, 250, still, 0.0)["still"]
    held = (int(end.split()[0]) - int(begin.split()[0])) / 1e9
    assert 0.1 < held < 0.3, "1.75 s of work and 0.11 s of samples leave 0.14 s"
