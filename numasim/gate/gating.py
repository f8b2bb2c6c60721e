"""Run a suite and hold it against its baseline, or make the baseline anew."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from numasim.errors import ConfigError, NumasimError, Problem
from numasim.gate.baseline import Baseline, Recorded, path_of, read_baseline, write_baseline
from numasim.gate.decision import Verdict, decide, seeds_to_notice
from numasim.gate.suite import Experiment, Suite
from numasim.sweep.plan import Plan, Point
from numasim.sweep.sweeping import OnProgress, sweep

PASSED, REGRESSED, COULD_NOT_RUN = 0, 1, 2


class CouldNotRun(NumasimError, RuntimeError):
    """Runs of a gate failed, so it says nothing.

    Parameters
    ----------
    failures : sequence of str
    """

    def __init__(self, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        nr = f"{len(failures)} run{'s' if len(failures) != 1 else ''} failed"
        super().__init__("\n  ".join([nr, *failures[:10]]))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.failures,))


@dataclass(frozen=True)
class Judged:
    """An experiment held against its baseline.

    Parameters
    ----------
    name : str
    seeds : tuple of int
    baseline_seeds : int
    verdicts : tuple of Verdict
    others : dict of str to (float, float)
        Numbers that are not judged: means of now, and of the baseline (NaN where not known).
    """

    name: str
    seeds: tuple[int, ...]
    baseline_seeds: int
    verdicts: tuple[Verdict, ...]
    others: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a gate came to.

    Parameters
    ----------
    suite : Suite
    experiments : tuple of Judged
    gone : tuple of str
        Experiments of the baseline that the suite no longer has.
    seconds : float
    baseline : Baseline
        What it was held against.
    """

    suite: Suite
    experiments: tuple[Judged, ...]
    gone: tuple[str, ...] = ()
    seconds: float = 0.0
    baseline: Baseline = field(default_factory=Baseline)

    @property
    def worse(self) -> list[tuple[str, Verdict]]:
        """Numbers that keep the gate shut, with their experiment."""
        return [(e.name, v) for e in self.experiments for v in e.verdicts if not v.ok]

    @property
    def ok(self) -> bool:
        """Whether nothing got worse."""
        return not self.worse

    @property
    def exit_code(self) -> int:
        """Of the command: 0 or 1."""
        return PASSED if self.ok else REGRESSED


def gate(
    suite: Suite,
    baseline: Baseline,
    *,
    first_seed: int = 1,
    workers: int | None = None,
    scheduler: str | None = None,
    here: bool = False,
    on_progress: OnProgress | None = None,
) -> Report:
    """Run a suite and judge it.

    Parameters
    ----------
    suite : Suite
    baseline : Baseline
    first_seed : int
        Seeds from there on; any will do.
    workers : int, optional
        Processes; one for each core unless said.
    scheduler : str, optional
        Address of a Dask scheduler instead.
    here : bool
        In this process.
    on_progress : callable, optional

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        If the baseline is of other experiments.
    CouldNotRun
        If runs failed.
    """
    check_baseline(suite, baseline)
    began = time.monotonic()
    found = runs_of(
        suite, range(first_seed, first_seed + suite.seeds),
        workers=workers, scheduler=scheduler, here=here, on_progress=on_progress,
    )  # fmt: skip
    return judge(suite, baseline, found, time.monotonic() - began)


def judge(
    suite: Suite, baseline: Baseline, found: dict[str, Recorded], seconds: float = 0.0
) -> Report:
    """Hold runs against a baseline."""
    alpha = suite.false_alarm / suite.nr_judged
    experiments = []
    for experiment in suite.experiments:
        now, before = found[experiment.name], baseline.experiments[experiment.name]
        verdicts = [
            decide(metric, before.values[metric.name], now.values[metric.name], alpha)
            for metric in experiment.metrics
        ]
        others = {k: (v, before.others.get(k, math.nan)) for k, v in now.others.items()}
        nr = len(before.seeds)
        experiments.append(Judged(experiment.name, now.seeds, nr, tuple(verdicts), others))
    names = {experiment.name for experiment in suite.experiments}
    gone = tuple(name for name in baseline.experiments if name not in names)
    return Report(suite, tuple(experiments), gone, seconds, baseline)


def check_baseline(suite: Suite, baseline: Baseline) -> None:
    """See that a baseline is one of this suite.

    Raises
    ------
    ConfigError
        With every experiment and metric that has none.
    """
    problems = []
    hint = "make it with --update"
    for experiment in suite.experiments:
        recorded = baseline.experiments.get(experiment.name)
        if recorded is None:
            problems.append(Problem(experiment.name, "has no baseline yet", hint))
        elif recorded.content != experiment.content():
            what = "is another experiment than its baseline was made with"
            problems.append(Problem(experiment.name, what, "make that anew with --update"))
        else:
            problems += [
                Problem(f"{experiment.name}, {metric.name}", "has no baseline yet", hint)
                for metric in experiment.metrics
                if metric.name not in recorded.values
            ]
    if problems:
        raise ConfigError(problems, "" if suite.path is None else str(path_of(suite.path)))


