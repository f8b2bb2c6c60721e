"""One run as a worker gets it, and what it sends back: both are plain data that any process reads.

A worker that sees the folder of the sweep writes its run there itself, at once; one that does not,
on another machine, sends the same bytes home. Either way a file appears whole or not at all.
"""

from __future__ import annotations

import errno
import io
import json
import os
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from numasim.errors import NumasimError
from numasim.loader import load_scenario
from numasim.result import Result
from numasim.running import run_scenario
from numasim.scenario import Scenario

DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO))
MARK = ".sweep"
PARTITIONS = ("topology", "workload", "policy")
METADATA = b"numasim"
REPEATED = ("time", "memory", "killed", "disk")
"""Ways to fail that the same command tries again: the machine's doing, perhaps, not the run's."""

MOST_READ = 64
"""Scenarios that a worker keeps."""

Cells = dict[str, tuple[str, Any]]
"""Columns of a run beside its numbers: Arrow's name of the type, and the value."""


@dataclass(frozen=True)
class Task:
    """One run to do.

    Parameters
    ----------
    key : str
        Hash of all that its results depend on.
    labels : dict of str to Any
        See `Point`.
    seed : int
    document : dict
        Of the scenario; needs no other file.
    content : str
        Hash of the scenario without its seed.
    cells : dict
        See `Cells`.
    keep : tuple of str
        Tables to keep.
    folder, mark : str
        Where the sweep is saved, and what its file `MARK` says; empty if it is not.
    """

    key: str
    labels: dict[str, Any]
    seed: int
    document: dict[str, Any]
    content: str
    cells: Cells = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    folder: str = ""
    mark: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        parts = (f"{k}={v}" if "." in k else str(v) for k, v in self.labels.items())
        return ", ".join((*parts, f"seed {self.seed}"))


@dataclass(frozen=True)
class Done:
    """What became of a task.

    Parameters
    ----------
    key : str
    metrics : dict of str to float or None
        `Result.summary`; None if it failed.
    how : str
        How it failed: ``error``, ``time``, ``memory``, ``disk`` or ``killed``.
    error : str
    files : dict of str to bytes
        What there is to save, if the worker could not.
    seconds, cpu_s : float
        On the clock on the wall, and of a core.
    """

    key: str
    metrics: dict[str, float] | None = None
    how: str = ""
    error: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ran to its end."""
        return self.metrics is not None


def perform(task: Task) -> Done:
    """Do a task in this process; whatever goes wrong is part of the answer."""
    began, cpu = time.monotonic(), time.process_time()

    def done(**what: Any) -> Done:
        what["seconds"], what["cpu_s"] = time.monotonic() - began, time.process_time() - cpu
        return Done(task.key, **what)

    try:
        result = run_scenario(_scenario(task))
        metrics = result.summary()
        if not task.folder:
            return done(metrics=metrics)
        files = files_of(task, result, metrics)
    except MemoryError as error:
        return done(how="memory", error=f"more memory than its limit: {error}".rstrip(": "))
    except NumasimError as error:
        return done(how="error", error=str(error))
    except Exception:
        return done(how="error", error=traceback.format_exc().rstrip())
    try:
        if not sees(task):
            return done(metrics=metrics, files=files)
        write_all(Path(task.folder), files)
    except OSError as error:
        how = "disk" if error.errno in DISK else "error"
        return done(how=how, error=f"cannot be saved: {error.strerror}: {error.filename}")
    return done(metrics=metrics)


_read: dict[str, Scenario] = {}
"""Scenarios that this process has read, by `Task.content`."""


def _scenario(task: Task) -> Scenario:
    """The task's scenario; seeds of one point share what was read and checked."""
    found = _read.get(task.content)
    if found is None:
        if len(_read) >= MOST_READ:
            _read.clear()
        found = _read[task.content] = load_scenario(task.document)
    document = {**found.document, "seed": task.seed}
    name = str(task.labels["policy"])
    return replace(found, seed=task.seed, policy_name=name, document=document)


# -- files -----------------------------------------------------------------------------------------


def row_path(labels: Mapping[str, Any], key: str, root: str = "runs") -> str:
    """Where a run's numbers lie in the sweep's folder."""
    parts = [f"{part}={quote(str(labels[part]), safe=' ()+,')}" for part in PARTITIONS]
    return "/".join((root, *parts, f"{key}.parquet"))


def sees(task: Task) -> bool:
    """Whether the sweep's folder is the same one here."""
    try:
        return (Path(task.folder) / MARK).read_text(encoding="utf-8") == task.mark
    except OSError:
        return False


def files_of(task: Task, result: Result, metrics: Mapping[str, float]) -> dict[str, bytes]:
    """Every file of a finished run, its row of numbers last: where that is, the run is whole."""
    lead = {"run": ("string", task.key), "seed": ("int64", task.seed), **task.cells}
    files = {}
    for name in task.keep:
        table = result.tables[name]
        if not len(table):
            continue  # without rows Arrow cannot tell what its columns hold
        inner = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
        for at, (column, (kind, value)) in enumerate(lead.items()):
            cells = pa.repeat(pa.scalar(value, kind), len(table))
            inner = inner.add_column(at, pa.field(column, kind), cells)
        files[row_path(task.labels, task.key, f"tables/{name}")] = encoded(inner)
    about = {
        **result.provenance, "labels": task.labels, "keep": task.keep, "metrics": list(metrics)
    }  # fmt: skip
    files[row_path(task.labels, task.key)] = encoded(row(lead, metrics, about))
    return files


def row(
    lead: Mapping[str, tuple[str, Any]], metrics: Mapping[str, float], about: Mapping[str, Any]
) -> pa.Table:
    """One row: what the run was, and its numbers; how to make it again is in the metadata."""
    cells = {**lead, **{name: ("double", float(value)) for name, value in metrics.items()}}
    schema = pa.schema([pa.field(name, kind) for name, (kind, _) in cells.items()])
    arrays = [pa.array([value], kind) for kind, value in cells.values()]
    text = json.dumps(about, sort_keys=True, default=str)
    return pa.Table.from_arrays(arrays, schema=schema).replace_schema_metadata({METADATA: text})


def encoded(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file; the same table gives the same bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Save files in their order, each whole or not at all.

    Raises
    ------
    OSError
        If there is no room; what was begun is taken away again.
    """
    for name, data in files.items():
        write_whole(folder / name, data)


def write_whole(path: Path, data: bytes) -> None:
    """Write beside, see that it is on the disk, and rename: a kill leaves the old file or the new.

    Raises
    ------
    OSError
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
