"""The gate end to end: exit codes, files, mistakes, pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from numasim import __version__
from numasim.cli import app
from numasim.errors import ConfigError
from numasim.gate import gating
from numasim.gate.again import document_of
from numasim.gate.baseline import Baseline, path_of, read_baseline, write_baseline
from numasim.gate.gating import CouldNotRun, gate, judge, runs_of, update
from numasim.gate.reports import as_json, junit, markdown
from numasim.gate.suite import find_suite, read_suite
from numasim.report.page import page_of, read_saved
from numasim.report.page.reproduce import as_yaml
from numasim.sweep import Plan, Sweep
from tests.unit.gate.suites import injected, known, plain, quick, read

ROOT = Path(__file__).parents[3]


def command(*words: object, code: int) -> str:
    result = CliRunner().invoke(
        app, ["gate", *map(str, words)], env={"COLUMNS": "80", "NO_COLOR": "1"}
    )
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.output


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of sweeps have shown that workers give the same; starting them takes seconds."""
    real = gating.sweep

    def sweep(plan: Plan, **more: Any) -> Sweep:
        return real(plan, here=True, on_progress=more["on_progress"])

    monkeypatch.setattr(gating, "sweep", sweep)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A quick suite with its baseline."""
    path = tmp_path / "quick.yaml"
    path.write_text(json.dumps(quick()), encoding="utf-8")
    found = read_suite(path)
    write_baseline(path_of(path), update(found, None, here=True).baseline)
    return path


def slower(path: Path, factor: float) -> None:
    """As if runs had been faster (above 1) or slower when the baseline was made."""
    data = json.loads(path_of(path).read_text())
    for entry in data["experiments"].values():
        values = entry["values"]
        values["throughput_ops_per_s"] = [x * factor for x in values["throughput_ops_per_s"]]
    path_of(path).write_text(json.dumps(data))


def test_an_injected_regression_is_caught() -> None:
    """A gross one, of few runs; `tests/statistics/test_gate.py` has one of two per cent."""
    with known():
        found = read(seeds=5, baseline_seeds=5)
        baseline = update(found, None, here=True).baseline
        with injected("200KB"):
            report = gate(found, baseline, here=True, first_seed=2001)
    assert not report.ok and report.exit_code == 1
    ((_, verdict),) = report.worse
    assert verdict.word == "worse" and verdict.change < -0.05


def test_files_for_people_and_programs(suite: Path, tmp_path: Path) -> None:
    slower(suite, 1.05)
    files = [tmp_path / name for name in ("a.md", "a.xml", "a.json")]
    said = command(suite, "--markdown", files[0], "--junit", files[1], "--json", files[2], code=1)
    assert "1 of 1 numbers got worse" in said and "WORSE" in said
    text = files[0].read_text()
    assert text.startswith("### ❌") and "| tiering | throughput_ops_per_s ↑ |" in text
    tree = ElementTree.parse(files[1]).getroot()
    (case,) = tree.iter("testcase")
    assert (case.get("classname"), case.get("name")) == ("tiering", "throughput_ops_per_s")
    assert case.find("failure") is not None
    data = json.loads(files[2].read_text())
    assert (data["ok"], data["exit_code"]) == (False, 1)
    slower(suite, 1 / 1.05)
    assert "passed" in command(suite, "--junit", files[1], code=0)
    assert ElementTree.parse(files[1]).getroot().find(".//failure") is None


def test_it_could_not_run(suite: Path, tmp_path: Path) -> None:
    for break_it in ("{", "[]", '{"layout": 1, "numasim": "", "experiments": {}}'):
        path_of(suite).write_text(break_it)
        command(suite, code=2)
    path_of(suite).unlink()
    files = [tmp_path / "a.md", tmp_path / "a.xml"]
    said = command(suite, "--markdown", files[0], "--junit", files[1], code=2)
    assert "there is no baseline yet; make it with --update" in said
    assert "could not run" in files[0].read_text()
    assert ElementTree.parse(files[1]).getroot().find(".//error") is not None
    command(tmp_path / "none.yaml", code=2)


def test_whatever_goes_wrong_is_no_regression(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug and an interrupt have exit codes of their own; 1 says that something got worse."""
    found = tmp_path / "a.json"

    def raising(error: BaseException) -> None:
        def broken(plan: Plan, **more: Any) -> Sweep:
            raise error

        monkeypatch.setattr(gating, "sweep", broken)

    raising(IndexError("a bug"))
    assert "IndexError: a bug" in command(suite, "--json", found, code=2)
    data = json.loads(found.read_text())
    assert (data["ok"], data["exit_code"]) == (None, 2) and "a bug" in data["error"]
    raising(KeyboardInterrupt())
    command(suite, code=130)


