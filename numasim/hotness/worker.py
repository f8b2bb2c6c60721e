"""A policy's thread: it wakes by the clock, works for as long as its moves take, sleeps again."""

from __future__ import annotations

from typing import Any

from numasim.agents import Stage


class Worker:
    """An agent that steps once a period; work that takes longer than a period delays the next.

    Parameters
    ----------
    stage : Stage
    name : str
    now_ns : int
    period_ns : int

    Notes
    -----
    Who uses it writes `step`, which observes, moves, and says how long the moves took.
    """

    def __init__(self, stage: Stage, name: str, now_ns: int, period_ns: int) -> None:
        self.stage, self.name, self.period_ns = stage, name, period_ns
        self._start_ns, self._busy_until_ns = now_ns, 0
        self._at_work = False
        self._next_ns = now_ns + period_ns
        self.due_ns: float = self._next_ns

    def step(self, now_ns: int) -> int:
        """Do what the period asks for; ns for which pages that were moved are on their way."""
        raise NotImplementedError

    def act(self, now_ns: int) -> bool:
        """End work that is done, step if it is time; whether speeds have to be found anew."""
        changed = False
        if self._at_work and now_ns >= self._busy_until_ns:
            self.stage.end_work(self.name)
            self._at_work, changed = False, True
        if not self._at_work and now_ns >= self._next_ns:
            busy_ns = self.step(now_ns)
            periods = (now_ns - self._start_ns) // self.period_ns + 1
            self._next_ns = self._start_ns + periods * self.period_ns
            if busy_ns > 0:
                self.stage.begin_work(self.name, busy_ns)
                self._busy_until_ns, self._at_work, changed = now_ns + busy_ns, True, True
            changed |= self.stage.observing.tolls.changed(now_ns)
        self.due_ns = self._busy_until_ns if self._at_work else self._next_ns
        return changed

    def settings(self, changed: dict[str, Any]) -> None:
        """Sysctls are not this policy's."""

    def counters(self) -> dict[str, int]:
        """What it did so far, for the table of counters."""
        return {}
