"""Metrics against snapshots small enough to work them out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from numasim.validate.metrics import Case, case, measure
from numasim.validate.metrics.boundaries import boundaries
from numasim.validate.metrics.case import Look, time_mean
from numasim.validate.metrics.monitoring import ages, classes, counts, distance_between
from numasim.validate.metrics.quotas import at_end, pulses
from numasim.validate.observed import Observed
from numasim.validate.recording import Recording, read
from numasim.validate.setup import AccessRecord, ProgramRecord, RegionRecord
from numasim.validate.terrain import BINS, Terrain, Truth, owner_bins, phases, profile
from tests.unit.validate import made

MIB = 1024 * 1024


def terrain() -> Terrain:
    """Mapping a at pages 100-199, mapping b at pages 300-399."""
    return Terrain(
        ((0, "a"), (0, "b")), np.array([100.0, 100.0]), np.array([100, 300]), np.array([200, 400]),
        np.array([0, 1]), np.ones(2),
    )  # fmt: skip


def recording(folder: Path = made.DATA / "E1a/r2") -> Recording:
    """A recording of one program: a is hot in phase 0, b in phase 1, ten seconds each."""
    lines = [(AccessRecord(name, 100.0, "rand", {}),) for name in "ab"]
    regions = (RegionRecord("a", 100, 100, None), RegionRecord("b", 300, 100, None))
    program = ProgramRecord(regions, tuple(lines), 7, 0, 1000, 1, False, 0.0, 0.1)
    whole = read(folder)
    t = np.arange(0.5, 20.01, 0.5)
    truth = pd.DataFrame(
        {"phase": (t > 10).astype(int), "late_us": 0.0, "acc0": 5000.0},
        index=pd.Index(t, name="t_s"),
    )
    return replace(whole, setup=replace(whole.setup, programs=(program,)), truth=[truth])


def the_case(seen: Observed) -> Case:
    told = recording()
    look = Look("kd0", 0, 0, terrain(), 0.0, float(seen.kdamonds[0].watches[0].t_s[-1]))
    return Case(told, seen, Truth(told), tuple(phases(told)), (look,), (0,))


def test_data_coordinates_leave_out_what_is_no_data():
    found = terrain().below(np.array([0, 100, 150, 200, 250, 300, 350, 400, 999]))
    assert found.tolist() == [0, 0, 50, 100, 100, 100, 150, 200, 200]
    regions = np.array([[50, 100, 0, 0], [150, 200, 0, 0], [500, 9, 0, 0]])
    assert terrain().data(regions).tolist() == [50, 100, 0]
    assert terrain().data(regions, 1).tolist() == [0, 50, 0]


def test_phases_are_when_the_program_really_was_in_them():
    first, second = phases(recording())
    assert (first.begin_s, first.end_s, second.begin_s, second.end_s) == (0.0, 10.0, 10.0, 20.0)


def test_true_rates_are_counts_over_pages_and_time():
    truth = Truth(recording())
    rate = truth.rate((0, "a"), np.array([0.0, 9.0, 10.0]), np.array([5.0, 11.0, 20.0]))
    assert rate == pytest.approx([100.0, 50.0, 0.0])
    assert truth.rate((0, "b"), np.array([10.0]), np.array([20.0])) == pytest.approx([100.0])


def test_counts_by_class_and_regions_with_data():
    watch = made.watch(
        (0.1, [[0, 150, 0, 4], [150, 50, 6, 0], [250, 150, 1, 2], [500, 100, 20, 0]]),
        (0.2, [[0, 150, 0, 5], [150, 50, 12, 0], [250, 150, 1, 3], [500, 100, 20, 0]]),
    )
    found = {m.name: m.value for m in counts(terrain(), watch, np.arange(2), 20)}
    assert found["regions"] == 3.0, "the one without data does not count"
    assert found["data at 0 of 20"] == pytest.approx(25.0)
    assert found["data at 1 of 20"] == pytest.approx(50.0)
    assert found["data at 4-7 of 20"] == found["data at 8-20 of 20"] == pytest.approx(12.5)
    assert found["mean count in a"] == pytest.approx((6 + 12) / 2 * 0.5)
    own = {m.name: m.value for m in ages(terrain(), watch, np.arange(2))}
    assert own == {"mean zero age": 4.5, "mean non-zero age": pytest.approx(5 / 4)}


def test_new_boundaries_and_those_of_a_second_cut():
    shots = [
        (0.1, [[100, 100, 0, 1], [300, 100, 0, 1], [500, 100, 0, 1]]),
        (
            0.2,
            [[100, 30, 9, 0], [130, 70, 0, 2], [300, 100, 0, 2], [500, 20, 1, 0], [520, 80, 0, 2]],
        ),
        (0.3, [[100, 21, 9, 0], [121, 9, 3, 0], [130, 70, 0, 3], [300, 35, 0, 3], [335, 65, 2, 0]]),
    ]
    found = {m.name: m.value for m in boundaries(terrain(), made.watch(*shots), np.arange(3))}
    # 130 of 100-199, then 121 of 100-129 (at seven tenths) and 335 of 300-399 (at none)
    assert found == {"new boundaries": 1.5, "second cuts": 0.5}


def test_classes_cover_every_count_once():
    for most in (1, 5, 20, 100):
        counts_of = [c for low, high in classes(most) for c in range(low, high + 1)]
        assert counts_of == list(range(most + 1))


def test_a_profile_spreads_counts_over_data():
    regions = np.array([[100, 50, 0, 0], [150, 100, 0, 0], [250, 200, 0, 0]])
    found = profile(terrain(), regions, np.array([1.0, 3.0, 0.5]))
    assert found[: BINS // 4] == pytest.approx(1.0)
    assert found[BINS // 4 : BINS // 2] == pytest.approx(3.0)
    assert found[BINS // 2 :] == pytest.approx(0.5)
    assert owner_bins(terrain())[:, [0, BINS - 1]].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_distances_of_profiles():
    left, right = np.zeros(100), np.zeros(100)
    left[:10], right[50:60] = 1.0, 1.0
    assert distance_between(left, left, "l1") == distance_between(left, left, "emd") == 0.0
    assert distance_between(left, right, "l1") == 1.0
    assert distance_between(left, right, "emd") == pytest.approx(0.5), "carried over half the data"
    assert distance_between(left, 3 * left, "emd") == pytest.approx(0.0), "only the shape counts"
    assert distance_between(left, 3 * left, "l1") == pytest.approx(0.5)
    assert distance_between(left, 0 * left, "emd") == 1.0


def test_the_time_until_a_hot_set_is_found():
    cold = [[100, 100, 0, 0], [300, 100, 0, 0]]
    half_a, all_a = [[100, 60, 15, 0], [160, 240, 0, 0]], [[100, 100, 15, 0], [300, 100, 0, 0]]
    all_b = [[100, 100, 0, 0], [300, 100, 15, 0]]
    shots = [(1.0, cold), (2.0, half_a), (3.0, half_a), (4.0, all_a), (11.0, all_a), (14.0, all_b)]
    seen = made.seen(made.kdamond(made.watch(*shots)))
    found = {m.name: m.value for m in measure(the_case(seen), seen).values()}
    assert found["time to 50% found in phase 0"] == 2.0
    assert found["time to 80% found in phase 0"] == 4.0
    assert found["time to 50% found in phase 1"] == found["time to 80% found in phase 1"] == 4.0


def test_the_sampling_period_is_measured_by_snapshots():
    shots = [(0.12 * i, [[100, 100, 0, 0]]) for i in range(1, 30)]
    seen = made.seen(made.kdamond(made.watch(*shots)))
    found = measure(the_case(seen), seen)
    assert found["true/nominal period"].value == pytest.approx(1.2)


def test_intervals_by_number_and_by_time():
    shots = [(float(i), [[100, 100, 0, 0]]) for i in range(11)]
    tuned = [(1.0, 10_000), (2.0, 40_000), (8.0, 40_000), (9.0, 10_000), (10.0, 40_000)]
    seen = made.seen(made.kdamond(made.watch(*shots), tuned=tuned))
    found = {m.name: m.value for m in measure(the_case(seen), seen).values()}
    assert found["tunings"] == 5
    assert found["tuned sample_us"] == 40_000
    assert found["sample_us of the first 5 tunings"] == pytest.approx(10_000 * 4 ** (3 / 5))
    assert found["sample_us over the first half"] == pytest.approx(10_000 * 4 ** (3.5 / 4.5))


def test_totals_are_those_at_the_end_of_the_recording():
    one = made.scheme([1.0, 2.0, 3.0], [10, 20, 90])
    assert at_end(one, "sz_applied", 2.5) == 20 and at_end(one, "sz_applied", 0.5) == 0


def test_pulses_are_stretches_of_movement():
    moved = np.cumsum([0, 50, 50, 0, 0, 0, 0, 0, 30, 0, 40, 0.1, 0.1]) * MIB
    one = made.scheme(np.arange(1.0, 14.0), moved)
    assert (pulses(one, 20.0) / MIB).round(3).tolist() == [100.0, 70.0]
    assert (pulses(one, 10.0) / MIB).tolist() == [100.0, 30.0]
    assert not len(pulses(made.scheme(), 20.0))


def test_means_over_time_hold_each_value_until_the_next():
    t, values = np.array([0.0, 1.0, 5.0]), np.array([10.0, 20.0, 30.0])
    assert time_mean(t, values, 0.0, 2.0) == pytest.approx(15.0)
    assert time_mean(t, values, 4.0, 6.0) == pytest.approx(25.0)


@pytest.mark.parametrize("run", ["E1a/r2", "E1b/r2"])
def test_a_recording_has_every_metric_of_monitoring(run):
    prepared = case(read(made.DATA / run))
    found = measure(prepared, prepared.seen)
    assert len([m for m in found.values() if m.gated]) == 17
    assert all(np.isfinite(m.value).all() for m in found.values())
    assert found["profile against the truth (l1)"].value < 0.2
    assert 1.1 < found["true/nominal period"].value < 1.3


def test_metrics_of_a_run_that_saw_nothing_are_missing_not_wrong():
    prepared = case(read(made.DATA / "E1a/r2"))
    assert measure(prepared, made.seen()).keys() == {"snapshots"}
