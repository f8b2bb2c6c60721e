"""Cases as data: what is read off runs, when a verdict is which, and what is told of mistakes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from numasim.cli import app
from numasim.errors import ConfigError
from numasim.reproduce import reading, written
from numasim.reproduce.cases import Case, Tolerance, find, folder, load
from numasim.reproduce.reading import parse
from numasim.reproduce.reproducing import plan
from numasim.reproduce.verdict import Verdict, interval, judge
from numasim.result import Result

NAMES = sorted(path.stem for path in folder().glob("*.yaml"))
CASE = """
title: A page is a page
row: "99"
source: nobody
kind: {kind}
conditions: two machines
scenario: {{topology: dram_cxl, workload: stream, duration: 2 s, set: [workload.size=8 MiB]}}
runs:
  near: {{policy: no_tiering}}
  far: {{policy: {{kind: preferred, node: 1}}}}
values:
  - name: slowdown
    published: "{published}"
    ours: speed(near, stream/triad, 1 s, 2 s) / speed(far, stream/triad, 1 s, 2 s)
    tolerance: {{least: {least}}}
seeds: 2
why_missed: the sky was grey
"""


def a_case(folder: Path, kind: str = "blind", least: float = 1.5) -> Path:
    path = folder / "pages.yaml"
    path.write_text(CASE.format(kind=kind, least=least, published="2"), encoding="utf-8")
    return path


def made(**tables: pd.DataFrame) -> Result:
    result = Result({}, {})
    result.tables = {name: pd.DataFrame() for name in ("actors", "moves")} | tables
    return result


def actor(t_s: list[float], operations: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"t_s": t_s, "actor": "p/a", "operations": operations})


def test_speed_is_what_was_done_over_time_between_records():
    result = made(actors=actor([0, 10, 20], [0, 100, 400]))
    assert reading.speed(result, "p/a", 5, 20) == pytest.approx(350 / 15)
    assert reading.speed(result, "*", 10, 20) == pytest.approx(30)


def test_work_that_is_done_again():
    result = made(actors=actor([0, 10, 20, 30], [0, 100, 150, 200]))
    assert reading.repeat_s(result, "p/a", 0, 10) == pytest.approx(20)
    assert reading.repeat_s(result, "p/a", 0, 20) == math.inf, "the run ends first"


def test_speed_has_settled_after_its_last_deviation():
    done = [0, 10, 20, 25, 30] + [40 + 10 * i for i in range(6)]
    result = made(actors=actor([float(t) for t in range(11)], [float(x) for x in done]))
    assert reading.settled_s(result, "p/a", 0, 10) == pytest.approx(4)


def test_moves_of_a_span_and_a_direction():
    moves = pd.DataFrame(
        {
            "t_s": [1.0, 2.0, 3.0],
            "direction": ["promotion", "demotion", "promotion"],
            "bytes": 2**30,
        }
    )
    result = made(moves=moves)
    found = [f(result, 1, 3) for f in (reading.promoted, reading.demoted, reading.moved)]
    assert found == [1, 1, 2]


def test_an_expression_divides_means_of_readings():
    text = "speed(a, p/a, 0 s, 1 s) + speed(b, p/a, 0 s, 1 s) / speed(a, p/a, 0 s, 1 s)"
    expression = parse(text, ["a", "b"])
    runs = {name: made(actors=actor([0, 1], [0, n])) for name, n in (("a", 2.0), ("b", 6.0))}
    assert expression.parts(runs) == (4, 2)
    assert expression.runs == ("a", "b")
    assert interval(expression, [runs, runs]).mean == pytest.approx(2)


def test_every_mistake_of_an_expression_is_told():
    with pytest.raises(ConfigError) as error:
        parse(
            "sped(a, x, 0 s, 1 s) + speed(c, x, 0 s, 1) + speed(a, x) / moved(a, 0 s, 1 s)", ["a"]
        )
    text = str(error.value)
    assert 'did you mean "speed"' in text
    assert 'no run "c"' in text
    assert "takes run, actor, since, until" in text


@pytest.mark.parametrize(
    ("tolerance", "mean", "low", "high", "holds"),
    [
        (Tolerance(least=1, most=2), 1.0, 0.5, 1.5, True),
        (Tolerance(least=1, most=2), 2.1, 1.5, 2.7, False),
        (Tolerance(above=1), 1.2, 0.9, 1.5, False),
        (Tolerance(above=1), 1.2, 1.1, 1.3, True),
        (Tolerance(below=1), 0.9, math.nan, math.nan, True),
        (Tolerance(least=1), math.inf, math.nan, math.nan, False),
        (Tolerance(most=1), math.nan, math.nan, math.nan, False),
    ],
)
def test_bounds_hold_for_the_mean_and_strict_ones_for_the_interval(
    tolerance, mean, low, high, holds
):
    assert tolerance.holds(mean, low, high) is holds


@pytest.mark.parametrize(
    ("kind", "least", "word"),
    [
        ("blind", 1.0, "reproduced"),
        ("calibration", 1.0, "calibrated"),
        ("mechanism", 1.0, "mechanism only"),
        ("input", 1.0, "consistent"),
        ("blind", 9.0, "missed"),
        ("mechanism", 9.0, "missed"),
    ],
)
def test_the_verdict_follows_from_runs_and_kind_alone(tmp_path, kind, least, word):
    case = load(a_case(tmp_path, kind, least))
    results = {
        (run, seed): made(actors=actor([1, 2], [0, n]).assign(actor="stream/triad"))
        for run, n in (("near", 20.0), ("far", 10.0))
        for seed in (1, 2)
    }
    verdict = judge(case, (1, 2), results)
    assert verdict.word == word
    assert verdict.answers[0].ours.mean == pytest.approx(2)
    assert bool(verdict.reason) == (word == "missed"), "a reason is told only for what was missed"


def test_a_failed_run_is_no_verdict(tmp_path):
    verdict = Verdict(load(a_case(tmp_path)), (1,), error="near, seed 1: no memory")
    assert verdict.word == "failed" and not verdict.ok


def test_runs_that_two_cases_share_are_run_once(tmp_path):
    a_case(tmp_path)
    text = CASE.format(kind="blind", least=1, published="2")
    (tmp_path / "again.yaml").write_text(text, encoding="utf-8")
    planned = plan(["pages", "again"], tmp_path)
    assert len(planned.cases) == 2
    assert len(planned.tasks) == 4, "two policies, two seeds"


def test_mistakes_of_a_case_are_told_with_their_place(tmp_path):
    path = a_case(tmp_path)
    path.write_text(path.read_text().replace("kind: blind", "kind: blinde"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"pages\.yaml: kind \(line 5\)"):
        find(["pages"], tmp_path)
    with pytest.raises(ConfigError, match='did you mean "micron_interleave"'):
        find(["micron_interleaf"])


def test_command_runs_a_case_of_ones_own(tmp_path):
    a_case(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{written.BEGIN}old\n{written.END}\nafter\n", encoding="utf-8")
    arguments = ["reproduce", "pages", "--cases", str(tmp_path), "--workers", "1", "--json",
                 str(tmp_path / "x.json"), "--readme", str(page)]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "reproduced" in done.output
    found = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["cases"][0]
    assert found["verdict"] == "reproduced"
    assert found["values"][0]["low"] <= found["values"][0]["ours"] <= found["values"][0]["high"]
    assert written.verdicts_on(page.read_text(encoding="utf-8")) == {
        "A page is a page": "reproduced"
    }
    assert page.read_text(encoding="utf-8").startswith("before\n")


def test_a_page_keeps_cases_that_were_not_run():
    """And only those that there are; each stays where its row belongs, with its notes."""
    bounded = {"name": "v", "published": "1", "ours": "moved(a, 0 s, 1 s)", "unit": "GiB"}
    values = ({**bounded, "tolerance": {"least": 0}},) * 2
    common = {"source": "s", "kind": "blind", "conditions": "c", "runs": {"a": None}}
    cases = {
        n: Case(
            name=n, title=f"{n}: of cases", row=row, values=values, remark=f"{n} remarked",
            why_missed=f"no {n}", **common,
        )
        for n, row in (("one", "2"), ("two", "10, 11"), ("gone", "3"))
    }  # fmt: skip

    def verdict(name: str, amount: float) -> Verdict:
        moves = pd.DataFrame({"t_s": [0.5], "direction": ["promotion"], "bytes": [amount * 2**30]})
        return judge(cases[name], (1,), {("a", 1): made(moves=moves)})

    page = f"before\n{written.BEGIN}{written.END}after\n"
    for name, amount in (("two", 5.0), ("gone", 1.0), ("one", -4.0)):
        page = written.renewed(page, [verdict(name, amount)], [c.title for c in cases.values()])
    assert written.verdicts_on(page) == {
        "one: of cases": "missed", "gone: of cases": "reproduced", "two: of cases": "reproduced"
    }  # fmt: skip
    known = ["one: of cases", "two: of cases"]
    again = written.renewed(page, [verdict("two", 7.0)], known)
    assert list(written.verdicts_on(again)) == known, "in order of rows"
    assert "gone" not in again and "missed: no one" in again and "two remarked" in again
    assert "| 7 GiB |" in again and "| 5 GiB |" not in again and "| -4 GiB |" in again
    assert written.renewed(again, [], known) == again
    assert written.renewed(again, [verdict("one", -4.0)], known) == again


def test_command_tells_of_a_miss_and_why(tmp_path):
    a_case(tmp_path, least=1000)
    done = CliRunner().invoke(
        app, ["reproduce", "pages", "--cases", str(tmp_path), "--workers", "1"]
    )
    assert done.exit_code == 1
    assert "missed" in done.output and "the sky was grey" in done.output


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_case_can_be_planned(name):
    ((case, base),) = find([name])
    assert isinstance(case, Case)
    assert set(case.scenarios(base)) == set(case.runs)
    asked = {run for expression in case.expressions() for run in expression.runs}
    assert asked == set(case.runs), "no run is there for nothing"
    text = (folder() / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("#"), "begins with where its numbers come from"
