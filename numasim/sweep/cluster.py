"""Runs on a Dask cluster: the same tasks, the same bounds, the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from distributed import Client, KilledWorker, as_completed
from distributed.client import ClosedClientError
from distributed.comm import CommClosedError

from numasim.errors import ConfigError, NumasimError, Problem
from numasim.sweep.code import own_code
from numasim.sweep.lanes import OnStart, perform_bounded
from numasim.sweep.messages import Prepare
from numasim.sweep.task import Done, Task

CONNECT_S = 30.0
CLOSE_S = 5.0
LOST = (CancelledError, ClosedClientError, CommClosedError)
"""What Dask raises when the scheduler is gone."""
AHEAD = 3
"""Runs for each thread that the scheduler knows of: enough that none waits, few to take back."""


class Cluster:
    """Workers behind a Dask scheduler; each run is in a process of its own below them.

    Parameters
    ----------
    address : str
        Such as ``tcp://head:8786``.
    wanted : Prepare
    limit_s : float
        Time for one run.

    Raises
    ------
    NumasimError
        If nobody answers there.
    ConfigError
        If workers have other code than this process: their results would be others.
    """

    def __init__(self, address: str, wanted: Prepare, limit_s: float) -> None:
        self._wanted, self._limit_s, self._address = wanted, limit_s, address
        try:
            self._client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise NumasimError(f"no Dask scheduler answers at {address}: {error}") from error
        self.workers = sum(self._client.nthreads().values())
        here, there = own_code(), self._client.run(own_code)
        other = sorted(worker for worker, code in there.items() if code != here)
        if other or not self.workers:
            self.close()
            what = f"{', '.join(other)} has other code or packages" if other else "has no worker"
            hint = "install the same numasim there" if other else "start one: dask worker ADDRESS"
            raise ConfigError(Problem(f"--scheduler {address}", what, hint))

    def results(self, tasks: Sequence[Task], on_start: OnStart) -> Iterator[Done]:
        """Do tasks, in whatever order they end; a task whose worker died is done by another.

        Raises
        ------
        NumasimError
            If the scheduler is gone, or a worker cannot start: neither is a run's fault.
        """
        try:
            yield from self._results(tasks, on_start)
        except LOST as error:
            what = f"the Dask scheduler at {self._address} is gone ({type(error).__name__})"
            hint = "what is finished is saved, the same command goes on"
            raise NumasimError(f"{what}; {hint}") from error

    def _results(self, tasks: Sequence[Task], on_start: OnStart) -> Iterator[Done]:
        waiting, by_future = iter(tasks), {}

        def submit() -> list[Any]:
            task = next(waiting, None)
            if task is None:
                return []
            on_start(task)
            future = self._client.submit(
                perform_bounded, task, self._wanted, self._limit_s, key=f"run-{task.key}", pure=True
            )
            by_future[future.key] = task
            return [future]

        first = [future for _ in range(self.workers * AHEAD) for future in submit()]
        pending = as_completed(first, loop=self._client.loop)
        for future in pending:
            task = by_future.pop(future.key)
            yield _done(future, task)
            for more in submit():
                pending.add(more)

    def close(self) -> None:
        """Leave the cluster; it goes on."""
        self._client.close(timeout=CLOSE_S)


def _done(future: Any, task: Task) -> Done:
    try:
        found = future.result()
    except KilledWorker as error:
        return Done(task.key, how="killed", error=f"the workers that tried it died: {error}")
    except (NumasimError, *LOST):
        raise
    except Exception as error:
        return Done(task.key, how="error", error=f"{type(error).__name__}: {error}")
    assert isinstance(found, Done)
    return found
