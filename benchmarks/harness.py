"""How things are measured here: turns, bounds, one process per benchmark.

CPU time, never wall time; the sides of a ratio take many short turns in one process, so that a slow
moment of the machine meets both, and what counts of them is the least disturbed (`estimating`).
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.estimating import Estimate, middle, rate

ROOT = Path(__file__).parent.parent
TURNS = 31
LEAST_S = 0.01  # of CPU for one turn of one side; short calls are repeated until then
WARM_UP = 3  # calls before the first turn; the first of all is far slower than the rest
NR_REFERENCES = 10  # jobs before and after a benchmark
MOST_CALLS = 30  # in a turn, where every call needs something made for it
FAILED = "failed"
MACHINE = "machine speed"
REGRESSED = 4 / 3  # a value so many times worse than the committed one has regressed by a third
CHILD_LIMIT_S = 3600

Work = Callable[[], object]
Answers = Sequence[Estimate]
"""What a benchmark found: an answer to each of its questions, in their order."""
Run = Callable[[], Answers]


class Skipped(Exception):
    """The benchmark cannot run here, and why."""


@dataclass(frozen=True)
class Bound:
    """What a value must keep to: `sign` is ``>=`` or ``<=``."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value >= self.limit if self.sign == ">=" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


def at_least(limit: float) -> Bound:
    """A value must not be lower."""
    return Bound(">=", limit)


def at_most(limit: float) -> Bound:
    """A value must not be higher."""
    return Bound("<=", limit)


@dataclass(frozen=True)
class Ask:
    """One question of a benchmark.

    Parameters
    ----------
    name : str
        Of the result.
    unit : str
        A unit that ends in ``CPU s`` is a rate and depends on the machine; one that begins with
        ``CPU`` is a time and does too; others are ratios or sizes.
    bound : Bound or None
        None: worth knowing, nothing is asked of it.
    better : str
        ``higher`` or ``lower``, where no bound tells.
    """

    name: str
    unit: str
    bound: Bound | None = None
    better: str = ""

    @property
    def higher_is_better(self) -> bool:
        """Which way is up."""
        if self.bound is not None:
            return self.bound.sign == ">="
        return self.better == "higher"


REFERENCE = Ask(MACHINE, "reference jobs / CPU s", better="higher")


@dataclass(frozen=True)
class Result:
    """What a question was answered.

    Parameters
    ----------
    name, unit : str
    value : float or None
        See `estimating`; None if it could not be asked here.
    bound : str or None
        Such as ``>= 60``.
    ok : bool or None
        Whether the value keeps to the bound; True without one, None if it could not be asked.
    spread : float or None
        How far the first and the second half of the turns disagree, as a share of the value.
    """

    name: str
    value: float | None
    unit: str
    bound: str | None
    ok: bool | None
    spread: float | None


@dataclass(frozen=True)
class Benchmark:
    """A function of this package that answers some questions."""

    name: str
    asks: tuple[Ask, ...]
    run: Run
    compiled: bool
    processes: int = 1


REGISTRY: dict[str, Benchmark] = {}


def benchmark(*asks: Ask, compiled: bool = False, processes: int = 1) -> Callable[[Run], Run]:
    """Register a benchmark under the name of its function.

    Parameters
    ----------
    *asks : Ask
        The questions it answers, in that order.
    compiled : bool
        It wants the compiled extra; all others run without.
    processes : int
        How many one after the other: where arrays happen to lie decides a third of what short
        kernels take, for as long as a process lives. The answer is the median of theirs.
    """

    def register(run: Run) -> Run:
        assert run.__name__ not in REGISTRY, run.__name__
        REGISTRY[run.__name__] = Benchmark(run.__name__, asks, run, compiled, processes)
        return run

    return register


# -- inside a benchmark ----------------------------------------------------------------------------


def cpu_s(work: Work) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def turns(
    sides: Mapping[str, Work], nr: int = TURNS, least_s: float = LEAST_S
) -> dict[str, list[float]]:
    """CPU seconds of a call of each side, the sides taking turns, the first last in every other.

    Short calls are repeated within a turn until they have used `least_s`.
    """
    times = {name: min(cpu_s(work) for _ in range(WARM_UP)) for name, work in sides.items()}
    repeats = {name: max(1, round(least_s / max(one, 1e-7))) for name, one in times.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides.items())
    for _ in range(nr):
        for name, work in order:
            gc.collect()
            gc.disable()
            start = time.process_time()
            for _ in range(repeats[name]):
                work()
            found[name].append((time.process_time() - start) / repeats[name])
            gc.enable()
        order.reverse()
    return found


