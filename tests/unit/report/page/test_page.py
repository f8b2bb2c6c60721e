"""Reports say the verdict first and why, whole in one file, whatever names are in it."""

import json
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from numasim.cli import app
from numasim.errors import ConfigError
from numasim.report.page import page_of, read_saved, render, write_report
from numasim.report.page.comparison import verdict as verdict_of_comparison
from numasim.report.page.content import Chart
from numasim.report.page.numbers import between
from numasim.report.page.reading import SavedGate
from numasim.report.page.run import verdict as verdict_of_run
from tests.unit.report.made import made
from tests.unit.report.page.sent import EVIL, Elements, comparison, gate, nasty, sweep

KINDS = ("run", "comparison", "sweep", "gate")
URLS = ("src", "href", "data", "action", "srcset", "poster")


@cache
def _page(kind, hostile=False):
    if kind == "run":
        return page_of(nasty(made(rows=21)) if hostile else made(rows=21))
    return page_of({"comparison": comparison, "sweep": sweep, "gate": gate}[kind](hostile=hostile))


@pytest.fixture(autouse=True)
def library(monkeypatch):
    """Pages without the megabytes of the plotting library, which may not be installed."""
    monkeypatch.setattr(render, "plotly_js", lambda: "window.Plotly = null")


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_whole_and_names_stay_names(kind, hostile):
    text = render.html(_page(kind, hostile))
    found = Elements(text)
    tags = [tag for tag, _ in found.elements]
    assert tags.count("script") == 3  # the library, the data, ours: no name added one
    assert "img" not in tags
    for tag, attributes in found.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in URLS:
                assert str(value).startswith("data:"), (tag, name, value)
    charts = json.loads(found.scripts[1])
    assert len(charts) == sum(a.get("class") == "plot" for _, a in found.elements) > 0
    if hostile:
        assert EVIL in "".join(found.texts)
        assert "<script" not in found.scripts[1]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_charts_are_escaped_for_the_library(kind):
    def texts(value):
        if isinstance(value, dict):
            for inner in value.values():
                yield from texts(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner)
        elif isinstance(value, str):
            yield value

    found = Elements(render.html(_page(kind, True)))
    for one in json.loads(found.scripts[1]):
        for text in texts(one["figure"]):
            assert "$" not in text, text
            assert "<" not in text.replace("<extra></extra>", ""), text


def test_data_cannot_end_its_script_even_where_nobody_escaped():
    chart = Chart("t", {"data": [{"name": EVIL}], "layout": {}}, place=f"{EVIL}<!--\u2028")
    text = render._data([chart])
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text)[0]["place"] == chart.place


@pytest.mark.parametrize("kind", KINDS)
def test_the_variant_for_mail_has_pictures_and_no_script(kind, monkeypatch):
    if kind in ("run", "comparison"):  # whose pictures have tests of their own, and take long
        monkeypatch.setattr(render, "_png", lambda picture: "iVBORw0KGgo=")
    found = Elements(render.html(_page(kind, True), static=True))
    tags = [tag for tag, _ in found.elements]
    assert "script" not in tags and "button" not in tags
    pictures = [a for tag, a in found.elements if tag == "img"]
    assert pictures and all(a["src"].startswith("data:image/png;base64,") for a in pictures)
    assert all(a["alt"] for a in pictures)


@pytest.mark.parametrize("kind", KINDS)
def test_verdict_and_reasons_come_before_anything_else(kind):
    page = _page(kind)
    text = render.html(page)
    assert page.verdict.endswith(".") and len(page.reasons) > 1
    at = [text.index(f'class="{name}') for name in ("verdict", "reasons", "plot")]
    assert at == sorted(at)


def test_a_run_says_how_near_the_best_placement_it_came():
    result = made()
    text, mark = verdict_of_run(result)
    assert mark == "plain" and "short of the best placement" in text
    result.tables["actors"]["best_local_share"] = result.summary()["local_share"]
    assert verdict_of_run(result)[1] == "good"
    result.tables["actors"] = result.actors.iloc[:0]
    result.tables["phases"] = result.phases.iloc[:0]
    assert verdict_of_run(result)[1] == "bad"


def test_a_comparison_says_who_is_faster_and_how_sure_that_is():
    text, mark = verdict_of_comparison(comparison())
    assert (text, mark) == ("tpp is 1.2 times as fast as none (the same in all 3 seeds).", "good")
    text, mark = verdict_of_comparison(comparison(nr_seeds=1))
    assert mark == "plain" and "one seed: chance" in text
    text, mark = verdict_of_comparison(comparison(gain=0.95))
    assert mark == "plain" and text.startswith("Nothing beats none: tpp is slower")


def test_ends_of_an_interval_differ_as_they_are_written():
    assert between(1.1, 1.3, 5, 0.95) == "95% interval 1.1 to 1.3, 5 seeds"
    assert between(1.26401, 1.26399, 5, 0.95) == "95% interval 1.26401 to 1.26399, 5 seeds"
    assert between(1.2, 1.2 + 1e-15, 5, 0.95) == "the same in all 5 seeds"


