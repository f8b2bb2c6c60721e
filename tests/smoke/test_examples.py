"""Examples are read by what they are for."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from numasim import library
from numasim.cli import app
from numasim.sweep import read_plan
from numasim.tune import read_search

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_sweep_is_a_plan() -> None:
    made = read_plan(EXAMPLES / "sweep.yaml")
    assert len(made.points) == 2 * (1 + 6) and made.nr_runs == 70
    assert len(made.groups()) == 2


def test_the_search_is_one() -> None:
    made = read_search(EXAMPLES / "search.yaml")
    assert set(made.space) == {"quota", "interval", "policy.hot"} and len(made.objectives) == 2


def test_the_workflow_runs_a_command_that_there_is() -> None:
    workflow = library.read(EXAMPLES / "gate_workflow.yml")
    steps = workflow["jobs"]["gate"]["steps"]
    (command,) = [s["run"] for s in steps if s.get("name") == "Gate"]
    known = CliRunner().invoke(app, ["gate", "--help"], env={"COLUMNS": "200"}).output
    for option in re.findall(r"--[a-z]+", command):
        assert option in known
    assert command.startswith("numasim gate ")
