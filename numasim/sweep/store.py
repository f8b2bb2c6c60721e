"""A sweep on disk: a partitioned dataset of finished runs, what failed, and runs of earlier plans.

``runs/topology=…/workload=…/policy=…/<key>.parquet`` holds the numbers of one run each;
``pandas.read_parquet("FOLDER/runs")`` opens all. Files appear whole or not at all, so whatever is
killed, what is there is finished. Runs that the plan no longer asks for move to ``earlier/``, from
where a later plan that asks for them again takes them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable
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

RUNS, EARLIER, FAILED, JOURNAL = "runs", "earlier", "failed", "journal.jsonl"


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
        folder.mkdir(parents=True, exist_ok=True)
        self._lock: IO[bytes] = (folder / ".lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            hint = "wait for it, or choose another folder"
            raise ConfigError(Problem(str(folder), "another sweep is at work here", hint)) from None
        self.mark = self._mark()
        for part in folder.rglob(".*.part"):
            part.unlink(missing_ok=True)  # of a process that was killed while it wrote

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

    def settle(self, tasks: Iterable[Task], keep_others: bool = False) -> list[Task]:
        """Make the dataset that of these tasks, as far as they are done; those still to do.

        Runs of other tasks are set aside unless they are kept, and taken back when asked for.
        """
        lying = {path.stem: path for root in (EARLIER, RUNS) for path in self._rows(root)}
        wanted, left = {}, []
        for task in tasks:
            path = self.folder / row_path(task.labels, task.key)
            wanted[task.key] = path
            found = lying.get(task.key)
            if found is None or not self._take(found, path, task):
                left.append(task)
        for key, path in lying.items():
            if key not in wanted and path.is_relative_to(self.folder / RUNS):
                if keep_others:
                    continue
                self._move(path, self.folder / EARLIER / path.relative_to(self.folder / RUNS))
            elif key in wanted and path != wanted[key]:
                path.unlink(missing_ok=True)  # written anew under its present labels
        return left

    def _rows(self, root: str) -> list[Path]:
        return sorted((self.folder / root).rglob("[!.]*.parquet"))

    def _take(self, found: Path, path: Path, task: Task) -> bool:
        """Use a finished run for a task, under the task's labels; whether it has all it should."""
        about, metrics = read_row(found)
        if not set(task.keep) <= set(about["keep"]):
            return False
        lead = {"run": ("string", task.key), "seed": ("int64", task.seed), **task.cells}
        same = list(pq.read_schema(found).names) == [*lead, *metrics]
        if found == path and same and about["labels"] == json.loads(json.dumps(task.labels)):
            return True
        if task.keep and about["labels"] != json.loads(json.dumps(task.labels)):
            return False  # its tables carry the old labels
        write_whole(path, encoded(row(lead, metrics, {**about, "labels": task.labels})))
        return True

    def _move(self, old: Path, new: Path) -> None:
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

    def write(self, name: str, document: Any) -> Path:
        """Write one JSON document beside the dataset."""
        path = self.folder / name
        write_whole(path, to_json(document).encode())
        return path


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
