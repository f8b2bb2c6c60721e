"""The style: the same bytes twice, the user's settings untouched, matplotlib nowhere else."""

import ast
from pathlib import Path

import matplotlib
import pytest

from numasim import report
from numasim.report.occupancy import occupancy
from numasim.report.style import KDAMONDS, POLICIES, file_stem, line_of, node_colour, note, save
from tests.unit.report.made import made

PACKAGE = Path(report.__file__).parents[1]


def test_a_picture_is_the_same_bytes_twice(tmp_path):
    files = [save(occupancy(made(rows=6)), tmp_path / name, "one") for name in ("a", "b")]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert {f.suffix for f in files[0]} == {".png", ".svg"}


def test_settings_of_the_user_neither_show_nor_change(tmp_path):
    plain = save(occupancy(made(rows=6)), tmp_path / "plain", "one")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "axes.grid": False}):
        own = save(occupancy(made(rows=6)), tmp_path / "own", "one")
        assert matplotlib.rcParams["font.size"] == 30
    assert [f.read_bytes() for f in plain] == [f.read_bytes() for f in own]


def test_a_picture_shows_itself_in_a_notebook():
    assert occupancy(made(rows=6))._repr_png_().startswith(b"\x89PNG")


def test_a_note_says_why_there_is_nothing():
    assert "because" in [text.get_text() for text in note("because", "title").texts]


def test_matplotlib_is_imported_here_alone():
    others = [p for p in PACKAGE.rglob("*.py") if "report" not in p.relative_to(PACKAGE).parts]
    for path in others:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "matplotlib" for name in names), path


def test_pyplot_is_used_nowhere():
    for path in (PACKAGE / "report").glob("*.py"):
        assert "import pyplot" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("palette", [POLICIES, KDAMONDS])
def test_colours_of_a_palette_differ(palette):
    assert len(set(palette)) == len(palette)


def test_policies_keep_their_colour_and_all_have_one():
    looks = [(line_of(i)["color"], str(line_of(i)["linestyle"])) for i in range(8)]
    assert len(set(looks)) == 8
    assert line_of(8) == line_of(0)


def test_kinds_of_memory_have_colours_whatever_their_case():
    assert node_colour("cxl") == node_colour("CXL") != node_colour("DRAM")
    assert node_colour("something new")


def test_file_names_are_plain():
    assert file_stem("tpp_damon, late / 2") == "tpp_damon_late_2"
    assert file_stem("…") == "picture"
