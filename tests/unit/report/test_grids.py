"""Heat on regular grids: what it means, and where nobody looked."""

import numpy as np
import pytest

from numasim.loader import load_workload
from numasim.report.grids import Grid, areas, seen, truth, view_of_node, watchers
from tests.unit.report.made import GIB, SNAPSHOT_ROWS, made


def test_truth_is_accesses_per_page_and_second():
    grid = truth(made(), "dram0")
    assert grid.heat.shape[0] == 32
    assert grid.size_bytes == 16 * GIB
    assert grid.heat[0, -1] == pytest.approx(1e6 * 32 * 4096 / (16 * GIB))
    assert grid.heat[0, 0] == 0


def test_truth_of_an_unrecorded_node_is_unknown():
    assert truth(made(), "elsewhere") is None


def test_seen_heat_is_damos_hz():
    part = seen(made())[0]
    assert part.physical
    assert part.heat.max() == pytest.approx(15 / 20 / 0.005)


def test_a_view_lies_at_its_nodes_frames():
    result = made()
    parts = seen(result)
    for node, size, sample_s in (("dram0", 16 * GIB, 0.005), ("cxl0", 64 * GIB, 0.01)):
        view = view_of_node(result, node, parts, size)
        hot = 3 / SNAPSHOT_ROWS
        assert view.heat[: int(256 * hot), -1] == pytest.approx(0.75 / sample_s)
        assert view.heat[-1, -1] == 0
        assert view.used_bytes() == pytest.approx(size * hot, rel=0.01)


def test_a_view_keeps_the_mean_when_cells_cut_regions():
    result = made()
    view = view_of_node(result, "dram0", seen(result), 10 * GIB)
    seen_bytes = np.nansum(view.heat[:, -1]) * 10 * GIB / 256
    assert seen_bytes == pytest.approx(150 * 16 * GIB * 3 / SNAPSHOT_ROWS, rel=0.02)


def test_nobody_looked_before_the_start():
    result = made()
    table = result.snapshots
    result.tables["snapshots"] = table[table.t_s > 150].reset_index(drop=True)
    view = view_of_node(result, "dram0", seen(result), 16 * GIB)
    blind = np.isnan(view.heat).all(axis=0)
    assert blind.any()
    assert 0 < blind.mean() < 1
    assert blind[0]
    assert not blind[-1]


def test_nobody_looks_where_no_context_does():
    result = made()
    parts = [p for p in seen(result) if p.kdamond == "kdamond.0"]
    assert view_of_node(result, "cxl0", parts, 64 * GIB) is None
    assert watchers(result, "cxl0", parts) == ()
    assert watchers(result, "cxl0", seen(result)) == ("kdamond.1",)


def test_gaps_between_regions_stay_unknown():
    result = made()
    table = result.snapshots
    inside = ~table.start.isin(sorted(set(table.start))[4:6])
    result.tables["snapshots"] = table[inside].reset_index(drop=True)
    column = view_of_node(result, "dram0", seen(result), 16 * GIB).heat[:, -1]
    assert np.isnan(column[int(256 * 4.5 / SNAPSHOT_ROWS)])
    assert not np.isnan(column[0])


def test_cropping_keeps_whole_rows():
    grid = Grid(np.ones((10, 2)), 1.0, 0, 100).cropped(34)
    assert grid.heat.shape == (3, 2)
    assert grid.size_bytes == 30


def _virtual(topology="dram_cxl"):
    """A run whose kdamond watches the process instead of frames."""
    result = made(topology)
    workload = load_workload("cold_first")
    damo = {"damo": f"damo start --target_pid {workload.pid(0)}", "kind": "damos", "start": "45 s"}
    other = made(topology, policy=damo)
    other.tables |= {name: result.tables[name] for name in ("kdamonds", "truth", "actors", "nodes")}
    table = result.snapshots[result.snapshots.kdamond == "kdamond.0"].copy()
    shift = workload.processes[0].addresses()[0] - int(table.start.min())
    table[["start", "end"]] += shift
    other.tables["snapshots"] = table.reset_index(drop=True)
    return other


def test_virtual_areas_have_both_views():
    result = _virtual()
    (area,) = areas(result, seen(result))
    assert area.kdamond == "kdamond.0"
    assert "cold" in area.title
    assert np.isfinite(area.view.heat).any()
    hot_a = area.truth.heat[int(256 * 17 / 23), :]
    column = int(0.4 * area.truth.heat.shape[1])
    pages = 4 * GIB / 4096
    assert hot_a[column] == pytest.approx(1.01e7 / pages, rel=0.02)


def test_physical_runs_have_no_virtual_areas():
    result = made()
    assert areas(result, seen(result)) == []
