"""Plan files (YAML, JSON or Python) → `Plan`, with every mistake at once and at its place."""

from __future__ import annotations

import itertools
import json
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numasim import library
from numasim.checking import Collector
from numasim.documents import Document, read_document
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.formats import page_trace
from numasim.loader import load_scenario, load_topology, load_workload
from numasim.policy_data import policy_data, policy_title
from numasim.scenario import seeds_of
from numasim.settings import KEYS, policy_keys
from numasim.sweep.code import run_plan
from numasim.sweep.keeping import is_kept, kept_plan
from numasim.sweep.parameters import (
    Settings,
    in_full_names,
    read_keep,
    read_limits,
    settings_of,
)
from numasim.sweep.plan import PARTS, Plan, Point
from numasim.units import parse_duration_ns

OWN_KEYS = ("scenario", "topologies", "workloads", "parameters", "points", "samples", "limits",
            "keep")  # fmt: skip
PLAN_KEYS = frozenset((*OWN_KEYS, *KEYS)) - {"seed"}
PLURAL = {"topology": "topologies", "workload": "workloads", "policy": "policies"}
SEEDS = 5
MOST_PROBLEMS = 50


def read_plan(given: str | Path | Mapping[str, Any], base: Path = Path(".")) -> Plan:
    """The plan of a file or of plain data.

    Parameters
    ----------
    given : str, Path or mapping
        A Python file defines ``PLAN``, plain data. The folder of a sweep has its plan in it.
    base : Path
        Where files named in plain data are looked for; those of a file are beside it.

    Raises
    ------
    ConfigError
        With every mistake, and the lines of those in the file.
    """
    if isinstance(given, Mapping):
        return _plan(dict(given), base)
    path = Path(given)
    if is_kept(path):
        return kept_plan(path)
    if path.suffix == ".py":
        data, text = python_plan(path)
        try:
            return replace(_plan(data, path.parent), source=path.resolve(), text=text)
        except ConfigError as error:
            raise ConfigError(error.problems, str(path)) from None
    if not path.is_file():
        what = "is no folder of a sweep" if path.is_dir() else "no such file"
        raise ConfigError(Problem("", what), str(path))
    data = library.read(path)
    if not isinstance(data, Mapping):
        raise ConfigError(Problem("", "expected a mapping", _shape()), str(path))
    try:
        made = _plan({"name": path.stem, **data}, path.parent)
        return replace(made, text=path.read_text(encoding="utf-8"))
    except ConfigError as error:
        raise library.with_lines(ConfigError(error.problems, str(path)), path) from None


def _shape() -> str:
    return "a plan has topologies, workloads, policies, duration and seeds"


def python_plan(path: Path) -> tuple[dict[str, Any], str]:
    """``PLAN`` of a Python file, and the file's text.

    Raises
    ------
    ConfigError
        With the line at which the file failed.
    """
    if not path.is_file():
        raise ConfigError(Problem("", "no such file"), str(path))
    try:
        text = path.read_text(encoding="utf-8")
        made = run_plan(text, str(path.resolve())).get("PLAN")
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(Problem(_line(error, path), what), str(path)) from error
    if not isinstance(made, Mapping):
        what = "is missing" if made is None else "is no mapping"
        raise ConfigError(Problem("PLAN", what, _shape()), str(path))
    return {"name": path.stem, **made}, text


def _line(error: Exception, path: Path) -> str:
    """The line of a plan in Python at which it failed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path.resolve())]  # fmt: skip
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"line {line}" if line else ""


# -- the parts of a plan ---------------------------------------------------------------------------


def _plan(data: dict[str, Any], base: Path) -> Plan:
    problems: list[Problem] = [
        Problem(str(key), "unknown key", did_you_mean(str(key), PLAN_KEYS))
        for key in data
        if key not in PLAN_KEYS
    ]
    collect = Collector(problems)
    document = collect("scenario", lambda: _base_document(data, base)) or Document()
    seeds = collect("", lambda: seeds_of(data.get("seeds", document.data.get("seeds", SEEDS))))
    keep = collect("keep", lambda: read_keep(data.get("keep", [])))
    limits = collect("limits", lambda: read_limits(data.get("limits", {})))
    parts = {part: _entries(data, document.data, part, base, problems) for part in PARTS}
    rows, places = settings_of(data, problems)
    points: list[Point] = []
    values: dict[str, list[Any]] = {}
    if all(parts.values()):
        rows, values = in_full_names(rows, places, parts, document.data, problems)
        points = _points(parts, rows, places, document.data, base, problems)
    elif "duration" in document.data:
        collect("duration", lambda: parse_duration_ns(document.data["duration"]))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems))[:MOST_PROBLEMS])
    assert seeds is not None and keep is not None and limits is not None
    name = str(data.get("name", "sweep"))
    return Plan(name, tuple(points), seeds, values, keep, limits)


def _base_document(data: Mapping[str, Any], base: Path) -> Document:
    """What all runs share: the scenario that is named, and the plan's own keys over it."""
    found = Document()
    if "scenario" in data:
        named = data["scenario"]
        beside = base / str(named)
        found = read_document(str(beside) if beside.is_file() else named)
    own = {k: v for k, v in data.items() if k in KEYS and k not in OWN_KEYS}
    found.data.update({k: v for k, v in own.items() if k not in ("name", "policies", "seeds")})
    return found


