"""Small recordings for tests: parts of real ones, and some made up."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from numasim.damon.spec import Attrs, Context, IntervalsGoal, Target
from numasim.validate.observed import KdamondSeen, Observed, SchemeSeen, Watch

DATA = Path(__file__).parents[2] / "data" / "ground_truth"
HEAD_S = 5.0


def head(into: Path, run: str = "E1a/r2", until_s: float = HEAD_S) -> Path:
    """The first seconds of a recorded run, as a folder of its own."""
    source, folder = DATA / run, into / run
    folder.mkdir(parents=True)
    shutil.copy(source / "config.json", folder)
    for name in ("truth.csv", "timeline.csv"):
        first, *rows = (source / name).read_text().splitlines()
        kept = [row for row in rows if float(row.split(",")[0]) <= until_s]
        (folder / name).write_text("\n".join([first, *kept]) + "\n")
    with gzip.open(source / "snapshots.jsonl.gz", "rt") as file:
        kept = [line for line in file if json.loads(line)["t"] <= until_s]
    (folder / "snapshots.jsonl").write_text("".join(kept))
    return folder


def watch(*snapshots: tuple[float, list[list[int]]]) -> Watch:
    """Snapshots as ``(t_s, regions)``."""
    rows = [np.array(regions, np.int64).reshape(-1, 4) for _, regions in snapshots]
    return Watch(
        np.array([t for t, _ in snapshots]), np.arange(len(snapshots)),
        np.cumsum([0, *map(len, rows)]), np.concatenate(rows),
    )  # fmt: skip


def kdamond(*watches: Watch, **more: Any) -> KdamondSeen:
    """A kdamond that monitored a process from page 0, without schemes unless told."""
    goal = more.get("goal", IntervalsGoal())
    attrs = Attrs(5_000, 100_000, 1_000_000, more.get("least", 3), more.get("most", 1000), goal)
    context = Context("vaddr", (Target(pid=7),), attrs, more.get("schemes_asked", ()))
    tuned = np.array(more.get("tuned", []), float).reshape(-1, 2)
    return KdamondSeen(
        more.get("name", "kd0"), context, watches, tuned[:, 0], tuned[:, 1].astype(np.int64),
        tuple(more.get("schemes", ())),
    )  # fmt: skip


def seen(*kdamonds: KdamondSeen, free: Any = None) -> Observed:
    """A run in which nothing is known of nodes, or one node's free bytes every second."""
    free_bytes = np.zeros((0, 1)) if free is None else np.array(free, float)[:, None]
    return Observed(kdamonds, np.arange(len(free_bytes)) * 1.0, free_bytes, np.zeros(0), {})


def scheme(t_s: Any = (), applied: Any = (), esz: Any = ()) -> SchemeSeen:
    """A scheme by instants, bytes tried and applied so far, and ``(t_s, bytes)`` of its quota."""
    counters = np.zeros((len(t_s), 7), np.int64)
    counters[:, 1] = counters[:, 3] = applied
    changes = np.array(esz, float).reshape(-1, 2)
    return SchemeSeen(np.array(t_s, float), counters, changes[:, 0], changes[:, 1])
