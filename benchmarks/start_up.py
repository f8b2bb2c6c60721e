"""How long a user waits for the first sign of life."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.estimating import cost
from benchmarks.harness import Answers, Ask, at_most, benchmark

STARTS = 15
DATA = Path(__file__).parent.parent / "tests" / "data"


def child_cpu_s(*command: str) -> float:
    """CPU seconds of a command of numasim in a process of its own, its bytecode kept as usual."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    whole = [sys.executable, "-m", "numasim", *command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(whole, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@benchmark(
    Ask("numasim --help", "CPU s of a start", at_most(0.3)),
    Ask("a tiny run in all", "CPU s of a start", at_most(1.0)),
    Ask("a tiny run and its summary", "CPU s of a start", better="lower"),
)
def start_up() -> Answers:
    """The help, and a run of three simulated seconds on a machine of some MiB, quiet and not."""
    tiny = [str(DATA / f"tiny_{part}.yaml") for part in ("machine", "workload", "policy")]
    run = ("run", "-t", tiny[0], "-w", tiny[1], "-p", tiny[2], "-d", "3 s")
    found: tuple[list[float], ...] = ([], [], [])
    for turn in range(STARTS + 1):
        for k, command in enumerate((("--help",), (*run, "--quiet"), run)):
            used = child_cpu_s(*command)
            if turn:  # the first writes bytecode
                found[k].append(used)
    return [cost(each) for each in found]
