"""Warm processes that are ended when a run takes too long, and replaced when they die.

Neither a pool of `concurrent.futures` nor joblib's can end one hanging run or survive one that was
killed, and neither starts inside a Dask worker, which is a daemon and may have no children of that
kind. So a lane is a plain child process with a pipe to it; see `numasim.sweep.worker`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, BinaryIO, cast

from numasim.errors import NumasimError
from numasim.sweep.messages import Prepare, receive, send
from numasim.sweep.task import Done, Task, perform

TRIES = 2
"""How often a run is begun whose process was killed."""
START_LIMIT_S = 300.0
LAST_WORDS = 2000
ENVIRONMENT = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
    ),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Every core has a worker; libraries that start threads of their own would only get in the way.
Arrow's own allocator sets a GiB aside at its first use, and that would count as the run's."""

OnStart = Callable[[Task], None]


class Lane:
    """One worker process, started again when it must be.

    Parameters
    ----------
    wanted : Prepare
    limit_s : float
        Time for one run.
    """

    def __init__(self, wanted: Prepare, limit_s: float) -> None:
        self._wanted, self._limit_s = wanted, limit_s
        self.task: Task | None = None
        self._began, self._starts = 0.0, 0
        self._start()

    def _start(self) -> None:
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        self._ready, self._starts = False, self._starts + 1
        environment = {**ENVIRONMENT, **os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(self._wanted.paths or sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "numasim.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=environment,
        )
        self._in = cast(BinaryIO, self._process.stdin)
        self._out = cast(BinaryIO, self._process.stdout)
        self._started = time.monotonic()
        with suppress(BrokenPipeError):
            send(self._in, self._wanted)

    @property
    def pid(self) -> int:
        """Of its process at present."""
        return self._process.pid

    def fileno(self) -> int:
        """To be selected on: readable when there is an answer, or it died."""
        return self._out.fileno()

    @property
    def idle(self) -> bool:
        """Whether it waits for a task."""
        return self._ready and self.task is None

    @property
    def deadline(self) -> float:
        """On the monotonic clock: when it is ended unless it has answered."""
        if not self._ready:
            return self._started + START_LIMIT_S
        return self._began + self._limit_s if self.task is not None else float("inf")

    def give(self, task: Task) -> None:
        """Begin a task."""
        self.task, self._began = task, time.monotonic()
        with suppress(BrokenPipeError):  # its death is noticed by who waits for the answer
            send(self._in, task)

    def answer(self) -> Done | None:
        """What there is to read; None if the process is only now ready for its first task.

        Raises
        ------
        NumasimError
            If it cannot start.
        """
        try:
            message = receive(self._out)
        except EOFError:
            return self._died()
        if not self._ready:
            self._ready, self._starts = True, 0
            return None
        self.task = None
        assert isinstance(message, Done)
        if message.how == "memory":
            self._replace()  # what it still holds would be counted against the next run
        return message

    def expire(self) -> Done:
        """End a run that took too long."""
        if self.task is None or not self._ready:
            self.end()
            raise NumasimError(f"a worker did not start within {START_LIMIT_S:.0f} s{self._last()}")
        task, seconds = self.task, time.monotonic() - self._began
        self._replace()
        return Done(task.key, how="time", error=f"ended after {seconds:.1f} s", seconds=seconds)

    def _died(self) -> Done | None:
        code = self._process.wait()
        if not self._ready and code < 0 and self._starts < TRIES:
            self._replace()
            return None
        if not self._ready:
            raise NumasimError(f"a worker cannot start (exit code {code}){self._last()}")
        task, seconds = self.task, time.monotonic() - self._began
        why = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        words = f"its process was ended {why}{self._last()}"
        self._replace()
        return Done("" if task is None else task.key, how="killed", error=words, seconds=seconds)

    def _last(self) -> str:
        """What the process last said on standard error."""
        self._words.seek(0)
        text = self._words.read().decode(errors="replace").strip()[-LAST_WORDS:]
        return f": {text}" if text else ""

    def _replace(self) -> None:
        self.end()
        self.task = None
        self._start()

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._in, self._out, self._words):
            with suppress(BrokenPipeError):
                pipe.close()


class Lanes:
    """All workers of this machine.

    Parameters
    ----------
    wanted : Prepare
    workers : int
    limit_s : float
        Time for one run.
    """

    def __init__(self, wanted: Prepare, workers: int, limit_s: float) -> None:
        self._lanes = [Lane(wanted, limit_s) for _ in range(workers)]

    @property
    def workers(self) -> int:
        """How many runs at once."""
        return len(self._lanes)

    def results(self, tasks: Sequence[Task], on_start: OnStart) -> Iterator[Done]:
        """Do tasks, in whatever order they end.

        Raises
        ------
        NumasimError
            If workers cannot start.
        """
        waiting, tries = deque(tasks), dict.fromkeys((task.key for task in tasks), 0)
        by_key = {task.key: task for task in tasks}
        left = set(by_key)
        while left:
            for lane in self._lanes:
                if lane.idle and waiting:
                    task = waiting.popleft()
                    tries[task.key] += 1
                    on_start(task)
                    lane.give(task)
            for done in self._answers():
                if done.key not in left:
                    continue
                if done.how == "killed" and tries[done.key] < TRIES:
                    waiting.appendleft(by_key[done.key])
                    continue
                left.discard(done.key)
                yield done

    def _answers(self) -> Iterator[Done]:
        busy = [lane for lane in self._lanes if not lane.idle]
        rest = min(lane.deadline for lane in busy) - time.monotonic()
        ready, _, _ = select.select(busy, [], [], max(0.0, rest))
        for lane in ready:
            done = lane.answer()
            if done is not None:
                yield done
        now = time.monotonic()
        for lane in set(busy) - set(ready):
            if lane.deadline <= now:
                yield lane.expire()

    def close(self) -> None:
        """End all workers."""
        for lane in self._lanes:
            lane.end()


class Here:
    """Runs in this process, one after the other, without bounds: for tests and debuggers."""

    workers = 1

    def results(self, tasks: Sequence[Task], on_start: OnStart) -> Iterator[Done]:
        """Do tasks in their order."""
        for task in tasks:
            on_start(task)
            yield perform(task)

    def close(self) -> None:
        """Nothing to end."""


# -- a lane for each thread of somebody else's pool ------------------------------------------------

_own = threading.local()


def perform_bounded(task: Task, wanted: Prepare, limit_s: float) -> Done:
    """Do a task in a lane that belongs to the calling thread, which waits for it.

    Raises
    ------
    NumasimError
        If its process cannot start.
    """
    kept: tuple[Prepare, float, Lane] | None = getattr(_own, "lane", None)
    if kept is not None and kept[:2] != (wanted, limit_s):
        kept[2].end()
        kept = None
    if kept is None:
        kept = _own.lane = (wanted, limit_s, Lane(wanted, limit_s))
    try:
        return _done_in(kept[2], task, limit_s)
    except NumasimError:
        kept[2].end()
        del _own.lane  # or whoever mends it would meet the dead one
        raise


def _done_in(lane: Lane, task: Task, limit_s: float) -> Done:
    done: Done | None = None
    for _ in range(TRIES):
        while not lane.idle:
            lane.answer()
        lane.give(task)
        ready, _, _ = select.select([lane], [], [], limit_s)
        done = lane.answer() if ready else lane.expire()
        assert done is not None
        if done.how != "killed":
            break
    assert done is not None
    return done
