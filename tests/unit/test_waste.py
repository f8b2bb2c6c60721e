"""What went both ways, at most."""

import pandas as pd
import pytest

from numasim.overhead import waste
from numasim.result import COLUMNS
from tests.unit.report.made import made


def _tables(moves, began=(0.0,)):
    result = made()
    rows = [
        (t, "kdamond.0", "app", mapping, source, target, "promotion", size)
        for t, mapping, source, target, size in moves
    ]
    result.tables["moves"] = pd.DataFrame(rows, columns=COLUMNS["moves"].split())
    result.tables["failed_moves"] = result.failed_moves.iloc[:0]
    phases = [("app/workers", "p", b, 100.0, 1.0) for b in began]
    result.tables["phases"] = pd.DataFrame(phases, columns=COLUMNS["phases"].split())
    return result.tables


def test_there_and_back_counts_twice():
    found = waste(_tables([(1, "hot", "cxl0", "dram0", 100), (2, "hot", "dram0", "cxl0", 30)]))
    assert (found.moved_bytes, found.both_ways_bytes, found.refused_bytes) == (130, 60, 0)


@pytest.mark.parametrize(
    "moves",
    [
        [(1, "hot", "cxl0", "dram0", 100), (2, "cold", "dram0", "cxl0", 30)],
        [(1, "hot", "cxl0", "dram0", 100), (2, "hot", "dram0", "pmem0", 30)],
        [(1, "hot", "cxl0", "dram0", 100)],
        [],
    ],
)
def test_other_mappings_and_other_nodes_are_no_way_back(moves):
    assert waste(_tables(moves)).both_ways_bytes == 0


def test_what_a_new_phase_undoes_was_no_waste():
    moves = [(1, "hot", "cxl0", "dram0", 100), (6, "hot", "dram0", "cxl0", 100)]
    assert waste(_tables(moves, began=(0.0, 5.0))).both_ways_bytes == 0
    assert waste(_tables(moves, began=(0.0,))).both_ways_bytes == 200


def test_what_found_no_room_is_told():
    result = made()
    assert waste(result.tables).refused_bytes == 4 * (1 << 26)
