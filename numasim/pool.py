"""Many runs on the cores of this machine, each saved as soon as it is finished.

A kill loses only runs that were not finished; the same call again loads those that were. Results do
not depend on the number of workers: every run is its own world, made from its scenario alone.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from numasim.errors import ConfigError, NumasimError, Problem
from numasim.provenance import provenance
from numasim.result import Result
from numasim.running import run_scenario
from numasim.scenario import Scenario

OnDone = Callable[["Outcome", int, int], None]
"""Called with each outcome, how many are done, and of how many."""


@dataclass(frozen=True)
class Task:
    """One run to do. `folder` is where it is saved, or was by an earlier call."""

    policy: str
    scenario: Scenario
    folder: Path | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Policy and seed."""
        return self.policy, self.scenario.seed

    def outcome(self) -> Outcome:
        """Run it, or load it if it was saved."""
        if self.folder is not None and is_saved(self.scenario, self.folder):
            return Outcome(self.key, Result.load(self.folder).summary(), loaded=True)
        result = run_scenario(self.scenario)
        if self.folder is not None:
            result.save(self.folder)
        kept = result if self.folder is None else None
        return Outcome(self.key, result.summary(), kept)


class Job(Protocol):
    """Anything that can be done in another process: it is pickled, and so is its outcome."""

    @property
    def key(self) -> tuple[str, int]:
        """What it is, and its seed; no two of a call have the same."""

    def outcome(self) -> Outcome:
        """Do it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    key : tuple of (str, int)
        Policy and seed.
    summary : dict of str to float or None
        None if it failed.
    result : Result or None
        None if it was saved or failed.
    error : str
        Why it failed.
    loaded : bool
        Whether an earlier call had saved it.
    """

    key: tuple[str, int]
    summary: dict[str, float] | None = None
    result: Result | None = None
    error: str = ""
    loaded: bool = False


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(
    tasks: Sequence[Job], workers: int | None = None, on_done: OnDone | None = None
) -> dict[tuple[str, int], Outcome]:
    """Do all tasks; those that fail do not stop the others.

    Parameters
    ----------
    tasks : sequence of Job
        Such as `Task`.
    workers : int, optional
        Processes; all available cores if None. One works in this process.
    on_done : callable, optional
        See `OnDone`.

    Returns
    -------
    dict
        Outcomes in the order of the tasks.

    Raises
    ------
    ConfigError
        If `workers` is no positive number.
    KeyboardInterrupt
        Workers are ended first.
    """
    if workers is not None and workers < 1:
        raise ConfigError(Problem("workers", f"got {workers}, expected at least 1"))
    nr = min(available_cores() if workers is None else workers, len(tasks))
    found: dict[tuple[str, int], Outcome] = {}
    with closing(_serially(tasks) if nr <= 1 else _in_parallel(tasks, nr)) as outcomes:
        for outcome in outcomes:
            found[outcome.key] = outcome
            if on_done is not None:
                on_done(outcome, len(found), len(tasks))
    return {task.key: found[task.key] for task in tasks}


def do(task: Job) -> Outcome:
    """Do one task; whatever goes wrong is part of the outcome."""
    try:
        return task.outcome()
    except NumasimError as error:
        return Outcome(task.key, error=str(error))
    except Exception:
        return Outcome(task.key, error=traceback.format_exc().rstrip())


def is_saved(scenario: Scenario, folder: Path) -> bool:
    """Whether the folder holds a finished run of exactly this scenario by the same versions."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = provenance(scenario)
    return all(manifest.get(key) == wanted[key] for key in ("hash", "versions"))


# -- one after the other, or side by side --------------------------------------------------------


def _serially(tasks: Sequence[Job]) -> Generator[Outcome, None, None]:
    for task in tasks:
        yield do(task)


def _in_parallel(tasks: Sequence[Job], workers: int) -> Generator[Outcome, None, None]:
    parcels = [pickle.dumps(task) for task in tasks]
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
    try:
        with _quiet_start(hide_main=not any(b"__main__" in parcel for parcel in parcels)):
            pending = {
                pool.submit(_open, parcel): task
                for parcel, task in zip(parcels, tasks, strict=True)
            }
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield _outcome(future, pending.pop(future))
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise


def _outcome(future: Future[Outcome], task: Job) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        why = "its process was ended, perhaps for want of memory; try fewer workers"
        return Outcome(task.key, error=why)


def _open(parcel: bytes) -> Outcome:
    outcome = do(pickle.loads(parcel))
    gc.collect()  # a world is full of circles: left to itself, it would lie beside the next
    return outcome


def _end_with_parent() -> None:
    """Do not outlive the process that started this one, not even if it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _quiet_start(hide_main: bool) -> Iterator[None]:
    """Let workers start without running the caller's script again, and deaf to Ctrl-C.

    A script without a main guard would otherwise run once in every worker. Whoever compares
    policies defined in the script itself needs the guard. The interrupt is for this process.
    """
    main = sys.modules["__main__"]
    in_main_thread = threading.current_thread() is threading.main_thread()
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    if hide_main:
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if heard is not None:
            signal.signal(signal.SIGINT, heard)
