"""Where moves are recorded: every byte has a place, and it is the right one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from numasim.columns import Columns
from numasim.loader import load_scenario
from numasim.moves_record import NODE_PARTS, MovesRecord
from numasim.result import COLUMNS, Result
from numasim.running import run_scenario
from tests import worlds

MIB = 1 << 20
POLICIES = {
    "tpp_damon": worlds.tiering(),
    "tpp": "tpp",
    "hemem": {"kind": "hemem", "least": "1 MiB", "load_period": 50},
    "memtis": "memtis",
    "nomad": "nomad",
    "oracle": "oracle",
}
WAY = ["cause", "source", "target", "direction"]


def recorded(columns: Columns) -> Result:
    return Result.of(columns.lists(), {})


def moved(machine, pages: np.ndarray, target: int, cause: str = "me") -> None:
    machine.migrator.migrate(pages, target, cause)


@pytest.fixture
def machine():
    work = worlds.workload([worlds.mapping("a", "4 MiB"), worlds.mapping("b", "8 MiB")])
    made = worlds.machine(work=work)
    for pages in made.space.mappings:
        made.migrator.first_touch(pages, 0, pages.nr, 0, pages.mapping.policy, 0, 1)
    return made


def test_a_move_has_its_places(machine):
    columns, nodes = Columns(), machine.topology.nodes
    record = MovesRecord(machine, columns)
    b = machine.space.mappings[1]
    pages = np.arange(b.first + 512, b.first + 1024)  # the third and fourth MiB of it
    frames = machine.memory.frame_of[pages].copy()
    moved(machine, pages, 1)
    record.sample(1.0)
    record.places(1.0)
    found = recorded(columns)
    assert found.moves.bytes.tolist() == [2 * MIB]
    by_page = found.moves_by_page
    assert set(by_page.mapping) == {"b"} and set(by_page.direction) == {"demotion"}
    size = int((by_page.end - by_page.start).max())
    assert 2 * MIB - size < by_page.start.min() <= 2 * MIB
    assert 4 * MIB <= by_page.end.max() < 4 * MIB + size
    assert by_page.bytes.sum() == 2 * MIB
    out = found.moves_by_frame[found.moves_by_frame.node == nodes[0].name]
    low, high = (machine.memory.addresses_of(frames[[0, -1]])).tolist()
    start = machine.topology.node_ranges(0)[0][0]
    assert out.start.min() <= low - start < out.start.min() + (out.end - out.start).iloc[0]
    assert out.end.max() > high - start >= out.start.max()
    came = found.moves_by_frame[found.moves_by_frame.node == nodes[1].name]
    assert came.bytes.sum() == out.bytes.sum() == 2 * MIB


def test_rows_tell_what_moved_since_the_last_ones(machine):
    columns = Columns()
    record = MovesRecord(machine, columns)
    a = machine.space.mappings[0]
    moved(machine, np.arange(a.first, a.first + 10), 1)
    record.places(1.0)
    moved(machine, np.arange(a.first, a.first + 4), 0)
    record.places(2.0)
    record.places(3.0)
    rows = recorded(columns).moves_by_page
    pages = rows.groupby(["t_s", "direction"], sort=False).bytes.sum() / 4096
    assert pages.to_dict() == {(1.0, "demotion"): 10, (2.0, "promotion"): 4}


def test_many_moves_are_counted_before_a_row_is_due(machine, monkeypatch):
    columns = Columns()
    record = MovesRecord(machine, columns)
    monkeypatch.setattr("numasim.moves_record.ENOUGH", 500)
    b = machine.space.mappings[1]
    for page in range(100):
        moved(machine, np.array([b.first + page]), 1)
        assert sum(len(part[0]) for parts in record._parts.values() for part in parts) < 8
    record.places(1.0)
    assert recorded(columns).moves_by_page.bytes.sum() == 100 * 4096


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_s_moves_have_places(policy):
    document = worlds.document(policy=POLICIES[policy], duration="2 s")
    found = run_scenario(load_scenario(document))
    assert found.moves.bytes.sum() > 0, "this test needs moves"
    total = found.moves.groupby(WAY).bytes.sum()
    pd.testing.assert_series_equal(found.moves_by_page.groupby(WAY).bytes.sum(), total)
    frames = found.moves_by_frame
    for side in ("source", "target"):
        own = frames[frames.node == frames[side]]
        pd.testing.assert_series_equal(own.groupby(WAY).bytes.sum(), total)
    assert (frames.bytes <= len(frames.t_s.unique()) * 100 * MIB).all()
    assert (frames.start < frames.end).all()
    each = frames.groupby(["t_s", "cause", "source", "target", "direction", "node"]).size()
    assert each.max() <= NODE_PARTS
    assert frames.columns.tolist() == COLUMNS["moves_by_frame"].split()
