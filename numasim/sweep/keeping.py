"""A plan in the folder of its sweep: as it was written, and in full, so that no file is missing.

``plan.json`` has every scenario with what files it named; `kept_plan` makes the same plan of it, so
``numasim sweep FOLDER`` goes on with a sweep, or does it again elsewhere, from the folder alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numasim import __version__
from numasim.errors import ConfigError, Problem
from numasim.loader import load_scenario
from numasim.sweep.code import run_plan
from numasim.sweep.plan import PARTS, Limits, Plan, Point

FILE = "plan.json"
COPY = "plan"
"""Stem of the file as it was written."""


def described(plan: Plan, code: str, began: float) -> dict[str, Any]:
    """What the folder of a sweep says about it.

    Parameters
    ----------
    plan : Plan
    code : str
        See `numasim.sweep.code.fingerprint`.
    began : float
        Seconds since 1970.
    """
    parts, scenarios = _taken_apart(plan.points)
    return {
        "name": plan.name,
        "numasim": __version__,
        "code": code,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seeds": list(plan.seeds),
        "parameters": plan.parameters,
        "points": [point.labels for point in plan.points],
        "keep": list(plan.keep),
        "limits": {"time_s": plan.limits.time_ns / 1e9, "memory_bytes": plan.limits.memory_bytes},
        "text": plan.text,
        "python": plan.source is not None,
        "parts": parts,
        "scenarios": scenarios,
    }


def _taken_apart(points: Sequence[Point]) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """Scenarios of points; machines, workloads and policies that several share are there once."""
    parts: dict[str, list[Any]] = {part: [] for part in PARTS}
    known: dict[str, int] = {}
    scenarios = []
    for point in points:
        document = {k: v for k, v in point.scenario.document.items() if k != "seed"}
        for part in PARTS:
            text = part + json.dumps(document[part], sort_keys=True, default=str)
            if text not in known:
                known[text] = len(parts[part])
                parts[part].append(document[part])
            document[part] = known[text]
        scenarios.append(document)
    return parts, scenarios


def copy_of(plan: Plan) -> tuple[str, str] | None:
    """Name and text of the file that a plan was read from; None if there was none."""
    if not plan.text:
        return None
    return f"{COPY}.{'py' if plan.source is not None else 'yaml'}", plan.text


def is_kept(path: Path) -> bool:
    """Whether a path is the folder of a sweep, or the plan in it."""
    return (path / FILE).is_file() or (path.name == FILE and path.is_file())


def kept_plan(path: Path) -> Plan:
    """The plan of a sweep's folder.

    Parameters
    ----------
    path : Path
        The folder or the ``plan.json`` in it.

    Raises
    ------
    ConfigError
        If it cannot be read, or a plan in Python that belongs to it fails.
    """
    file = path / FILE if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        source = _source(data, file.parent)
        pairs = zip(data["points"], data["scenarios"], strict=True)
        points = tuple(_point(labels, made, data["parts"]) for labels, made in pairs)
        limits = data["limits"]
        return Plan(
            str(data["name"]), points, tuple(map(int, data["seeds"])), dict(data["parameters"]),
            tuple(data["keep"]), Limits(round(limits["time_s"] * 1e9), limits["memory_bytes"]),
            source, str(data["text"]),
        )  # fmt: skip
    except ConfigError as error:
        raise ConfigError(error.problems, str(file)) from None
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        hint = "give the plan it was made from"
        what = f"is no plan of a sweep ({type(error).__name__}: {error})"
        raise ConfigError(Problem("", what, hint), str(file)) from None


def _source(data: Mapping[str, Any], folder: Path) -> Path | None:
    """Where a plan in Python lies, once it has registered what it brings."""
    if not data["python"]:
        return None
    source = (folder / f"{COPY}.py").resolve()
    try:
        run_plan(str(data["text"]), str(source))
    except Exception as error:
        raise ConfigError(Problem("text", f"{type(error).__name__}: {error}")) from error
    return source


def _point(
    labels: dict[str, Any], made: Mapping[str, Any], parts: Mapping[str, Sequence[Any]]
) -> Point:
    document = {**made, **{part: parts[part][made[part]] for part in PARTS}}
    scenario = load_scenario(document)
    return Point(labels, replace(scenario, policy_name=str(labels["policy"])))
