"""The committed file that says what a suite came to when somebody last agreed with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numasim import __version__
from numasim.errors import ConfigError, Problem

LAYOUT = 1


@dataclass(frozen=True)
class Recorded:
    """What an experiment came to.

    Parameters
    ----------
    content : str
        See `Experiment.content`.
    seeds : tuple of int
    values : dict of str to tuple of float
        Of each metric, in the order of the seeds.
    others : dict of str to float
        Means of numbers that are not judged, and say why; none in baselines of earlier versions.
    """

    content: str
    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    others: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """What a suite came to, by experiment."""

    experiments: dict[str, Recorded] = field(default_factory=dict)
    numasim: str = __version__


def path_of(suite: Path) -> Path:
    """Where the baseline of a suite lies unless it is said: beside it."""
    return suite.with_name(f"{suite.stem}.baseline.json")


def read_baseline(path: Path) -> Baseline:
    """The baseline of a file.

    Raises
    ------
    ConfigError
        If there is none, or it is none.
    """
    if not path.is_file():
        hint = "make it with --update, and commit it"
        raise ConfigError(Problem("", "there is no baseline yet", hint), str(path))
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["layout"] != LAYOUT:
            raise ValueError(f"layout {data['layout']}")
        found = {name: _recorded(entry) for name, entry in data["experiments"].items()}
        return Baseline(found, str(data["numasim"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "restore it, or make it anew with --update"
        what = f"is no baseline ({type(error).__name__}: {error})"
        raise ConfigError(Problem("", what, hint), str(path)) from None


def _recorded(entry: Mapping[str, Any]) -> Recorded:
    values = {name: tuple(map(float, each)) for name, each in entry["values"].items()}
    seeds = tuple(map(int, entry["seeds"]))
    wrong = [n for n, each in values.items() if len(each) != len(seeds) or not _finite(each)]
    if wrong:
        raise ValueError(f"values of {wrong[0]}")
    others = {str(name): float(value) for name, value in entry.get("others", {}).items()}
    return Recorded(str(entry["content"]), seeds, values, others)


def _finite(values: Sequence[float]) -> bool:
    return len(values) > 1 and all(map(math.isfinite, values))


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write it so that a difference of two versions can be read: a line for each metric."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(as_text(baseline), encoding="utf-8")
    beside.replace(path)


def as_text(baseline: Baseline) -> str:
    """What a file of it says."""
    lines = [f' "numasim": {json.dumps(baseline.numasim)},', f' "layout": {LAYOUT},']
    parts = []
    for name, entry in baseline.experiments.items():
        values = ",\n".join(
            f"    {json.dumps(metric)}: {json.dumps(list(each))}"
            for metric, each in entry.values.items()
        )
        others = f',\n   "others": {json.dumps(entry.others)}' if entry.others else ""
        parts.append(
            f'  {json.dumps(name)}: {{\n   "content": {json.dumps(entry.content)},\n'
            f'   "seeds": {json.dumps(list(entry.seeds))},\n'
            f'   "values": {{\n{values}\n   }}{others}\n  }}'
        )
    body = ",\n".join(parts)
    return "{\n" + "\n".join(lines) + f'\n "experiments": {{\n{body}\n }}\n}}\n'
