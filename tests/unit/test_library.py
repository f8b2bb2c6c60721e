"""Files that come along, files of the user's, and complaints with lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from numasim import library
from numasim.errors import ConfigError, Problem


@pytest.mark.parametrize("kind", ["topologies", "workloads", "scenarios"])
def test_shipped_files_are_found_by_name(kind):
    names = library.names(kind)
    assert names == sorted(names) and len(names) >= 2
    for name in names:
        path = library.find(kind, name)
        assert path.stem == name
        assert isinstance(library.read(path), dict)


def test_every_shipped_file_says_where_its_numbers_come_from():
    for kind in ("topologies", "workloads", "scenarios"):
        for name in library.names(kind):
            text = library.find(kind, name).read_text(encoding="utf-8")
            assert text.startswith("# "), f"{kind}/{name} opens with a comment"
            assert library.read_text(text)["name"] == name
            assert library.read_text(text)["description"]


@pytest.mark.parametrize(
    ("kind", "noun"),
    [("topologies", "topology"), ("workloads", "workload"), ("scenarios", "scenario")],
)
def test_an_unknown_name_is_answered(kind, noun):
    known = library.names(kind)[0]
    with pytest.raises(ConfigError, match=f'no {noun} "{known}x"; did you mean "{known}"'):
        library.find(kind, f"{known}x")


def test_paths_are_looked_for_beside_the_base_then_here(tmp_path: Path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "a.yaml").write_text(f"where: {folder.name}\n")
    (here / "only.yaml").write_text("where: here\n")
    monkeypatch.chdir(here)
    assert library.read(library.find("workloads", "a.yaml", there)) == {"where": "there"}
    assert library.read(library.find("workloads", "only.yaml", there)) == {"where": "here"}
    assert library.find("workloads", str(here / "a.yaml"), there) == here / "a.yaml"
    with pytest.raises(ConfigError, match=r"b\.yaml: no such file"):
        library.find("workloads", "b.yaml")


def test_what_is_no_yaml_is_told_with_its_line():
    with pytest.raises(ConfigError) as caught:
        library.read_text("a: 1\nb: [1, 2\nc: 3\n", "my.yaml")
    assert str(caught.value).startswith("my.yaml\n  line 3: not YAML")


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2\n", "a: \x00", "\t- x", "{", "a: !!python/object:x 1"]
)
def test_whatever_is_wrong_is_a_complaint(text):
    with pytest.raises(ConfigError, match="not YAML"):
        library.read_text(text)


def test_what_cannot_be_read_is_told(tmp_path: Path):
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00bad")
    for name in ("x.yaml", "nothing.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            library.read(tmp_path / name)


def test_yaml_is_version_1_2_and_json_is_yaml():
    assert library.read_text("on: yes\nx: 0o10\ny: 0x10") == {"on": "yes", "x": 8, "y": 16}
    assert library.read_text('{"a": [1, null]}') == {"a": [1, None]}


def test_complaints_get_the_line_of_their_place(tmp_path: Path):
    path = tmp_path / "w.yaml"
    path.write_text("name: w\nprocesses:\n  - name: a\n    mappings:\n      - {name: m, size: 3}\n")
    error = ConfigError([Problem("processes[0].mappings[0].size", "bad"), Problem("missing", "x")])
    placed = library.with_lines(error, path)
    assert [p.place for p in placed.problems] == [
        "processes[0].mappings[0].size (line 5)",
        "missing",
    ]
    assert placed.source == str(path)


def test_a_place_that_is_not_there_gets_the_line_around_it(tmp_path: Path):
    path = tmp_path / "w.yaml"
    path.write_text("name: w\nnodes:\n  - {name: a}\n")
    placed = library.with_lines(ConfigError([Problem("nodes[0].capacity", "is missing")]), path)
    assert placed.problems[0].place == "nodes[0].capacity (line 3)"
