"""Reading recordings: from memory, mapped in place, unpacked and mapped; and what is refused."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from numasim import tape
from numasim.errors import ConfigError
from numasim.formats import page_trace
from tests import recordings


@pytest.fixture(params=["in memory", "mapped in place", "unpacked and mapped"])
def opened(request, tmp_path, monkeypatch) -> tape.Tape:
    if request.param != "in memory":
        monkeypatch.setattr(tape, "SMALL_BYTES", 0)
    path = recordings.write(tmp_path / "made", packed=request.param != "mapped in place")
    found = tape.open_tape(path)
    mapped = isinstance(found.columns["page"].base, np.memmap)
    assert mapped == (request.param != "in memory")
    return found


def test_columns_are_what_was_written(opened):
    made = recordings.columns()
    for name in opened.columns:
        assert (opened.columns[name] == made[name]).all(), name
    for i in (0, 1, 63, 64, 149):
        assert (made["interval"][opened.rows(i, i + 1)] == i).all()
    assert opened.bounds[-1] == len(made["page"])


def test_threads_can_be_chosen(opened):
    thread = recordings.columns()["thread"]
    both = [opened.rows(3, 9, (t,)) for t in (1, 2)]
    assert (thread[both[0]] == 1).all() and (thread[both[1]] == 2).all()
    assert sorted(np.concatenate(both)) == list(range(opened.bounds[3], opened.bounds[9]))


def test_chunks_are_all_rows_once(opened, monkeypatch):
    monkeypatch.setattr(tape, "CHUNK_ROWS", 100)
    parts = [np.arange(opened.bounds[-1])[rows] for rows in opened.chunks()]
    assert len(parts) > 5
    assert (np.concatenate(parts) == np.arange(opened.bounds[-1])).all()


def test_touched_intervals_are_counted_without_mere_evictions(opened):
    made = recordings.columns()
    found = opened.touched((2,))
    for page in range(recordings.PAGES):
        own = (made["page"] == page) & (made["thread"] == 2) & (made["touches"] > 0)
        assert found[page] == len(set(made["interval"][own].tolist()))
    assert opened.touched()[recordings.NEVER] == 0


def test_the_fixture_is_the_generators():
    stored = np.load(recordings.TINY.with_suffix(".npz"))
    made = recordings.columns()
    assert all((stored[name] == made[name]).all() for name in made)
    header = tape.read_header(recordings.TINY)
    assert header.interval_ns == pytest.approx(2e6) and header.threads == (1, 2)
    assert header.regions == (("swept", 0, 24),) and header.phases == (("all", 0, 150),)


def test_unpacked_columns_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tape, "SMALL_BYTES", 0)
    monkeypatch.setattr(tape.tempfile, "tempdir", str(tmp_path))
    path = recordings.write(tmp_path / "made")
    found = tape.open_tape(path)
    (folder,) = tmp_path.glob("numasim-trace-*")
    assert (folder / "page.npy").exists()
    del found
    tape._load.cache_clear()
    gc.collect()
    assert not folder.exists()


def test_a_recording_is_opened_once_until_it_changes(tmp_path):
    path = recordings.write(tmp_path / "made")
    first = tape.open_tape(path)
    assert tape.open_tape(path.with_suffix("")) is first
    assert tape.open_tape(path.with_suffix(".npz")) is first
    columns = {name: column[:-1] for name, column in recordings.columns().items()}
    page_trace.write(tmp_path / "made", columns, intervals=150, pages=48)
    assert len(tape.open_tape(path).columns["page"]) == len(columns["page"])


# -- what is refused -------------------------------------------------------------------------------


def spoil(tmp_path: Path, **header) -> Path:
    path = recordings.write(tmp_path / "made")
    plain = json.loads(path.read_text()) | header
    path.write_text(json.dumps(plain))
    return path


def test_every_mistake_of_a_header_is_named(tmp_path):
    path = spoil(
        tmp_path, version=2, rows=0, pages="many", threads=[], regions=[{"name": "x"}], phases=3,
        est_seconds_per_interval=-1,
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        tape.read_header(path)
    assert {p.place for p in caught.value.problems} == {
        "version", "rows", "pages", "threads", "regions", "phases", "est_seconds_per_interval",
    }  # fmt: skip
    assert caught.value.source == str(path)


@pytest.mark.parametrize("text", ["[]", '{"format": "other"}', "no json", ""])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "made.json").write_text(text)
    with pytest.raises(ConfigError, match=r"made\.json"):
        tape.read_header(tmp_path / "made.json")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.json: cannot be read: No such file"):
        tape.open_tape(tmp_path / "nowhere")
    recordings.write(tmp_path / "made").with_suffix(".npz").unlink()
    with pytest.raises(ConfigError, match=r"made\.npz: cannot be read"):
        tape.open_tape(tmp_path / "made")


def test_data_that_is_no_archive(tmp_path):
    path = recordings.write(tmp_path / "made").with_suffix(".npz")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ConfigError, match="is no archive of arrays"):
        tape.open_tape(path)


def test_missing_columns_are_all_named(tmp_path):
    path = recordings.write(tmp_path / "made").with_suffix(".npz")
    np.savez(path, interval=np.zeros(3, np.uint16), page=np.zeros(3, np.uint32))
    with pytest.raises(ConfigError) as caught:
        tape.open_tape(path)
    named = [p.place for p in caught.value.problems]
    assert named == ["thread", "loads", "stores", "writebacks", "touches"]


def test_pickled_objects_are_refused(tmp_path):
    made = recordings.columns()
    path = recordings.write(tmp_path / "made").with_suffix(".npz")
    np.savez(path, **{**made, "touches": made["touches"].astype(object)})
    with pytest.raises(ConfigError, match="is no archive of arrays"):
        tape.open_tape(path)


@pytest.mark.parametrize(
    ("column", "row", "value", "complaint"),
    [
        ("interval", 0, 5, "interval: is not ascending"),
        ("interval", -1, 150, "interval: got 150, expected less than 150"),
        ("page", 7, 48, "page: got 48, expected less than 48"),
        ("thread", 7, 9, "thread: has numbers that the header does not list"),
    ],
)
def test_rows_that_do_not_fit_the_header_are_refused(tmp_path, column, row, value, complaint):
    made = recordings.columns()
    made[column][row] = value
    page_trace.write(tmp_path / "made", made, intervals=150, pages=48)
    if column == "thread":
        plain = json.loads((tmp_path / "made.json").read_text())
        (tmp_path / "made.json").write_text(json.dumps({**plain, "threads": [1, 2]}))
    with pytest.raises(ConfigError, match=complaint):
        tape.open_tape(tmp_path / "made")


def test_columns_of_another_length_or_kind_are_refused(tmp_path):
    made = recordings.columns()
    path = recordings.write(tmp_path / "made").with_suffix(".npz")
    np.savez(path, **{**made, "loads": made["loads"][:-1], "stores": made["stores"] * 0.5})
    with pytest.raises(ConfigError) as caught:
        tape.open_tape(path)
    assert [p.place for p in caught.value.problems] == ["loads", "stores"]


def test_more_intervals_or_pages_than_tables_can_have_are_refused(tmp_path):
    path = spoil(tmp_path, intervals=1 << 40, pages=1 << 40)
    with pytest.raises(ConfigError) as caught:
        tape.read_header(path)
    assert [p.place for p in caught.value.problems] == ["intervals", "pages"]


def test_damaged_columns_are_refused(tmp_path):
    """Every byte of the data changed in turn, thinned: refused, or what it was."""
    path = recordings.write(tmp_path / "made").with_suffix(".npz")
    whole = path.read_bytes()
    for at in range(0, len(whole), 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        tape._load.cache_clear()
        try:
            tape.open_tape(path)
        except ConfigError as error:
            assert error.source == str(path)


def test_thread_numbers_of_too_wide_a_type_are_refused(tmp_path):
    path = recordings.write(tmp_path / "made").with_suffix(".npz")
    columns = recordings.columns()
    columns["thread"] = columns["thread"].astype(np.int64)
    np.savez(path, **columns)
    with pytest.raises(ConfigError, match="thread: is of int64, expected numbers below 65536"):
        tape.open_tape(path)
