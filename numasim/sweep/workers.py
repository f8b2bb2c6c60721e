"""Who does the runs: processes of this machine, a cluster, or this process itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from numasim.errors import ConfigError, Problem
from numasim.pool import available_cores
from numasim.sweep.code import fingerprint, importable, plugin_modules
from numasim.sweep.lanes import Here, Lanes, OnStart
from numasim.sweep.messages import Prepare
from numasim.sweep.plan import Plan
from numasim.sweep.task import Done, Task

FAIR = 0.9
"""Share of this machine's memory that all workers together may take unless the plan says."""


CONFINED = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container sees its own limit: control groups of version 2 and 1."""


class Runner(Protocol):
    """Whoever does tasks."""

    @property
    def workers(self) -> int:
        """How many runs at once."""

    def results(self, tasks: Sequence[Task], on_start: OnStart) -> Iterator[Done]:
        """Do them, in whatever order they end."""

    def close(self) -> None:
        """Let go of what does them."""


def preparation(plan: Plan, workers: int, remote: bool = False) -> Prepare:
    """What workers need beside numasim to do the plan's runs.

    Raises
    ------
    ConfigError
        If something was registered that no other process can import.
    """
    modules = plugin_modules()
    lost = [module.__name__ for module in modules if not importable(module)]
    if lost:
        hint = "put it into a module, or into the plan's Python file"
        raise ConfigError(Problem(lost[0], "registers something that workers cannot import", hint))
    names = tuple(module.__name__ for module in modules)
    paths = () if remote else tuple(os.path.abspath(path) for path in sys.path)
    memory = plan.limits.memory_bytes
    if not memory and not remote:
        memory = int(FAIR * _available_bytes() / workers)
    path = "" if plan.source is None else str(plan.source)
    return Prepare(paths, names, plan.python, path, memory, fingerprint(plan.python))


def _available_bytes() -> int:
    """Memory of this machine, or of the container or job that this process is confined to."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in CONFINED:
        with suppress(OSError, ValueError):  # "max" where there is no limit
            found = min(found, int(path.read_text()))
    return found


@contextmanager
def runner(plan: Plan, workers: int | None, scheduler: str | None, here: bool) -> Iterator[Runner]:
    """Workers of this machine, of a cluster, or this process itself; ended at the end."""
    if workers is not None and workers < 1:
        raise ConfigError(Problem("workers", f"got {workers}, expected at least 1"))
    limit_s = plan.limits.time_ns / 1e9
    found: Runner
    if here:
        found = Here()
    elif scheduler is None:
        nr = available_cores() if workers is None else workers
        found = Lanes(preparation(plan, nr), nr, limit_s)
    else:
        found = _cluster(scheduler, preparation(plan, 1, remote=True), limit_s)
    try:
        yield found
    finally:
        found.close()


def _cluster(scheduler: str, wanted: Prepare, limit_s: float) -> Runner:
    try:
        from numasim.sweep.cluster import Cluster
    except ImportError as error:
        hint = "pip install 'numasim[dask]'"
        raise ConfigError(Problem("--scheduler", f"needs Dask ({error})", hint)) from None
    return Cluster(scheduler, wanted, limit_s)