def runs_of(
    suite: Suite,
    seeds: Sequence[int],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    here: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, Recorded]:
    """Numbers of every experiment for these seeds; nothing is kept or taken from earlier.

    Raises
    ------
    CouldNotRun
    """
    points = tuple(_point(experiment) for experiment in suite.experiments)
    plan = Plan(suite.name, points, tuple(seeds), limits=suite.limits)
    done = sweep(plan, workers=workers, scheduler=scheduler, here=here, on_progress=on_progress)
    if done.failed:
        names = [task for task in done.tasks if task.key in done.failed]
        raise CouldNotRun(
            [
                f"{task.labels['experiment']}, seed {task.seed}: "
                f"{(done.failed[task.key].error.splitlines() or ['?'])[-1]}"
                for task in names
            ]
        )
    found = {}
    for experiment in suite.experiments:
        mine = {
            task.seed: done.metrics[task.key]
            for task in done.tasks
            if task.labels["experiment"] == experiment.name
        }
        values = {m.name: tuple(mine[s][m.name] for s in seeds) for m in experiment.metrics}
        others = {
            name: math.fsum(one[name] for one in mine.values()) / len(mine)
            for name in mine[seeds[0]]
            if name not in values and all(math.isfinite(one[name]) for one in mine.values())
        }
        found[experiment.name] = Recorded(experiment.content(), tuple(seeds), values, others)
    return found


def _point(experiment: Experiment) -> Point:
    scenario = experiment.scenario
    labels = {
        "experiment": experiment.name, "topology": scenario.topology.name,
        "workload": scenario.workload.name, "policy": scenario.policy_name,
    }  # fmt: skip
    return Point(labels, scenario)


# -- a new baseline --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Update:
    """A new baseline, and what it changes.

    Parameters
    ----------
    baseline : Baseline
    changed : tuple of Judged
        Experiments that were there before, held against what they were.
    new, gone : tuple of str
        Experiments without an earlier baseline (or of another content), and those left out.
    advice : tuple of str
        Numbers that would not notice what the suite says they are to notice.
    """

    baseline: Baseline
    changed: tuple[Judged, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]
    advice: tuple[str, ...] = field(default=())


def update(
    suite: Suite,
    old: Baseline | None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    here: bool = False,
    on_progress: OnProgress | None = None,
) -> Update:
    """Make a baseline, and say what it changes.

    Raises
    ------
    ConfigError
        If some run lacks a number that is judged.
    CouldNotRun
    """
    found = runs_of(
        suite, range(1, suite.baseline_seeds + 1),
        workers=workers, scheduler=scheduler, here=here, on_progress=on_progress,
    )  # fmt: skip
    problems = []
    for name, recorded in found.items():
        for metric, values in recorded.values.items():
            wrong = sum(not math.isfinite(value) for value in values)
            if wrong:
                message = f"{wrong} of {len(values)} runs have no such number"
                hint = "judge it by another, or run longer"
                problems.append(Problem(f"{name}, {metric}", message, hint))
    if problems:
        raise ConfigError(problems, "" if suite.path is None else str(suite.path))
    baseline = Baseline(found)
    before = {} if old is None else old.experiments
    kept = [e for e in suite.experiments if _same(e, before)]
    alpha = suite.false_alarm / suite.nr_judged
    changed = tuple(_changed(e, before[e.name], found[e.name], alpha) for e in kept)
    new = tuple(e.name for e in suite.experiments if e not in kept)
    gone = tuple(name for name in before if name not in found)
    return Update(baseline, changed, new, gone, tuple(_advice(suite, found)))


def _same(experiment: Experiment, before: dict[str, Recorded]) -> bool:
    old = before.get(experiment.name)
    return old is not None and old.content == experiment.content()


def _changed(experiment: Experiment, old: Recorded, new: Recorded, alpha: float) -> Judged:
    verdicts = [
        decide(metric, old.values[metric.name], new.values[metric.name], alpha)
        for metric in experiment.metrics
        if metric.name in old.values
    ]
    return Judged(experiment.name, new.seeds, len(old.seeds), tuple(verdicts))


def _advice(suite: Suite, found: dict[str, Recorded]) -> list[str]:
    alpha, said = suite.false_alarm / suite.nr_judged, []
    for experiment in suite.experiments:
        recorded = found[experiment.name]
        for metric in experiment.metrics:
            values = recorded.values[metric.name]
            if not metric.relative or min(values) <= 0:
                continue
            wanted = max(suite.notice, 2 * metric.within)
            nr = seeds_to_notice(metric, values, wanted, alpha, len(recorded.seeds))
            if nr is None or nr > suite.seeds:
                more = "more than any number of" if nr is None else str(nr)
                said.append(
                    f"{experiment.name}, {metric.name}: noticing {wanted:.2%} takes {more} seeds, "
                    f"the suite has {suite.seeds}"
                )
    return said


def read_old(path: Path) -> tuple[Baseline | None, str]:
    """The baseline that is there, or None; and why it cannot be read, if it is there."""
    if not path.exists():
        return None, ""
    try:
        return read_baseline(path), ""
    except ConfigError as error:
        return None, str(error)


__all__ = [
    "COULD_NOT_RUN",
    "CouldNotRun",
    "Judged",
    "Report",
    "Update",
    "check_baseline",
    "gate",
    "judge",
    "read_old",
    "runs_of",
    "update",
    "write_baseline",
]
