"""Sweeps: the same bytes wherever, nothing twice, and every failure told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from numasim.errors import ConfigError
from numasim.gate.suite import read_suite
from numasim.sweep import Sweep, read_plan, read_runs, sweep, workers
from numasim.sweep.code import fingerprint
from numasim.sweep.store import Store
from numasim.sweep.sweeping import Progress
from numasim.sweep.tasking import tasks_of
from tests.unit.sweep.plans import contents, plan, told, write_python

KEEP = ["actors", "schemes"]


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two policies and two seeds, in this process."""
    out = tmp_path_factory.mktemp("serial")
    return sweep(read_plan(plan(keep=KEEP)), out, here=True)


def test_processes_leave_the_same_bytes(serial: Sweep, tmp_path: Path) -> None:
    assert serial.folder is not None
    sweep(read_plan(plan(keep=KEEP)), tmp_path, workers=2)
    here, there = contents(serial.folder), contents(tmp_path)
    assert len(here) == 4 + 4 + 2  # rows, actors of all, schemes of those that have any
    assert here == there


def test_pandas_opens_it_in_a_line(serial: Sweep) -> None:
    table = pd.read_parquet(f"{serial.folder}/runs")
    assert len(table) == 4 and set(table.policy) == {"stay", "tier"}
    assert table.throughput_ops_per_s.nunique() == 3  # chance plays a part in one of them
    mine = serial.runs().set_index("run").throughput_ops_per_s
    assert (table.set_index("run").throughput_ops_per_s[mine.index] == mine).all()
    actors = pd.read_parquet(f"{serial.folder}/tables/actors")
    assert {"run", "seed", "policy", "t_s", "local_share"} <= set(actors)
    assert actors.groupby("run").ngroups == 4


def test_nothing_is_done_twice(serial: Sweep) -> None:
    assert serial.folder is not None
    before = contents(serial.folder)
    seen: list[Progress] = []
    again = sweep(
        read_plan(plan(keep=KEEP)), serial.folder, here=True,
        on_progress=lambda now, task, done: seen.append(now),
    )  # fmt: skip
    assert again.loaded == 4 and told(again.metrics) == told(serial.metrics)
    assert contents(serial.folder) == before
    assert seen[-1].left == 0 and seen[-1].done == 0


def test_what_a_plan_no_longer_asks_for_is_kept_aside(tmp_path: Path) -> None:
    both = read_plan(plan(keep=KEEP))
    one = read_plan(plan(policies={"stay": "no_tiering"}, seeds=[2], keep=KEEP))
    first = sweep(both, tmp_path, here=True)
    small = sweep(one, tmp_path, here=True)
    assert small.loaded == 1 and len(read_runs(tmp_path)) == 1
    assert len(list((tmp_path / "earlier/runs").rglob("*.parquet"))) == 3
    assert len(list((tmp_path / "earlier/tables").rglob("*.parquet"))) == 3 + 2
    assert len(pd.read_parquet(tmp_path / "tables/actors").run.unique()) == 1
    before = contents(tmp_path)
    back = sweep(both, tmp_path, here=True)
    assert before.items() <= contents(tmp_path).items()
    assert back.loaded == 4 and told(back.metrics) == told(first.metrics)
    assert not list((tmp_path / "earlier").rglob("*.parquet"))


def test_a_new_parameter_gets_its_column_in_old_runs(tmp_path: Path) -> None:
    sweep(read_plan(plan(seeds=1)), tmp_path, here=True)
    wider = read_plan(plan(seeds=1, parameters={"policy.quota": ["4 MiB", "2 MiB"]}))
    assert sweep(wider, tmp_path, here=True).loaded == 2  # stay, and the quota it had anyway
    table = read_runs(tmp_path)
    assert sorted(table["policy.quota_bytes"].dropna()) == [2 << 20, 4 << 20]
    assert table["policy.quota"].isna().sum() == 1


def test_other_code_or_another_scenario_runs_anew() -> None:
    made = read_plan(plan(seeds=1))
    keys = {task.key for task in tasks_of(made, "one")}
    assert keys.isdisjoint(task.key for task in tasks_of(made, "other"))
    longer = read_plan(plan(seeds=1, duration="2 s"))
    assert keys.isdisjoint(task.key for task in tasks_of(longer, "one"))
    assert keys == {task.key for task in tasks_of(read_plan(plan(seeds=1)), "one")}


