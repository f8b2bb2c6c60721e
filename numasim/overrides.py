"""Parameters on the command line and inside a file: ``--set workload.hot=8GiB``, ``size: $hot``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.library import read_text

STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def apply_overrides(data: dict[str, Any], overrides: Sequence[str], root: str) -> dict[str, Any]:
    """The data with ``root.path=value`` settings written in.

    A path's steps are keys, list positions (``[1]``) or, in lists, the ``name`` of an entry. A
    single word that is one of the data's `parameters` sets that parameter.

    Raises
    ------
    ConfigError
        If a path leads nowhere.
    """
    problems = []
    for text in overrides:
        path, _, value = text.partition("=")
        path = path.removeprefix(f"{root}.").strip()
        parameters = data.get("parameters")
        try:
            parsed = read_text(value) if value.strip() else ""
        except ConfigError as error:
            problems += [Problem(f"--set {text}", p.message) for p in error.problems]
            continue
        if isinstance(parameters, dict) and path in parameters:
            parameters[path] = parsed
            continue
        if root == "workload" and "." not in path and path not in data:
            known = [*(parameters or {}), *data]
            hint = did_you_mean(path, known)
            problems.append(Problem(f"--set {text}", "no such parameter", hint))
            continue
        steps = [a or int(b) for a, b in STEP.findall(path)]
        problem = _write(data, steps, parsed, text) if steps else Problem(text, "names nothing")
        if problem:
            problems.append(problem)
    if problems:
        raise ConfigError(problems)
    return data


def _write(data: Any, steps: list[Any], value: Any, text: str) -> Problem | None:
    for step in steps[:-1]:
        inner = _enter(data, step)
        if inner is None:
            return Problem(
                f"--set {text}", f'nothing at "{step}"', did_you_mean(str(step), _keys(data))
            )
        data = inner
    last = steps[-1]
    if isinstance(data, list):
        at = _position(data, last)
        if at is None:
            return Problem(
                f"--set {text}", f'nothing at "{last}"', did_you_mean(str(last), _keys(data))
            )
        data[at] = value
    elif isinstance(data, dict) and isinstance(last, str):
        data[last] = value
    else:
        return Problem(f"--set {text}", f'"{last}" is inside a plain value')
    return None


def _enter(data: Any, step: Any) -> Any:
    if isinstance(data, list):
        at = _position(data, step)
        return None if at is None else data[at]
    return data.get(step) if isinstance(data, Mapping) else None


def _position(data: list[Any], step: Any) -> int | None:
    """Where in a list a step leads: a position, or the entry of that name."""
    if isinstance(step, int):
        return step if step < len(data) else None
    named = [i for i, e in enumerate(data) if isinstance(e, Mapping) and e.get("name") == step]
    return named[0] if named else None


def _keys(data: Any) -> list[str]:
    if isinstance(data, list):
        return [str(e.get("name")) for e in data if isinstance(e, Mapping) and "name" in e]
    return [str(key) for key in data] if isinstance(data, Mapping) else []


def substitute(data: dict[str, Any]) -> dict[str, Any]:
    """The data with every ``$name`` replaced by that entry of `parameters`, which goes.

    Raises
    ------
    ConfigError
        For names that are no parameter, and parameters nobody uses.
    """
    parameters = data.pop("parameters", None) or {}
    if not isinstance(parameters, dict):
        raise ConfigError(Problem("parameters", "expected a mapping of names to values"))
    problems: list[Problem] = []
    used: set[str] = set()

    def walk(value: Any, place: str) -> Any:
        if isinstance(value, dict):
            return {k: walk(v, f"{place}.{k}" if place else str(k)) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v, f"{place}[{i}]") for i, v in enumerate(value)]
        if isinstance(value, str) and value.startswith("$"):
            name = value[1:]
            if name in parameters:
                used.add(name)
                return parameters[name]
            problems.append(
                Problem(place, f'no parameter "{name}"', did_you_mean(name, parameters))
            )
        return value

    filled = walk(data, "")
    problems += [
        Problem(f"parameters.{name}", "is never used") for name in parameters if name not in used
    ]
    if problems:
        raise ConfigError(problems)
    return dict(filled)
