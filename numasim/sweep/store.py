"""A sweep on disk: a partitioned dataset of finished runs, what failed, and runs of earlier plans.

``runs/topology=…/workload=…/policy=…/<key>.parquet`` holds the numbers of one run each;
``pandas.read_parquet("FOLDER/runs")`` opens all; ``tables/NAME/…`` holds what is kept beside them.
Files appear whole or not at all, so whatever is killed, what is there is finished. Runs that the
plan no longer asks for move to ``earlier/``, from where a later plan that asks for them takes them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow.parquet as pq

from numasim.errors import ConfigError, NumasimError, Problem
from numasim.plain import to_json
from numasim.sweep.task import (
    MARK,
    METADATA,
    REPEATED,
    Done,
    Task,
    encoded,
    row,
    row_path,
    write_whole,
)

RUNS, TABLES, EARLIER, FAILED, JOURNAL = "runs", "tables", "earlier", "failed", "journal.jsonl"
PARQUET_END = b"PAR1"


class DiskFull(NumasimError, RuntimeError):
    """A run could not be saved; those before it are."""


class Store:
    """The folder of a sweep, held by one process at a time.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ConfigError
        If another sweep is at work there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged = 0
        if (folder / RUNS).exists() and not (folder / MARK).is_file():
            hint = "choose another folder: a sweep would take these runs for its own"
            raise ConfigError(Problem(str(folder), "holds runs that are no sweep's", hint))
        folder.mkdir(parents=True, exist_ok=True)
        self._lock: IO[bytes] = (folder / ".lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            hint = "wait for it, or choose another folder"
            raise ConfigError(Problem(str(folder), "another sweep is at work here", hint)) from None
        self.mark = self._mark()
        for part in self._begun():
            part.unlink(missing_ok=True)  # of a process that was killed while it wrote

    def _begun(self) -> Iterator[Path]:
        """Files that were never finished; only where a sweep writes, as folders may hold more."""
        yield from self.folder.glob(".*.part")
        for name in (RUNS, TABLES, EARLIER, FAILED):
            yield from (self.folder / name).rglob(".*.part")

    def _mark(self) -> str:
        """What a process that sees this very folder can read there."""
        path = self.folder / MARK
        if not path.is_file():
            write_whole(path, secrets.token_hex(16).encode())
        return path.read_text(encoding="utf-8")

    def close(self) -> None:
        """Let others in."""
        self._lock.close()

    # -- what is there -------------------------------------------------------------------------

    def settle(
        self, tasks: Iterable[Task], keep_others: bool = False
    ) -> tuple[list[Task], dict[str, dict[str, float]]]:
        """Make the dataset that of these tasks, as far as they are done.

        Runs of other tasks are set aside unless they are kept, and taken back when asked for.

        Returns
        -------
        list of Task
            Those still to do.
        dict of str to dict of str to float
            Numbers of those that are done.
        """
        lying = {path.stem: path for root in (self._earlier, self.folder)
                 for path in sorted((root / RUNS).rglob("[!.]*.parquet"))}  # fmt: skip
        left, there = [], {}
        for task in tasks:
            found = lying.pop(task.key, None)
            metrics = None if found is None else self._take(found, task)
            if metrics is None:
                left.append(task)
            else:
                there[task.key] = metrics
        for path in lying.values():
            if not keep_others and path.is_relative_to(self.folder / RUNS):
                self._move(path, self.folder, self._earlier)
        return left, there

    @property
    def _earlier(self) -> Path:
        return self.folder / EARLIER

    def _take(self, found: Path, task: Task) -> dict[str, float] | None:
        """Use a finished run for a task, under the task's labels; None if it must be done again."""
        path = self.folder / row_path(task.labels, task.key)
        try:
            about, metrics = read_row(found)
            names = pq.read_schema(found).names
            kept, labels = set(about["keep"]), about["labels"]
        except PermissionError:
            raise
        except (OSError, ValueError, KeyError, TypeError):  # Arrow's own are of these kinds
            self._discard(found)
            return None
        lead = {"run": ("string", task.key), "seed": ("int64", task.seed), **task.cells}
        same = names == [*lead, *metrics] and labels == json.loads(json.dumps(task.labels))
        if not set(task.keep) <= kept or (task.keep and not same):
            return None  # tables are missing, or have the columns of another plan
        if not all(map(_ends_well, self._tables(found))):
            self._discard(found)
            return None
        if not found.is_relative_to(self.folder / RUNS):
            self._move(found, self._earlier, self.folder)
        if not same:
            write_whole(path, encoded(row(lead, metrics, {**about, "labels": task.labels})))
        return metrics

    def _discard(self, found: Path) -> None:
        """Take a run away that a sick disk or a hasty copy left in pieces."""
        self.damaged += 1
        found.unlink(missing_ok=True)

    def _tables(self, row: Path) -> list[Path]:
        """What is kept beside a run's numbers."""
        root = self.folder if row.is_relative_to(self.folder / RUNS) else self._earlier
        inner = row.relative_to(root / RUNS)
        return [p for name in (root / TABLES).glob("*") if (p := name / inner).is_file()]

    def _move(self, path: Path, root: Path, other: Path) -> None:
        """Move a run; its numbers last, so that a run that has them is whole."""
        for old in (*self._tables(path), path):
            new = other / old.relative_to(root)
            new.parent.mkdir(parents=True, exist_ok=True)
            old.replace(new)
            with suppress(OSError):
                old.parent.rmdir()

    def failures(self, tasks: Iterable[Task]) -> dict[str, Done]:
        """Runs that failed before for reasons that will not go away."""
        found = {}
        for task in tasks:
            path = self.folder / FAILED / f"{task.key}.json"
            with suppress(OSError, ValueError):
                data = json.loads(path.read_text(encoding="utf-8"))
                if data["how"] not in REPEATED:
                    found[task.key] = Done(task.key, how=data["how"], error=data["error"])
        return found

    def forget_failures(self, keys: Iterable[str]) -> None:
        """Records of failures other than these are of earlier plans, or to be tried again."""
        kept = frozenset(keys)
        for path in (self.folder / FAILED).glob("*.json"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    # -- what comes ----------------------------------------------------------------------------

    def add(self, task: Task, done: Done) -> None:
        """Save what a worker could not, and how it went.

        Raises
        ------
        DiskFull
        """
        try:
            for name, data in done.files.items():
                write_whole(self.folder / name, data)
            if not done.ok:
                self._record(task, done)
            self._journal(task, done)
        except OSError as error:
            raise DiskFull(f"{task.name}: cannot be saved: {error.strerror}") from error
        if done.how == "disk":
            raise DiskFull(f"{task.name}: {done.error}")

    def _record(self, task: Task, done: Done) -> None:
        document = {
            **task.labels, "seed": task.seed, "how": done.how, "error": done.error,
            "seconds": round(done.seconds, 3), "scenario": {**task.document, "seed": task.seed},
        }  # fmt: skip
        path = self.folder / FAILED / f"{task.key}.json"
        write_whole(path, to_json(document).encode())

    def _journal(self, task: Task, done: Done) -> None:
        """A line for each run: dataset files say nothing of where and how long, to be the same."""
        line = {"run": task.key, "how": done.how or "done", "seconds": round(done.seconds, 4),
                "cpu_s": round(done.cpu_s, 4)}  # fmt: skip
        with (self.folder / JOURNAL).open("ab") as file:
            os.write(file.fileno(), (json.dumps(line) + "\n").encode())

    def write(self, name: str, document: Any) -> None:
        """Write one JSON document beside the dataset."""
        self.write_text(name, to_json(document))

    def write_text(self, name: str, text: str) -> None:
        """Write one text beside the dataset."""
        write_whole(self.folder / name, text.encode())


def _ends_well(path: Path) -> bool:
    """Whether a Parquet file has its end, where its columns are listed."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < len(PARQUET_END):
            return False
        file.seek(-len(PARQUET_END), os.SEEK_END)
        return file.read() == PARQUET_END


def read_row(path: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """How to make a run again, and its numbers."""
    file = pq.ParquetFile(path)
    table = file.read()
    about = json.loads((file.schema_arrow.metadata or {})[METADATA])
    return about, {name: table[name][0].as_py() for name in about["metrics"]}


def read_runs(folder: str | Path) -> pd.DataFrame:
    """All finished runs of a sweep: a row each, sorted by what they are.

    Returns
    -------
    pandas.DataFrame
        ``run`` (key), ``seed``, a column for each parameter (one more in base units where its
        values have a unit, such as ``policy.quota_bytes``), the metrics of `Result.summary`, and
        ``topology, workload, policy``.
    """
    runs = Path(folder) / RUNS
    if not any(runs.rglob("[!.]*.parquet")):
        return pd.DataFrame()
    return pd.read_parquet(runs)