def test_recordings_count_by_what_is_in_them(tmp_path: Path) -> None:
    """A plan finds them beside its workload; another recording makes other runs."""
    tiny, folder = Path(__file__).parents[2] / "data/traces", tmp_path / "one"
    folder.mkdir()
    for kind in ("json", "npz"):
        shutil.copy(tiny / f"tiny.{kind}", folder)
    access = [{"pattern": "trace", "mapping": "m", "file": "tiny.json"}]
    actor = {"name": "main", "phases": [{"compute": 0, "pace": "1000 /s", "access": access}]}
    process = {"name": "app", "mappings": [{"name": "m", "size": "8 MiB"}], "actors": [actor]}
    (folder / "w.yaml").write_text(json.dumps({"name": "w", "processes": [process]}))
    data = plan(workload="w.yaml", policies={"stay": "no_tiering"}, seeds=1, duration="50 ms")
    (folder / "plan.yaml").write_text(json.dumps(data))

    def content(of: Path) -> tuple[str, str]:
        (task,) = tasks_of(read_plan(of / "plan.yaml"), "code")
        gated = {k: v for k, v in data.items() if k not in ("policies", "workload", "seeds")}
        entry = {"name": "x", "workload": "w.yaml", "policy": "no_tiering"}
        metrics = {"throughput_ops_per_s": "1 %"}
        (of / "suite.yaml").write_text(
            json.dumps({**gated, "metrics": metrics, "experiments": [entry]})
        )
        return task.content, read_suite(of / "suite.yaml").experiments[0].content()

    run, gate = content(folder)
    elsewhere = shutil.copytree(folder, tmp_path / "two")
    assert content(elsewhere)[1] == gate  # a baseline is good on every machine
    header = json.loads((folder / "tiny.json").read_text())
    (folder / "tiny.json").write_text(json.dumps(header, indent=3))
    assert run != content(folder)[0] and gate != content(folder)[1]


def test_an_edit_of_the_simulator_is_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    here = fingerprint()
    assert fingerprint() == here
    real = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda p: real(p) + (b"#" if p.name == "engine.py" else b"")
    )
    assert fingerprint() != here
    monkeypatch.setattr(
        Path, "read_bytes", lambda p: real(p) + (b"#" if "report" in p.parts else b"")
    )
    assert fingerprint() == here


def test_a_run_says_how_to_make_it_again(serial: Sweep) -> None:
    from numasim.loader import load_scenario
    from numasim.running import run_scenario
    from numasim.sweep.store import read_row

    assert serial.folder is not None
    path = sorted((serial.folder / "runs").rglob("*.parquet"))[-1]
    about, metrics = read_row(path)
    again = run_scenario(load_scenario(about["scenario"])).summary()
    assert pd.Series(again).equals(pd.Series(metrics))


def test_failures_are_recorded_and_stop_nobody(tmp_path: Path) -> None:
    path = write_python(tmp_path, policies=["no_tiering", "raises"])
    found = sweep(read_plan(path), tmp_path / "out", here=True)
    assert len(found.metrics) == 2 and len(found.failed) == 2
    assert all("ZeroDivisionError: on purpose" in d.error for d in found.failed.values())
    (record, _) = (tmp_path / "out/failed").glob("*.json")
    assert json.loads(record.read_text())["policy"] == "raises"
    again = sweep(read_plan(path), tmp_path / "out", here=True)
    assert again.failed.keys() == found.failed.keys() and again.loaded == 2
    started: list[str] = []
    sweep(
        read_plan(path), tmp_path / "out", here=True, retry_failed=True,
        on_progress=lambda now, task, done: started.append(task.key) if task and not done else None,
    )  # fmt: skip
    assert set(started) == set(found.failed)


def test_a_folder_has_one_sweep_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ConfigError, match="another sweep is at work here"):
        sweep(read_plan(plan()), tmp_path, here=True)
    store.close()


def test_remains_of_a_killed_write_are_taken_away(tmp_path: Path) -> None:
    Store(tmp_path).close()
    rest = tmp_path / "runs/topology=x/.abc.parquet.99.part"
    rest.parent.mkdir(parents=True)
    rest.write_bytes(b"half")
    other = tmp_path / "mine/.film.part"
    other.parent.mkdir()
    other.write_bytes(b"of somebody else")
    Store(tmp_path).close()
    assert not rest.exists() and other.exists()


