"""From a folder to a verdict: plans, kept runs, and what cannot be simulated."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from numasim.errors import ConfigError
from numasim.validate import validating
from numasim.validate.asked import asked
from numasim.validate.judge import score
from numasim.validate.metrics import Measured
from numasim.validate.observed import of_recording
from numasim.validate.recording import read
from numasim.validate.trial import simulate
from numasim.validate.validating import carry_out, judge, plan
from numasim.validate.verdict import RunVerdict
from tests.unit.validate import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made.head(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def verdict(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return carry_out(plan([folder], seeds=3), 1, out), out


def test_a_simulated_run_has_the_shape_of_the_recorded_one(folder):
    recording = read(folder)
    kernel, ours = of_recording(recording), simulate(recording, 1)
    there, here = kernel.kdamonds[0].watches[0], ours.kdamonds[0].watches[0]
    assert here.t_s[0] == pytest.approx(there.t_s[0], abs=0.3)
    assert len(here) == pytest.approx(len(there), rel=0.2)
    assert here.regions[:, 0].min() == there.regions[:, 0].min()
    assert np.isin(here.rows(0)[:, 0], there.rows(0)[:, 0]).mean() > 0.8
    assert ours.pages.keys() == kernel.pages.keys()
    for key, pages in kernel.pages.items():
        assert ours.pages[key].sum(axis=1) == pytest.approx(pages.sum(axis=1))


def test_a_verdict_names_runs_metrics_and_limits(verdict):
    found, _ = verdict
    (experiment,) = found.experiments
    assert experiment.name == "E1a" and [run.name for run in experiment.runs] == ["E1a/r2"]
    assert experiment.runs[0].seeds == 3 and not found.failed
    data = json.loads(json.dumps(found.to_json()))
    metric = data["experiments"][0]["repeats"][0]["metrics"][1]
    assert metric.keys() >= {"name", "sim", "kernel", "z", "gated", "ok"}
    assert metric["sim"]["1"] <= metric["sim"]["50"] <= metric["sim"]["99"]
    assert data["experiments"][0]["pooled"].keys() >= {"rms", "share", "largest", "limits", "ok"}
    exact = data["experiments"][0]["repeats"][0]["exact"]
    assert {check["of"] for check in exact} == {"kernel", "sim"}
    assert all(check["ok"] for check in exact)


def test_the_same_call_again_simulates_nothing(folder, verdict, monkeypatch):
    found, out = verdict

    def never(*_):
        raise AssertionError

    monkeypatch.setattr("numasim.validate.trial.run_scenario", never)
    loaded = []
    again = carry_out(plan([folder], seeds=3), 1, out, lambda o, *_: loaded.append(o.loaded))
    assert loaded == [True] * 3
    assert again.to_json() == found.to_json()


def test_what_was_kept_is_read_as_it_was_seen(folder, verdict):
    _, out = verdict
    recording = read(folder)
    (trial, *_) = plan([folder], seeds=3).trials(out)
    kept, fresh = trial.seen(recording), simulate(recording, 1)
    for name in ("t_s", "index", "first", "regions"):
        mine = getattr(kept.kdamonds[0].watches[0], name)
        assert (mine == getattr(fresh.kdamonds[0].watches[0], name)).all()
    assert kept.kdamonds[0].context == asked(recording)[0]
    other = replace(trial, seed=2)
    assert other.seen(recording) is None, "a run of another seed is not this one"


def test_a_failed_run_is_told_and_fails_the_gate(folder, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("memory is full")

    monkeypatch.setattr("numasim.validate.trial.run_scenario", broken)
    found = carry_out(plan([folder], seeds=3), 1, tmp_path)
    assert len(found.failed) == 3 and not found.ok
    assert "memory is full" in found.to_json()["failed"][0]["error"]


def test_recordings_without_truth_are_listed_not_dropped(tmp_path):
    whole, bare = made.head(tmp_path / "a"), made.head(tmp_path / "b", "E1b/r2")
    (bare / "truth.csv").unlink()
    found = plan([whole, bare], seeds=3)
    assert [r.name for r in found.recordings] == ["E1a/r2"]
    assert list(found.not_simulated) == ["E1b/r2"]
    assert "truth" in found.not_simulated["E1b/r2"]


def test_what_is_not_modelled_is_listed_with_the_reason(folder, monkeypatch):
    def refuse(*_):
        raise ConfigError("numa_balancing: is not simulated")

    monkeypatch.setattr(validating, "guest", refuse)
    found = plan([folder], seeds=3)
    assert not found.recordings and "numa_balancing" in found.not_simulated["E1a/r2"]
    assert carry_out(found, 1).ok, "nothing failed"


@pytest.mark.parametrize("mode", ["2", "0"])
def test_runs_under_numa_balancing_are_judged(tmp_path, mode):
    path = made.head(tmp_path) / "config.json"
    config = json.loads(path.read_text())
    config["commands_and_events"].append(
        {"path": "/proc/sys/kernel/numa_balancing", "val": mode, "ev": "write", "t_end": 1.0}
    )
    path.write_text(json.dumps(config))
    found = plan([tmp_path], seeds=3)
    assert found.recordings and not found.not_simulated


def test_only_some_experiments(tmp_path):
    made.head(tmp_path), made.head(tmp_path, "E1b/r2")
    assert [r.name for r in plan([tmp_path], 3, ["E1b"]).recordings] == ["E1b/r2"]
    assert [r.name for r in plan([tmp_path], 3, ["E1a/r2"]).recordings] == ["E1a/r2"]
    with pytest.raises(ConfigError, match="E9") as error:
        plan([tmp_path], 3, ["E9"])
    assert "E1a, E1b" in str(error.value)


def test_mistakes_come_all_at_once(tmp_path):
    broken = made.head(tmp_path)
    (broken / "timeline.csv").unlink()
    with pytest.raises(ConfigError) as error:
        plan([broken], seeds=1)
    assert "timeline.csv" in str(error.value) and "seeds" in str(error.value)


def test_two_folders_of_one_name_are_kept_apart(tmp_path):
    found = plan([made.head(tmp_path / "a"), made.head(tmp_path / "b")], seeds=3)
    names = list(found.names.values())
    assert names == ["E1a/r2", "E1a/r2 (2)"]
    kept = {trial.kept for trial in found.trials(tmp_path)}
    assert len(kept) == 6


def test_a_broken_exact_rule_fails_an_experiment_that_passes_otherwise():
    rng = np.random.default_rng(1)
    sims = [{"m": Measured("m", float(v))} for v in rng.standard_normal(20)]
    scores = score({"m": Measured("m", 0.1)}, sims)
    rule = validating.Check("cuts", 10, 0, [])
    good = RunVerdict("E/r1", "E", scores, (rule,), (), 20)
    assert judge([good], 20, {}, {}).ok
    bad = replace(good, exact_simulated=(replace(rule, wrong=1),))
    assert not judge([bad], 20, {}, {}).ok
