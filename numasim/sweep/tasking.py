"""A plan as tasks: one for each point and seed, under the hash of all that its results go by."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from numasim.sweep.plan import PARTS, Plan, Point
from numasim.sweep.store import Store
from numasim.sweep.task import Cells, Task
from numasim.sweep.values import numbers_of


def tasks_of(plan: Plan, code: str, store: Store | None = None) -> list[Task]:
    """A task for every point and seed; seeds in the outer order, so that what is there is paired.

    Points that come to the same scenario share a run.
    """
    folder, mark = ("", "") if store is None else (str(store.folder.resolve()), store.mark)
    contents = [point.content(code) for point in plan.points]
    cells = _cells(plan.points, list(plan.parameters))
    found: dict[str, Task] = {}
    seeds = [plan.seeds_for(point) for point in plan.points]
    for seed in dict.fromkeys(seed for each in itertools.zip_longest(*seeds) for seed in each):
        for point, content, own, mine in zip(plan.points, contents, cells, seeds, strict=True):
            if seed is None or seed not in mine:
                continue
            labels = dict(point.labels)
            key = _key(content, seed, labels)
            found[key] = Task(
                key, labels, seed, point.scenario.document, content, own, plan.keep, folder, mark
            )
    return list(found.values())


def _key(content: str, seed: int, labels: Mapping[str, Any]) -> str:
    """Of a run; two policies of one content under two names are two runs of the dataset."""
    names = [str(labels[part]) for part in (*PARTS, "experiment") if part in labels]
    return hashlib.sha256(f"{content} {seed} {names}".encode()).hexdigest()[:24]


def _cells(points: Sequence[Point], parameters: Sequence[str]) -> list[Cells]:
    """Columns of parameters for each point; the same for all, so that they make one table."""
    columns: list[tuple[str, str, list[Any]]] = []
    for name in parameters:
        values = [point.labels.get(name) for point in points]
        given = [value for value in values if value is not None]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
            columns.append((name, "double", [None if v is None else float(v) for v in values]))
            continue
        texts = [None if v is None else v if isinstance(v, str) else repr(v) for v in values]
        columns.append((name, "string", texts))
        numbers = numbers_of(values)
        if numbers is not None:
            columns.append((name + numbers[0], "double", numbers[1]))
    return [{name: (kind, values[i]) for name, kind, values in columns} for i in range(len(points))]