def turns_on(
    sides: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]], nr: int = TURNS
) -> dict[str, list[float]]:
    """The same for work that uses its object up: ``(make, work)``, where making is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(nr + 1):
        for name, (make, work) in sides.items():
            calls, used = 0, 0.0
            gc.collect()
            gc.disable()
            while used < LEAST_S and calls < MOST_CALLS:
                made = make()
                start = time.process_time()
                work(made)
                used += time.process_time() - start
                calls += 1
            gc.enable()
            if turn:  # the first warms up
                found[name].append(used / calls)
    return found


def peak_gib() -> float:
    """Most memory this process has held, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def reference_job() -> None:
    """A fixed piece of work such as simulating is: gathers, draws, sums, and plain Python."""
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    table, total = rng.random((4096, 32)), 0
    for _ in range(40):
        rows = rng.integers(0, 4096, 2000)
        rng.binomial(20, table[rows] @ table[0] / 32)
        np.cumsum(table[rows], axis=0)
        for x in range(1500):
            total += x % 7


# -- outside: a process for each -------------------------------------------------------------------


def measure(name: str) -> list[Result]:
    """Run one benchmark in processes of its own; the last result is the speed of the machine."""
    one = REGISTRY[name]
    if one.compiled and importlib.util.find_spec("numba") is None:
        return [_result(ask, None, "skipped: numba is not installed") for ask in one.asks]
    told = []
    for _ in range(one.processes):
        done = _spawn(one)
        if done.returncode:
            print(f"benchmark {name} failed:\n{done.stderr}", file=sys.stderr)
            return [_result(ask, None, FAILED) for ask in one.asks]
        answer = json.loads(done.stdout.splitlines()[-1])
        if "skipped" in answer:
            return [_result(ask, None, f"skipped: {answer['skipped']}") for ask in one.asks]
        told.append([*answer["answers"], answer[MACHINE]])
    asks = [*one.asks, REFERENCE]
    columns = zip(asks, *told, strict=True)
    return [_result(ask, middle([Estimate(*each) for each in found])) for ask, *found in columns]


def _spawn(one: Benchmark) -> subprocess.CompletedProcess[str]:
    """A process that runs a benchmark, to its end."""
    environment = {
        **os.environ,
        "NUMASIM_COMPILED": "1" if one.compiled else "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    command = [sys.executable, "-m", "benchmarks", "--child", one.name]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=CHILD_LIMIT_S
    )


def child(name: str) -> None:
    """Run one benchmark here and print what it found as one line of JSON."""
    before = [cpu_s(reference_job) for _ in range(NR_REFERENCES + 1)][1:]
    try:
        answers = REGISTRY[name].run()
    except Skipped as reason:
        print(json.dumps({"skipped": str(reason)}))
        return
    after = [cpu_s(reference_job) for _ in range(NR_REFERENCES)]
    print(json.dumps({"answers": list(answers), MACHINE: rate(before + after)}))


def _result(ask: Ask, found: Estimate | None, why: str = "") -> Result:
    """A question's answer; without one the reason why there is none."""
    bound = None if ask.bound is None else str(ask.bound)
    if found is None:
        return Result(ask.name, None, why, bound, False if why == FAILED else None, None)
    ok = ask.bound is None or ask.bound.holds(found.value)
    return Result(ask.name, found.value, ask.unit, bound, ok, found.spread)


def machine_speed(speeds: list[Result]) -> Result:
    """One result for all processes' reference jobs."""
    return _result(REFERENCE, rate([1 / one.value for one in speeds if one.value is not None]))


# -- results on disk -------------------------------------------------------------------------------


def write(results: list[Result], path: Path) -> None:
    """As a list of plain objects."""
    path.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")


def read(path: Path) -> dict[str, Result]:
    """Results by name."""
    return {one["name"]: Result(**one) for one in json.loads(path.read_text())}


def regressions(results: Iterable[Result], committed: Mapping[str, Result]) -> list[str]:
    """Complaints about values that are a third worse than the committed ones.

    Rates and times are first brought to the speed of the machine that the committed ones are from.
    """
    asks = {ask.name: ask for one in REGISTRY.values() for ask in one.asks}
    new = {one.name: one for one in results}
    here, there = new.get(MACHINE), committed.get(MACHINE)
    speed = here.value / there.value if here and there and here.value and there.value else 1.0
    found = []
    for name, one in new.items():
        old = committed.get(name)
        if name == MACHINE or old is None or old.value is None or one.value is None:
            continue
        expected = old.value
        if one.unit.endswith("CPU s"):
            expected *= speed
        elif one.unit.startswith("CPU"):
            expected /= speed
        higher = asks[name].higher_is_better
        worse = expected / one.value if higher else one.value / expected
        if worse >= REGRESSED:
            found.append(
                f"{name}: {one.value:.4g} {one.unit}, {worse:.2f} times worse than {expected:.4g}"
            )
    return found
