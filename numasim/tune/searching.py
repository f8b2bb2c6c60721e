"""Carry out a search: Optuna proposes, sweeps answer, a file remembers.

Every trial is a set of runs that the sweep's folder keeps, so a search that was killed goes on
where it was: its trials are read from the journal, and of those that were cut off only unfinished
runs are done again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.sweep.code import fingerprint
from numasim.sweep.plan import Plan
from numasim.sweep.ranking import METRIC
from numasim.sweep.reading import read_plan
from numasim.sweep.store import Store
from numasim.sweep.sweeping import OnProgress, Sweep, Sweeping
from numasim.sweep.values import Span
from numasim.sweep.workers import runner
from numasim.tune.reading import Search, at

JOURNAL = "search.journal"
CUT_OFF = "PRUNED"
"""Optuna's word for trials that count for nothing; ours are those of a search that was killed."""


@dataclass(frozen=True)
class Trial:
    """Parameters that were tried, and what they came to: means over all runs of a trial.

    Parameters
    ----------
    number : int
    parameters : dict of str to Any
    values : dict of str to float
        By objective; empty if a run failed or has no such number.
    best : bool
        Whether no other trial is better in one objective and no worse in the others.
    """

    number: int
    parameters: dict[str, Any]
    values: dict[str, float]
    best: bool = False


def tune(
    search: Search,
    out: str | Path,
    *,
    trials: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    here: bool = False,
    on_progress: OnProgress | None = None,
    on_trial: Callable[[int, int], None] | None = None,
    on_others: Callable[[int], None] | None = None,
) -> list[Trial]:
    """Go on with a search until it has so many trials.

    Parameters
    ----------
    search : Search
    out : str or Path
        Folder of its journal and its runs; the same call goes on there.
    trials : int, optional
        In all, those done earlier among them.
    workers : int, optional
    scheduler : str, optional
    here : bool
    on_progress : callable, optional
        As for `numasim.sweep.sweep`, for each batch.
    on_trial : callable, optional
        Called with trials done, and of all.
    on_others : callable, optional
        Called if this search is new to the folder and others are there, with how many trials these
        have; they do not count.

    Returns
    -------
    list of Trial
        All finished ones, those on the trade-off front marked.

    Raises
    ------
    ConfigError
        If Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        hint = "pip install 'numasim[tune]'"
        raise ConfigError(Problem("tune", f"needs Optuna ({error})", hint)) from None
    total = search.trials if trials is None else trials
    if total < 1:
        raise ConfigError(Problem("--trials", f"got {total}, expected at least 1"))
    folder = Path(out)
    plan = _plan(search, [at(search.space, 0.0)])
    code = fingerprint(plan.python)
    with closing(Store(folder)) as store, runner(plan, workers, scheduler, here) as at_work:
        study, others = _study(optuna, search, folder, _identity(search, plan, code))
        if others and on_others is not None:
            on_others(others)
        working = Sweeping(plan, at_work, store, code, on_progress, keep_others=True)
        while (done := _finished(study)) < total:
            if on_trial is not None:
                on_trial(done, total)
            _batch(optuna, study, search, working, min(search.batch, total - done))
        if on_trial is not None:
            on_trial(_finished(study), total)
        return _trials(study, search)


def _finished(study: Any) -> int:
    return sum(
        trial.state.is_finished() and trial.state.name != CUT_OFF
        for trial in study.get_trials(deepcopy=False)
    )


def _identity(search: Search, plan: Plan, code: str) -> str:
    """Hash of what trials mean: those of another machine, space or code are of another search."""
    space = {k: str(each) for k, each in search.space.items()}
    points = [point.content(code) for point in plan.points]
    text = json.dumps([points, plan.seeds, space, search.objectives, search.sampler, search.seed])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _study(optuna: Any, search: Search, folder: Path, identity: str) -> tuple[Any, int]:
    """The study of the journal, new or where it was left; if new, trials of others there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    storage = optuna.storages.JournalStorage(backend)
    name = f"{search.name} {identity}"
    studies = {each.study_name: each.n_trials for each in optuna.get_all_study_summaries(storage)}
    study = optuna.create_study(
        storage=storage, study_name=name,
        directions=list(search.objectives.values()), load_if_exists=True,
    )  # fmt: skip
    running = optuna.trial.TrialState.RUNNING
    for trial in study.get_trials(deepcopy=False, states=(running,)):
        study.tell(trial.number, state=optuna.trial.TrialState[CUT_OFF])
        study.enqueue_trial(trial.params)  # cut off: once more, with the runs that it has already
    return study, 0 if name in studies else sum(studies.values())


def _batch(optuna: Any, study: Any, search: Search, working: Sweeping, n: int) -> None:
    """Propose, run, and tell.

    Each batch draws from a seed of its own, so that a search that was stopped goes on as if it had
    not been.
    """
    kinds = {
        "tpe": optuna.samplers.TPESampler,
        "nsga2": optuna.samplers.NSGAIISampler,
        "random": optuna.samplers.RandomSampler,
    }
    study.sampler = kinds[search.sampler](seed=search.seed + 1000 * _finished(study))
    asked = [study.ask() for _ in range(n)]
    points = [_suggested(trial, search.space) for trial in asked]
    found = working.run(_plan(search, points))
    for trial, point in zip(asked, points, strict=True):
        values = _values(found, point, search)
        if all(map(math.isfinite, values)):
            study.tell(trial, values)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _suggested(trial: Any, space: Mapping[str, Span | list[Any]]) -> dict[str, Any]:
    """A value of every parameter; Optuna sees ranges as shares of the way from end to end."""
    found = {}
    for key, each in space.items():
        if isinstance(each, Span):
            found[key] = each.at(trial.suggest_float(key, 0.0, 1.0))
        else:
            found[key] = each[trial.suggest_int(key, 0, len(each) - 1)]
    return found


def _plan(search: Search, points: Sequence[Mapping[str, Any]]) -> Plan:
    unique = [point for i, point in enumerate(points) if point not in points[:i]]
    data = {**search.plan, "name": search.name, "points": [dict(p) for p in unique]}
    return replace(read_plan(data, search.base), source=search.source, text=search.text)


def _values(found: Sweep, point: Mapping[str, Any], search: Search) -> list[float]:
    """Mean of each objective over the runs of a trial; of throughputs a geometric one."""
    wanted = dict(zip(found.plan.parameters, point.values(), strict=True))
    runs = [
        found.metrics.get(task.key)
        for task in found.tasks
        if all(key in task.labels and task.labels[key] == v for key, v in wanted.items())
    ]
    if not runs or any(run is None for run in runs):
        return [math.nan] * len(search.objectives)
    return [
        _mean(name, [run.get(name, math.nan) for run in runs if run is not None])
        for name in search.objectives
    ]


def _mean(name: str, values: list[float]) -> float:
    if name == METRIC and min(values) > 0:
        return math.exp(float(np.mean(np.log(values))))
    return float(np.mean(values))


def _trials(study: Any, search: Search) -> list[Trial]:
    front = {trial.number for trial in study.best_trials}
    found = []
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished() or trial.state.name == CUT_OFF:
            continue
        parameters = {
            key: each.at(trial.params[key]) if isinstance(each, Span) else each[trial.params[key]]
            for key, each in search.space.items()
        }
        values = dict(zip(search.objectives, trial.values or (), strict=False))
        found.append(Trial(trial.number, parameters, values, trial.number in front))
    return found
