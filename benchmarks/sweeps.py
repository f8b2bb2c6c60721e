"""Sweeps: how much of the cores' time goes into runs, when these are many and small."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.estimating import Estimate
from benchmarks.harness import Answers, Ask, at_least, benchmark
from numasim.sweep import read_plan, sweep

DATA = Path(__file__).parent.parent / "tests" / "data"
RUNS, WORKERS = 1000, 2
PLAN = {
    "topology": str(DATA / "tiny_machine.yaml"),
    "workload": str(DATA / "tiny_workload.yaml"),
    "policy": str(DATA / "tiny_policy.yaml"),
    "duration": "3 s",
    "parameters": {"quota": ["2 MiB", "4 MiB", "6 MiB", "8 MiB"]},
    "seeds": RUNS // 4,
}


def _cpu_s() -> float:
    """Of this process and of those it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@benchmark(
    Ask("a thousand small runs: share of two workers' time at work", "share", at_least(0.9)),
    Ask("a thousand small runs: share of all CPU time spent in runs", "share", at_least(0.9)),
    Ask("a thousand small runs: CPU time of one", "CPU s", better="lower"),
)
def a_thousand_small_runs() -> Answers:
    """From a cold start to the last row on disk, start of the workers and reading included.

    The first share is what keeps cores busy: of the time from the beginning to the end, how much a
    worker had a run. The second says that the driver does not eat what it hands out.
    """
    with TemporaryDirectory() as folder:
        cpu, began = _cpu_s(), time.monotonic()
        found = sweep(read_plan(PLAN), folder, workers=WORKERS)
        wall, cpu = time.monotonic() - began, _cpu_s() - cpu
        assert len(found.metrics) == RUNS
        lines = (Path(folder) / "journal.jsonl").read_text().splitlines()
    runs = [json.loads(line) for line in lines]
    seconds = sum(run["seconds"] for run in runs)
    used = sum(run["cpu_s"] for run in runs)
    return [Estimate(one) for one in (seconds / (WORKERS * wall), used / cpu, used / RUNS)]