def test_a_sweep_says_who_is_best():
    page = _page("sweep")
    assert page.verdict.startswith("tpp (used=0.9) is best: throughput (operations/s) 1.5000 times")
    assert page.verdict.endswith("1 runs failed.") and page.mark == "plain"


def _changed(**values):
    """The sweep whose best policy has other numbers in the ranking."""
    saved = sweep()
    saved.ranking.loc[1, list(values)] = list(values.values())
    return page_of(saved)


def test_a_sweep_says_first_that_nothing_surely_beats_the_reference():
    page = _changed(ratio=1.0036, low=0.99, high=1.02)
    first = "Nothing surely beats none in throughput (operations/s): tpp (used=0.9) seems best, "
    assert page.verdict.startswith(f"{first}1.0036 times none's, but that may be chance (95%")
    assert page.mark == "plain"
    assert "nan" not in _changed(low=float("nan"), high=float("nan")).verdict
    saved = sweep()
    saved.ranking["rank"], saved.ranking["mean"] = 1, 1.0
    assert page_of(saved).verdict.startswith("Nothing tells the policies apart")
    saved.ranking["rank"] = [1, 2, 3]
    assert page_of(saved).verdict.startswith("Nothing beats none in throughput")


def test_several_settings_of_a_sweep_tell_where_nothing_surely_beats_the_reference():
    saved = sweep()
    other = saved.ranking.assign(topology="other", low=0.9, high=1.1)
    both = pd.concat([saved.ranking, other], ignore_index=True)
    told = page_of(replace(saved, ranking=both)).verdict
    assert told.startswith("Nothing surely beats none in 1 of 2 settings. Best throughput")
    both["low"], both["high"] = 1.2, 1.3
    told = page_of(replace(saved, ranking=both)).verdict
    assert told.startswith("Best throughput (operations/s) of 2 settings: tpp (used=0.9) in 2.")


def test_a_sweep_says_why_points_differ():
    saved = sweep()
    runs = saved.runs.assign(thread_cpu=0.02, kswapd_cpu=float("nan"), both_ways_bytes=1 << 20)
    runs.loc[runs.policy == "none", "thread_cpu"] = float("nan")
    page = page_of(replace(saved, runs=runs))
    why = page.sections[1]
    assert why.title == "Why points differ"
    (table,) = why.tables
    assert table.columns[-2:] == ("threads' faults, scans and samples", "overhead in all")
    assert [row[-1][0] for row in table.rows] == ["–", "2\u00a0%", "2\u00a0%"]
    assert {"Local share", "Moved both ways, at most"} <= {chart.title for chart in why.charts}
    labels = why.charts[0].figure["layout"]["yaxis"]["ticktext"]
    assert labels == ["none", "tpp (used=0.9)", "tpp (used=0.99)"]
    (card,) = (r for r in page.reasons if r.title == "Overhead")
    assert card.value == "2\u00a0%" and card.text.endswith("none: – in all.")


def _axis_of_parameter(written, numbers):
    saved = sweep()
    runs = saved.runs.assign(**{"policy.used": written, "policy.used_ratio": numbers})
    (chart,) = page_of(replace(saved, runs=runs)).sections[2].charts
    assert [t["text"] for t in chart.figure["data"]] == [[str(w) for w in written[2:]]]
    return chart.figure["layout"]["xaxis"]


def test_a_parameter_is_written_as_in_the_plan():
    axis = _axis_of_parameter([None] * 2 + ["90 %"] * 2 + ["99 %"] * 2,
                              [float("nan")] * 2 + [0.9] * 2 + [0.99] * 2)  # fmt: skip
    assert axis["title"]["text"] == "policy.used"
    assert (axis["tickvals"], axis["ticktext"]) == ([0.9, 0.99], ["90 %", "99 %"])
    axis = _axis_of_parameter([None] * 2 + ["1 %", "2 %", "95 %", "99 %"],
                              [float("nan")] * 2 + [0.01, 0.02, 0.95, 0.99])  # fmt: skip
    assert axis["title"]["text"] == "policy.used_ratio" and "ticktext" not in axis  # no room


def test_a_gate_says_what_got_worse():
    page = page_of(gate())
    assert (page.verdict, page.mark) == ("2 of 3 numbers got worse than “it's” allows.", "bad")
    assert page.reasons[0].value == "-5.00 %"
    assert "no number" in page.reasons[1].text
    assert page_of(gate(ok=True)).mark == "good"


def test_a_gate_says_why():
    page = page_of(gate())
    (card,) = (r for r in page.reasons if r.title == "tpp: Loaded latency")
    assert (card.value, card.text) == ("150.0\u00a0ns", "In the baseline 120.0\u00a0ns.")
    (table,) = page.sections[2].tables
    row = next(row for row in table.rows if row[1][0] == "Loaded latency")
    assert [text for text, _ in row[2:]] == ["120.0\u00a0ns", "150.0\u00a0ns", "+25.00 %"]


