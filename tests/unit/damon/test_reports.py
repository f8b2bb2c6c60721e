"""Reports and what checks make of them; the RFC's array beside a twin that stores one by one."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.damon.reports import (
    Log,
    Reports,
    Stream,
    checked_by_rfc,
    checked_within,
    region_hits,
)

MS = 1_000_000


def at(*times_ms: float) -> Reports:
    times = (np.array(times_ms) * MS).astype(np.int64)
    return Reports.of(times, np.arange(len(times)))


def pairs(found) -> list[tuple[int, int]]:
    return sorted(zip(*(x.tolist() for x in found), strict=True))


def test_a_report_counts_in_the_sample_it_came_in():
    ends = np.array([5, 10, 15]) * MS
    starts = np.array([0, 6, 10]) * MS
    times = np.array([0, 1, 5, 6, 6.5, 10, 10.5, 15, 15.5]) * MS
    found = checked_within(times.astype(np.int64), starts, ends)
    # nothing at the moment of preparation, nothing between samples, nothing after the last
    assert pairs(found) == [(1, 0), (2, 0), (4, 1), (5, 1), (6, 2), (7, 2)]


class Array:
    """The proposed array, one report and one check at a time."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.stored = capacity, []

    def report(self, i: int, jiffy: int) -> None:
        self.stored.append((i, jiffy))
        if len(self.stored) == self.capacity:
            self.stored = []

    def check(self, jiffy: int, sample_jiffies: int) -> list[int]:
        return [i for i, then in self.stored if jiffy - then <= sample_jiffies]


@pytest.mark.parametrize("capacity", [1, 3, 7, 1000])
@pytest.mark.parametrize("jiffy_ms", [1, 4])
def test_the_array_is_its_twin(capacity, jiffy_ms):
    rng = np.random.default_rng(capacity * 10 + jiffy_ms)
    times = np.sort(rng.integers(1, 100 * MS, 200))
    ends = np.arange(5, 101, 5) * MS + 60_000
    found = checked_by_rfc(times, np.arange(200), ends, 5000, jiffy_ms * MS, capacity)
    array, wanted, i = Array(capacity), [], 0
    for k, end in enumerate(ends.tolist()):
        while i < len(times) and times[i] <= end:
            array.report(i, int(times[i]) // (jiffy_ms * MS))
            i += 1
        counted = array.check(end // (jiffy_ms * MS), -(-5 * MS // (jiffy_ms * MS)))
        wanted += [(one, k) for one in counted]
    assert pairs(found) == sorted(wanted)
    assert wanted or capacity == 1


def test_a_full_array_forgets_everything_and_an_old_report_counts_twice():
    times = np.arange(1, 1001) * 4000  # the thousandth at 4 ms
    report, _ = checked_by_rfc(times, np.arange(1000), np.array([5 * MS]), 5000, MS)
    assert len(report) == 0
    report, _ = checked_by_rfc(times[:999], np.arange(999), np.array([5 * MS]), 5000, MS)
    assert len(report) == 999
    late = checked_by_rfc(np.array([4 * MS]), np.array([0]), np.array([5, 10]) * MS, 5000, 4 * MS)
    assert pairs(late) == [(0, 0), (0, 1)], "5 ms are two jiffies of 4 ms"


def test_a_region_counts_once_however_many_reports_it_gets():
    low, high = np.array([0, 100, 200]), np.array([100, 200, 300])
    place, tick = np.array([5, 6, 99, 100, 299, 300, -1]), np.array([0, 0, 1, 1, 1, 1, 0])
    assert region_hits(place, tick, low, high, 2).tolist() == [2, 1, 1]


def test_a_report_of_a_block_counts_in_every_region_it_overlaps():
    low, high = np.array([0, 100, 250]), np.array([100, 200, 300])
    found = region_hits(np.array([90, 150]), np.array([0, 1]), low, high, 2, size=20)
    assert found.tolist() == [1, 2, 0]
    wide = region_hits(np.array([-50]), np.array([0]), low, high, 1, size=1000)
    assert wide.tolist() == [1, 1, 1]


def test_hits_by_arrays_are_hits_by_hand():
    rng = np.random.default_rng(4)
    cuts = np.unique(rng.integers(0, 1000, 21))
    low, high = cuts[:-1], cuts[1:] - rng.integers(0, 2, len(cuts) - 1)
    place, tick = rng.integers(-20, 1020, 300), rng.integers(0, 5, 300)
    for size in (1, 37):
        wanted = [
            sum(any(p < b and p + size > a for p in place[tick == t].tolist()) for t in range(5))
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]
        assert region_hits(place, tick, low, high, 5, size).tolist() == wanted


def test_lots_are_joined_in_order_of_time():
    joined = Reports.joined([at(3, 1), Reports.none(), at(2)])
    assert (joined.time_ns // MS).tolist() == [1, 2, 3]
    assert joined.page.tolist() == [1, 0, 0]
    assert len(Reports.joined([])) == 0


def test_a_log_keeps_reports_until_everybody_has_read():
    log = Log(marks={"slow": 0})
    log.lots.append(at(1, 2, 9))
    assert [len(x) for x in log.read("fast", 0, 5 * MS)] == [2]
    assert [len(x) for x in log.read("fast", 5 * MS, 10 * MS)] == [1]
    assert log.lots, "the other one has not read yet"
    assert [len(x) for x in log.read("slow", 0, 10 * MS)] == [3]
    assert not log.lots


def test_a_stream_is_drawn_once_and_read_by_all():
    grids = []

    def draw(grid: np.ndarray) -> Reports:
        grids.append((grid // MS).tolist())
        return at(*(grid[1:] / MS).tolist())

    stream = Stream(draw)
    stream.join("a", 100 * MS)
    stream.join("b", 100 * MS)
    starts, ends = np.array([100, 105]) * MS, np.array([105, 110]) * MS
    assert [len(x) for x in stream.read("a", starts, ends)] == [2]
    assert [len(x) for x in stream.read("b", starts, ends)] == [2]
    assert [len(x) for x in stream.read("b", ends, ends + 7 * MS)] == [2]
    # nobody had it running before 100 ms
    assert grids == [[100, 105, 110], [110, 112, 117]]
    stream.forget("a")
    stream.forget("b")
    stream.join("c", 900 * MS)
    stream.read("c", np.array([900 * MS]), np.array([905 * MS]))
    assert grids[-1] == [900, 905]
