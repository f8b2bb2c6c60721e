"""Search a policy's parameters for a suite: Optuna proposes, sweeps answer, a file remembers.

Every trial is a set of runs that the sweep's folder keeps, so a search that was killed goes on
where it was: its trials are read from the journal, and of those that were cut off only unfinished
runs are done again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from numasim import library
from numasim.checking import Collector
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.sweep.code import fingerprint
from numasim.sweep.plan import Plan
from numasim.sweep.ranking import HIGHER, METRIC, known_metrics
from numasim.sweep.reading import read_plan
from numasim.sweep.store import Store
from numasim.sweep.sweeping import OnProgress, Sweep, Sweeping
from numasim.sweep.values import Span, read_span
from numasim.sweep.workers import runner

SEARCH_KEYS = ("space", "objectives", "sampler", "batch", "seed", "trials")
SAMPLERS = ("tpe", "nsga2", "random")
DIRECTIONS = ("maximize", "minimize")
TRIALS, BATCH = 50, 4
JOURNAL = "search.journal"
CUT_OFF = "PRUNED"
"""Optuna's word for trials that count for nothing; ours are those of a search that was killed."""


@dataclass(frozen=True)
class Search:
    """What is searched.

    Parameters
    ----------
    plan : dict
        Of the runs of one trial, without the parameters that are searched.
    space : dict of str to Span or list
        Ranges, or lists of choices.
    objectives : dict of str to str
        Numbers of `Result.summary`, each to ``maximize`` or ``minimize``.
    sampler : str
        One of `SAMPLERS`.
    batch : int
        Trials proposed at once; the same whatever the workers, so that the search is, too.
    seed : int
    trials : int
    base : Path
    name : str
    """

    plan: dict[str, Any]
    space: dict[str, Span | list[Any]]
    objectives: dict[str, str]
    sampler: str = SAMPLERS[0]
    batch: int = BATCH
    seed: int = 1
    trials: int = TRIALS
    base: Path = Path(".")
    name: str = "search"


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


def read_search(path: str | Path) -> Search:
    """The search of a file: a plan with ``space`` and ``objectives``.

    Raises
    ------
    ConfigError
        With every mistake.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(Problem("", "no such file"), str(path))
    data = library.read(path)
    if not isinstance(data, Mapping):
        hint = "a search is a plan with space and objectives"
        raise ConfigError(Problem("", "expected a mapping", hint), str(path))
    try:
        return _search({"name": path.stem, **data}, path.parent)
    except ConfigError as error:
        raise library.with_lines(ConfigError(error.problems, str(path)), path) from None


def _search(data: dict[str, Any], base: Path) -> Search:
    problems: list[Problem] = []
    collect = Collector(problems)
    plan = {key: value for key, value in data.items() if key not in SEARCH_KEYS}
    space = collect("space", lambda: _space(data.get("space")))
    objectives = collect("objectives", lambda: _objectives(data.get("objectives", {METRIC: None})))
    sampler = data.get("sampler", SAMPLERS[0])
    if sampler not in SAMPLERS:
        hint = did_you_mean(str(sampler), SAMPLERS)
        problems.append(Problem("sampler", f'no sampler "{sampler}"', hint))
    numbers = {}
    for key, default in (("batch", BATCH), ("seed", 1), ("trials", TRIALS)):
        value = data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.append(Problem(key, f"got {value!r}, expected a whole number of at least 1"))
        numbers[key] = value
    # whether every end and choice is a value that the policy takes
    probe = [_at(space, share) for share in (0.0, 1.0)] if space else []
    collect("", lambda: read_plan({**plan, "points": probe} if probe else plan, base))
    if problems:
        raise ConfigError([_placed(problem) for problem in problems])
    assert space is not None and objectives is not None
    name = str(data.get("name", "search"))
    return Search(plan, space, objectives, str(sampler), base=base, name=name, **numbers)


def _placed(problem: Problem) -> Problem:
    """Points are ours; the user wrote them as the space."""
    place = problem.place
    return replace(problem, place="space" + place[6:] if place.startswith("points") else place)


def _at(space: Mapping[str, Span | list[Any]], share: float) -> dict[str, Any]:
    return {
        key: each.at(share) if isinstance(each, Span) else each[-1 if share else 0]
        for key, each in space.items()
    }


def _space(given: Any) -> dict[str, Span | list[Any]]:
    if not isinstance(given, Mapping) or not given:
        raise ConfigError("expected parameters with {from: …, to: …} or a list of choices")
    problems: list[Problem] = []
    collect = Collector(problems)
    found: dict[str, Span | list[Any]] = {}
    for key, each in given.items():
        if isinstance(each, list) and len(each) > 1:
            found[str(key)] = each
        elif isinstance(each, Mapping):
            span = collect(str(key), lambda e=each: read_span(e))  # type: ignore[misc]
            if span is not None:
                found[str(key)] = span
        else:
            message = f"got {each!r}, expected {{from: …, to: …}} or a list of choices"
            problems.append(Problem(str(key), message))
    if problems:
        raise ConfigError(problems)
    return found


def _objectives(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping) or not given:
        raise ConfigError("expected numbers with maximize or minimize")
    found, problems, known = {}, [], known_metrics()
    for name, direction in given.items():
        wanted = direction or ("maximize" if name in HIGHER else "minimize")
        if wanted not in DIRECTIONS:
            hint = did_you_mean(str(wanted), DIRECTIONS)
            problems.append(Problem(str(name), f'got "{wanted}"', hint))
        if name not in known:
            hint = did_you_mean(str(name), known)
            problems.append(Problem(str(name), f'no number "{name}"', hint))
        found[str(name)] = str(wanted)
    if problems:
        raise ConfigError(problems)
    return found


# -- the search ------------------------------------------------------------------------------------


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

    Returns
    -------
    list of Trial
        All finished ones, those on the trade-off front marked.

    Raises
    ------
    ConfigError
        If Optuna is not installed, or the folder holds a search of other objectives.
    """
    try:
        import optuna
    except ImportError as error:
        hint = "pip install 'numasim[tune]'"
        raise ConfigError(Problem("tune", f"needs Optuna ({error})", hint)) from None
    total = search.trials if trials is None else trials
    folder = Path(out)
    plan = _plan(search, [_at(search.space, 0.0)])
    code = fingerprint()
    with closing(Store(folder)) as store, runner(plan, workers, scheduler, here) as at_work:
        study = _study(optuna, search, folder, code)
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


def _study(optuna: Any, search: Search, folder: Path, code: str) -> Any:
    """The study of the journal: new, or where it was left; of other code it is another."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    storage = optuna.storages.JournalStorage(backend)
    name = f"{search.name} {code}"
    directions = list(search.objectives.values())
    study = optuna.create_study(
        storage=storage, study_name=name, directions=directions, load_if_exists=True
    )
    told = [str(direction.name).lower() for direction in study.directions]
    if told != directions:
        hint = "choose another folder"
        raise ConfigError(Problem("objectives", "are others than this folder's", hint))
    running = optuna.trial.TrialState.RUNNING
    for trial in study.get_trials(deepcopy=False, states=(running,)):
        study.tell(trial.number, state=optuna.trial.TrialState[CUT_OFF])
        study.enqueue_trial(trial.params)  # cut off: once more, with the runs that it has already
    return study


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
    return read_plan(
        {**search.plan, "name": search.name, "points": [dict(p) for p in unique]}, search.base
    )


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