def test_reports_that_cannot_be_written_are_told_before_anything_runs(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gating, "sweep", None)
    (tmp_path / "file").touch()
    said = command(suite, "--markdown", tmp_path / "file/a.md", code=2)
    assert "--markdown" in said and "cannot be written" in said
    assert "--first-seed" in command(suite, "--update", "--first-seed", 5, code=2)
    assert "--junit" in command(suite, "--update", "--junit", tmp_path / "a.xml", code=2)


def test_a_new_baseline_for_a_pull_request(suite: Path, tmp_path: Path) -> None:
    slower(suite, 1.05)
    files = [tmp_path / "a.md", tmp_path / "a.json"]
    command(suite, "--update", "--markdown", files[0], "--json", files[1], code=0)
    assert "* tiering, throughput_ops_per_s: " in files[0].read_text()
    (changed,) = json.loads(files[1].read_text())["changed"]
    assert changed["metrics"]["throughput_ops_per_s"]["verdict"] == "worse"
    path_of(suite).write_text("{")
    assert "nothing to compare with" in command(suite, "--update", code=0)


def test_update_says_what_it_changes(suite: Path) -> None:
    assert "same to the last bit" in command(suite, "--update", code=0)
    slower(suite, 1.05)
    said = command(suite, "--update", code=0)
    assert "tiering, throughput_ops_per_s:" in said and "(-4.76 %" in said and "worse" in said
    data = {**json.loads(suite.read_text()), "duration": "1100 ms"}
    suite.write_text(json.dumps(data))
    assert "is another experiment than its baseline" in command(suite, code=2)
    assert "tiering: new" in command(suite, "--update", code=0)


def test_runs_that_fail_say_nothing_of_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    from numasim.sweep import task

    def broken(scenario: Any) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(task, "run_scenario", broken)
    with pytest.raises(CouldNotRun, match="on purpose"):
        runs_of(read_suite(quick()), range(1, 6), here=True)


def test_a_number_that_no_run_has_makes_no_baseline() -> None:
    found = read_suite(quick(metrics={"emd": "5 %"}))
    with pytest.raises(ConfigError, match="6 of 6 runs have no such number"):
        update(found, None, here=True)


def test_every_mistake_of_a_suite_at_once() -> None:
    given = plain("tpp_damn", metrics={"througput_ops_per_s": 1, "emd": {"beter": "up"}})
    given |= {"seeds": 2, "fale_alarm": 1, "experiments": [*given["experiments"], 7]}
    with pytest.raises(ConfigError) as caught:
        read_suite(given)
    told = "\n".join(map(str, caught.value.problems))
    for words in (
        'did you mean "false_alarm"?', "seeds: got 2", 'did you mean "throughput_ops_per_s"?',
        'did you mean "better"?', "expected either relative or absolute",
        'did you mean "tpp_damon"?', "experiments[1]: expected a mapping",
    ):  # fmt: skip
        assert words in told, told


