"""Marks over the heat: whoever moved something, it has one where it lay and where it came to."""

import pandas as pd
import pytest

from numasim.report.moved import moved_in_area, moved_of_node, stretches
from numasim.report.page.heat import heat_section
from numasim.report.page.moves import marks_of_area, marks_of_node
from numasim.report.series import Clock, topology
from numasim.result import COLUMNS
from tests.unit.report.made import GIB, made
from tests.unit.report.page.sent import EVIL


def _moved(rows, cause="tpp"):
    """A run with these moves from cxl0 up: time, side's node, first and last GiB, bytes."""
    result = made(policy="no_tiering", rows=21)
    table = [
        (t, cause, "cxl0", "dram0", "promotion", node, int(low * GIB), int(high * GIB), size)
        for t, node, low, high, size in rows
    ]
    columns = COLUMNS["moves_by_frame"].split()
    result.tables["moves_by_frame"] = pd.DataFrame(table, columns=columns)
    return result


def test_neighbours_that_moved_alike_are_one():
    result = _moved([(60.0, "cxl0", 0, 1, 100), (60.0, "cxl0", 1, 2, 90), (60.0, "cxl0", 2, 3, 4),
                     (60.0, "cxl0", 5, 6, 100), (75.0, "cxl0", 6, 7, 100)])  # fmt: skip
    found = moved_of_node(result, "cxl0", "source", 64 * GIB, 10)
    assert (found.low / GIB).tolist() == [0, 2, 5, 6] and found.bytes.tolist() == [190, 4, 100, 100]
    assert moved_of_node(result, "cxl0", "source", 64 * GIB, 2).bytes.tolist() == [190, 100]
    assert not len(stretches(result.moves_by_frame.assign(low=0, high=1).iloc[:0], 10))


def test_marks_are_where_pages_lay_and_where_they_came_to():
    result = _moved([(60.0, "cxl0", 3, 4, 1 << 20), (60.0, "dram0", 0, 1, 1 << 20)], "tpp" + EVIL)
    clock = Clock.of(result)
    (_, lay), (_, came) = (marks_of_node(result, n, 64 * GIB, clock) for n in ("cxl0", "dram0"))
    assert (lay["name"], lay["x"], lay["y"]) == ("promoted from here", [60.0], [3.7581e9])
    assert (came["name"], came["y"]) == ("promoted to here", [5.3687e8])
    assert lay["text"][0].startswith("1 MiB promoted from cxl0 to dram0 by tpp")
    assert "<script" not in lay["text"][0]
    charts = heat_section(result, clock).charts
    drawn = [t["name"] for chart in charts for t in chart.figure["data"] if "name" in t]
    assert {"promoted from here", "promoted to here"} <= set(drawn)


def test_regions_of_schemes_are_told_once():
    """As regions, with what DAMON saw; the same bytes by frame are left out."""
    result = made(rows=21)
    start = topology(result).node_ranges("cxl0")[0][0]
    tried = [(60.0, "kdamond.1", 0, 0, start, start + GIB, 15, 3, 4096)]
    result.tables["tried"] = pd.DataFrame(tried, columns=COLUMNS["tried"].split())
    result.tables["moves_by_frame"] = _moved(
        [(60.0, "cxl0", 0, 1, 4096)], "kdamond.1"
    ).moves_by_frame
    marks = marks_of_node(result, "cxl0", 64 * GIB, Clock.of(result))
    assert {m["name"] for m in marks} == {"hot region, pages taken from here"}
    result.tables["moves_by_frame"]["cause"] = "kswapd0"
    marks = marks_of_node(result, "cxl0", 64 * GIB, Clock.of(result))
    assert {m["name"] for m in marks} > {"promoted from here"}


class _Area:
    mappings = (("app", "hot", 100 * GIB), ("app", "cold", 4 * GIB))

    class view:
        start, size_bytes = 100 * GIB, 2 * GIB


def test_moves_have_places_in_virtual_areas_too():
    result = _moved([])
    rows = [(60.0, "me", "cxl0", "dram0", "promotion", process, mapping, start, start + 4096, 4096)
            for process, mapping, start in (("app", "hot", GIB), ("app", "hot", 3 * GIB),
                                            ("app", "cold", 0), ("other", "hot", 0))]  # fmt: skip
    result.tables["moves_by_page"] = pd.DataFrame(rows, columns=COLUMNS["moves_by_page"].split())
    found = moved_in_area(result, _Area, 10)
    assert found.low.tolist() == [GIB] and found.bytes.tolist() == [4096]
    _, marks = marks_of_area(result, _Area, Clock.of(result))
    assert marks["name"] == "promoted" and marks["y"] == [pytest.approx(GIB, rel=1e-3)]
