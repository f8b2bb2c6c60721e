"""Search files: a plan with ``space`` and ``objectives`` → `Search`, with every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numasim import library
from numasim.checking import Collector
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.sweep.ranking import HIGHER, METRIC, known_metrics
from numasim.sweep.reading import python_plan, read_plan
from numasim.sweep.values import Span, read_span

SEARCH_KEYS = ("space", "objectives", "sampler", "batch", "seed", "trials")
SAMPLERS = ("tpe", "nsga2", "random")
DIRECTIONS = ("maximize", "minimize")
PROBES = (0.0, 0.371, 0.618, 1.0)
TRIALS, BATCH = 50, 4


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
    source : Path or None
        A search in Python, and its `text`.
    text : str
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
    source: Path | None = None
    text: str = ""


def read_search(path: str | Path) -> Search:
    """The search of a file: a plan with ``space`` and ``objectives``, YAML or ``PLAN`` in Python.

    Raises
    ------
    ConfigError
        With every mistake.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(Problem("", "no such file"), str(path))
    if path.suffix == ".py":
        made, text = python_plan(path)
        try:
            return replace(_search(made, path.parent), source=path.resolve(), text=text)
        except ConfigError as error:
            raise ConfigError(error.problems, str(path)) from None
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
    # whether every end and choice is a value that the policy takes, and some in between
    probe = [at(space, share) for share in PROBES] if space else []
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


def at(space: Mapping[str, Span | list[Any]], share: float) -> dict[str, Any]:
    """The values that lie so far (0 to 1) between the ends of every range."""
    return {
        key: each.at(share) if isinstance(each, Span) else each[round(share * (len(each) - 1))]
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
