"""Carry out a plan: what is done already, what is to do, on which workers, and how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from numasim.sweep.code import fingerprint
from numasim.sweep.keeping import FILE, copy_of, described
from numasim.sweep.plan import PARTS, Plan
from numasim.sweep.store import DiskFull, Store
from numasim.sweep.task import Done, Task
from numasim.sweep.tasking import tasks_of
from numasim.sweep.workers import Runner, runner


@dataclass
class Progress:
    """How a sweep goes.

    Parameters
    ----------
    total : int
    workers : int
    done, failed, loaded, running : int
        Finished now, failed, found finished, at work.
    seconds : float
        That finished and failed runs took together.
    """

    total: int
    workers: int
    done: int = 0
    failed: int = 0
    loaded: int = 0
    running: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> int:
        """Runs that are not finished."""
        return self.total - self.done - self.failed - self.loaded

    @property
    def rest_s(self) -> float:
        """Estimated time until all are; NaN before the first."""
        nr = self.done + self.failed
        if not self.left:
            return 0.0
        return self.seconds / nr * self.left / max(1, self.workers) if nr else float("nan")


OnProgress = Callable[[Progress, Task | None, Done | None], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to.

    Parameters
    ----------
    plan : Plan
    folder : Path or None
    metrics : dict of str to dict of str to float
        Of finished runs, by key.
    failed : dict of str to Done
    tasks : tuple of Task
    loaded : int
        How many had been finished before.
    damaged : int
        How many of those could not be read and were done again.
    """

    plan: Plan
    folder: Path | None
    metrics: dict[str, dict[str, float]]
    failed: dict[str, Done]
    tasks: tuple[Task, ...]
    loaded: int = 0
    damaged: int = 0

    def runs(self) -> pd.DataFrame:
        """Finished runs in the order of the plan, with labels and numbers."""
        rows = []
        for task in self.tasks:
            if task.key in self.metrics:
                cells = {name: value for name, (_, value) in task.cells.items()}
                rows.append({"run": task.key, **_parts(task), "seed": task.seed, **cells,
                             **self.metrics[task.key]})  # fmt: skip
        return pd.DataFrame(rows)


def _parts(task: Task) -> dict[str, str]:
    return {part: str(task.labels[part]) for part in PARTS}


@dataclass
class Sweeping:
    """A sweep at work: warm workers, and the folder they fill.

    Parameters
    ----------
    plan : Plan
    runner : Runner
    store : Store or None
    code : str
        See `fingerprint`.
    on_progress : callable, optional
    retry_failed : bool
        Whether to do again what failed by itself.
    keep_others : bool
        Whether runs of other plans stay in the dataset.
    """

    plan: Plan
    runner: Runner
    store: Store | None
    code: str
    on_progress: OnProgress | None = None
    retry_failed: bool = False
    keep_others: bool = False
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, Done] = field(default_factory=dict)
    _loaded: int = 0

    def run(self, plan: Plan) -> Sweep:
        """Do what is not done yet of a plan.

        Raises
        ------
        DiskFull
        """
        tasks = tasks_of(plan, self.code, self.store)
        by_key = {task.key: task for task in tasks}
        left = [task for task in tasks if task.key not in self.metrics | self.failed]
        if self.store is not None:
            left = self._settle(tasks)
        progress = Progress(len(tasks), self.runner.workers, loaded=self._loaded)
        progress.done = len(tasks) - len(left) - len(self.failed) - self._loaded
        progress.failed = len(self.failed)
        self._tell(progress)

        def on_start(task: Task) -> None:
            progress.running = min(progress.running + 1, progress.left)
            self._tell(progress, task)

        for done in self.runner.results(left, on_start):
            if self.store is not None:
                self._save(by_key[done.key], done, len(self.metrics))
            if done.metrics is not None:
                self.metrics[done.key] = done.metrics
            else:
                self.failed[done.key] = done
            progress.done += done.ok
            progress.failed += not done.ok
            progress.running -= 1
            progress.seconds += done.seconds
            self._tell(progress, by_key[done.key], done)
        folder = None if self.store is None else self.store.folder
        found = {key: m for key, m in self.metrics.items() if key in by_key}
        damaged = 0 if self.store is None else self.store.damaged
        return Sweep(plan, folder, found, dict(self.failed), tuple(tasks), self._loaded, damaged)

    def _settle(self, tasks: list[Task]) -> list[Task]:
        """What is still to do; what is there is read."""
        assert self.store is not None
        left, there = self.store.settle(tasks, self.keep_others)
        known = {} if self.retry_failed else self.store.failures(left)
        self.failed.update(known)
        if not self.keep_others:
            self.store.forget_failures(self.failed)
        self._loaded += len(there.keys() - self.metrics.keys())
        self.metrics |= there
        return [task for task in left if task.key not in self.failed]

    def _save(self, task: Task, done: Done, finished: int) -> None:
        assert self.store is not None
        try:
            self.store.add(task, done)
        except DiskFull as error:
            safe = f"{finished} finished runs are safe in {self.store.folder}"
            raise DiskFull(f"{error}\n{safe}; make room, and the same command goes on") from error

    def _tell(self, progress: Progress, task: Task | None = None, done: Done | None = None) -> None:
        if self.on_progress is not None:
            self.on_progress(progress, task, done)


@contextmanager
def at_work(
    plan: Plan,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    here: bool = False,
    on_progress: OnProgress | None = None,
    retry_failed: bool = False,
) -> Iterator[Sweeping]:
    """Workers and folder for a plan, held until the end; see `sweep`."""
    store = None if out is None else Store(Path(out))
    began = time.time()
    try:
        with runner(plan, workers, scheduler, here) as found:
            code = fingerprint(plan.python)
            if store is not None:
                store.write(FILE, described(plan, code, began))
                if (copy := copy_of(plan)) is not None:
                    store.write_text(*copy)
            yield Sweeping(plan, found, store, code, on_progress, retry_failed)
    finally:
        if store is not None:
            store.close()


def sweep(
    plan: Plan,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    here: bool = False,
    on_progress: OnProgress | None = None,
    retry_failed: bool = False,
) -> Sweep:
    """Do every run of a plan that is not done yet.

    Parameters
    ----------
    plan : Plan
        See `numasim.sweep.read_plan`.
    out : str or Path, optional
        Folder that keeps every run as soon as it is finished; the same call goes on there.
    workers : int, optional
        Processes of this machine; one for each core unless said.
    scheduler : str, optional
        Address of a Dask scheduler, instead of this machine's processes.
    here : bool
        In this process, one after the other and without bounds.
    on_progress : callable, optional
        Called with `Progress`, and with what began or ended.
    retry_failed : bool
        Also do again what failed with an error of its own; what was ended for its time or memory,
        or was killed, is always tried again.

    Returns
    -------
    Sweep

    Raises
    ------
    ConfigError, DiskFull, NumasimError
    """
    with at_work(
        plan, out, workers=workers, scheduler=scheduler, here=here,
        on_progress=on_progress, retry_failed=retry_failed,
    ) as working:  # fmt: skip
        return working.run(plan)
