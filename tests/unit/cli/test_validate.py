"""numasim validate: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from numasim.cli import app
from tests.unit.validate import made


def numasim(*words: object, code: int | None = 0):
    env = {"COLUMNS": "100", "NO_COLOR": "1"}
    result = CliRunner().invoke(app, [str(word) for word in words], env=env)
    if code is not None:
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made.head(tmp_path_factory.mktemp("recorded"))


def test_a_table_of_all_metrics_and_files(folder, tmp_path):
    command = ["validate", folder, "--seeds", 3, "--workers", 1, "--out", tmp_path]
    out = numasim(*command, code=None)
    assert out.exit_code in (0, 1)
    lines = out.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert any("E1a/r2" in line for line in lines)
    (row,) = [line for line in lines if line.startswith("true/nominal period")]
    assert row.split()[-1] in ("ok", "FAIL")
    assert "exact rules, kernel" in out.stdout and "rms z" in out.stdout
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["ok"] == (out.exit_code == 0)
    for name in ("deviations.png", "E1a_r2/heat.png", "E1a_r2/courses.svg"):
        assert (tmp_path / name).stat().st_size > 1000, name


def test_json_alone_on_stdout(folder):
    out = numasim("validate", folder, "--seeds", 3, "--workers", 1, "--json", "-", code=None)
    assert json.loads(out.stdout)["seeds"] == 3


def test_bad_input_is_told_with_exit_code_2(folder, tmp_path):
    assert "no recorded run" in numasim("validate", tmp_path, code=2).stderr
    assert "--only" in numasim("validate", folder, "--only", "E77", code=2).stderr
    assert "seeds" in numasim("validate", folder, "--seeds", 1, code=2).stderr


def test_a_gate_that_fails_exits_with_1(folder, monkeypatch):
    monkeypatch.setattr("numasim.validate.verdict.Verdict.ok", False)
    numasim("validate", folder, "--seeds", 3, "--workers", 1, "--quiet", code=1)


def test_what_is_not_simulated_is_named_and_not_taken_for_a_pass(tmp_path):
    bare = made.head(tmp_path)
    (bare / "truth.csv").unlink()
    out = numasim("validate", bare, "--seeds", 3, code=2)
    assert "E1a/r2: not simulated" in " ".join(out.stdout.split())
    assert "nothing was judged" in out.stderr
