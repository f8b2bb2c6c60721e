"""Parameters from the command line and inside a file: ``--set workload.hot=8GiB``, ``size: $hot``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.library import read_text

STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def apply_overrides(data: dict[str, Any], overrides: Sequence[str], root: str) -> dict[str, Any]:
    """The data with ``root.path=value`` settings written in.

    A path's steps are keys, list positions (``[1]``) or, in lists, the ``name`` of an entry. A single
    word that is one of the data's `parameters` sets that parameter.

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
        parsed = read_text(value) if value.strip() else ""
        if isinstance(parameters, dict) and path in parameters:
            parameters[path] = parsed
            continue
        if root == "workload" and "." not in path and path not in data:
            known = [*(parameters or {}), *data]
            hint = did_you_mean(path, known)
            problems.append(Problem(f"--set {text}", "no such parameter", hint))
            continue
        problem = _write(data, [a or int(b) for a, b in STEP.findall(path)], parsed, text)
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
        entry = _enter(data, last)
        if entry is None:
            return Problem(
                f"--set {text}", f'nothing at "{last}"', did_you_mean(str(last), _keys(data))
            )
        data[data.index(entry)] = value
    elif isinstance(data, dict):
        data[last] = value
    else:
        return Problem(f"--set {text}", f'"{last}" is inside a plain value')
    return None


def _enter(data: Any, step: Any) -> Any:
    if isinstance(data, list):
        if isinstance(step, int):
            return data[step] if step < len(data) else None
        return next((e for e in data if isinstance(e, Mapping) and e.get("name") == step), None)
    return data.get(step) if isinstance(data, Mapping) else None


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
