"""A real Dask scheduler with workers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from numasim.errors import ConfigError, NumasimError
from numasim.sweep import read_plan, read_runs, sweep
from numasim.sweep.sweeping import Progress
from tests.unit.sweep.plans import contents, plan, write_python

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Dask's sockets, closed when it ends
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
ROOT = Path(__file__).parents[3]
START_S = 90.0


def dask(*words: str, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
    return subprocess.Popen(
        command, env=environment, stdout=log.open("wb"), stderr=subprocess.STDOUT, cwd=log.parent
    )


def started(folder: Path, workers: int) -> tuple[str, list[subprocess.Popen[bytes]]]:
    """Address of a scheduler, and the processes: it, and workers below nannies."""
    file = folder / "scheduler.json"
    arguments = ["--scheduler-file", str(file), "--no-dashboard"]
    found = [dask("scheduler", *arguments, "--port", "0", log=folder / "scheduler.log")]
    worker = [*arguments, "--nthreads", "1", "--memory-limit", "0"]
    found += [dask("worker", *worker, log=folder / f"worker{i}.log") for i in range(workers)]
    from distributed import Client

    end = time.monotonic() + START_S
    while not file.exists() or not file.read_text():
        assert time.monotonic() < end, (folder / "scheduler.log").read_text()
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=START_S)
    return address, found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[int]]]:
    """Address of a scheduler with two workers below nannies, and the nannies' pids."""
    address, processes = started(tmp_path_factory.mktemp("dask"), 2)
    yield address, [process.pid for process in processes[1:]]
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.wait()


def test_a_scheduler_that_dies_is_told_and_nothing_is_called_failed(tmp_path: Path) -> None:
    address, processes = started(tmp_path, 1)
    made, out = read_plan(plan(seeds=20)), tmp_path / "out"

    def kill(now: Progress, task: object, done: object) -> None:
        if now.done == 3:
            processes[0].kill()

    with pytest.raises(NumasimError, match=r"is gone .* the same command goes on"):
        sweep(made, out, scheduler=address, on_progress=kill)
    for process in processes:
        process.kill()
        process.wait()
    assert not list((out / "failed").glob("*"))
    again = sweep(made, out, here=True)
    assert again.loaded >= 3 and len(again.metrics) == 40


def test_a_cluster_leaves_the_same_bytes(cluster: tuple[str, list[int]], tmp_path: Path) -> None:
    made = read_plan(plan(keep=["actors"]))
    sweep(made, tmp_path / "dask", scheduler=cluster[0])
    sweep(made, tmp_path / "serial", here=True)
    sweep(made, tmp_path / "parallel", workers=2)
    here = contents(tmp_path / "serial")
    assert len(here) == 8
    assert contents(tmp_path / "dask") == here == contents(tmp_path / "parallel")
    assert sweep(made, tmp_path / "dask", scheduler=cluster[0]).loaded == 4


def test_workers_that_do_not_see_the_folder_send_their_runs(
    cluster: tuple[str, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from numasim.sweep import sweeping

    real = sweeping.tasks_of
    blind = lambda *a: [replace(task, mark="elsewhere") for task in real(*a)]  # noqa: E731
    monkeypatch.setattr(sweeping, "tasks_of", blind)
    sweep(read_plan(plan(seeds=1)), tmp_path / "dask", scheduler=cluster[0])
    monkeypatch.undo()
    sweep(read_plan(plan(seeds=1)), tmp_path / "serial", here=True)
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")


def test_bad_runs_and_policies_of_the_plan(cluster: tuple[str, list[int]], tmp_path: Path) -> None:
    """They are bounded there too, and the workers live on."""
    path = write_python(
        tmp_path, policies=["no_tiering", "raises", "hangs", "dies"], seeds=1,
        limits={"time": "15 s", "memory": "300 MiB"},
    )  # fmt: skip
    found = sweep(read_plan(path), tmp_path / "out", scheduler=cluster[0])
    assert sorted(done.how for done in found.failed.values()) == ["error", "killed", "time"]
    assert len(found.metrics) == 1


def test_a_killed_worker_of_the_cluster_loses_nothing(
    cluster: tuple[str, list[int]], tmp_path: Path
) -> None:
    from tests.unit.sweep.test_faults import children

    killed: list[int] = []

    def kill(now: object, task: object, done: object) -> None:
        if done is not None and len(killed) < 2:
            for worker in children(cluster[1][len(killed)]):
                os.kill(worker, signal.SIGKILL)
            killed.append(1)

    found = sweep(read_plan(plan(seeds=10)), tmp_path, scheduler=cluster[0], on_progress=kill)  # type: ignore[arg-type]
    assert killed == [1, 1] and len(found.metrics) == 20 == len(read_runs(tmp_path))


def test_other_code_on_a_worker_is_refused(
    cluster: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from numasim.sweep import cluster as module

    monkeypatch.setattr(module, "own_code", lambda: str(os.getpid()))
    with pytest.raises(ConfigError, match="has other code or packages"):
        sweep(read_plan(plan(seeds=1)), scheduler=cluster[0])


def test_nobody_at_the_address() -> None:
    from numasim.sweep import cluster as module

    module_wait, module.CONNECT_S = module.CONNECT_S, 1.0
    try:
        with pytest.raises(NumasimError, match="no Dask scheduler answers"):
            sweep(read_plan(plan(seeds=1)), scheduler="tcp://127.0.0.1:9")
    finally:
        module.CONNECT_S = module_wait
