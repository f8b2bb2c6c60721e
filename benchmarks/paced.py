"""A scenario that runs in stretches of simulated time, so that several can take turns."""

from __future__ import annotations

import threading
import time
from typing import Any

from numasim.engine import Engine
from numasim.loader import load_scenario


class _Over(Exception):
    """Nobody wants to see the rest."""


class Paced:
    """An engine in a thread of its own that stops whenever a recorded instant is reached.

    Only one thread works at a time; CPU time is that of the engine's thread.

    Parameters
    ----------
    document : dict
        A scenario.

    Attributes
    ----------
    engine : Engine
    set_up_s : float
        CPU seconds until the engine could begin.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        start = time.process_time()
        scenario = load_scenario(document)
        self.engine = Engine(scenario, self._reached)
        self.set_up_s = time.process_time() - start
        self.duration_s = scenario.duration_ns / 1e9
        self._target_s, self._over, self._used_s = 0.0, False, 0.0
        self._error: BaseException | None = None
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()

    def until(self, t_s: float) -> float:
        """Go on to an instant of simulated time; the CPU seconds it took."""
        assert self._target_s < t_s < self.duration_s, t_s
        self._target_s, before = t_s, self._used_s
        self._go.release()
        self._stopped.acquire()
        if self._error is not None:
            raise RuntimeError("the scenario ended early") from self._error
        return self._used_s - before

    def end(self) -> None:
        """Let the rest be."""
        self._over = True
        self._go.release()
        self._stopped.acquire()

    @property
    def now_s(self) -> float:
        """Simulated time."""
        return self.engine.now_ns / 1e9

    def _run(self) -> None:
        self._go.acquire()
        self._since = time.thread_time()
        try:
            self.engine.run()
            raise AssertionError("ran to its end")
        except _Over:
            pass
        except BaseException as error:  # handed to whoever waits
            self._error = error
        self._stopped.release()

    def _reached(self, share: float) -> None:
        if self._over:
            raise _Over
        if self.now_s + 1e-9 < self._target_s:
            return
        self._used_s += time.thread_time() - self._since
        self._stopped.release()
        self._go.acquire()
        self._since = time.thread_time()
        if self._over:
            raise _Over
