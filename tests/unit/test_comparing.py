"""Comparisons: the same whatever the workers, resumable, and honest about what failed."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import numasim as ns
from numasim import pool
from numasim.comparing import RunsFailed, plan, seeds_of
from numasim.documents import Document
from numasim.errors import ConfigError, SimulationError
from tests import worlds

DATA = Path(__file__).parents[1] / "data"
POLICIES = ["no_tiering", str(DATA / "tiny_policy.yaml")]
TINY: dict[str, Any] = {
    "topology": str(DATA / "tiny_machine.yaml"),
    "workload": str(DATA / "tiny_workload.yaml"),
    "duration": "3 s",
}


def tiny(**more: Any) -> ns.Comparison:
    return ns.compare(**{**TINY, "policies": POLICIES, "seeds": 2, "workers": 1, **more})


@pytest.fixture(scope="module")
def serial() -> ns.Comparison:
    return tiny()


def test_any_number_of_workers_gives_the_same_bits(serial: ns.Comparison) -> None:
    parallel = tiny(workers=2)
    pd.testing.assert_frame_equal(serial.values(), parallel.values(), check_exact=True)
    for key, result in serial.results.items():
        for name, table in result.tables.items():
            other = parallel.results[key].tables[name]
            pd.testing.assert_frame_equal(table, other, check_exact=True)


def test_tables(serial: ns.Comparison) -> None:
    assert serial.policies == ("no_tiering", "tiny_policy")
    assert serial.seeds == (1, 2)
    assert len(serial.results) == 4
    table = serial.table()
    assert list(table.columns) == ["policy", "metric", "mean", "low", "high", "n"]
    assert len(table) == 2 * len(serial.metrics)
    row = table[(table.policy == "tiny_policy") & (table.metric == "local_share")].iloc[0]
    assert row["mean"] == pytest.approx(sum(serial.per_seed("tiny_policy", "local_share")) / 2)
    ratios = serial.ratios()
    assert (ratios[ratios.policy == "no_tiering"].ratio.dropna() == 1).all()


def test_json_is_complete_and_strict(serial: ns.Comparison) -> None:
    document = json.loads(json.dumps(serial.to_json(), allow_nan=False))
    assert document["baseline"] == "no_tiering"
    assert document["interval"] == {"level": 0.95, "method": "student t"}
    policy = document["policies"]["tiny_policy"]
    speed = policy["metrics"]["throughput_ops_per_s"]
    assert speed["values"] == serial.per_seed("tiny_policy", "throughput_ops_per_s")
    assert policy["ratios"]["throughput_ops_per_s"]["n"] == 2
    # nothing to monitor without kdamonds
    assert document["policies"]["no_tiering"]["metrics"]["emd"]["mean"] is None


def test_files(serial: ns.Comparison, tmp_path: Path) -> None:
    files = serial.save(tmp_path)
    assert sorted(f.name for f in files) == [
        "comparison.csv", "comparison.json", "comparison.parquet", "seeds.csv"
    ]  # fmt: skip
    table = pd.read_parquet(tmp_path / "comparison.parquet")
    assert {"mean", "low", "high", "ratio", "ratio_low", "ratio_high", "n"} <= set(table)
    assert len(table) == len(serial.table())


def test_an_interrupted_comparison_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serial: ns.Comparison
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(out=tmp_path, on_progress=interrupt)
    assert len(list(tmp_path.glob("runs/*/seed-*/manifest.json"))) == 3
    ran = []
    real = pool.run_scenario
    monkeypatch.setattr(pool, "run_scenario", lambda s: ran.append(s.seed) or real(s))
    resumed = tiny(out=tmp_path)
    assert ran == [2]
    pd.testing.assert_frame_equal(resumed.values(), serial.values(), check_exact=True)
    tiny(out=tmp_path, duration="2 s")  # another scenario is run anew
    assert len(ran) == 5


def test_a_result_of_other_versions_is_not_taken(tmp_path: Path) -> None:
    task = plan(Document(dict(TINY)), ["no_tiering"], 1).tasks(tmp_path)[0]
    assert pool.do(task).loaded is False
    assert pool.do(task).loaded is True
    manifest = task.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"numpy": "', '"numpy": "0.'))
    assert pool.do(task).loaded is False


def test_interrupt_ends_workers() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        tiny(workers=2, seeds=3, on_progress=interrupt)
    # the pool's own thread waits for the same children: which of us is told first is open
    deadline = time.monotonic() + 60
    while set(multiprocessing.active_children()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(multiprocessing.active_children()) <= before


def test_failures_are_told_and_the_others_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pool.run_scenario

    def sometimes(scenario: ns.Scenario) -> ns.Result:
        if scenario.seed == 2 and scenario.policy_name == "tiny_policy":
            raise SimulationError("out of memory", 1_500_000_000, "allocator")
        if scenario.seed == 3 and scenario.policy_name == "tiny_policy":
            raise ZeroDivisionError
        return real(scenario)

    monkeypatch.setattr(pool, "run_scenario", sometimes)
    with pytest.raises(RunsFailed) as caught:
        tiny(seeds=3)
    error = caught.value
    assert "2 of 6 runs failed" in str(error)
    assert "tiny_policy, seed 2: at 1.500 s: allocator: out of memory" in str(error)
    assert "ZeroDivisionError" in str(error)
    assert error.comparison is not None and error.comparison.seeds == (1,)


def test_a_worker_that_dies_is_a_failure() -> None:
    task = plan(Document(dict(TINY)), ["no_tiering"], 1).tasks(None)[0]
    future: Future[pool.Outcome] = Future()
    future.set_exception(BrokenProcessPool())
    assert "memory" in pool._outcome(future, task).error


def test_a_script_without_main_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numasim as ns\n"
        "print('once')\n"
        f"c = ns.compare(**{TINY!r}, policies={POLICIES!r}, seeds=1, workers=2)\n"
        "print(len(c.results))\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split() == ["once", "2"], done.stderr
    assert done.stderr == ""


def test_names_stay_apart() -> None:
    document = Document(dict(TINY))
    found = plan(document, ["tpp_damon", {"kind": "tpp_damon", "hot": "10 %"}], 1)
    assert list(found.scenarios) == ["tpp_damon", "tpp_damon (2)"]
    folders = [task.folder for task in found.tasks(Path("x"))]
    assert folders[0] != folders[1]
    named = plan(document, {"a/b": "no_tiering", "a b": "no_tiering"}, 1)
    assert len({task.folder for task in named.tasks(Path("x"))}) == 2


def test_settings_go_to_the_policies_that_have_them() -> None:
    found = plan(Document(dict(TINY)), ["no_tiering", "tpp_damon"], 1, ["policy.hot=0.5"])
    assert found.scenarios["tpp_damon"].policy.hot == 0.5  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="hott"):
        plan(Document(dict(TINY)), ["no_tiering", "tpp_damon"], 1, ["policy.hott=0.5"])


def test_every_mistake_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        ns.compare(
            **{**TINY, "duration": "3"}, policies=["no_tiring", "tpp_damn"], seeds=0, workers=1
        )
    text = str(caught.value)
    for word in ("duration", "no_tiring", "tpp_damn", "seeds"):
        assert word in text
    assert text.count("duration:") == 1


@pytest.mark.parametrize("bad", [2**70, 0, -1, [], [1, 1], [-1], [1.5], "5", True, None])
def test_bad_seeds(bad: Any) -> None:
    with pytest.raises(ConfigError):
        seeds_of(bad)


def test_good_seeds() -> None:
    assert seeds_of(3) == (1, 2, 3)
    assert seeds_of([7, 0]) == (7, 0)


def test_no_policy_and_no_workers() -> None:
    with pytest.raises(ConfigError, match="policies"):
        ns.compare(**TINY)
    with pytest.raises(ConfigError, match="workers"):
        tiny(workers=0)


def test_a_scenario_says_all() -> None:
    scenario = {**TINY, "duration": "2 s", "policies": ["no_tiering"], "seeds": [4]}
    found = ns.compare(scenario=scenario, workers=1)
    assert list(found.results) == [("no_tiering", 4)]
    assert math.isnan(found.mean("no_tiering", "throughput_ops_per_s").low)


def test_the_distance_to_an_oracle_is_told_where_there_is_one():
    policies = [
        "no_tiering",
        {"kind": "oracle", "cost": "real"},
        {"name": "free", "kind": "oracle"},
    ]
    document = worlds.document(seeds=[1, 2])
    found = ns.compare(scenario=document, policies=policies, workers=1)
    assert found.oracle == "free"
    speeds = {p: found.per_seed(p, "throughput_ops_per_s") for p in found.policies}
    ratios = [a / b for a, b in zip(speeds["no_tiering"], speeds["free"], strict=True)]
    assert found.distance("no_tiering").mean == pytest.approx(1 - math.sqrt(ratios[0] * ratios[1]))
    far = found.distances().set_index("policy").distance
    assert far["free"] == 0 and 0 < far["oracle"] < 0.05 < far["no_tiering"]
    told = found.to_json()["policies"]["no_tiering"]["distance_to_oracle"]
    assert told["low"] <= told["share"] == far["no_tiering"] <= told["high"]


def test_without_an_oracle_there_is_no_distance():
    found = ns.compare(scenario=worlds.document(seeds=[1]), policies=["no_tiering"], workers=1)
    assert found.oracle is None and found.distances().empty
    assert math.isnan(found.distance("no_tiering").mean)
    assert "distance_to_oracle" not in found.to_json()["policies"]["no_tiering"]