def _entries(
    data: Mapping[str, Any],
    shared: Mapping[str, Any],
    part: str,
    base: Path,
    problems: list[Problem],
) -> dict[str, Any]:
    """Topologies, workloads or policies by their label, read once."""
    many = PLURAL[part]
    if part in data and many in data:
        problems.append(Problem(many, f'is given beside "{part}"', "expected one of them"))
    place = many if many in data else part
    several = shared.get("policies") if part == "policy" and part not in data else None
    given = data.get(many, several or shared.get(part))
    if given is None or given in ([], {}):
        what = "expected at least one" if many in data else "is missing"
        problems.append(Problem(many, what))
        return {}
    if not isinstance(given, list) and not (isinstance(given, Mapping) and many in data):
        given = [given]
    named: Iterable[tuple[Any, Any]] = (
        given.items() if isinstance(given, Mapping) else enumerate(given)
    )
    found: dict[str, Any] = {}
    collect = Collector(problems)
    for key, entry in named:
        alone = place == part
        where = place if alone else f"{place}.{key}" if isinstance(key, str) else f"{place}[{key}]"
        read = collect(where, lambda e=entry: _entry(part, e, base))  # type: ignore[misc]
        if read is not None:
            label, what = read
            label = key if isinstance(key, str) else label
            if label in found:
                hint = "give names: " + f"{many}: {{one: …, another: …}}"
                problems.append(Problem(where, f'a second "{label}"', hint))
            found[label] = what
    return found


def _entry(part: str, entry: Any, base: Path) -> tuple[str, Any]:
    """Label and plain data of a topology, workload or policy."""
    if part == "policy":
        data = policy_data(entry, base=base if not _elsewhere(entry, base) else Path("."))
        return policy_title(entry, data), data
    if isinstance(entry, str) and not entry.endswith(".cfg"):
        path = library.find(PLURAL[part], entry, base)
        data = library.read(path)
        if part == "workload":
            data = page_trace.found_beside(data, path.parent)
        try:
            load_topology(data) if part == "topology" else load_workload(data)
        except ConfigError as error:
            raise library.with_lines(ConfigError(error.problems, str(path)), path) from None
        return str(data.get("name", path.stem)), data
    if isinstance(entry, str):
        beside = base / entry
        return Path(entry).stem, str(beside) if beside.is_file() else entry
    load_topology(entry) if part == "topology" else load_workload(entry)
    return str(entry.get("name", part)), entry


def _elsewhere(entry: Any, base: Path) -> bool:
    """Whether a file that a policy names lies where the command runs, not beside the plan."""
    name = entry.get("file") if isinstance(entry, Mapping) else entry
    return isinstance(name, str) and not (base / name).is_file() and Path(name).is_file()


# -- points ----------------------------------------------------------------------------------------


def _points(
    parts: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Settings],
    places: Mapping[str, str],
    shared: Mapping[str, Any],
    base: Path,
    problems: list[Problem],
) -> list[Point]:
    """Every point, the same ones only once; mistakes that many share are told once."""
    found: dict[str, Point] = {}
    told = {(p.message, p.hint) for p in problems}
    for labels, document, policy in _combinations(parts, rows, shared):
        settings = {k: v for k, v in labels.items() if k not in PARTS}
        overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        try:
            made = load_scenario(document, policy=policy, overrides=overrides, base=base)
        except ConfigError as error:
            for problem in error.problems:
                if (problem.message, problem.hint) not in told:
                    told.add((problem.message, problem.hint))
                    problems.append(_placed(problem, settings, places, labels))
            continue
        made = replace(made, policy_name=str(labels["policy"]))
        found.setdefault(json.dumps(labels, default=str), Point(labels, made))
    return list(found.values())


def _combinations(
    parts: Mapping[str, Mapping[str, Any]], rows: Sequence[Settings], shared: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Any]]:
    dropped = ("policy", "policies", "seeds", "seed", *OWN_KEYS)
    rest = {key: value for key, value in shared.items() if key not in dropped}
    keys = {name: policy_keys(policy) for name, policy in parts["policy"].items()}
    for (topology, machine), (workload, work), row in itertools.product(
        parts["topology"].items(), parts["workload"].items(), rows
    ):
        document = {**rest, "topology": machine, "workload": work}
        for name, policy in parts["policy"].items():
            own = {key: value for key, value in row.items() if _is_for(key, keys[name])}
            labels = {"topology": topology, "workload": workload, "policy": name, **own}
            yield labels, document, policy


def _is_for(key: str, known: frozenset[str]) -> bool:
    """Whether a parameter says anything to a policy that has these keys."""
    first = re.split(r"[.\[]", key.removeprefix("policy."), maxsplit=1)[0]
    return not key.startswith("policy.") or first in known


def _placed(
    problem: Problem,
    settings: Settings,
    places: Mapping[str, str],
    labels: Mapping[str, Any],
) -> Problem:
    """A complaint of one combination, told where the plan says it."""
    place = problem.place
    for key in settings:
        if place.startswith(f"--set {key}=") or place == key.removeprefix("scenario."):
            return Problem(places[key], problem.message, problem.hint)
    with_what = ", ".join(f"{key}={value}" for key, value in settings.items())
    hint = "; ".join(filter(None, [with_what and f"with {with_what}", problem.hint]))
    for part in PARTS:
        if place == part or place.startswith((f"{part}.", f"{part} ", f"{part}[")):
            rest = place[len(part) :]
            return Problem(f"{PLURAL[part]}.{labels[part]}{rest}", problem.message, hint)
    return Problem(place, problem.message, problem.hint)
