"""numasim sweep and tune: what they print, and how they fail."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from numasim.cli import app
from numasim.cli.sweep import _effect, progress, rest, state
from numasim.sweep import sweeping, workers
from numasim.sweep.sweeping import Progress
from tests.unit.sweep.plans import write_python, write_yaml


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting workers takes seconds; tests of sweeps do."""

    def here(plan: Any, *_: Any) -> Any:
        return workers.runner(plan, None, None, True)

    monkeypatch.setattr(sweeping, "runner", here)


def command(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def test_a_sweep_says_how_policies_stand(tmp_path: Path) -> None:
    plan, out = write_yaml(tmp_path, seeds=3), tmp_path / "out"
    said = command("sweep", plan, "--out", out).stdout
    assert "plan: 6 of 6 runs finished" in said
    assert "small on small, 3 seeds" in said
    assert max(map(len, said.splitlines()[:-2])) <= 80
    assert f'pandas.read_parquet("{out}/runs")' in said
    assert (out / "ranking.csv").read_text().startswith("topology,workload,policy,rank,mean,ratio")
    again = json.loads(command("sweep", plan, "--out", out, "--json", "-").stdout)
    assert (again["loaded"], again["failed"], len(again["ranking"])) == (6, [], 2)


def test_failures_are_told_once_and_the_exit_code_says_so(tmp_path: Path) -> None:
    plan = write_python(tmp_path, policies=["no_tiering", "raises"])
    found = command("sweep", plan, "--out", tmp_path / "out", code=1)
    assert "raises: 2 seeds failed: ZeroDivisionError: on purpose" in found.stderr
    assert "2 of 4 runs finished, 2 failed" in found.stdout


def test_a_plan_can_be_looked_at_first(tmp_path: Path) -> None:
    plan = write_yaml(tmp_path, parameters={"quota": ["1 MiB", "2 MiB"]})
    said = command("sweep", plan, "--check").stdout
    assert "3 points x 2 seeds, 6 runs" in said and "1 MiB, 2 MiB" in said


def test_mistakes(tmp_path: Path) -> None:
    plan = write_yaml(tmp_path, polices=[], duration="3")
    told = command("sweep", plan, code=2).stderr
    assert "2 mistakes in" in told and 'did you mean "policies"?' in told
    good = write_yaml(tmp_path)
    assert "--until-ci" in command("sweep", good, "--until-ci", "lots", code=2).stderr
    out = tmp_path / "out"
    told = command("sweep", good, "--out", out, "--metric", "throughput", code=2).stderr
    assert 'did you mean "throughput_ops_per_s"?' in told


def test_a_search_prints_its_front(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    plan = write_yaml(
        tmp_path, policies={"tier": {"kind": "tpp_damon"}}, seeds=1, duration="300 ms",
        space={"quota": {"from": "1 MiB", "to": "8 MiB"}},
        objectives={"throughput_ops_per_s": "maximize", "kdamond_cpu": "minimize"},
    )  # fmt: skip
    said = command("tune", plan, "--out", tmp_path / "out", "--trials", 3).stdout
    assert "plan: 3 trials; front of" in said and "quota" in said
    rows = (tmp_path / "out/trials.csv").read_text().splitlines()
    assert rows[0] == "trial,quota,throughput_ops_per_s,kdamond_cpu,best" and len(rows) == 4
    assert (tmp_path / "out/front.svg").stat().st_size > 1000


def test_effects_beyond_all_measure_are_not_spelt_out() -> None:
    given = (1.25, -17544.8, math.inf, math.nan)
    assert [_effect(e) for e in given] == ["+1.2", "< -99", "> +99", "-"]


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["numasim.cli.sweep"], "LINE_EVERY_S", 0.0)
    now = Progress(total=10, workers=2, done=3)
    for quiet in (False, True):
        with progress("mine", quiet) as on_progress:
            on_progress(now, None, None)
    assert capsys.readouterr().err == "mine: 3 of 10 done, 0 running, soon ready\n"


def test_progress_in_words() -> None:
    now = Progress(total=10, workers=2, done=3, failed=1, loaded=2, running=4, seconds=8.0)
    assert state(now) == "5 of 10 done, 1 failed, 2 running, about 4 s left"
    assert [rest(s) for s in (0.5, 90, 1200, 9000)] == [
        "soon ready", "about 90 s left", "about 20 min left", "about 2.5 h left",
    ]  # fmt: skip
