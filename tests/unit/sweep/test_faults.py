"""Processes are really killed and a disk is really full; what was finished is there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from numasim.errors import NumasimError
from numasim.sweep import read_plan, read_runs, sweep
from numasim.sweep.lanes import Lanes
from numasim.sweep.tasking import tasks_of
from numasim.sweep.workers import preparation
from tests.unit.sweep.plans import contents, write_python, write_yaml
from tests.unit.sweep.plans import plan as plan_data

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
PATIENCE_S = 120.0


def start(plan: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "numasim", "sweep", str(plan), "--out", str(out), *more]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def rows(out: Path) -> list[Path]:
    return [p for p in out.glob("runs/*/*/*/*.parquet") if not p.name.startswith(".")]


def children(pid: int) -> list[int]:
    """Workers of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_kill_9_of_the_driver_loses_no_finished_run(tmp_path: Path) -> None:
    plan, out = write_yaml(tmp_path, seeds=20), tmp_path / "out"
    driver = start(plan, out, "--workers", "2")
    until(lambda: len(rows(out)) >= 5)
    workers = children(driver.pid)
    assert len(workers) == 2
    driver.kill()
    driver.communicate()
    until(lambda: not any(map(alive, workers)))
    before = contents(out)
    assert 5 <= len(before) < 40
    assert len(pd.read_parquet(out / "runs")) == len(before)  # every one of them is whole
    assert not any(p.name.endswith(".parquet") for p in out.rglob(".*")), "half a file has a name"
    again = start(plan, out, "--workers", "2", "--json", "-")
    text, _ = again.communicate(timeout=PATIENCE_S)
    found = json.loads(text)
    assert (again.returncode, found["finished"], found["loaded"]) == (0, 40, len(before))
    after = contents(out)
    assert all(after[name] == data for name, data in before.items())
    serial = tmp_path / "serial"
    sweep(read_plan(plan), serial, here=True)
    assert contents(serial) == after


@pytest.mark.slow
def test_kill_9_of_a_worker_loses_nothing(tmp_path: Path) -> None:
    plan, out = write_yaml(tmp_path, seeds=15), tmp_path / "out"
    driver = start(plan, out, "--workers", "2", "--json", "-")
    killed = 0
    for enough in (2, 10, 18):
        until(lambda n=enough: len(rows(out)) >= n)  # type: ignore[misc]
        for worker in children(driver.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
    text, _ = driver.communicate(timeout=PATIENCE_S)
    assert killed == 3 and driver.returncode == 0
    assert json.loads(text)["finished"] == 30 == len(read_runs(out))


@pytest.mark.slow
def test_runs_that_hang_eat_or_die_are_bounded(tmp_path: Path) -> None:
    policies = [
        "no_tiering", "raises", "hangs", "eats", "dies",
        {"kind": "dies", "name": "dies_once", "flag": str(tmp_path / "died")},
    ]  # fmt: skip
    plan = write_python(
        tmp_path, policies=policies, seeds=1, limits={"time": "5 s", "memory": "300 MiB"}
    )
    found = sweep(read_plan(plan), tmp_path / "out", workers=2)
    how = {
        str(task.labels["policy"]): found.failed[task.key].how
        for task in found.tasks
        if task.key in found.failed
    }
    assert how == {"raises": "error", "hangs": "time", "eats": "memory", "dies": "killed"}
    assert set(found.runs().policy) == {"no_tiering", "dies_once"}
    errors = {d.how: d.error for d in found.failed.values()}
    assert "ZeroDivisionError: on purpose" in errors["error"]
    assert "ended after 5." in errors["time"] and "SIGKILL" in errors["killed"]
    assert {p.stem for p in (tmp_path / "out/failed").iterdir()} == set(found.failed)


@pytest.mark.slow
def test_what_a_run_leaves_behind_is_not_counted_against_the_next(tmp_path: Path) -> None:
    plan = write_python(tmp_path, policies=["litters"], seeds=12, limits={"memory": "250 MiB"})
    found = sweep(read_plan(plan), tmp_path / "out", workers=1)
    assert len(found.metrics) == 12


@pytest.mark.slow
def test_a_worker_killed_while_it_starts_is_started_again() -> None:
    made = read_plan(plan_data(seeds=1))
    lanes = Lanes(preparation(made, 1), 1, 60.0)
    os.kill(lanes._lanes[0].pid, signal.SIGKILL)
    found = list(lanes.results(tasks_of(made, "code"), lambda task: None))
    lanes.close()
    assert [done.ok for done in found] == [True, True]


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused() -> None:
    """As if a file had been edited since the sweep began."""
    made = read_plan(plan_data(seeds=1))
    lanes = Lanes(replace(preparation(made, 1), code="of yesterday"), 1, 60.0)
    with pytest.raises(NumasimError, match="has other code or packages than the sweep began with"):
        list(lanes.results(tasks_of(made, "code"), lambda task: None))
    lanes.close()


FULL = """
set -e
mount -t tmpfs -o size=$SMALL tmpfs "$OUT"
set +e
"$PYTHON" -m numasim sweep "$PLAN" --out "$OUT" --workers 2 >"$LOG.1" 2>&1
echo $? >"$LOG.code1"
cp -r "$OUT" "$LOG.first"
mount -o remount,size=64m "$OUT"
"$PYTHON" -m numasim sweep "$PLAN" --out "$OUT" --workers 2 --json "$LOG.json" >"$LOG.2" 2>&1
echo $? >"$LOG.code2"
cp -r "$OUT" "$LOG.second"
"""


def can_mount() -> bool:
    """Whether a small file system of one's own can be had here."""
    if shutil.which("unshare") is None:
        return False
    script = 'mount -t tmpfs -o size=1m tmpfs "$(mktemp -d)"'
    return (
        subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True).returncode == 0
    )


@pytest.mark.slow
def test_a_full_disk_loses_no_finished_run(tmp_path: Path) -> None:
    """A file system of some 20 runs, where 40 are asked for; then room is made."""
    if not can_mount():
        pytest.skip("needs a user namespace in which to mount a small tmpfs")
    plan, out, log = write_yaml(tmp_path, seeds=20), tmp_path / "out", tmp_path / "log"
    out.mkdir()
    environment = {
        **ENVIRONMENT, "SMALL": "220k", "OUT": str(out), "PLAN": str(plan), "LOG": str(log),
        "PYTHON": sys.executable,
    }  # fmt: skip
    subprocess.run(["unshare", "-rm", "sh", "-c", FULL], env=environment, check=True)
    said = Path(f"{log}.1").read_text()
    assert Path(f"{log}.code1").read_text().strip() == "1", said
    assert "No space left on device" in said and "the same command goes on" in said
    first = contents(Path(f"{log}.first"))
    assert 5 <= len(first) < 40
    assert len(pd.read_parquet(f"{log}.first/runs")) == len(first)
    assert Path(f"{log}.code2").read_text().strip() == "0", Path(f"{log}.2").read_text()
    found = json.loads(Path(f"{log}.json").read_text())
    assert (found["finished"], found["loaded"]) == (40, len(first))
    second = contents(Path(f"{log}.second"))
    assert all(second[name] == data for name, data in first.items())