def test_the_shipped_suite_reads_and_has_a_baseline() -> None:
    found = read_suite("default")
    assert found.seeds >= 20 and len(found.experiments) >= 3
    baseline = read_baseline(path_of(find_suite("default")))
    assert {e.name for e in found.experiments} == set(baseline.experiments)
    values = {
        name: [v for v in entry.values.values()] for name, entry in baseline.experiments.items()
    }
    assert all(len(v) == found.baseline_seeds for each in values.values() for v in each)


def test_reports_of_the_shipped_suite() -> None:
    """Runs that are made up, so that nothing is simulated here."""
    found = read_suite("default")
    baseline = read_baseline(path_of(find_suite("default")))
    assert isinstance(baseline, Baseline)
    report = judge(found, baseline, baseline.experiments)
    assert report.ok and "all unchanged to the last bit" in markdown(report)
    assert json.dumps(as_json(report), default=str) and junit(report)
    assert not report.gone


PLUGIN_TEST = """
def test_policy(numasim_gate):
    report = numasim_gate("quick.yaml", here=True)
    assert report.ok
"""


def test_pytest_has_the_gate(suite: Path) -> None:
    (suite.parent / "test_gated.py").write_text(PLUGIN_TEST)

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "numasim.gate.plugin",
             "-p", "no:cacheprovider", *more, "test_gated.py"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            cwd=suite.parent,
            capture_output=True, text=True,
        )  # fmt: skip

    slower(suite, 1.05)
    failed = run()
    assert failed.returncode == 1 and "1 of 1 numbers got worse" in failed.stdout, failed.stdout
    renewed = run("--numasim-gate-update")
    assert renewed.returncode == 0 and "renewed" in renewed.stdout, renewed.stdout
    assert json.loads(path_of(suite).read_text())["experiments"]["tiering"]["seeds"]


def test_a_suite_is_one_document_too(tmp_path: Path) -> None:
    """What a report has in its command: the same experiments, without any other file."""
    for given in ("default", quick()):
        found = read_suite(given)
        path = tmp_path / "suite.yaml"
        path.write_text(as_yaml(document_of(found)), encoding="utf-8")
        again = read_suite(path)
        assert [e.content() for e in again.experiments] == [e.content() for e in found.experiments]
        assert [e.metrics for e in again.experiments] == [e.metrics for e in found.experiments]
        assert replace(again, experiments=(), path=None) == replace(
            found, experiments=(), path=None
        )


def test_numbers_that_are_not_judged_are_kept_and_told(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "gate.json"
    command(suite, "--json", out, code=0)
    data = json.loads(out.read_text())
    others = data["experiments"][0]["others"]
    assert others["local_share"]["now"] == others["local_share"]["baseline"] > 0
    assert "throughput_ops_per_s" not in others
    assert data["baseline_numasim"] == __version__ and "numpy" in data["made"]["versions"]
    assert data["baseline_file"] == path_of(suite).read_text(encoding="utf-8")
    old = json.loads(path_of(suite).read_text())
    for entry in old["experiments"].values():
        del entry["others"]  # as earlier versions wrote it
    path_of(suite).write_text(json.dumps(old))
    command(suite, "--json", out, code=0)
    others = json.loads(out.read_text())["experiments"][0]["others"]
    assert others["local_share"]["baseline"] is None


def test_the_command_of_a_report_brings_suite_and_baseline(suite: Path, tmp_path: Path) -> None:
    command(suite, "--json", tmp_path / "gate.json", code=0)
    code = page_of(read_saved(tmp_path / "gate.json")).sections[-1].code
    there = tmp_path / "there"
    there.mkdir()
    shell = f'numasim() {{ echo numasim "$@"; }}\n{code}'
    told = subprocess.run(["sh", "-c", shell], cwd=there, capture_output=True, check=True)
    assert told.stdout.decode().splitlines() == [
        "numasim gate suite.yaml --first-seed 1 --json gate.json", "numasim report gate.json"
    ]  # fmt: skip
    again = there / "suite.yaml"
    assert read_baseline(path_of(again)) == read_baseline(path_of(suite))
    command(again, code=0)