def test_a_gate_says_what_it_was_made_of():
    page = page_of(gate())
    parameters, making = page.sections[-2:]
    titles = [table.title for table in parameters.tables]
    assert titles == ["Experiments", "The suite", "Policy of tpp", "Policy of own"]
    assert ("k", "[1]", "given", "") in [
        tuple(text for text, _ in row) for row in parameters.tables[-1].rows
    ], "a policy that is not installed here tells what it was given"
    told = {row[0][0]: row[1][0] for row in making.tables[0].rows}
    assert (told["numpy"], told["seeds"], told["seeds of the baseline"]) == ("2", "5 to 6", "8")
    assert making.code.endswith("numasim gate suite.yaml --first-seed 5 --json gate.json\n"
                                "numasim report gate.json\n")  # fmt: skip


def test_a_gate_of_an_earlier_version_names_its_files():
    older = ("suite_document", "baseline_file", "made", "baseline_numasim")
    data = {key: value for key, value in gate().data.items() if key not in older}
    data["experiments"] = [{k: v for k, v in one.items() if k != "others"}
                           for one in data["experiments"]]  # fmt: skip
    page = page_of(SavedGate(Path("gate.json"), data))
    words = shlex.split(page.sections[-1].code.splitlines()[0])
    assert words == ["numasim", "gate", "it's", "--first-seed", "5", "--json", "gate.json"]
    given = {**data, "given": "my suites/it's.yaml", "baseline": "b.json"}
    code = page_of(SavedGate(Path("gate.json"), given)).sections[-1].code
    words = shlex.split(code.splitlines()[0])
    assert words[2:5] == ["my suites/it's.yaml", "--baseline", "b.json"]
    assert render.html(page)


# -- from disk -------------------------------------------------------------------------------------


def test_what_lies_in_a_folder_is_found(tmp_path):
    made(rows=11).save(tmp_path / "run")
    out = write_report(tmp_path / "run", tmp_path / "new" / "r.html")
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "g.json").write_text(json.dumps(gate().data))
    assert read_saved(tmp_path / "gate") == read_saved(tmp_path / "gate" / "g.json")


def test_a_comparison_is_read_as_it_was_saved(tmp_path):
    before = comparison()
    before.save(tmp_path)
    for (name, seed), result in before.results.items():
        result.save(tmp_path / "runs" / name / f"seed-{seed}")
    after = read_saved(tmp_path)
    assert (after.policies, after.seeds) == (before.policies, before.seeds)
    assert after.ratios().equals(before.ratios())
    (tmp_path / "runs" / "slow" / "seed-2" / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="seed-2: holds no result"):
        read_saved(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no run, comparison, sweep or gate"),
        ({"x.json": "{"}, "holds no run, comparison, sweep or gate"),
        ({"runs/a/b": ""}, "a comparison that is not finished"),
        ({"comparison.json": "[]"}, "cannot be read"),
        ({"plan.json": "{}"}, "cannot be read"),
        ({"plan.json": '{"points": []}'}, "without a finished run"),
        ({"plan.json": '{"points": []}', "runs/a.parquet": "PAR1"}, "damaged or cut off"),
        ({"g.json": '{"suite": 1, "experiments": [{}], "exit_code": 0}'}, "of another version"),
    ],
)
def test_what_cannot_be_reported_is_told(files, words, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_saved(tmp_path)


def test_files_and_folders_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="is no folder"):
        read_saved(tmp_path / "nowhere")
    (tmp_path / "f.txt").write_text("hello")
    with pytest.raises(ConfigError, match="not what numasim gate --json writes"):
        read_saved(tmp_path / "f.txt")


def test_without_the_library_the_way_out_is_told(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(render, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="--static"):
        render.plotly_js()


def test_pages_need_no_files_but_their_own():
    assert {p.name for p in Path(render.__file__).parent.glob("page.*")} == {
        "page.html", "page.css", "page.js",
    }  # fmt: skip


# -- the command -----------------------------------------------------------------------------------


def test_the_command_writes_beside_what_it_reports(tmp_path):
    made(rows=11).save(tmp_path)
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert (done.exit_code, done.output.strip()) == (0, f"wrote {tmp_path / 'report.html'}")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    (tmp_path / "g.json").write_text(json.dumps(gate().data))
    words = ["report", str(tmp_path / "g.json"), "--static", "-o", str(tmp_path / "g.html")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert "<script" in page and "<script" not in (tmp_path / "g.html").read_text(encoding="utf-8")


def test_the_command_has_no_traceback_for_what_is_nothing(tmp_path):
    done = CliRunner().invoke(app, ["report", str(tmp_path / "nowhere")])
    assert done.exit_code == 2 and not list(tmp_path.iterdir())
