"""The RFC's array of reports, which all contexts share."""

from __future__ import annotations

import numpy as np
import pytest

from numasim.damon.report_array import ReportArray
from numasim.damon.reports import Reports

MS = 1_000_000
ENDS = 5 * MS * np.arange(1, 5)


def at(*ms: float) -> Reports:
    times = (np.array(ms) * MS).astype(np.int64)
    return Reports.of(times, np.zeros(len(ms), np.int64))


def counted(array: ReportArray, name: str) -> set[tuple[float, int]]:
    reports, _, report, tick = array.read(name, ENDS, 5000, MS)
    return set(zip((reports.time_ns[report] / MS).tolist(), tick.tolist(), strict=True))


def test_every_context_counts_what_any_of_them_wrote():
    array = ReportArray(1000)
    assert [array.join(name, 0) for name in ("a", "b")] == [0, 1]
    array.write(at(3, 12), 0)
    array.write(at(1, 8), 1)
    assert array.reports.time_ns.tolist() == [1 * MS, 3 * MS, 8 * MS, 12 * MS]
    assert array.writer.tolist() == [1, 0, 1, 0]
    seen = {(1.0, 0), (3.0, 0), (8.0, 1), (12.0, 2)}
    assert counted(array, "a") == seen and counted(array, "b") == seen


@pytest.mark.parametrize(("capacity", "kept"), [(5, {3.0}), (4, set()), (3, {3.0})])
def test_with_the_last_entry_written_all_are_forgotten_whoever_wrote(capacity, kept):
    array = ReportArray(capacity)
    for name in ("a", "b"):
        array.join(name, 0)
    array.write(at(2, 2.5), 0)
    array.write(at(1, 3), 1)
    found = {time for time, tick in counted(array, "a") if tick == 0}
    assert found == ({1.0, 2.0, 2.5, 3.0} if capacity == 5 else kept)


def test_what_nobody_asks_for_any_more_is_not_kept_and_still_counts_as_written():
    array = ReportArray(1000)
    for name in ("a", "b"):
        array.join(name, 0)
    array.write(at(*range(1, 19)), 0)
    counted(array, "a")
    assert len(array.reports) == 18, "the other has not read"
    counted(array, "b")
    assert array.reports.time_ns.tolist() == [t * MS for t in range(14, 19)]
    assert array.written == 13
    array.forget("b")
    array.read("a", ENDS + 100 * MS, 5000, MS)
    assert len(array.reports) == 0 and array.written == 18
    assert array.join("c", 0) == 2, "numbers are not given again"
