"""A thread that wakes by the clock and works for as long as its moves take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numasim.hotness.worker import Worker


class Busy(Worker):
    """Works for as long as it is told."""

    def __init__(self, busy: list[int]) -> None:
        self.log: list[Any] = []
        stage: Any = SimpleNamespace(
            begin_work=lambda name, ns: self.log.append(("begin", ns)),
            end_work=lambda name: self.log.append("end"),
            observing=SimpleNamespace(tolls=SimpleNamespace(changed=lambda now: False)),
        )
        super().__init__(stage, "busy", 1000, 100)
        self.busy = busy

    def step(self, now_ns: int) -> int:
        self.log.append(now_ns)
        return self.busy.pop(0)


def play(worker: Busy, until_ns: int) -> list[tuple[int, bool]]:
    acts = []
    while worker.due_ns <= until_ns:
        now = int(worker.due_ns)
        acts.append((now, worker.act(now)))
    return acts


def test_it_steps_once_a_period_and_says_when_something_changed():
    worker = Busy([0, 30, 0])
    assert play(worker, 1300) == [(1100, False), (1200, True), (1230, True), (1300, False)]
    assert worker.log == [1100, 1200, ("begin", 30), "end", 1300]


def test_long_work_delays_the_next_step_and_periods_are_kept():
    worker = Busy([250, 0, 0])
    assert play(worker, 1400) == [(1100, True), (1350, True), (1400, False)]
    assert worker.log == [1100, ("begin", 250), "end", 1350, 1400]
