"""How long a user waits for the first sign of life."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import TURNS, Answers, Ask, at_most, benchmark

DATA = Path(__file__).parent.parent / "tests" / "data"


def child_cpu_s(*command: str) -> float:
    """CPU seconds of a command of numasim in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "numasim", *command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@benchmark(
    Ask("numasim --help", "CPU s of a start", at_most(0.3)),
    Ask("a tiny run in all", "CPU s of a start", at_most(1.0)),
)
def start_up() -> Answers:
    """The help, and a run of three simulated seconds on a machine of some MiB."""
    tiny = [str(DATA / f"tiny_{part}.yaml") for part in ("machine", "workload", "policy")]
    run = ("run", "-t", tiny[0], "-w", tiny[1], "-p", tiny[2], "-d", "3 s", "--quiet")
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 1):
        for k, command in enumerate((("--help",), run)):
            used = child_cpu_s(*command)
            if turn:
                found[k].append(used)
    return found