def test_runs_of_something_else_are_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / "runs/policy/seed-1/nodes.parquet"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"of a comparison")
    with pytest.raises(ConfigError, match="holds runs that are no sweep's"):
        sweep(read_plan(plan()), tmp_path, here=True)
    assert mine.exists()


def test_damaged_runs_are_done_again(serial: Sweep, tmp_path: Path) -> None:
    """A row cut off, a row that is something else, a table cut off."""
    assert serial.folder is not None
    copy = shutil.copytree(serial.folder, tmp_path / "copy")
    before = contents(copy)
    rows = sorted((copy / "runs").rglob("*.parquet"))
    rows[0].write_bytes(rows[0].read_bytes()[:-100])
    rows[1].write_bytes(b"PAR1 what is this PAR1")
    (table,) = (copy / "tables/actors").rglob(rows[2].name)
    table.write_bytes(table.read_bytes()[:50])
    again = sweep(read_plan(plan(keep=KEEP)), copy, here=True)
    assert (again.loaded, again.damaged) == (1, 3)
    assert contents(copy) == before


def test_the_folder_alone_makes_it_again(tmp_path: Path) -> None:
    """Whatever files the plan named: they are gone, and so is the plan."""
    source = tmp_path / "source"
    source.mkdir()
    for part in ("topology", "workload"):
        (source / f"{part}.yaml").write_text(json.dumps(plan()[part]), encoding="utf-8")
    data = plan(topology="topology.yaml", workload="workload.yaml", parameters={"quota": ["2 MiB"]})
    (source / "plan.yaml").write_text(json.dumps(data), encoding="utf-8")
    first = sweep(read_plan(source / "plan.yaml"), tmp_path / "one", here=True)
    assert (tmp_path / "one/plan.yaml").read_text() == (source / "plan.yaml").read_text()
    shutil.rmtree(source)
    for name in ("one", "one/plan.json"):
        made = read_plan(tmp_path / name)
        assert sweep(made, tmp_path / "one", here=True).loaded == len(first.tasks) == 4
    sweep(made, tmp_path / "two", here=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_folder_with_a_plan_in_python_too(tmp_path: Path) -> None:
    path = write_python(tmp_path, policies=["no_tiering", {"kind": "dies", "name": "lives"}])
    path.write_text(path.read_text().replace("os.kill(", "(lambda *a: None)("), encoding="utf-8")
    first = sweep(read_plan(path), tmp_path / "one", here=True)
    assert len(first.metrics) == 4
    path.unlink()
    assert sweep(read_plan(tmp_path / "one"), tmp_path / "one", here=True).loaded == 4


def test_no_plan_of_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder of a sweep"):
        read_plan(tmp_path)
    (tmp_path / "plan.json").write_text('{"name": "x", "points": []}')
    with pytest.raises(ConfigError, match="is no plan of a sweep"):
        read_plan(tmp_path)


def test_a_worker_that_sees_another_folder_sends_its_files(tmp_path: Path) -> None:
    from dataclasses import replace

    from numasim.sweep.task import perform

    store = Store(tmp_path)
    task = tasks_of(read_plan(plan(seeds=1)), "code", store)[0]
    done = perform(replace(task, mark="of another folder of that name"))
    assert list(done.files) and not (tmp_path / "runs").exists()
    store.add(task, done)
    assert len(read_runs(tmp_path)) == 1
    store.close()


def test_a_container_has_the_memory_that_it_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(workers, "CONFINED", (limit, tmp_path / "none"))
    limit.write_text("max\n")
    whole = workers.preparation(read_plan(plan()), 2).memory_bytes
    limit.write_text(f"{1 << 30}\n")
    assert workers.preparation(read_plan(plan()), 2).memory_bytes == int(0.9 * (1 << 30) / 2)
    assert whole > 1 << 30


def test_progress_estimates_the_rest() -> None:
    now = Progress(total=10, workers=2, loaded=2)
    assert now.left == 8 and now.rest_s != now.rest_s
    now.done, now.seconds = 4, 8.0
    assert now.rest_s == 4.0
