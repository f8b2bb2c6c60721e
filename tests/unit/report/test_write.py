"""Folders full of pictures."""

import pytest

from numasim.report import write, write_comparison, write_run
from numasim.report.write import PICTURES
from tests.unit.report.made import made
from tests.unit.report.test_overview import compared


@pytest.fixture
def only_names(monkeypatch):
    """Draw, but do not spend time on files."""
    monkeypatch.setattr(write, "save", lambda fig, folder, stem: [folder / f"{stem}.png"])


@pytest.mark.usefixtures("only_names")
def test_a_run_leaves_every_picture(tmp_path):
    assert [f.stem for f in write_run(made(rows=6), tmp_path)] == list(PICTURES)


def test_a_run_without_damon_leaves_what_there_is(tmp_path):
    files = write_run(made(policy="no_tiering", rows=6), tmp_path)
    stems = ("throughput", "heatmap", "occupancy")
    assert {f.name for f in files} == {f"{s}.{kind}" for s in stems for kind in ("png", "svg")}
    assert all(f.stat().st_size > 2000 for f in files)


@pytest.mark.usefixtures("only_names")
@pytest.mark.parametrize("table", ["kdamonds", "schemes"])
def test_a_table_may_be_empty(tmp_path, table):
    result = made(rows=6)
    result.tables[table] = result.tables[table].iloc[:0]
    assert write_run(result, tmp_path)


@pytest.mark.usefixtures("only_names")
@pytest.mark.parametrize("table", sorted(made(rows=6).tables))
def test_a_table_may_be_all_there_is(tmp_path, table):
    result = made(rows=6)
    for name in result.tables:
        if name != table:
            result.tables[name] = result.tables[name].iloc[:0]
    write_run(result, tmp_path)


@pytest.mark.usefixtures("only_names")
def test_a_run_of_ten_hours(tmp_path):
    assert write_run(made(span_s=36000.0, rows=1801), tmp_path)


@pytest.mark.usefixtures("only_names")
def test_a_comparison_leaves_a_folder_per_policy(tmp_path):
    files = write_comparison(compared(seeds=(1, 2), rows=6), tmp_path)
    folders = {f.parent.relative_to(tmp_path).as_posix() for f in files}
    assert folders == {".", "no_tiering", "tpp_damon"}
    top = {f.stem for f in files if f.parent == tmp_path}
    assert top == {"comparison_overview", "throughput"}
